//! What can go wrong.

use std::fmt;
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::{
    ComplianceRule, Currency, Decimal, LimitHit, Money, PnlComponent, RejectReason, Undefined,
};

/// What can go wrong: what happened, to what, and what to do. It is the one error of this crate.
///
/// A check that refuses a trade says so by an error, too, and [`reason`](Self::reason) is what to reject the trade for. Two answers are
/// values of their own, which `?` turns into this error: the verdict of a limit ([`LimitHit`]), and why a statistic has no value
/// ([`Undefined`]).
///
/// ```
/// use obs_trading::{Error, Limits, RejectReason, Risk, limit};
///
/// fn may_buy(limits: &Limits, share: f64) -> Result<(), Error> {
///     limits.check_losses()?;
///     limits.check(limit::MAX_POSITION, share)?;
///     Ok(())
/// }
///
/// let limits = Limits::new(&Risk::new(), "main").max_position(0.10)?;
/// let refused = may_buy(&limits, 0.25).unwrap_err();
/// assert_eq!(refused.reason(), RejectReason::PositionLimit);
/// # Ok::<(), Error>(())
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
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
        deficit: Money,
        /// Through when the account is frozen, if it is.
        frozen_until: Option<Date>,
    },
    /// A statistic that has no value.
    #[error(transparent)]
    Undefined(#[from] Undefined),
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
    /// An amount that a cash or margin account cannot book: negative, no number, or too large to add up.
    #[error(
        "{what} of {amount} cannot be booked; amounts are at least 0, and totals at most 10^26"
    )]
    NotBookable {
        /// What the amount is.
        what: &'static str,
        /// The amount.
        amount: Money,
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
        "{asked} {symbol} cannot be sold: {held} are held; state by `hold` what the account held before"
    )]
    NotHeld {
        /// What was to be sold.
        symbol: Box<str>,
        /// How much of it.
        asked: f64,
        /// How much is held.
        held: f64,
    },
    /// An event of a day that is older than what is kept.
    #[error(
        "{date} comes before {last}, the latest day, and is too old to be put in its place; report events within the window for late ones"
    )]
    OutOfOrder {
        /// The day of the event.
        date: Date,
        /// The day of the latest event.
        last: Date,
    },
    /// An event of a day that has not begun.
    #[error(
        "{date} has not begun: by the clock it is {today}; find where the date comes from, or hand a replay's clock to `with_clock`"
    )]
    DayNotBegun {
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
    /// A number that is no convention.
    #[error("{what} cannot be {value}; state {expected}")]
    InvalidConvention {
        /// What the number was to be.
        what: &'static str,
        /// The number.
        value: f64,
        /// What is accepted.
        expected: &'static str,
    },
    /// A number of periods that the calendar's year does not have.
    #[error(
        "{periods} periods per year contradict the calendar {calendar}, whose year has {days} trading days; state the calendar of \
         your exchange, such as Calendar::nyse(), or PeriodsPerYear::of(&calendar)"
    )]
    Contradiction {
        /// The periods stated.
        periods: f64,
        /// The calendar stated.
        calendar: String,
        /// The trading days of its year, in the mean.
        days: f64,
    },
    /// A text that is no currency code.
    #[error(
        "`{code}` is no currency code; it has 1 to 12 printable ASCII characters, such as `USD`"
    )]
    InvalidCurrency {
        /// The text.
        code: String,
    },
    /// A text that is no decimal number.
    #[error("`{text}` is no decimal number; write digits with up to 12 decimals, such as `-12.5`")]
    InvalidDecimal {
        /// The text.
        text: String,
    },
    /// A text that is no amount of money.
    #[error(
        "`{text}` is no amount of money; write up to 12 decimals and a currency, such as `12.5 USD`"
    )]
    InvalidMoney {
        /// The text.
        text: String,
    },
    /// A rate at which nothing can be converted.
    #[error(
        "cannot convert {money} to {to} at a rate of {rate}; rate and result must be finite and the rate above 0"
    )]
    InvalidRate {
        /// The rate.
        rate: f64,
        /// What was to be converted.
        money: Money,
        /// Into what.
        to: Currency,
    },
    /// An amount that is not a number or beyond all money.
    #[error(
        "{amount} {currency} is no amount of money; the ledger is unchanged, find where the number comes from"
    )]
    InvalidAmount {
        /// The amount.
        amount: f64,
        /// Its currency.
        currency: Currency,
    },
    /// Money of another currency than the ledger's, or the account's.
    #[error(
        "{money} does not belong in a ledger of {ledger}; convert it at a rate with `Money::convert`"
    )]
    OtherCurrency {
        /// The money.
        money: Money,
        /// What the ledger or account holds.
        ledger: Currency,
    },
    /// A symbol that no instrument was declared for.
    #[error("`{symbol}` is no instrument of this book; declare it with `with_instrument`")]
    UnknownInstrument {
        /// The symbol.
        symbol: String,
    },
    /// A key of a position that is no longer held, or of another book.
    #[error("the key is of a position that is gone; ask for it again with `key`")]
    UnknownPosition,
    /// An event of a position that cannot be booked.
    #[error(
        "{what} of {symbol} cannot be {number}; the position is unchanged, find where the number comes from"
    )]
    InvalidPositionEvent {
        /// What the number was to be.
        what: &'static str,
        /// Of what.
        symbol: String,
        /// The number.
        number: Decimal,
    },
    /// An execution that is too old to be changed.
    #[error(
        "the execution is older than the last {remembered} events of {symbol}, and cannot be taken back; reconcile and adopt the broker's position"
    )]
    ForgottenExecution {
        /// The symbol.
        symbol: String,
        /// How many events of a position are remembered.
        remembered: usize,
    },
    /// A flow of money that is no flow.
    #[error(
        "{component} comes from no flow; trading P/L comes from fills and marks, the residual from the stated value"
    )]
    NoFlow {
        /// The component.
        component: PnlComponent,
    },
    /// An entry that is not there to be reversed.
    #[error("there is no adopted entry {entry} to reverse; it was reversed before, or is too old")]
    UnknownEntry {
        /// Its identifier.
        entry: u64,
    },
    /// A trade that was counted before.
    #[error("trade `{id}` was counted before; nothing is to be done")]
    DuplicateTrade {
        /// Its identifier.
        id: String,
    },
    /// A trade from a time of which a ledger has forgotten trades.
    #[error(
        "trade `{id}` of {at} is older than what the ledger remembers, and may have been counted before; book it without an identifier if it was not"
    )]
    ForgottenTrade {
        /// Its identifier.
        id: String,
        /// Its time.
        at: Timestamp,
    },
    /// An event from the future.
    #[error(
        "{at} is more than five minutes from now; set the clock right, or give the ledger that of the replay"
    )]
    FromFuture {
        /// The event's time.
        at: Timestamp,
    },
    /// A mark that comes too late.
    #[error(
        "the mark of {at} is older than the events that the ledger of {now} keeps; leave it out, or state a longer `CorrectionWindow`"
    )]
    LateMark {
        /// The mark's time.
        at: Timestamp,
        /// The time of the latest event.
        now: Timestamp,
    },
    /// A mark that was taken back, and is reported again.
    #[error(
        "the mark of {money} at {at} was voided; leave it out, or report the right figure for that moment"
    )]
    VoidedMark {
        /// The mark's time.
        at: Timestamp,
        /// What it says.
        money: Money,
    },
    /// A flow that comes too late.
    #[error(
        "the flow of {at} is older than the events that the ledger of {now} keeps, and a mark may hold it already; book it with the next mark by `mark_with_flows`, or state a longer `CorrectionWindow`"
    )]
    LateFlow {
        /// The flow's time.
        at: Timestamp,
        /// The time of the latest event.
        now: Timestamp,
    },
    /// An event that cannot be voided or corrected.
    #[error(
        "no {kind} `{id}` is among the events that can be corrected; it is unknown, voided or older than the `CorrectionWindow`: book the difference as an event of its own"
    )]
    NotCorrectable {
        /// What it was to be.
        kind: &'static str,
        /// Its identifier.
        id: String,
    },
    /// A trade without the money it moved, in a ledger of returns on that.
    #[error(
        "the ledger takes returns on the notional of its trades, and this one has none above 0; state it by `ClosedTrade::with_notional`"
    )]
    NoNotional,
    /// A mark for a ledger that follows its closed trades.
    #[error(
        "the ledger is valued by its closed trades and takes no marks; state `Valuation::Marks` to mark it"
    )]
    NotMarked,
    /// An equity from which no return can be computed.
    #[error(
        "an equity of {equity} is too little; a ledger begins with more than 0, and no more can be taken out than there is: mark it first, or correct the amount"
    )]
    NonPositiveEquity {
        /// The equity.
        equity: Money,
    },
    /// A ledger that was saved under other conventions.
    #[error(
        "the ledger was saved under `{saved}`, not `{stated}`; state the same, or begin a new ledger"
    )]
    OtherConventions {
        /// The conventions it was saved under.
        saved: String,
        /// The conventions that are stated now.
        stated: String,
    },
    /// A file of state that could not be read or written.
    #[error("cannot {action} {path}: {source}")]
    StateIo {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A file that holds no state, or another's.
    #[error(
        "{path} holds no state of `{expected}`: {found}; it was left as it is, move it away to begin anew"
    )]
    ForeignState {
        /// The file.
        path: PathBuf,
        /// What was expected.
        expected: String,
        /// What the file says.
        found: String,
    },
    /// A file of state that is damaged.
    #[error(
        "{path} is damaged: {damage}; it was left as it is, restore it from a copy or move it away to begin anew"
    )]
    DamagedState {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        damage: String,
    },
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        obs_core::fmt_error(self, f)
    }
}

impl Error {
    /// What to reject a trade for that this refuses, for [`Idea::reject`](crate::Idea::reject) and its kin; `Other` where it is no refusal
    /// of a trade.
    #[must_use]
    pub const fn reason(&self) -> RejectReason {
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

    pub(crate) fn not_correctable(kind: &'static str, id: &str) -> Self {
        let id = id.to_owned();
        Self::NotCorrectable { kind, id }
    }

    pub(crate) const fn invalid_convention(
        what: &'static str,
        value: f64,
        expected: &'static str,
    ) -> Self {
        Self::InvalidConvention {
            what,
            value,
            expected,
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

/// The number, where it is positive and finite.
pub(crate) fn positive(what: &'static str, value: f64) -> Result<f64, Error> {
    if value > 0.0 && value.is_finite() {
        Ok(value)
    } else {
        Err(Error::NotPositive { what, value })
    }
}
