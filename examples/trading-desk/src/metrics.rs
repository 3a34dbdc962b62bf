//! What the desk tells of itself: the desk's words put into those of the `obs` crates.
//!
//! Everything here is built once, after the exporter was installed, and handed to the part that speaks: the
//! traders hold their strategy, the account holds its order flow. Nothing is counted anywhere else.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, Time, time};
use jiff::tz::TimeZone;
use obs_core::{Catalogue, CatalogueError};
use obs_trading::{
    Decided, OrderBook, OrderOutcome, OrderType, RejectReason, ReplayClock, Strategy, Ticket, Venue,
};

use crate::order::{self, Order, OrderId, OrderKind, OrderStatus};
use crate::risk::RefusalReason;
use crate::strategy::{SignalKind, StrategyId, decision};

/// When the exchange opens and closes, in New York.
const SESSION: [Time; 2] = [time(9, 30, 0, 0), time(16, 0, 0, 0)];

/// Every family of the desk and of the crates it uses.
pub fn catalogue() -> Result<Catalogue, CatalogueError> {
    Catalogue::join([
        obs_exporter::catalogue()?,
        obs_health::catalogue(),
        obs_http::catalogue(),
        obs_trading::catalogue(),
    ])
}

/// The strategies under measurement, all on the time of the replay.
#[derive(Debug, Clone)]
pub struct Strategies {
    clock: ReplayClock,
    by_id: BTreeMap<StrategyId, Strategy>,
}

/// The orders on their way, from the submission to the end.
#[derive(Debug)]
pub struct OrderFlow {
    strategies: Strategies,
    venue: Venue,
    open: OrderBook<OrderId>,
}

impl Default for Strategies {
    fn default() -> Self {
        let clock = ReplayClock::new();
        let all = StrategyId::AUTOMATIC
            .into_iter()
            .chain([StrategyId::Manual]);
        let strategy = |id: StrategyId| {
            let strategy = Strategy::with_clock(id.into(), &clock);
            strategy.set_active(true);
            (id, strategy)
        };
        Self {
            by_id: all.map(strategy).collect(),
            clock,
        }
    }
}

impl Strategies {
    /// The strategy of that name.
    #[must_use]
    pub fn get(&self, id: StrategyId) -> Strategy {
        self.by_id[&id].clone()
    }

    /// The exchange opens on that day: what is filled now is filled then.
    pub fn open(&self, date: Date) {
        self.clock.advance_to(since_1970(date, SESSION[0]));
    }

    /// The exchange closes on that day: what is decided and submitted now is so then.
    pub fn close(&self, date: Date) {
        self.clock.advance_to(since_1970(date, SESSION[1]));
    }
}

impl OrderFlow {
    /// The flow of these strategies' orders to the paper broker.
    #[must_use]
    pub fn new(strategies: Strategies) -> Self {
        let venue = Venue::new("paper");
        let open = OrderBook::new(&venue);
        Self {
            strategies,
            venue,
            open,
        }
    }

    /// The strategies whose orders these are.
    #[must_use]
    pub fn strategies(&self) -> &Strategies {
        &self.strategies
    }

    /// The risk check refused what was decided, or what a user of the API asked for.
    pub fn refused(&self, strategy: StrategyId, decided: Option<Decided>, reason: RefusalReason) {
        match decided {
            Some(decided) => decided.reject(reason.into()),
            None => self.strategies.by_id[&strategy].reject(reason.into()),
        }
    }

    /// The broker has an order, and took it or not.
    pub fn submitted(&mut self, order: &Order, decided: Option<Decided>) {
        let ticket = Ticket {
            symbol: order.symbol.as_str(),
            side: order.side.into(),
            order_type: order.kind.into(),
            quantity: f64::from(order.quantity),
            // Slippage is measured against the price the decision was made at; where there is none, it is undefined.
            benchmark: order.decision_price.unwrap_or(f64::NAN),
        };
        let mut sent = match decided {
            Some(decided) => decided.submit(&self.venue, &ticket),
            None => self.strategies.by_id[&order.strategy].submit(&self.venue, &ticket),
        };
        if let Some(reason) = order.reject_reason {
            sent.close_rejected(reason.into());
        } else {
            sent.acknowledge();
            self.open.insert(order.id, sent);
        }
    }

    /// An order that was open is so no longer.
    pub fn closed(&mut self, order: &Order) {
        let outcome = match order.status {
            OrderStatus::Filled => {
                if let Some(fill) = order.fill {
                    self.open
                        .fill(&order.id, order.id, f64::from(order.quantity), fill.price);
                }
                return;
            }
            OrderStatus::Expired => OrderOutcome::Expired,
            // An open order is not closed and a rejected one never was open: neither comes here.
            OrderStatus::Cancelled | OrderStatus::Open | OrderStatus::Rejected => {
                OrderOutcome::Cancelled
            }
        };
        self.open.close(&order.id, outcome);
    }
}

/// A time of day in New York, as time since 1970. Days before that, which the bars do not have, are 1970.
fn since_1970(date: Date, time: Time) -> Duration {
    let new_york = TimeZone::get("America/New_York").unwrap_or(TimeZone::UTC);
    let timestamp = new_york.to_timestamp(date.to_datetime(time));
    let seconds = timestamp.map_or(0, Timestamp::as_second);
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

impl From<order::Side> for obs_trading::Side {
    fn from(side: order::Side) -> Self {
        match side {
            order::Side::Buy => Self::Buy,
            order::Side::Sell => Self::Sell,
        }
    }
}

impl From<OrderKind> for OrderType {
    fn from(kind: OrderKind) -> Self {
        match kind {
            OrderKind::Market => Self::Market,
            OrderKind::Limit { .. } => Self::Limit,
        }
    }
}

impl From<SignalKind> for obs_trading::Signal {
    fn from(kind: SignalKind) -> Self {
        match kind {
            SignalKind::Buy => Self::Buy,
            SignalKind::Sell => Self::Sell,
            SignalKind::Hold => Self::Hold,
        }
    }
}

impl From<decision::Decision> for obs_trading::Decision {
    fn from(decision: decision::Decision) -> Self {
        use decision::Decision::{
            Enter, Exit, Hold, SkipDuplicate, SkipLowConfidence, SkipNoPosition, Withdraw,
        };
        match decision {
            Enter => Self::Enter,
            Exit => Self::Exit,
            Withdraw => Self::Withdraw,
            Hold => Self::Hold,
            SkipDuplicate | SkipNoPosition | SkipLowConfidence => Self::Skip,
        }
    }
}

impl From<RefusalReason> for RejectReason {
    fn from(reason: RefusalReason) -> Self {
        match reason {
            RefusalReason::ShortSale => Self::InvalidQuantity,
            RefusalReason::DailyLoss => Self::DailyLossLimit,
            RefusalReason::Drawdown => Self::DrawdownLimit,
            RefusalReason::MaxPosition => Self::PositionLimit,
            RefusalReason::GrossExposure => Self::ExposureLimit,
            RefusalReason::InsufficientCash => Self::InsufficientFunds,
        }
    }
}

impl From<order::RejectReason> for RejectReason {
    fn from(reason: order::RejectReason) -> Self {
        match reason {
            order::RejectReason::UnknownSymbol => Self::InvalidSymbol,
            order::RejectReason::NoPrice => Self::MarketClosed,
            order::RejectReason::ZeroQuantity => Self::InvalidQuantity,
            order::RejectReason::InvalidPrice => Self::InvalidPrice,
        }
    }
}
