//! A program in a terminal: a real pseudo-terminal, and an emulator that shows what a user would see.

use std::io::{Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::Error;

pub use vt100::{Color, Screen};

/// How long something may take to come on the screen.
const PATIENCE: Duration = Duration::from_mins(1);

/// A shell that runs a script in a terminal of its own. Dropped, it is ended with what it runs.
pub struct Terminal {
    /// `script` of util-linux, which every Debian has: it opens the pseudo-terminal, and relays what is typed and shown.
    relay: Child,
    keyboard: ChildStdin,
    shown: Arc<Shown>,
}

/// What came, and the news of it.
struct Shown {
    screen: Mutex<Emulated>,
    news: Condvar,
}

struct Emulated {
    parser: vt100::Parser,
    has_ended: bool,
}

impl Terminal {
    /// Runs a script of the shell on so many lines and columns.
    pub fn run(script: &str, lines: u16, columns: u16) -> Result<Self, Error> {
        let failed = || Error::system("run `script`, which opens terminals");
        let script = format!("stty rows {lines} cols {columns}; {script}");
        let mut relay = Command::new("script");
        relay
            .args(["--quiet", "--return", "--command", &script, "/dev/null"])
            .env("SHELL", "/bin/sh")
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut relay = relay.spawn().map_err(failed())?;
        let (Some(keyboard), Some(output)) = (relay.stdin.take(), relay.stdout.take()) else {
            return Err(Error::Missing {
                program: "a pipe to a terminal",
            });
        };
        let shown = Arc::new(Shown {
            screen: Mutex::new(Emulated {
                parser: vt100::Parser::new(cells(lines), cells(columns), 0),
                has_ended: false,
            }),
            news: Condvar::new(),
        });
        let emulator = Arc::clone(&shown);
        thread::spawn(move || emulator.follow(output));
        Ok(Self {
            relay,
            keyboard,
            shown,
        })
    }

    /// Types, as a user would; `\x1b` is the escape key.
    pub fn type_keys(&mut self, keys: &str) -> Result<(), Error> {
        let typed = self.keyboard.write_all(keys.as_bytes());
        typed
            .and_then(|()| self.keyboard.flush())
            .map_err(Error::system("type into a terminal"))
    }

    /// Gives the terminal that is at a path of the system another size, as dragging its window does.
    pub fn resize(&self, path: &Path, lines: u16, columns: u16) -> Result<(), Error> {
        let mut screen = self.shown.lock();
        screen
            .parser
            .screen_mut()
            .set_size(cells(lines), cells(columns));
        drop(screen);
        let mut stty = Command::new("stty");
        stty.arg("-F").arg(path);
        stty.args(["rows", &lines.to_string(), "cols", &columns.to_string()]);
        let status = stty.status().map_err(Error::system("run `stty`"))?;
        status.success().then_some(()).ok_or(Error::Failed {
            program: "stty".to_owned(),
            status,
        })
    }

    /// Waits until what is on the screen has what is `awaited`; what `find` made of it.
    pub fn wait_for<T>(
        &self,
        awaited: &str,
        find: impl Fn(&Screen) -> Option<T>,
    ) -> Result<T, Error> {
        let until = Instant::now() + PATIENCE;
        let mut screen = self.shown.lock();
        loop {
            if let Some(found) = find(screen.parser.screen()) {
                return Ok(found);
            }
            let left = until.saturating_duration_since(Instant::now());
            if screen.has_ended || left.is_zero() {
                return Err(Error::Ended {
                    program: "the program in the terminal".into(),
                    awaited: awaited.to_owned(),
                    printed: screen.parser.screen().contents(),
                });
            }
            let waited = self.shown.news.wait_timeout(screen, left);
            (screen, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What is on the screen.
    #[must_use]
    pub fn screen(&self) -> Screen {
        self.shown.lock().parser.screen().clone()
    }
}

/// A terminal has one line and one column at least.
fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).unwrap_or(NonZero::<u16>::MIN)
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It hangs up, which ends what runs in the terminal. What has ended cannot be killed any more, which is as good.
        let _ = self.relay.kill();
        let _ = self.relay.wait();
    }
}

impl Shown {
    fn follow(&self, mut output: impl Read) {
        let mut bytes = [0; 4096];
        loop {
            let count = output.read(&mut bytes).unwrap_or(0);
            let mut screen = self.lock();
            screen.parser.process(&bytes[..count]);
            screen.has_ended = count == 0;
            self.news.notify_all();
            if screen.has_ended {
                return;
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Emulated> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
