//! How far a calendar is known.

use std::fmt;

use jiff::civil::Date;

/// Whether a day of a calendar is as its exchange published it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// As published, or as it was.
    Final,
    /// By the rules of the final days, which may have been others before and may change.
    Provisional,
}

/// A calendar whose final days end soon, or have ended. Its text says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    pub(crate) calendar: String,
    /// The last final day.
    pub last: Date,
    /// Days from today to it; negative when it has passed.
    pub days: i32,
}

/// So long before its last final day a calendar [warns](crate::Calendar::ending).
pub(crate) const NOTICE: i32 = 60;

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            calendar,
            last,
            days,
        } = self;
        let when = if *days < 0 {
            format!("ended {} days ago", days.unsigned_abs())
        } else {
            format!("ends in {days} days")
        };
        write!(
            f,
            "the calendar {calendar} is final until {last}, which {when}; later days are by rule only: update obs-calendar, or \
             state the holidays the exchange has published since"
        )
    }
}
