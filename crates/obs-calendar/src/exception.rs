//! Days that differ from the regular week.

use jiff::civil::Time;

/// How a day differs from the regular week, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    /// How it differs.
    pub kind: ExceptionKind,
    /// Why: the name of the holiday, or the event.
    pub reason: &'static str,
}

/// How a day differs from the regular week. Times are local to the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExceptionKind {
    /// No session.
    Closed,
    /// The session ends at this time: a half day.
    EarlyClose(Time),
    /// The session begins at this time.
    LateOpen(Time),
    /// A session until this time that counts toward the next trading day.
    HolidaySession(Time),
}

impl Exception {
    pub(crate) const fn closed(reason: &'static str) -> Self {
        Self {
            kind: ExceptionKind::Closed,
            reason,
        }
    }

    pub(crate) const fn early_close(close: Time, reason: &'static str) -> Self {
        Self {
            kind: ExceptionKind::EarlyClose(close),
            reason,
        }
    }

    pub(crate) const fn holiday_session(close: Time, reason: &'static str) -> Self {
        Self {
            kind: ExceptionKind::HolidaySession(close),
            reason,
        }
    }
}
