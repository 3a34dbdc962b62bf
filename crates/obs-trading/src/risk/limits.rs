//! Limits that the desk's own loop enforces.

use std::collections::BTreeMap;

use jiff::civil::Date;
use obs_core::{Counter, Gauge};
use serde::{Deserialize, Serialize};

use crate::error::positive;
use crate::fund::{Flowed, Fund};
use crate::{Error, RejectReason, Risk, RiskMetrics};

/// The known limits, by their names.
pub mod limit {
    /// The largest position, as a share of equity.
    pub const MAX_POSITION: &str = "max_position";
    /// The loss since the start of the day, as a share of the equity then.
    pub const DAILY_LOSS: &str = "daily_loss";
    /// The fall of equity below its peak, as a share of the peak.
    pub const DRAWDOWN: &str = "drawdown";
    /// All positions together, as a share of equity.
    pub const EXPOSURE: &str = "exposure";

    pub(super) const KNOWN: [&str; 4] = [MAX_POSITION, DAILY_LOSS, DRAWDOWN, EXPOSURE];
}

/// What a desk allows itself. It asks before a trade, tells what is used after it, and marks its equity; the verdicts are
/// its own to follow.
///
/// ```
/// use jiff::civil::date;
/// use obs_trading::{Limits, Risk, RejectReason, limit};
///
/// let mut limits = Limits::new(&Risk::new(), "main")
///     .max_position(0.10)?
///     .daily_loss(0.03)?
///     .own("sector_tech", 0.25)?;
///
/// limits.mark(date(2026, 3, 2), 100_000.0)?;                      // each bar: the account's equity
/// limits.check(limit::MAX_POSITION, 9_000.0 / 100_000.0)?;        // before a trade: what would be used after it
/// limits.observe(limit::MAX_POSITION, 0.09)?;                     // after it: what is used
///
/// let hit = limits.mark(date(2026, 3, 2), 96_000.0).unwrap_err(); // 4 % of the day's start are lost
/// assert_eq!((&*hit.limit, hit.reason), ("daily_loss", RejectReason::DailyLossLimit));
/// assert!(limits.check_losses().is_err());                        // and no trade is opened for the rest of the day
/// # Ok::<(), obs_trading::Error>(())
/// ```
///
/// # Headroom and verdict
///
/// The headroom is `1 − |used| / allowed`: 1 where nothing is used, 0 at the limit, negative beyond it. A limit refuses when
/// its headroom is negative, so what is exactly at the limit is within it; a billionth of the limit counts as exactly, for
/// dividing by equity costs as much. `used` counts by its magnitude: a short position uses what a long one does.
///
/// What cannot be judged is refused: a share that is not finite, losses before the first mark or after one that is not
/// finite, and a limit that was never set, for a slip in a name must not open the gate. Its headroom is `NaN`.
///
/// # Hits
///
/// `risk_limit_hits_total` counts every refused check, and every time that what is *used* goes from within a limit to beyond
/// it. A mark that finds the same limit still exceeded counts nothing.
///
/// # The day
///
/// The day's loss is measured from the last equity of the day before, so that what happens overnight belongs to the new
/// day; on the first day from the first mark. The caller states the day in whatever time zone his trading day has. Peak and
/// day are kept by [`save`](Self::save) across a restart.
///
/// A clock may be wrong, so that days do not always follow one another. What the account is worth is judged all the same:
///
/// - A mark of an earlier day makes that day the one under way again and forgives nothing. Its loss is measured from the
///   higher of where it started and where the day started that it takes the place of.
/// - The day that it takes the place of is remembered with its start, as is the one before any new day. When such a day comes
///   again, its loss is measured from the higher of that start and the last equity.
///
/// So a clock that jumps over midnight and back, or two clocks on both sides of it, may have losses counted on both days; no
/// loss is counted on none.
#[derive(Debug)]
pub struct Limits {
    risk: Risk,
    account: Box<str>,
    entries: Vec<Limit>,
    marks: Option<Marks>,
    /// What was used before a restart, of limits that are not set yet.
    kept: BTreeMap<Box<str>, f64>,
}

#[derive(Debug)]
struct Limit {
    name: Box<str>,
    allowed: f64,
    reason: RejectReason,
    used: Option<f64>,
    hits: Counter,
    gauges: LimitGauges,
}

/// What is shown of one limit of one account.
#[derive(Debug)]
pub(crate) struct LimitGauges {
    headroom: Gauge,
    allowed: Gauge,
    used: Gauge,
}

impl LimitGauges {
    pub(crate) fn new(metrics: &RiskMetrics, account: &str, limit: &str) -> Self {
        Self {
            headroom: metrics.headroom.of(account).of(limit).clone(),
            allowed: metrics.limit_allowed.of(account).of(limit).clone(),
            used: metrics.limit_used.of(account).of(limit).clone(),
        }
    }

    /// `NaN` is undefined.
    pub(crate) fn show(&self, used: f64, allowed: f64) {
        let finite = |number: f64| if number.is_finite() { number } else { f64::NAN };
        self.headroom.set(headroom(used, allowed));
        self.allowed.set(finite(allowed));
        self.used.set(finite(used.abs()));
    }
}

/// The account's equity as far as the loss limits need it. Starts and peak are values of a unit of the fund.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Marks {
    day: Date,
    /// What the day started with.
    start: f64,
    peak: f64,
    #[serde(flatten)]
    fund: Fund,
    /// The other day that was under way last, with its start: a clock that was set right brings it again.
    #[serde(default)]
    other: Option<(Date, f64)>,
}

/// The state of [`Limits`] as it can be kept across a restart. What is allowed is not part of it: that is stated anew.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedLimits {
    marks: Option<Marks>,
    used: BTreeMap<Box<str>, f64>,
}

/// A limit that refuses.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}", self.message())]
pub struct LimitHit {
    /// Its name.
    pub limit: Box<str>,
    /// What is used, or would be; `NaN` where that is undefined.
    pub used: f64,
    /// What is allowed; `NaN` for a limit that was never set.
    pub allowed: f64,
    /// The reason to refuse the trade for.
    pub reason: RejectReason,
}

impl LimitHit {
    fn message(&self) -> String {
        let Self {
            limit,
            used,
            allowed,
            ..
        } = self;
        if allowed.is_nan() {
            format!("limit {limit} was never set; state what it allows, or correct its name")
        } else if used.is_finite() {
            format!("limit {limit} allows {allowed}, not {used}; trade less or wait")
        } else {
            format!(
                "limit {limit} cannot be judged: {used} is used; find where the number comes from"
            )
        }
    }
}

impl Limits {
    /// No limits yet of the account of this name. The series of the four known ones exist from here on, at 0 hits and undefined
    /// headroom.
    #[must_use]
    pub fn new(risk: &Risk, account: &str) -> Self {
        for name in limit::KNOWN {
            risk.metrics().limit_hits.of(account).of(name);
            LimitGauges::new(risk.metrics(), account, name).show(f64::NAN, f64::NAN);
        }
        Self {
            risk: risk.clone(),
            account: account.into(),
            entries: Vec::new(),
            marks: None,
            kept: BTreeMap::new(),
        }
    }

    /// Limits that go on from what [`save`](Self::save) gave. What they allow is stated anew, and what was used of each is known once it
    /// is; what was kept of limits that are set no longer is left out.
    #[must_use]
    pub fn restore(risk: &Risk, account: &str, saved: SavedLimits) -> Self {
        Self {
            marks: saved.marks,
            kept: saved.used,
            ..Self::new(risk, account)
        }
    }

    /// Allows a position this share of equity; `0.10` is 10 %.
    pub fn max_position(self, share: f64) -> Result<Self, Error> {
        self.set(limit::MAX_POSITION, share, RejectReason::PositionLimit)
    }

    /// Allows a day to lose this share of the equity it started with. [`mark`](Self::mark) says what is used.
    pub fn daily_loss(self, share: f64) -> Result<Self, Error> {
        self.set(limit::DAILY_LOSS, share, RejectReason::DailyLossLimit)
    }

    /// Allows equity to fall by this share of its peak. [`mark`](Self::mark) says what is used.
    pub fn drawdown(self, share: f64) -> Result<Self, Error> {
        self.set(limit::DRAWDOWN, share, RejectReason::DrawdownLimit)
    }

    /// Allows all positions together this share of equity; above 1 with leverage.
    pub fn exposure(self, share: f64) -> Result<Self, Error> {
        self.set(limit::EXPOSURE, share, RejectReason::ExposureLimit)
    }

    /// A limit of the desk's own, in any unit. Its trades are refused for [`RejectReason::Other`].
    pub fn own(self, name: &str, allowed: f64) -> Result<Self, Error> {
        self.set(name, allowed, RejectReason::Other)
    }

    /// Whether this much may be used, before it is. A refusal is counted; the headroom stays, for nothing has happened yet.
    pub fn check(&self, limit: &str, used: f64) -> Result<(), LimitHit> {
        let Some(limit) = self.find(limit) else {
            return Err(self.unknown(limit, used));
        };
        let verdict = limit.judge(used);
        if verdict.is_err() {
            limit.hits.increment(1);
        }
        verdict
    }

    /// Whether the losses of the last [`mark`](Self::mark) allow a trade. A refusal is counted.
    pub fn check_losses(&self) -> Result<(), LimitHit> {
        for name in [limit::DAILY_LOSS, limit::DRAWDOWN] {
            if let Some(limit) = self.find(name) {
                self.check(name, limit.used.unwrap_or(f64::NAN))?;
            }
        }
        Ok(())
    }

    /// Says how much is used now. Moves the headroom and gives the verdict; what goes beyond the limit is counted once.
    pub fn observe(&mut self, limit: &str, used: f64) -> Result<(), LimitHit> {
        match self.entries.iter_mut().find(|known| *known.name == *limit) {
            Some(limit) => limit.observe(used),
            None => Err(self.unknown(limit, used)),
        }
    }

    /// Says what the account is worth now, in its currency. Moves the headroom of `daily_loss` and `drawdown` where they are
    /// set, and gives their verdict.
    ///
    /// An equity that is not finite leaves the losses undefined, and so refused, until the next mark. So does a day that
    /// started, or a peak that stands, at 0 or below.
    pub fn mark(&mut self, day: Date, equity: f64) -> Result<(), LimitHit> {
        let value = if equity.is_finite() {
            self.marks
                .insert(Marks::next(self.marks, day, equity))
                .fund
                .value()
        } else {
            f64::NAN
        };
        self.set_losses(value);
        self.verdict_of_losses()
    }

    /// Money was paid in, or, negative, taken out. It is neither gain nor loss: what is lost stays the same share of the day's start and
    /// of the peak, as in [`Ledger::transfer`](crate::Ledger::transfer). Say it when the money is there: what was lost is judged by
    /// the last mark before.
    ///
    /// After everything was withdrawn the losses stay what they were, and go on with the next deposit. After everything was lost, a
    /// deposit begins a new peak; the day's loss stays undefined, and so refused, until the next day.
    ///
    /// Fails when it is not finite, and when more is taken out than there is. Before the first mark it changes nothing.
    pub fn cash_flow(&mut self, amount: f64) -> Result<(), Error> {
        if !amount.is_finite() {
            return Err(Error::NotFinite {
                what: "the cash flow",
                value: amount,
            });
        }
        if let Some(marks) = &mut self.marks {
            let after = marks.fund.after(amount);
            let after = after.map_err(|_| Error::NotThere {
                asked: -amount,
                equity: marks.fund.equity(),
            })?;
            if marks.fund.flow_to(after) == Flowed::BeganAnew {
                marks.peak = marks.fund.value();
                (marks.start, marks.other) = (0.0, None);
            }
            let value = marks.fund.value();
            self.set_losses(value);
        }
        Ok(())
    }

    /// What is left of a limit: `1 − |used| / allowed`. `None` where it is undefined, or not set.
    #[must_use]
    pub fn headroom(&self, limit: &str) -> Option<f64> {
        let limit = self.find(limit)?;
        let left = headroom(limit.used?, limit.allowed);
        left.is_finite().then_some(left)
    }

    /// What is used of a limit; nothing where that is undefined, or the limit not set.
    pub(crate) fn used(&self, limit: &str) -> Option<f64> {
        self.find(limit)?.used.filter(|used| used.is_finite())
    }

    /// The state as it can be kept across a restart.
    #[must_use]
    pub fn save(&self) -> SavedLimits {
        let used = |limit: &Limit| limit.used.map(|used| (limit.name.clone(), used));
        SavedLimits {
            marks: self.marks,
            used: self.entries.iter().filter_map(used).collect(),
        }
    }

    fn set(mut self, name: &str, allowed: f64, reason: RejectReason) -> Result<Self, Error> {
        let allowed = positive("a limit", allowed)?;
        self.entries.retain(|known| *known.name != *name);
        let metrics = self.risk.metrics();
        let limit = Limit {
            name: name.into(),
            allowed,
            reason,
            used: self.kept.remove(name),
            hits: metrics.limit_hits.of(&self.account).of(name).clone(),
            gauges: LimitGauges::new(metrics, &self.account, name),
        };
        limit.show();
        self.entries.push(limit);
        Ok(self)
    }

    fn find(&self, name: &str) -> Option<&Limit> {
        self.entries.iter().find(|known| *known.name == *name)
    }

    fn unknown(&self, limit: &str, used: f64) -> LimitHit {
        self.risk.limit_hit(&self.account, limit);
        LimitHit {
            limit: limit.into(),
            used,
            allowed: f64::NAN,
            reason: RejectReason::Other,
        }
    }

    /// The losses at this value of a unit.
    fn set_losses(&mut self, value: f64) {
        let (day, peak) = match self.marks {
            Some(marks) => (loss(marks.start, value), loss(marks.peak, value)),
            None => (f64::NAN, f64::NAN),
        };
        for (name, used) in [(limit::DAILY_LOSS, day), (limit::DRAWDOWN, peak)] {
            if self.find(name).is_some() {
                // The verdict is asked for afterwards, of both.
                let _ = self.observe(name, used);
            }
        }
    }

    fn verdict_of_losses(&self) -> Result<(), LimitHit> {
        let mut losses = [limit::DAILY_LOSS, limit::DRAWDOWN]
            .into_iter()
            .filter_map(|name| self.find(name));
        losses.try_for_each(|limit| limit.judge(limit.used.unwrap_or(f64::NAN)))
    }
}

impl Limit {
    fn judge(&self, used: f64) -> Result<(), LimitHit> {
        // Not "is it negative": what is undefined is refused, too.
        if headroom(used, self.allowed) >= 0.0 {
            return Ok(());
        }
        Err(LimitHit {
            limit: self.name.clone(),
            used,
            allowed: self.allowed,
            reason: self.reason,
        })
    }

    fn observe(&mut self, used: f64) -> Result<(), LimitHit> {
        let was_beyond = self.is_beyond();
        self.used = used.is_finite().then_some(used);
        if self.is_beyond() && !was_beyond {
            self.hits.increment(1);
        }
        self.show();
        self.judge(used)
    }

    fn is_beyond(&self) -> bool {
        self.used
            .is_some_and(|used| headroom(used, self.allowed) < 0.0)
    }

    fn show(&self) {
        self.gauges
            .show(self.used.unwrap_or(f64::NAN), self.allowed);
    }
}

impl Marks {
    fn next(before: Option<Self>, day: Date, equity: f64) -> Self {
        let Some(before) = before else {
            return Self {
                day,
                start: equity,
                peak: equity,
                fund: Fund::new(equity),
                other: None,
            };
        };
        let mut fund = before.fund;
        fund.mark(equity);
        let marked = Self {
            peak: before.peak.max(fund.value()),
            fund,
            ..before
        };
        if day == before.day {
            return marked;
        }
        let start = if day > before.day {
            before.fund.value()
        } else {
            before.start
        };
        let known = before.other.filter(|(other, _)| *other == day);
        Self {
            day,
            start: known.map_or(start, |(_, known)| start.max(known)),
            other: Some((before.day, before.start)),
            ..marked
        }
    }
}

/// What is lost of a base, as a share of it; 0 for a gain.
fn loss(base: f64, equity: f64) -> f64 {
    if base > 0.0 && equity.is_finite() {
        ((base - equity) / base).max(0.0)
    } else {
        f64::NAN
    }
}

/// How close to the limit counts as at it: dividing by equity is no more exact.
const ROUNDING: f64 = 1e-9;

/// `1 − |used| / allowed`; `NaN` where that is undefined.
pub(crate) fn headroom(used: f64, allowed: f64) -> f64 {
    let left = 1.0 - used.abs() / allowed;
    if !(left.is_finite() && allowed > 0.0) {
        f64::NAN
    } else if left.abs() <= ROUNDING {
        0.0
    } else {
        left
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these numbers come out exactly")]
mod tests {
    use super::*;

    #[test]
    fn headroom_is_what_is_left() {
        assert_eq!(headroom(0.0, 0.1), 1.0);
        assert_eq!(headroom(0.05, 0.1), 0.5);
        assert_eq!(headroom(-0.05, 0.1), 0.5);
        assert_eq!(headroom(0.2, 0.1), -1.0);
        assert_eq!(headroom(0.1 + 1e-17, 0.1), 0.0);
        for (used, allowed) in [
            (f64::NAN, 1.0),
            (f64::INFINITY, 1.0),
            (1.0, 0.0),
            (1.0, -1.0),
            (1.0, f64::NAN),
        ] {
            assert!(headroom(used, allowed).is_nan(), "{used} of {allowed}");
        }
    }

    #[test]
    fn losses_are_shares_of_where_they_start() {
        assert_eq!(loss(100.0, 75.0), 0.25);
        assert_eq!(loss(100.0, 125.0), 0.0);
        assert_eq!(loss(100.0, -50.0), 1.5);
        assert!(loss(0.0, 10.0).is_nan() && loss(-1.0, 10.0).is_nan());
        assert!(loss(100.0, f64::INFINITY).is_nan());
    }
}
