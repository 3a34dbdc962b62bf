//! How a recorder gets the declaration behind a handle.
//!
//! The facade hands a recorder a name, labels and a help text, and nothing else. So while a handle is resolved, this thread
//! says here which family it belongs to, and a recorder that understands declarations looks. It works through whatever
//! stands between the two (`Fanout`, `Prefix`, `Filter`, a local recorder), and costs other recorders nothing.
//!
//! The way back is for one recorder alone: the installed one may [`offer`] the cell of what it registers, so that the
//! handle records there without a call. Every offer bears the recorder that makes it, and only that of the very recorder that was asked is
//! taken: one that comes through a `Fanout`, a `Prefix` or anything else that might do more with a handle is not.

use std::any::TypeId;
use std::cell::{Cell, RefCell};

use metrics::{Level, Metadata, Recorder};

use crate::Family;
use crate::cells::Offered;

thread_local! {
    static RESOLVING: Cell<Option<Resolving>> = const { Cell::new(None) };
    static OFFERED: RefCell<Option<Offer>> = const { RefCell::new(None) };
}

/// A recorder, by what it is and where it lies: what it begins with lies there, too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    what: TypeId,
    at: usize,
}

impl Identity {
    pub(crate) fn of<R: Recorder + 'static>(recorder: &R) -> Self {
        Self::at::<R>(std::ptr::from_ref(recorder).addr())
    }

    /// That of a recorder that lies there.
    pub(crate) fn at<R: Recorder + 'static>(at: usize) -> Self {
        Self {
            what: TypeId::of::<R>(),
            at,
        }
    }
}

/// A cell, and who says that the handle it returns records there and nowhere else.
struct Offer {
    by: Identity,
    cell: Offered,
}

/// Offers the cell of what is being registered, if it has one: the handle that `by` is about to return records to it, and does nothing
/// else.
pub fn offer<R: Recorder + 'static>(by: &R, cell: impl FnOnce() -> Option<Offered>) {
    if resolving().is_some() {
        let by = Identity::of(by);
        put(cell().map(|cell| Offer { by, cell }));
    }
}

/// Offers what `from` has offered, whose handle `by` is about to return as it is.
pub fn pass_on<R: Recorder + 'static, F: Recorder + 'static>(by: &R, from: &F) {
    if let Some(cell) = taken(Identity::of(from)) {
        offer(by, || Some(cell));
    }
}

/// What that recorder has offered for what is being resolved.
pub(crate) fn taken(by: Identity) -> Option<Offered> {
    let offered = OFFERED.try_with(RefCell::take).ok()??;
    (offered.by == by).then_some(offered.cell)
}

/// A thread that ends may have nothing to put it in any more; then a handle makes its calls.
fn put(offer: Option<Offer>) -> Option<Offer> {
    OFFERED
        .try_with(|offered| offered.replace(offer))
        .ok()
        .flatten()
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
    struct Restore(Option<Resolving>, Option<Offer>);
    impl Drop for Restore {
        fn drop(&mut self) {
            RESOLVING.set(self.0);
            put(self.1.take());
        }
    }
    let resolving = RESOLVING.replace(Some(Resolving { family, is_quiet }));
    let _restore = Restore(resolving, put(None));
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
