//! What the desk tells of itself: the desk's words put into those of the `obs` crates.
//!
//! Everything here is built once, after the exporter was installed, and handed to the part that speaks: the
//! traders hold their strategy, the account holds its [order flow](OrderFlow) and its
//! [portfolio](crate::portfolio::Portfolio), the risk check its limits. What wraps something measures by itself and stands where that
//! is: the pool in the store, the providers around their clients, the HTTP layer on the API.

mod flow;
mod replay;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use obs_core::{Catalogue, CatalogueError, Closed, ErrorMetrics};
use obs_trading::{MarketEvent, ReplayClock, Strategy};

use crate::strategy::StrategyId;

pub use flow::OrderFlow;
pub use replay::ReplayMetrics;

/// Every family of the desk and of the crates it uses.
pub fn catalogue() -> Result<Catalogue, CatalogueError> {
    Catalogue::join([
        Catalogue::of(&[ReplayMetrics::FAMILIES]),
        obs_exporter::catalogue()?,
        obs_db::catalogue(),
        obs_health::catalogue(),
        obs_http::catalogue(),
        obs_providers::catalogue(),
        obs_sentiment::catalogue(),
        obs_trading::catalogue(),
    ])
}

/// The errors of a component, with the series of those types that are known to come; each error is counted where it
/// arises, once.
#[must_use]
pub fn errors<const N: usize>(component: &str, types: [&str; N]) -> Arc<ErrorMetrics> {
    let errors = ErrorMetrics::new(component);
    for error_type in types {
        let _ = errors.errors.of(error_type);
    }
    Arc::new(errors)
}

/// The strategies under measurement, all on the time of the replay.
#[derive(Debug, Clone)]
pub struct Strategies {
    clock: ReplayClock,
    by_id: BTreeMap<StrategyId, Strategy>,
}

impl Default for Strategies {
    fn default() -> Self {
        let clock = ReplayClock::new();
        let strategy = |id: StrategyId| {
            let strategy = Strategy::with_clock(id.as_str(), &clock);
            strategy.set_active(true);
            // A bar a day, and a signal for each; manual trading owes none.
            if id != StrategyId::Manual {
                strategy.expect_signals_every(Duration::from_hours(24));
            }
            (id, strategy)
        };
        Self {
            by_id: StrategyId::ALL.iter().copied().map(strategy).collect(),
            clock,
        }
    }
}

impl Strategies {
    /// The strategy of that name.
    #[must_use]
    pub fn get(&self, id: StrategyId) -> &Strategy {
        &self.by_id[&id]
    }

    /// An event of the market reaches them all.
    #[must_use]
    pub fn market_event(&self) -> MarketEvent {
        self.get(StrategyId::Manual).market_event()
    }

    /// The time of the replay.
    #[must_use]
    pub fn clock(&self) -> &ReplayClock {
        &self.clock
    }

    /// It is that late in the replay. Times before 1970 are 1970.
    pub fn advance_to(&self, now: Timestamp) {
        let since_1970 = Duration::try_from(now.as_duration());
        self.clock.advance_to(since_1970.unwrap_or_default());
    }
}
