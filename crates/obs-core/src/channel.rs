//! How a recorder gets the declaration behind a handle.
//!
//! The facade hands a recorder a name, labels and a help text, and nothing else. So while a handle is resolved, this thread
//! says here which family it belongs to, and a recorder that understands declarations looks. It works through whatever
//! stands between the two (`Fanout`, `Prefix`, `Filter`, a local recorder), and costs other recorders nothing.

use std::cell::Cell;

use metrics::{Level, Metadata};

use crate::Family;

thread_local! {
    static RESOLVING: Cell<Option<Resolving>> = const { Cell::new(None) };
}

/// What this thread is resolving, as [`resolving`] tells a recorder.
#[derive(Clone, Copy, Debug)]
pub struct Resolving {
    family: &'static Family,
    is_quiet: bool,
}

impl Resolving {
    /// The declaration of what is described or registered. Its name may differ from the one that is registered, where a layer
    /// such as `Prefix` renames metrics.
    #[must_use]
    pub fn family(self) -> &'static Family {
        self.family
    }

    /// Whether the series is only worth showing once something was recorded to it: it watches a family that will hardly ever
    /// give cause, and every family has such.
    #[must_use]
    pub fn is_quiet(self) -> bool {
        self.is_quiet
    }
}

/// Which family the current thread is describing or registering, for a [`metrics::Recorder`] to ask in its `describe_…` and
/// `register_…`. `None` for metrics that are recorded by the facade's own macros.
///
/// A family is described before any of its series is registered, so that a recorder knows buckets, units and budgets in time.
#[must_use]
pub fn resolving() -> Option<Resolving> {
    RESOLVING.get()
}

/// Runs `ask` while this thread says that it resolves the family.
pub(crate) fn with<T>(family: &'static Family, is_quiet: bool, ask: impl FnOnce() -> T) -> T {
    struct Restore(Option<Resolving>);
    impl Drop for Restore {
        fn drop(&mut self) {
            RESOLVING.set(self.0);
        }
    }
    let _restore = Restore(RESOLVING.replace(Some(Resolving { family, is_quiet })));
    ask()
}

/// What [`METADATA`] has for a target.
const TARGET: &str = "obs_core";

/// With what this crate registers. A recorder that sees it without [`resolving`] is asked by another version of this crate.
pub(crate) const METADATA: Metadata<'static> =
    Metadata::new(TARGET, Level::INFO, Some(env!("CARGO_PKG_VERSION")));

/// The version of this crate that registers, if it is not this one: its declarations cannot be read here.
pub(crate) fn other_version<'a>(metadata: &Metadata<'a>) -> Option<&'a str> {
    let is_other = metadata.target() == TARGET && resolving().is_none();
    is_other.then(|| metadata.module_path().unwrap_or("unknown"))
}
