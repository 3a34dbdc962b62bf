//! What the risk values refuse, and why.

use std::fmt;

use jiff::civil::Date;

use crate::{ComplianceRule, Currency, LimitHit, Money, RejectReason};

/// A trade that a check refuses, or input that no check can judge.
#[derive(Clone, PartialEq, thiserror::Error)]
pub enum RiskError {
    /// A limit refuses the trade.
    #[error(transparent)]
    Limit(#[from] LimitHit),
    /// The trade would be one day trade too many.
    #[error(
        "closing {symbol} today would be day trade {day_trades} in the window; keep it until the next day, or trade less often"
    )]
    DayTrade {
        /// What would be closed.
        symbol: Box<str>,
        /// How many day trades the window would then hold.
        day_trades: u32,
    },
    /// A rule of cash accounts refuses the trade.
    #[error("the trade would break the cash-account rule {rule}; {}", wait(*.until))]
    Compliance {
        /// The rule.
        rule: ComplianceRule,
        /// The first day on which the trade is free, where waiting helps.
        until: Option<Date>,
    },
    /// The account's margin refuses the trade.
    #[error("the trade would lower the margin level and leave a deficit of {deficit}; {}", margin_wait(*.frozen_until))]
    IntradayMargin {
        /// The deficit it would make; zero where it is refused for another reason.
        deficit: crate::Money,
        /// Through when the account is frozen, if it is.
        frozen_until: Option<Date>,
    },
    /// A number that must be positive and finite is not.
    #[error("{what} is {value}, but must be a positive, finite number")]
    NotPositive {
        /// What the number says.
        what: &'static str,
        /// The number.
        value: f64,
    },
    /// A number that must be finite is not.
    #[error("{what} is {value}, but must be a finite number")]
    NotFinite {
        /// What the number says.
        what: &'static str,
        /// The number.
        value: f64,
    },
    /// A distance from a price that leaves no price.
    #[error(
        "{what} is {value} of the price; it must leave a price above 0, so a falling price takes less than 1"
    )]
    NoPrice {
        /// What the number says.
        what: &'static str,
        /// The number.
        value: f64,
    },
    /// Confidence bands that are out of order.
    #[error(
        "the confidence bands start at {medium} and {high}; state two numbers in 0..=1, the lower one first"
    )]
    Bands {
        /// Where the medium band was to start.
        medium: f64,
        /// Where the high band was to start.
        high: f64,
    },
    /// An amount of money that is negative, no number, or too large to add up.
    #[error(
        "{what} of {amount} cannot be booked; amounts are at least 0, and totals at most 10^26"
    )]
    Amount {
        /// What the amount is.
        what: &'static str,
        /// The amount.
        amount: Money,
    },
    /// Money in another currency than the account's.
    #[error(
        "{what} of {money} cannot be booked in an account in {account}; convert it, or keep an account for each currency"
    )]
    OtherCurrency {
        /// What the money is.
        what: &'static str,
        /// The money.
        money: Money,
        /// The currency of the account.
        account: Currency,
    },
    /// A withdrawal of more than the settled cash.
    #[error("{asked} cannot be withdrawn: {settled} is settled; wait for the rest to settle")]
    NotSettled {
        /// What was asked for.
        asked: Money,
        /// What is there.
        settled: Money,
    },
    /// A withdrawal of more than the account is worth.
    #[error(
        "{asked} cannot be taken out of an equity of {equity}; mark the account first, or correct the amount"
    )]
    NotThere {
        /// What was to be taken out.
        asked: f64,
        /// The equity at the last mark.
        equity: f64,
    },
    /// A sale of more than is held; a cash account cannot sell short.
    #[error(
        "{asked} {symbol} cannot be sold: {held} are held; tell `hold` what the account held before"
    )]
    NotHeld {
        /// What was to be sold.
        symbol: Box<str>,
        /// How much of it.
        asked: f64,
        /// How much is held.
        held: f64,
    },
    /// An event of a day before the last one.
    #[error(
        "{date} comes before {last}, which was told already; tell events in the order of their days"
    )]
    OutOfOrder {
        /// The day of the event.
        date: Date,
        /// The last day told.
        last: Date,
    },
    /// An event of a day that has not begun.
    #[error(
        "{date} has not begun: by the clock it is {today}; find where the date comes from, or hand a replay's clock to `with_clock`"
    )]
    FromFuture {
        /// The day of the event.
        date: Date,
        /// The day by the clock, with five minutes of tolerance.
        today: Date,
    },
    /// A trade on a day that is no trading day of the calendar.
    #[error("{date} is a weekend or a holiday of the calendar; trades belong to business days")]
    NotABusinessDay {
        /// The day.
        date: Date,
    },
}

impl fmt::Debug for RiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        obs_core::fmt_error(self, f)
    }
}

impl RiskError {
    /// The same as the reason a trade is refused for, for [`Idea::reject`](crate::Idea::reject) and its kin.
    #[must_use]
    pub fn reason(&self) -> RejectReason {
        match self {
            Self::Limit(hit) => hit.reason,
            Self::DayTrade { .. } | Self::Compliance { .. } | Self::IntradayMargin { .. } => {
                RejectReason::Compliance
            }
            Self::NotSettled { .. } => RejectReason::InsufficientFunds,
            Self::NotHeld { .. } => RejectReason::InvalidQuantity,
            Self::NotABusinessDay { .. } => RejectReason::MarketClosed,
            _ => RejectReason::Other,
        }
    }
}

fn margin_wait(frozen_until: Option<Date>) -> String {
    match frozen_until {
        Some(date) => {
            format!("the account is frozen through {date}, or until its deficit is satisfied")
        }
        None => "pay in, close a position first, or trade less".to_owned(),
    }
}

fn wait(until: Option<Date>) -> String {
    match until {
        Some(date) => format!("it is free from {date} on"),
        None => "it takes settled cash in the account first".to_owned(),
    }
}

pub(crate) fn positive(what: &'static str, value: f64) -> Result<f64, RiskError> {
    if value > 0.0 && value.is_finite() {
        Ok(value)
    } else {
        Err(RiskError::NotPositive { what, value })
    }
}
