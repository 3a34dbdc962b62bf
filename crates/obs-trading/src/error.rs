//! What can go wrong.

use std::fmt;
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::RiskError;
use crate::{Currency, Decimal, Money, PnlComponent};

/// What can go wrong: what happened, to what, and what to do.
///
/// What a risk check answers is a [`RiskError`], which can be compared and names the reason to refuse a trade for; `?` turns it
/// into this type where both occur.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A trade that a risk check refuses, or input that it cannot judge.
    #[error(transparent)]
    Risk(#[from] RiskError),
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
    /// Money of another currency than the ledger's.
    #[error(
        "{money} does not belong in a ledger of {ledger}; convert it at a rate with `Money::convert`"
    )]
    OtherCurrency {
        /// The money.
        money: Money,
        /// What the ledger holds.
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
