//! Ends what this process started where it is killed itself, so that no destructor runs.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Error;

/// Keeps the numbers of processes that run, and kills them when its standard input ends. That is when this process ends, in whatever
/// way: the system closes its end of the pipe. Linux could do the same by a call that needs unsafe code.
const SCRIPT: &str = r#"
running=
while read -r change process; do
    if [ "$change" = started ]; then
        running="$running $process"
    else
        left=
        for other in $running; do
            [ "$other" = "$process" ] || left="$left $other"
        done
        running=$left
    fi
done
[ -z "$running" ] || kill -KILL $running
"#;

/// The shell that stands beside this process once it has started another.
static GUARD: Mutex<Option<Guard>> = Mutex::new(None);

struct Guard {
    pipe: ChildStdin,
    _shell: Child,
}

/// A process that is killed should this one be. Dropped, it no longer is: that is for when it has ended.
#[derive(Debug)]
pub(crate) struct Guarded(u32);

impl Guarded {
    /// Has the process of this number guarded.
    pub(crate) fn new(process: u32) -> Result<Self, Error> {
        let failed = || Error::system("guard a process");
        let mut guard = guard();
        let guard = match &mut *guard {
            Some(guard) => guard,
            none => none.insert(start().map_err(failed())?),
        };
        guard
            .note("started", process)
            .map_err(failed())
            .map(|()| Self(process))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if let Some(guard) = &mut *guard() {
            // Without its guard nothing is killed anyway.
            let _ = guard.note("ended", self.0);
        }
    }
}

impl Guard {
    fn note(&mut self, change: &str, process: u32) -> std::io::Result<()> {
        self.pipe
            .write_all(format!("{change} {process}\n").as_bytes())
    }
}

fn guard() -> MutexGuard<'static, Option<Guard>> {
    GUARD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start() -> std::io::Result<Guard> {
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", SCRIPT])
        // A group of its own: what ends everything in ours has to leave it.
        .process_group(0)
        .stdin(Stdio::piped())
        // Nobody is to wait for the end of an output that it holds.
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut shell = shell.spawn()?;
    let pipe = shell
        .stdin
        .take()
        .ok_or_else(|| std::io::Error::other("a shell without a pipe"))?;
    Ok(Guard {
        pipe,
        _shell: shell,
    })
}
