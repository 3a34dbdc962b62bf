//! What a trading desk does, as verbs on values that a strategy and a venue hold; each verb moves the right metrics.
//!
//! ```
//! use obs_trading::{Decision, Fill, OrderType, Side, Signal, Strategy, Ticket, Venue};
//!
//! // Start-up, after the exporter was installed: every series of a strategy and a venue exists, at 0.
//! let strategy = Strategy::new("crossover");
//! let venue = Venue::new("alpaca");
//!
//! // A bar arrives.
//! let mut evaluation = strategy.evaluate();
//! let idea = evaluation.signal(Signal::Buy, 0.8);       // how long it took, how sure it is
//! drop(evaluation);                                     // how long the strategy was busy
//! let decided = idea.decide(Decision::Enter);           // how long the decision took
//! let ticket = Ticket::new("AAPL", Side::Buy, OrderType::Market, 100.0, 187.20);
//! let mut order = decided.submit(&venue, &ticket);      // one more submitted, one more open
//!
//! // The broker answers.
//! order.acknowledge();
//! order.fill(Fill::new(60.0, 187.25));
//! order.fill(Fill::new(40.0, 187.30));
//! let report = order.close_filled();                    // fill time, slippage, one fewer open
//! assert!((report.slippage_bps.unwrap() - 3.739).abs() < 0.001);
//! assert_eq!(report.stages.unwrap().total(), report.stages.unwrap().iter().sum());
//! ```
//!
//! A step that is left out is a type error; a value that is dropped on the way is counted as `abandoned`. So, for each
//! venue, at any moment and across restarts:
//!
//! > orders submitted + resumed + reopened = orders closed, by any outcome + orders open

mod account_book;
mod book;
mod clock;
mod costs;
mod decimal;
mod desk;
mod error;
mod event;
mod executions;
mod fill;
mod fund;
mod groups;
mod labels;
mod mids;
mod money;
mod order;
pub mod performance;
mod positions;
mod reject;
mod risk;
mod saved_order;
mod seen;
mod state_file;
mod strategy;
mod ticket;
mod undefined;
mod venue;

use obs_core::Catalogue;

pub use jiff;
pub use obs_calendar;
pub use obs_calendar::Calendar;

pub use crate::account_book::{AccountBook, Fed, SavedAccountBook};
pub use crate::book::{OrderBook, SavedBook};
pub use crate::clock::{Clock, ReplayClock};
pub use crate::costs::{CostMetrics, Shortfall, ShortfallMetrics, ShortfallMoneyMetrics};
pub use crate::decimal::Decimal;
pub use crate::desk::{Desk, OrderState};
pub use crate::error::Error;
pub use crate::event::{Change, OrderEvent};
pub use crate::fill::{ExecutionId, Fee, Fill};
pub use crate::labels::{
    Answer, Component, CorrectionKind, Decision, Direction, FeeKind, Horizon, IgnoredEvent,
    Liquidity, OrderOutcome, OrderType, Side, Signal, Stage, StrategyName, Symbol, Unmeasured,
    VenueName, WaitingFor,
};
pub use crate::mids::Mids;
pub use crate::money::{Currency, Money};
pub use crate::order::{Order, OrderReport, StageTimes};
pub use crate::performance::{
    Account, Basis, ClosedTrade, Conventions, CorrectionWindow, Deviation, Ledger, LedgerState,
    Period, PeriodsPerYear, RiskFree, Statistics, StrategyLedger, TradeId, TradeResult, Transfer,
    Undefined, Valuation, Window,
};
pub use crate::positions::{
    Booked, Break, BreakKind, ChangedTrade, ClosedPart, Ended, ExposureKind, Flow, Instrument,
    LotMethod, OpenOrder, PnlComponent, PortfolioBookMetrics, PositionGauges, PositionKey,
    PositionMetrics, PositionMoneyMetrics, Positions, Reconciled, ReconciledMoney, ReconciledPart,
    ReconciliationMetrics, ReconciliationMoneyMetrics, SavedPositions, SettledState, Statement,
    StrategyBookMetrics, Tolerances, TradesOf,
};
pub use crate::reject::{RejectCodes, RejectReason};
pub use crate::risk::{
    CashAccount, CashRule, ComplianceAction, ComplianceRule, ConfidenceBand, ConfidenceBands,
    DayTradeRule, DayTrades, Exit, ExitPlan, Funding, IntradayDeficit, IntradayMargin,
    IntradayMarginRule, LimitHit, LimitName, Limits, MarginCadence, MarginCheck, PdtAction, Risk,
    RiskMetrics, SavedCashAccount, SavedDayTrades, SavedIntradayMargin, SavedLimits,
    SettlementDays, Trigger, limit,
};
pub use crate::saved_order::SavedOrder;
pub use crate::state_file::StateFile;
pub use crate::strategy::{Decided, Evaluation, Idea, Strategy, StrategyMetrics};
pub use crate::ticket::{MarketEvent, Prices, Ticket};
pub use crate::venue::{Venue, VenueMetrics};

/// Every family of this crate.
#[must_use]
pub fn catalogue() -> Catalogue {
    Catalogue::of(&[
        StrategyMetrics::FAMILIES,
        VenueMetrics::FAMILIES,
        CostMetrics::FAMILIES,
        ShortfallMetrics::FAMILIES,
        ShortfallMoneyMetrics::FAMILIES,
        performance::PerformanceMetrics::FAMILIES,
        performance::PerformanceMoneyMetrics::FAMILIES,
        performance::PerformanceStatisticsInfo::FAMILIES,
        performance::PortfolioMetrics::FAMILIES,
        performance::PortfolioMoneyMetrics::FAMILIES,
        performance::PortfolioStatisticsInfo::FAMILIES,
        PositionMetrics::FAMILIES,
        PositionMoneyMetrics::FAMILIES,
        PortfolioBookMetrics::FAMILIES,
        StrategyBookMetrics::FAMILIES,
        ReconciliationMetrics::FAMILIES,
        ReconciliationMoneyMetrics::FAMILIES,
        RiskMetrics::FAMILIES,
    ])
}

/// The examples of the README are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
