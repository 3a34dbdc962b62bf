//! `obstool agent`: serves what processes have recorded in mapped files, whether they live, are stopped or are dead.

mod text;
mod watch;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::Error;
use watch::Watched;

/// How many clients are answered at once, how long each may take, and how much of a request is read.
const CONNECTIONS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(5);
const REQUEST_BYTES: u64 = 16 << 10;

/// How often files are read while nobody asks, so that none is set aside and removed unseen.
const LOOK: Duration = Duration::from_secs(1);

/// Serve what processes have recorded in mapped files (`OBS_MEMORY`)
///
/// Each file is a process; `/metrics` has all of them with a label `process`, and `obs_process_up`. A process that is stopped is shown as
/// one that runs. What a dead one had last is shown for a time; then its gauges go, and what it counted stays in the totals.
#[derive(clap::Args, Debug)]
pub(crate) struct Agent {
    /// Files, and folders of files whose names end in `.obs`.
    #[arg(value_name = "FILE|DIR", required = true)]
    places: Vec<PathBuf>,
    /// Where `/metrics` is served; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9466")]
    listen: SocketAddr,
    /// For how many seconds the last values of a dead process are shown.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    keep: u64,
}

impl Agent {
    /// Serves until the process is ended.
    pub(crate) fn run(self) -> Result<bool, Error> {
        let listen = |source| Error::Listen {
            address: self.listen,
            source,
        };
        let listener = TcpListener::bind(self.listen).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let watched = Watched::new(self.places, Duration::from_secs(self.keep));
        let watched = Arc::new(Mutex::new(watched));
        let looking = Arc::clone(&watched);
        thread::spawn(move || {
            loop {
                lock(&looking).look();
                thread::sleep(LOOK);
            }
        });
        anstream::println!("http://{address}/metrics");
        serve(&listener, &watched);
        Ok(true)
    }
}

fn lock(watched: &Mutex<Watched>) -> MutexGuard<'_, Watched> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers clients for ever.
fn serve(listener: &TcpListener, watched: &Arc<Mutex<Watched>>) {
    let busy = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming().flatten() {
        if busy.load(Ordering::Relaxed) >= CONNECTIONS {
            // It asks again.
            continue;
        }
        busy.fetch_add(1, Ordering::Relaxed);
        let (busy, watched) = (Arc::clone(&busy), Arc::clone(watched));
        thread::spawn(move || {
            // A client that went away needs no answer.
            let _ = answer(stream, &watched);
            busy.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// Reads one request and answers it.
fn answer(mut stream: TcpStream, watched: &Mutex<Watched>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let (status, body) = match path(&stream)?.as_str() {
        "/metrics" => {
            let look = lock(watched).look();
            ("200 OK", text::write(&look))
        }
        "/healthz" => ("200 OK", "ok\n".to_owned()),
        _ => ("404 Not Found", "ask for /metrics\n".to_owned()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\ncontent-length: {}\r\n\
         x-content-type-options: nosniff\r\ncache-control: no-store\r\nconnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body.as_bytes())
}

/// The path of a request, without its query; nothing where it is no GET.
fn path(stream: &TcpStream) -> io::Result<String> {
    let mut lines = BufReader::new(stream.take(REQUEST_BYTES)).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    // The rest is read, so that closing the connection does not reset it.
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let target = first.strip_prefix("GET ").unwrap_or_default();
    let target = target.split(' ').next().unwrap_or_default();
    Ok(target.split('?').next().unwrap_or_default().to_owned())
}
