//! A time server that nobody here wrote: chrony's.

use std::fs;
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Error, Process, stack, tools};

/// chronyd on a free port of loopback, which serves this machine's time and leaves its clock alone. Dropped, it is killed.
#[derive(Debug)]
pub struct TimeServer {
    // Stopped before its folder goes.
    _process: Process,
    address: String,
    _folder: TempDir,
}

impl TimeServer {
    /// Starts one, and waits until it answers.
    pub fn start() -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(Error::system("make a folder for chronyd"))?;
        let port = free_port()?;
        let file = folder.path().join("chrony.conf");
        let pid = folder.path().join("pid");
        // Stratum 1 by decree; no socket for commands, and no other user to become.
        let config = format!(
            "port {port}\nbindaddress 127.0.0.1\nallow 127.0.0.1\nlocal stratum 1\ncmdport 0\nbindcmdaddress /\nuser root\npidfile {}\n",
            pid.display()
        );
        fs::write(&file, config).map_err(Error::system("write chrony.conf"))?;
        let mut command = Command::new(tools::chronyd()?);
        let process = Process::start(command.args(["-x", "-U", "-d", "-f"]).arg(&file))?;
        let address = format!("127.0.0.1:{port}");
        stack::wait_until(&address, stack::START, "chronyd answers", || {
            answers(&address)
        })?;
        Ok(Self {
            _process: process,
            address,
            _folder: folder,
        })
    }

    /// Its address and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

fn free_port() -> Result<u16, Error> {
    let find = || Error::system("find a free port");
    let socket = UdpSocket::bind("127.0.0.1:0").map_err(find())?;
    Ok(socket.local_addr().map_err(find())?.port())
}

/// Whether a question of NTP is answered, whatever it says.
fn answers(address: &str) -> bool {
    let ask = || {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        socket.connect(address)?;
        let mut packet = [0; 48];
        packet[0] = 4 << 3 | 3;
        socket.send(&packet)?;
        socket.recv(&mut packet)
    };
    ask().is_ok()
}
