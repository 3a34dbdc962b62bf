//! What executions cost, in money: slippage, fees, shortfall.

use std::fmt;
use std::sync::Arc;

use obs_core::{By, Counter, Each, Histogram, Keyed, MoneyCounter, Value, buckets};

use serde::{Deserialize, Serialize};

use crate::performance::CurrencyCode;
use crate::{
    Component, Direction, FeeKind, Horizon, Liquidity, Side, StrategyName, Unmeasured, VenueName,
};

obs_core::families! {
    group crate::groups::TRADING;

    /// What one strategy's executions on one venue cost, in one currency.
    pub struct CostMetrics(venue: VenueName, strategy: StrategyName, currency: CurrencyCode) {
        /// Money executed: quantity times price, without sign.
        ///
        /// What was taken back is in `trading_corrected_notional_total`; nothing lowers this.
        pub notional: By<Side, MoneyCounter> = "trading_filled_notional_total",
        /// What executions cost against the benchmark of their order, by whether that was lost or gained.
        ///
        /// Side · (price − benchmark) · quantity of each execution. An execution that is taken back adds to the other direction.
        pub slippage: By<Side, By<Direction, MoneyCounter>> = "trading_slippage_cost_total",
        /// Fees of executions; rebates, and fees that were taken back, are the kind `rebate`.
        pub fees: By<FeeKind, MoneyCounter> = "trading_fees_total",
        /// Money executed that was taken back, by busts and corrections.
        pub corrected: By<Side, MoneyCounter> = "trading_corrected_notional_total",
    }
}

obs_core::families! {
    group crate::groups::TRADING;

    /// What one strategy's orders cost in all, and where prices went after its fills.
    pub struct ShortfallMetrics(strategy: StrategyName) {
        /// Implementation shortfall by part, in basis points of quantity ordered times mid at the decision; adverse is positive.
        ///
        /// One observation for each closed order and part that is defined. Shape only: the money is in
        /// `trading_shortfall_cost_total`.
        pub shortfall: By<Component, Histogram> = "trading_shortfall_bps" { buckets: buckets::SIGNED_BPS },
        /// Where the price went after a fill: the mid then against the price of the fill, in basis points; favourable is positive.
        pub markout: By<Liquidity, Each<Horizon, Histogram>> = "trading_markout_bps" { buckets: buckets::SIGNED_BPS, budget: 2_000 },
        /// Fills of which the markout could not be measured.
        pub unmeasured: Each<Horizon, By<Unmeasured, Counter>> = "trading_markouts_unmeasured_total",
    }
}

obs_core::families! {
    group crate::groups::TRADING;

    /// The same in money, in one currency.
    pub struct ShortfallMoneyMetrics(strategy: StrategyName, currency: CurrencyCode) {
        /// Implementation shortfall by part, by whether it was lost or gained.
        pub shortfall: By<Component, By<Direction, MoneyCounter>> = "trading_shortfall_cost_total",
        /// Where the price went after fills, in money: adverse is what was lost against the mid then.
        pub markout: By<Liquidity, Each<Horizon, By<Direction, MoneyCounter>>> = "trading_markout_total",
    }
}

/// The handles of a strategy on a venue in a currency.
#[derive(Debug)]
pub(crate) struct Costs {
    pub(crate) executions: CostMetrics,
    pub(crate) shortfall: ShortfallMetrics,
    pub(crate) money: ShortfallMoneyMetrics,
}

/// Those of one strategy. They come into being with the first order in a currency: without one, nothing is counted in money.
pub(crate) struct CostsByVenue {
    strategy: Value<StrategyName>,
    venues: Keyed<VenueName, CostsByCurrency>,
}

struct CostsByCurrency {
    venue: Value<VenueName>,
    currencies: Keyed<CurrencyCode, Arc<Costs>>,
}

impl CostsByVenue {
    pub(crate) fn new(strategy: &str) -> Self {
        Self {
            strategy: Value::from(strategy),
            venues: Keyed::new(CostMetrics::FAMILIES),
        }
    }

    pub(crate) fn of(&self, venue: &str, currency: &str) -> &Arc<Costs> {
        let of_venue = self.venues.of(venue, |venue| CostsByCurrency {
            venue,
            currencies: Keyed::new(CostMetrics::FAMILIES),
        });
        of_venue.currencies.of(currency, |currency| {
            let strategy = || self.strategy.clone();
            Arc::new(Costs {
                executions: CostMetrics::new(of_venue.venue.clone(), strategy(), currency.clone()),
                shortfall: ShortfallMetrics::new(strategy()),
                money: ShortfallMoneyMetrics::new(strategy(), currency),
            })
        })
    }
}

impl fmt::Debug for CostsByVenue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CostsByVenue")
            .field("venues", &self.venues)
            .finish_non_exhaustive()
    }
}

/// Adds a signed cost to the direction it has. One that is undefined is not added.
pub(crate) fn add_cost(counters: &By<Direction, MoneyCounter>, cost: f64) {
    if cost > 0.0 {
        counters[Direction::Adverse].add(cost);
    } else if cost < 0.0 {
        counters[Direction::Favourable].add(-cost);
    }
}

/// The implementation shortfall of an order, by part, in its currency; adverse is positive. A part of which a mid is missing is
/// `NaN`.
///
/// With side s, mid at the decision Pd (the ticket's benchmark), mid at the submission Pa, fills pᵢ·qᵢ of which Qf of Q were
/// executed, and mid at the end Pe (A. Perold, The Implementation Shortfall, Journal of Portfolio Management 14:3, 1988):
///
/// - delay: s · (Pa − Pd) · Qf
/// - execution: s · Σ qᵢ · (pᵢ − Pa)
/// - opportunity: s · (Pe − Pd) · (Q − Qf); nothing where nothing is left
/// - fees, less rebates
///
/// They add up to what the paper portfolio of the decision would have made more than the real one did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shortfall {
    /// Between decision and submission.
    #[serde(with = "crate::undefined")]
    pub delay: f64,
    /// Between submission and execution.
    #[serde(with = "crate::undefined")]
    pub execution: f64,
    /// What was not executed.
    #[serde(with = "crate::undefined")]
    pub opportunity: f64,
    /// Fees, less rebates. `NaN` where one is in another currency than the order.
    #[serde(with = "crate::undefined")]
    pub fees: f64,
}

impl Shortfall {
    /// All parts together; `NaN` where one is.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.delay + self.execution + self.opportunity + self.fees
    }

    pub(crate) const UNDEFINED: Self = Self {
        delay: f64::NAN,
        execution: f64::NAN,
        opportunity: f64::NAN,
        fees: f64::NAN,
    };

    pub(crate) fn parts(&self) -> [(Component, f64); 4] {
        [
            (Component::Delay, self.delay),
            (Component::Execution, self.execution),
            (Component::Opportunity, self.opportunity),
            (Component::Fees, self.fees),
        ]
    }
}
