//! What day it is: an account is not led into days that have not begun.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use obs_calendar::Calendar;

use crate::{Clock, Error};

/// How far an event's clock may be ahead of ours, as for orders and ledgers.
const FUTURE: Duration = Duration::from_secs(300);

/// The day by a clock, in the time zone of a calendar.
#[derive(Debug, Default)]
pub(super) struct Today(Clock);

impl Today {
    pub(super) fn by(clock: impl Into<Clock>) -> Self {
        Self(clock.into())
    }

    /// Refuses a day that has not begun within the tolerance: with it, what lies before would be over, and whatever comes next late.
    pub(super) fn check(&self, date: Date, calendar: &Calendar) -> Result<(), Error> {
        let soonest = i128::from(self.0.since_epoch()) + FUTURE.as_nanos().cast_signed();
        let soonest = Timestamp::from_nanosecond(soonest).unwrap_or(Timestamp::MAX);
        let today = calendar.day(soonest);
        if date <= today {
            Ok(())
        } else {
            Err(Error::DayNotBegun { date, today })
        }
    }
}
