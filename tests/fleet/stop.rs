//! Ctrl-C and a supervisor's signal: a fleet that is stopped ends its servers and removes what they kept.

use std::error::Error;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

static IS_STOPPED: Mutex<bool> = Mutex::new(false);
static STOPPED: Condvar = Condvar::new();

/// Has [`pause`] and [`check`] fail from the first signal on. The second one ends this process at once, and with it its servers.
pub(crate) fn by_signals() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            for is_first in [true, false] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if is_first {
                    *is_stopped() = true;
                    STOPPED.notify_all();
                } else {
                    std::process::exit(1);
                }
            }
        });
    });
    Ok(())
}

/// Sleeps, but not beyond a signal.
pub(crate) fn pause(time: Duration) -> Result<(), Box<dyn Error>> {
    let waited = STOPPED.wait_timeout_while(is_stopped(), time, |is_stopped| !*is_stopped);
    drop(waited.unwrap_or_else(PoisonError::into_inner));
    check()
}

/// Fails once there was a signal.
pub(crate) fn check() -> Result<(), Box<dyn Error>> {
    if *is_stopped() {
        return Err("stopped by a signal; nothing is said of what was promised".into());
    }
    Ok(())
}

fn is_stopped() -> MutexGuard<'static, bool> {
    IS_STOPPED.lock().unwrap_or_else(PoisonError::into_inner)
}
