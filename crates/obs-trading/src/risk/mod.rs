//! What a desk risks: limits, exits, position sizes, and the rules of its accounts.

mod cash;
mod day_trades;
mod exits;
mod intraday_margin;
mod labels;
mod limits;
mod margin_days;
mod settlement;
mod today;

use std::sync::Arc;

use obs_core::{By, Counter, Each, Gauge, Histogram, Unit};

pub use self::cash::SavedCashAccount;
pub use self::day_trades::{DayTradeRule, DayTrades, SavedDayTrades};
pub use self::exits::{Exit, ExitPlan};
pub use self::intraday_margin::{IntradayMargin, IntradayMarginRule, MarginCadence, MarginCheck};
pub use self::labels::{
    ComplianceAction, ComplianceRule, ConfidenceBand, LimitName, PdtAction, Trigger,
};
use self::limits::LimitGauges;
pub use self::limits::{LimitHit, Limits, SavedLimits, limit};
pub use self::margin_days::{IntradayDeficit, SavedIntradayMargin};
pub use self::settlement::{CashAccount, CashRule, Funding, SettlementDays};
use crate::performance::{AccountName, CurrencyCode};
use crate::{Error, StrategyName};

/// Shares of equity as positions take them: half a percent to all of it, and beyond with leverage.
const POSITION_SIZES: &[f64] = &[
    0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0,
    3.0, 5.0, 10.0, 20.0, 50.0, 100.0,
];

obs_core::families! {
    group crate::groups::RISK;

    /// What a desk risks.
    pub struct RiskMetrics() {
        /// Positions as they are opened, as a share of equity, by how sure the strategy was.
        pub position_size: Each<StrategyName, By<ConfidenceBand, Histogram>> = "risk_position_size_ratio" { buckets: POSITION_SIZES, range: 0.0..=1e6 },
        /// Times a limit was hit: a trade was refused because of it, or what is used went beyond it.
        pub limit_hits: Each<AccountName, Each<LimitName, Counter>> = "risk_limit_hits_total",
        /// What is left of a limit: 1 when untouched, 0 at the limit, negative beyond it, NaN when undefined.
        pub headroom: Each<AccountName, Each<LimitName, Gauge>> = "risk_limit_headroom_ratio",
        /// What a limit allows, in its own unit, which differs from limit to limit: not to be aggregated over limits. NaN where none is set.
        pub limit_allowed: Each<AccountName, Each<LimitName, Gauge>> = "risk_limit_allowed" { unit: Unit::Number },
        /// What is used of a limit, in its own unit; a short position counts by its magnitude. NaN while it is undefined.
        pub limit_used: Each<AccountName, Each<LimitName, Gauge>> = "risk_limit_used" { unit: Unit::Number },
        /// Positions closed by an exit, by what triggered it.
        pub exits: Each<StrategyName, By<Trigger, Counter>> = "risk_exits_total",
        /// What came of the rules of accounts: those of cash accounts, and intraday margin.
        pub compliance: By<ComplianceRule, By<ComplianceAction, Counter>> = "risk_compliance_events_total",
        /// What came of the rule on pattern day trading.
        pub pdt: By<PdtAction, Counter> = "risk_pdt_events_total",
        /// Day trades that are free before they make a pattern; NaN where the rule does not restrict the account.
        pub day_trades_remaining: Each<AccountName, Gauge> = "risk_day_trades_remaining",
        /// Margin left: equity less maintenance margin, in the account's currency; what is missing if negative. NaN before the first figures.
        pub margin_excess: Each<AccountName, Each<CurrencyCode, Gauge>> = "risk_margin_excess" { unit: Unit::Currency },
        /// Intraday margin deficits that are not satisfied, in the account's currency: that of the day, and those of earlier days that are
        /// outstanding.
        pub intraday_deficit: Each<AccountName, Each<CurrencyCode, Gauge>> = "risk_intraday_margin_deficit" { unit: Unit::Currency },
    }
}

/// The risk of a desk under measurement. Built at start-up, cloned and handed to the code that manages risk; clones share their
/// handles.
///
/// Its verbs are for desks whose broker, or whose own code, decides. Those who want the decisions made as well take
/// [`Limits`], [`ExitPlan`], [`DayTrades`] and [`CashAccount`], which move the same metrics.
///
/// ```
/// use jiff::civil::date;
/// use obs_trading::{Error, ExitPlan, Limits, Risk, Side, limit};
///
/// // Start-up.
/// let risk = Risk::new();
/// risk.register("crossover");                                        // its series exist, at 0
/// let mut limits = Limits::new(&risk, "main").max_position(0.10)?.daily_loss(0.03)?.drawdown(0.20)?;
///
/// // Each bar: mark the account, then ask before a trade.
/// let (today, equity, cost) = (date(2026, 3, 2), 100_000.0, 8_000.0);
/// let allowed = limits.mark(today, equity).and_then(|()| limits.check(limit::MAX_POSITION, cost / equity));
/// match allowed {
///     Ok(()) => risk.position("crossover", cost / equity, 0.8),       // opened, with a confidence of 0.8
///     Err(hit) => eprintln!("{hit}"),                                 // or: idea.reject(hit.reason)
/// }
///
/// // While it is open.
/// let mut plan = ExitPlan::new(Side::Buy, 187.20)?.stop_loss(0.05)?.take_profit(0.10)?;
/// if let Some(exit) = plan.on_bar(186.0, 188.0, 176.0, 177.0) {
///     risk.exit("crossover", exit.trigger);
/// }
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Risk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    metrics: RiskMetrics,
    bands: ConfidenceBands,
}

impl Default for Inner {
    #[track_caller]
    fn default() -> Self {
        Self {
            metrics: RiskMetrics::new(),
            bands: ConfidenceBands::default(),
        }
    }
}

/// Where a strategy's confidence counts as medium and as high. The default divides it into thirds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConfidenceBands {
    medium: f64,
    high: f64,
}

impl Risk {
    /// A desk whose confidence bands are thirds.
    #[must_use]
    #[track_caller]
    pub fn new() -> Self {
        Self::default()
    }

    /// A desk with confidence bands of its own.
    #[must_use]
    #[track_caller]
    pub fn with_bands(bands: ConfidenceBands) -> Self {
        let metrics = RiskMetrics::new();
        Self(Arc::new(Inner { metrics, bands }))
    }

    /// Its handles, for what the verbs do not cover.
    #[must_use]
    pub fn metrics(&self) -> &RiskMetrics {
        &self.0.metrics
    }

    /// Makes the series of a strategy exist, at 0, so that its first exit is not lost to a rate. Said at start-up.
    pub fn register(&self, strategy: &str) {
        self.metrics().exits.of(strategy);
        self.metrics().position_size.of(strategy);
    }

    /// A position was opened that takes this share of equity, above 1 with leverage, by a strategy this sure of it, from 0 to 1.
    ///
    /// A short position counts by its magnitude. A number that is not finite, a share above a million and a confidence outside of
    /// 0..=1 are dropped and counted in `obs_samples_rejected_total`.
    pub fn position(&self, strategy: &str, share: f64, confidence: f64) {
        let sizes = self.metrics().position_size.of(strategy);
        match self.0.bands.band(confidence) {
            Some(band) => sizes[band].record(share.abs()),
            // In no band: refused by the histogram's range, and so counted.
            None => sizes[ConfidenceBand::Low].record(f64::NAN),
        }
    }

    /// A position was closed by an exit.
    pub fn exit(&self, strategy: &str, trigger: Trigger) {
        self.metrics().exits.of(strategy)[trigger].increment(1);
    }

    /// A limit of an account was hit, by the verdict of other code than [`Limits`].
    pub fn limit_hit(&self, account: &str, limit: &str) {
        self.metrics().limit_hits.of(account).of(limit).increment(1);
    }

    /// How much of an account's limit is used, where other code than [`Limits`] keeps it: the headroom becomes
    /// `1 − |used| / allowed`. What is not finite is undefined, and so is the headroom where nothing is allowed.
    pub fn headroom(&self, account: &str, limit: &str, used: f64, allowed: f64) {
        LimitGauges::new(self.metrics(), account, limit).show(used, allowed);
    }

    /// Something came of a rule of cash accounts, or of intraday margin.
    pub fn compliance(&self, rule: ComplianceRule, action: ComplianceAction) {
        self.metrics().compliance[rule][action].increment(1);
    }

    /// Something came of the rule on pattern day trading.
    pub fn pdt(&self, action: PdtAction) {
        self.metrics().pdt[action].increment(1);
    }

    /// How many day trades an account has left; `None` where the rule does not restrict it.
    pub fn day_trades_remaining(&self, account: &str, remaining: Option<u32>) {
        let gauge = self.metrics().day_trades_remaining.of(account);
        match remaining {
            Some(remaining) => gauge.set(remaining),
            None => gauge.set_undefined(),
        }
    }
}

impl ConfidenceBands {
    /// Bands that start at these confidences: below `medium` it is low, from `high` on it is high. Both lie in 0..=1, the
    /// lower one first.
    pub fn new(medium: f64, high: f64) -> Result<Self, Error> {
        if 0.0 <= medium && medium <= high && high <= 1.0 {
            Ok(Self { medium, high })
        } else {
            Err(Error::Bands { medium, high })
        }
    }

    /// The band of a confidence; `None` outside of 0..=1.
    #[must_use]
    pub fn band(self, confidence: f64) -> Option<ConfidenceBand> {
        if !(0.0..=1.0).contains(&confidence) {
            None
        } else if confidence < self.medium {
            Some(ConfidenceBand::Low)
        } else if confidence < self.high {
            Some(ConfidenceBand::Medium)
        } else {
            Some(ConfidenceBand::High)
        }
    }
}

impl Default for ConfidenceBands {
    fn default() -> Self {
        Self {
            medium: 1.0 / 3.0,
            high: 2.0 / 3.0,
        }
    }
}
