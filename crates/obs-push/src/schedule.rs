//! When something is pushed: at once, at intervals, and once more at the end.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

/// When it is time to push: at once, after every interval, and once more at the end, so that what was recorded by then arrives.
#[derive(Debug)]
pub struct Schedule {
    interval: Duration,
    /// Has no sender any more when the server stops.
    stopped: watch::Receiver<()>,
    step: Step,
}

#[derive(Debug)]
enum Step {
    First,
    Further,
    /// What was recorded until the server stopped is pushed, and nothing after it.
    Last,
}

impl Schedule {
    /// A schedule that ends when `stopped` has no sender any more.
    #[must_use]
    pub fn new(interval: Duration, stopped: watch::Receiver<()>) -> Self {
        Self {
            interval,
            stopped,
            step: Step::First,
        }
    }

    /// Waits until it is time again, which it is at once at first; false once the last time was answered. Within a Tokio runtime that has
    /// its timer.
    pub async fn next(&mut self) -> bool {
        match self.step {
            Step::First => {}
            Step::Further => {
                tokio::select! {
                    _ = self.stopped.changed() => {}
                    () = sleep(self.interval) => {}
                }
            }
            Step::Last => return false,
        }
        // What is recorded once it has stopped would not be pushed: it is asked before.
        self.step = if self.stopped.has_changed().is_err() {
            Step::Last
        } else {
            Step::Further
        };
        true
    }
}
