//! What serving and pushing need of the Tokio runtime.

use std::panic::{UnwindSafe, catch_unwind, set_hook, take_hook};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use hyper::body::Bytes;
use tokio::runtime::Handle;
use tokio::time::{Duration, sleep};

use crate::ExporterError;

/// A task of the server. Boxed, so that Tokio's share of it is compiled once and not for each sort of task.
pub(crate) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is to be sent, and when it was rendered.
#[derive(Clone)]
pub(crate) struct Rendered {
    #[cfg_attr(
        not(feature = "page"),
        expect(dead_code, reason = "only viewers of the page share what was rendered")
    )]
    pub(crate) at: Instant,
    pub(crate) body: Bytes,
}

impl Rendered {
    /// What was rendered just now.
    pub(crate) fn now(body: impl Into<Bytes>) -> Self {
        Self {
            at: Instant::now(),
            body: body.into(),
        }
    }
}

/// Runs what takes long off the async workers. `None` where it has nothing, and when the runtime shuts down meanwhile. Boxed for the
/// same reason as a [`Task`].
pub(crate) async fn off_workers(
    work: Box<dyn FnOnce() -> Option<Rendered> + Send>,
) -> Option<Rendered> {
    tokio::task::spawn_blocking(work).await.ok().flatten()
}

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
