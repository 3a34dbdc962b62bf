//! The time that the page is shown.

use std::time::{Duration, Instant, SystemTime};

/// Seconds since 1970-01-01 UTC, by a clock that does not jump while the process runs.
///
/// ```
/// let clock = obs_page::Clock::new();
/// let now = clock.now();
/// assert!(clock.now() >= now && now.as_secs() > 1_700_000_000);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    since: Instant,
    /// The time at `since`.
    began: Duration,
}

impl Clock {
    /// A clock that is set now, by the one of the machine.
    #[must_use]
    pub fn new() -> Self {
        let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            since: Instant::now(),
            // A machine that believes to be in the years before 1970 shows those after it.
            began: began.unwrap_or_default(),
        }
    }

    /// What it shows now.
    #[must_use]
    pub fn now(self) -> Duration {
        self.at(Instant::now())
    }

    /// What it showed at a moment; before it was set, what it was set to.
    #[must_use]
    pub fn at(self, moment: Instant) -> Duration {
        self.began + moment.saturating_duration_since(self.since)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}
