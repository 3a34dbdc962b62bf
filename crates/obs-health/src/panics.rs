//! Panics, counted by a hook.

use obs_core::{Component, Counter, Group};

/// Panics are shown with the errors that `obs-core` counts.
const ERRORS: Group = Group::new("Errors").rank(Group::SYSTEM + 10);

obs_core::families! {
    group ERRORS;

    /// The panics of one component.
    pub struct PanicMetrics(component: Component) {
        /// Panics, whether they were caught or not.
        pub panics: Counter = "panics_total",
    }
}

/// Counts panics.
#[derive(Debug)]
pub struct Panics;

impl Panics {
    /// Counts every panic of this process from now on as one of `component`, and hands it on to the hook that was there
    /// before. A panic within a panic, which aborts, is counted too.
    ///
    /// Called again it counts for that component as well; a program calls it once. Nothing of a panic's message is kept.
    #[track_caller]
    pub fn count(component: &str) {
        let metrics = PanicMetrics::new(component);
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            metrics.panics.increment(1);
            before(panic);
        }));
    }
}
