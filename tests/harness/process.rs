//! A process that ends with its owner, in whatever way that ends.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::Error;
use crate::guard::Guarded;

/// A running program whose standard output is read line by line. Dropped, it is killed; so it is where this process is killed.
#[derive(Debug)]
pub struct Process {
    program: PathBuf,
    child: Child,
    // Let go of once the program has ended.
    _guarded: Guarded,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    printed: String,
}

impl Process {
    /// Starts a program. Its standard error goes where ours goes.
    pub fn start(command: &mut Command) -> Result<Self, Error> {
        let program = PathBuf::from(command.get_program());
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Error::system(format!("start {}", program.display())))?;
        let guarded = Guarded::new(child.id()).inspect_err(|_| {
            let _ = child.kill().and_then(|()| child.wait());
        })?;
        let Some(output) = child.stdout.take() else {
            return Err(Error::Missing {
                program: "a pipe to a process",
            });
        };
        Ok(Self {
            program,
            child,
            _guarded: guarded,
            lines: BufReader::new(output).lines(),
            printed: String::new(),
        })
    }

    /// The number by which the system knows it.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Reads its output up to the first line in which `find` finds what is `awaited`.
    pub fn wait_for<T>(
        &mut self,
        awaited: &str,
        find: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Error> {
        for line in &mut self.lines {
            let line = line.map_err(Error::system(format!("read {}", self.program.display())))?;
            self.printed.push_str(&line);
            self.printed.push('\n');
            if let Some(found) = find(&line) {
                return Ok(found);
            }
        }
        Err(Error::Ended {
            program: self.program.clone(),
            awaited: awaited.to_owned(),
            printed: self.printed.clone(),
        })
    }

    /// Asks it to end, as Ctrl-C does, and does not wait: what it has to say first can still be read.
    pub fn ask_to_stop(&self) -> Result<(), Error> {
        self.signal("stop", Signal::INT)
    }

    /// Halts it where it is: its sockets stay open, and nothing answers.
    pub fn pause(&self) -> Result<(), Error> {
        self.signal("halt", Signal::STOP)
    }

    /// Has it go on.
    pub fn resume(&self) -> Result<(), Error> {
        self.signal("go on with", Signal::CONT)
    }

    fn signal(&self, what: &str, signal: Signal) -> Result<(), Error> {
        let failed = Error::system(format!("{what} {}", self.program.display()));
        kill_process(Pid::from_child(&self.child), signal).map_err(|errno| failed(errno.into()))
    }

    /// Asks it to end, as Ctrl-C does, and waits until it has.
    pub fn interrupt(mut self) -> Result<ExitStatus, Error> {
        let stop = || Error::system(format!("stop {}", self.program.display()));
        self.ask_to_stop()?;
        // A full pipe would keep it from ending.
        for line in &mut self.lines {
            line.map_err(stop())?;
        }
        self.child.wait().map_err(stop())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended cannot be killed any more, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
