//! Errors that are only logged, counted by a `tracing` layer.

use obs_core::{Component, ErrorMetrics, Keyed, Severity};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// A `tracing` layer that counts events of level ERROR in `errors_total`.
///
/// `component` is the crate that logs, the first part of the event's target, and `error_type` is `logged`: the message
/// is never looked at. An error that the program counts itself and logs as well is counted twice, under two components or two
/// types; leave such targets out by a filter on this layer.
///
/// ```
/// use tracing_subscriber::prelude::*;
///
/// let test = obs_core::TestRecorder::new();
/// let layer = test.run(|| obs_health::LoggedErrors::new());
/// let subscriber = tracing_subscriber::registry().with(layer);
/// tracing::subscriber::with_default(subscriber, || {
///     tracing::error!(target: "gateway::orders", "order 7 of key SECRET failed");
/// });
/// let labels = [("component", "gateway"), ("error_type", "logged"), ("severity", "error")];
/// assert_eq!(test.counter("errors_total", &labels), Some(1));
/// ```
#[derive(Debug)]
pub struct LoggedErrors(Keyed<Component, ErrorMetrics>);

impl Default for LoggedErrors {
    fn default() -> Self {
        Self::new()
    }
}

impl LoggedErrors {
    /// A layer that counts into the installed recorder.
    #[must_use]
    pub fn new() -> Self {
        Self(Keyed::new(ErrorMetrics::FAMILIES))
    }
}

impl<S: Subscriber> Layer<S> for LoggedErrors {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() != Level::ERROR {
            return;
        }
        let target = event.metadata().target();
        let component = target.split("::").next().unwrap_or(target);
        self.0
            .of(component, ErrorMetrics::new)
            .count_as("logged", Severity::Error);
    }
}
