//! Which recorder handles come from.
//!
//! The facade's local recorder belongs to one thread, while an [`Each`](crate::Each) may meet a new value on any. So a
//! value that is built under a [`TestRecorder`](crate::TestRecorder) keeps it, and resolves later series from it too.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock, PoisonError, RwLock};

use metrics::Recorder;

use crate::cells::Offered;
use crate::channel::Identity;
use crate::{Family, Kind, channel};

type Shared = Arc<dyn Recorder + Send + Sync>;

thread_local! {
    static CURRENT: RefCell<Option<Shared>> = const { RefCell::new(None) };
}

/// The recorder that [`install`] installed.
static INSTALLED: OnceLock<Installed> = OnceLock::new();

#[derive(Debug)]
struct Installed {
    /// Where it lies.
    at: usize,
    /// Whose offers of cells are taken; nobody's where that is switched off.
    direct: Option<Identity>,
}

/// Switches handles off that record without a call of the facade.
const DIRECT_HANDLES: &str = "OBS_DIRECT_HANDLES";

/// The families that the installed recorder was given, by where they lie: resolving one again need not describe it again.
static GIVEN: LazyLock<RwLock<HashSet<usize>>> = LazyLock::new(RwLock::default);

/// A recorder was installed in this process before; the facade takes one, for good.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a metrics recorder is already installed in this process; install one, once, at the start of `main`"
)]
pub struct AlreadyInstalled;

impl fmt::Debug for AlreadyInstalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::fmt_error(self, f)
    }
}

/// Installs the process' recorder. Handles that were built before stay without effect for ever: install first, then build.
///
/// Handles that are resolved from a recorder of `obs-recorder`, or of `obs-exporter` with it, record to its cells themselves, without a
/// call of the facade's handle. Only where that recorder is installed here, and with nothing in front of it, such as a `Fanout`:
/// otherwise, and everywhere with the variable `OBS_DIRECT_HANDLES=off`, they call. Totals are the same either way.
pub fn install<R: Recorder + Send + Sync + 'static>(recorder: R) -> Result<(), AlreadyInstalled> {
    let has_local = metrics::with_recorder(|recorder| !is_none(recorder));
    metrics::set_global_recorder(recorder).map_err(|_| AlreadyInstalled)?;
    // Under a local recorder its place cannot be found out, and every family is then described anew: 0 is nowhere.
    let at = if has_local {
        0
    } else {
        metrics::with_recorder(place_of)
    };
    // Only now may functions under `#[track_duration]` keep their handles.
    let is_direct = std::env::var_os(DIRECT_HANDLES).is_none_or(|said| said != "off");
    let _ = INSTALLED.set(Installed {
        at,
        direct: is_direct.then(|| Identity::at::<R>(at)),
    });
    Ok(())
}

fn is_installed(recorder: &dyn Recorder) -> bool {
    INSTALLED
        .get()
        .is_some_and(|installed| installed.at == place_of(recorder))
}

/// The cell that the recorder which was just asked for a handle offers, if it is the installed one itself.
pub(crate) fn offered_by(recorder: &dyn Recorder) -> Option<Offered> {
    let installed = INSTALLED.get()?;
    let is_it = installed.at == place_of(recorder);
    channel::taken(installed.direct.filter(|_| is_it)?)
}

fn place_of(recorder: &dyn Recorder) -> usize {
    std::ptr::from_ref(recorder).addr()
}

/// Whether this is the facade's own recorder that does nothing: it has no fields, as none has that keeps anything.
fn is_none(recorder: &dyn Recorder) -> bool {
    size_of_val(recorder) == 0
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

    /// Whether nothing that is resolved here will ever record.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self, Self::Facade) && metrics::with_recorder(is_none)
    }

    /// Gives the recorder a family, so that it knows what the series are that will be registered: ours by [`channel`], any other
    /// by the name, unit and help that the facade takes.
    pub(crate) fn give(&self, family: &'static Family) {
        let place = std::ptr::from_ref(family).addr();
        let give = |recorder: &dyn Recorder| {
            let is_installed = is_installed(recorder);
            if is_installed && given(|known| known.contains(&place)) {
                return;
            }
            channel::with(family, false, || describe(recorder, family));
            if is_installed {
                let mut known = GIVEN.write().unwrap_or_else(PoisonError::into_inner);
                known.insert(place);
            }
        };
        self.with(give);
    }
}

fn given<T>(ask: impl FnOnce(&HashSet<usize>) -> T) -> T {
    ask(&GIVEN.read().unwrap_or_else(PoisonError::into_inner))
}

/// Says what the facade can carry of a family.
pub(crate) fn describe(recorder: &(impl Recorder + ?Sized), family: &Family) {
    let (name, unit, help) = (family.name(), family.measured_in().facade(), family.help());
    match family.kind() {
        Kind::Counter => recorder.describe_counter(name.into(), unit, help.into()),
        Kind::Gauge => recorder.describe_gauge(name.into(), unit, help.into()),
        Kind::Histogram | Kind::Summary => {
            recorder.describe_histogram(name.into(), unit, help.into());
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
