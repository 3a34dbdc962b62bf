//! What serving and pushing need of the Tokio runtime.

use std::panic::{UnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::runtime::Handle;
use tokio::time::{Duration, sleep};

use crate::ExporterError;

/// An error unless this runs within a Tokio runtime that has its timer and its network.
///
/// A runtime cannot be asked for these, and panics when they are used: so they are tried out here, once, where the panic can be
/// caught, rather than in a task of the server. The program's panic hook does not hear of it: it is an error like any other.
pub(crate) fn check() -> Result<(), ExporterError> {
    Handle::try_current().map_err(|_| ExporterError::NoRuntime)?;
    let tried = unheard(|| {
        drop(sleep(Duration::ZERO));
        // It belongs to the network and is no port that anybody could reach.
        #[cfg(unix)]
        drop(tokio::net::UnixDatagram::unbound());
    });
    tried.map_err(|_| ExporterError::RuntimeLacks)
}

/// Runs something whose panic the program's hook does not hear of. It still hears of those of all other threads.
fn unheard(run: impl FnOnce() + UnwindSafe) -> thread::Result<()> {
    /// The hook is the process' own, so one thread at a time takes it away and puts it back.
    static TAKEN: Mutex<()> = Mutex::new(());
    // A thread that panics may not touch the hook.
    if thread::panicking() {
        return catch_unwind(run);
    }
    let _taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let (here, hook) = (thread::current().id(), Arc::new(take_hook()));
    let of_others = Arc::clone(&hook);
    set_hook(Box::new(move |panic| {
        if thread::current().id() != here {
            of_others(panic);
        }
    }));
    let ran = catch_unwind(run);
    drop(take_hook());
    // Put back as it was, unless another thread is panicking through it at this moment.
    match Arc::try_unwrap(hook) {
        Ok(hook) => set_hook(hook),
        Err(shared) => set_hook(Box::new(move |panic| shared(panic))),
    }
    ran
}
