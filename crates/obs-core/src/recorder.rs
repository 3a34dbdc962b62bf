//! Which recorder handles come from.
//!
//! The facade's local recorder belongs to one thread, while an [`Each`](crate::Each) may meet a new value on any. So a
//! value that is built under a [`TestRecorder`](crate::TestRecorder) keeps it, and resolves later series from it too.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, OnceLock};

use metrics::Recorder;

type Shared = Arc<dyn Recorder + Send + Sync>;

thread_local! {
    static CURRENT: RefCell<Option<Shared>> = const { RefCell::new(None) };
}

static INSTALLED: OnceLock<()> = OnceLock::new();

/// A recorder was installed in this process before; the facade takes one, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a metrics recorder is already installed in this process; install one, once, at the start of `main`"
)]
pub struct AlreadyInstalled;

/// Installs the process' recorder. Handles that were built before stay without effect for ever: install first, then build.
pub fn install(recorder: impl Recorder + Send + Sync + 'static) -> Result<(), AlreadyInstalled> {
    metrics::set_global_recorder(recorder).map_err(|_| AlreadyInstalled)?;
    // Only now may functions under `#[track_duration]` keep their handles.
    let _ = INSTALLED.set(());
    Ok(())
}

/// The recorder that a value resolves from: the facade's, or the one it was built under.
#[derive(Clone)]
pub(crate) enum Target {
    Facade,
    Kept(Shared),
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Facade => "Facade",
            Self::Kept(_) => "Kept",
        })
    }
}

impl Target {
    pub(crate) fn current() -> Self {
        CURRENT.with_borrow(|current| current.clone().map_or(Self::Facade, Self::Kept))
    }

    pub(crate) fn with<T>(&self, ask: impl FnOnce(&dyn Recorder) -> T) -> T {
        match self {
            Self::Facade => metrics::with_recorder(ask),
            Self::Kept(recorder) => ask(recorder),
        }
    }
}

/// Whether handles resolved now will be right for the rest of the process, so that a static may keep them.
pub(crate) fn is_settled() -> bool {
    INSTALLED.get().is_some() && CURRENT.with_borrow(Option::is_none)
}

/// Runs `f` with a recorder in place of the installed one, on this thread: for values of this crate and for the facade's own
/// macros. Values that are built in it keep the recorder and resolve later series from it too, on whatever thread; with the
/// facade's own `with_local_recorder` they would ask the installed one for those.
///
/// [`TestRecorder::run`](crate::TestRecorder::run) is this for tests.
pub fn with_recorder<T>(recorder: &Arc<dyn Recorder + Send + Sync>, f: impl FnOnce() -> T) -> T {
    struct Restore(Option<Shared>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0.take());
        }
    }
    let _restore = Restore(CURRENT.replace(Some(Arc::clone(recorder))));
    metrics::with_local_recorder(recorder, f)
}
