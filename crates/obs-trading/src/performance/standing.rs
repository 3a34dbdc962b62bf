//! What the events so far add up to.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use super::conventions::RiskFreeReturns;
use super::drawdown::Drawdown;
use super::history::{History, Marker, Path, Single};
use super::journal::{Entry, What};
use super::period::Period;
use super::periods::Periods;
use super::returns::{Returns, change_of};
use super::trades::{DayOfTrades, Trades};
use super::{Basis, Conventions, Valuation};
use crate::fund::{Flowed, Fund};

/// What the events so far add up to: small, so that it can be kept for every day of the correction window. The same events in the same
/// order give the same to the last bit, however often it was told the time between them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// Starting equity and all transfers since.
    pub(crate) contributed: f64,
    #[serde(flatten)]
    pub(crate) fund: Fund,
    /// The time of the latest event.
    #[serde(default)]
    at: Option<Timestamp>,
    /// The day under way.
    pub(crate) today: Option<Date>,
    /// The hour under way, since 1970, where returns are of hours.
    #[serde(default)]
    hour: Option<i64>,
    pub(crate) trades: Trades,
    pub(crate) periods: Periods,
    pub(crate) drawdown: Drawdown,
    pub(crate) returns: Returns,
    /// The value of a unit when the last period that counts was over. Earlier editions cannot do without `last_close`, and refuse this.
    #[serde(alias = "last_close")]
    close: f64,
    /// Equity then, and transfers since.
    #[serde(default)]
    opening: f64,
    /// From there to now.
    #[serde(default = "still")]
    path: Path,
    /// The return of the period under way, where all was lost in it: what is made of new money belongs to the next.
    #[serde(default)]
    lost: Option<f64>,
    /// The trades of the day under way.
    #[serde(default)]
    day: Option<DayOfTrades>,
    /// The history so far.
    #[serde(default)]
    marker: Marker,
}

const fn still() -> Path {
    Path::STILL
}

/// By what events are taken.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) conventions: Conventions,
    pub(crate) risk_free: RiskFreeReturns,
}

impl Rules {
    pub(crate) fn new(conventions: Conventions) -> Self {
        Self {
            risk_free: conventions.risk_free_returns(),
            conventions,
        }
    }

    pub(crate) fn day(&self, at: Timestamp) -> Date {
        self.conventions.calendar().day(at)
    }

    pub(crate) fn day_and_end(&self, at: Timestamp) -> (Date, Timestamp) {
        self.conventions.calendar().day_and_end(at)
    }

    fn day_of_hour(&self, hour: i64) -> Date {
        self.day(Timestamp::from_second(hour * HOUR).unwrap_or(Timestamp::MAX))
    }
}

const HOUR: i64 = 3_600;

/// A gap between two events that is longer counts as this long: a century of days, a decade of hours.
const LONGEST_GAP_DAYS: i64 = 40_000;
const LONGEST_GAP_HOURS: i64 = 100_000;

fn hour(at: Timestamp) -> i64 {
    at.as_second().div_euclid(HOUR)
}

/// A flow that takes more than there is when it comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Overdrawn {
    pub(crate) equity: f64,
}

impl Standing {
    pub(crate) fn new(starting_equity: f64) -> Self {
        Self {
            contributed: starting_equity,
            fund: Fund::new(starting_equity),
            at: None,
            today: None,
            hour: None,
            trades: Trades::default(),
            periods: Periods::new(starting_equity),
            drawdown: Drawdown::new(starting_equity),
            returns: Returns::default(),
            close: starting_equity,
            opening: starting_equity,
            path: Path::STILL,
            lost: None,
            day: None,
            marker: Marker::default(),
        }
    }

    /// The time of the latest event.
    pub(crate) const fn at(&self) -> Option<Timestamp> {
        self.at
    }

    pub(crate) const fn marker(&self) -> Marker {
        self.marker
    }

    /// Whether an event may come next: not before the latest one, nor in a period that is over.
    pub(crate) fn can_take(&self, at: Timestamp, day: Date) -> bool {
        self.at.is_none_or(|latest| latest <= at)
            && self.today.is_none_or(|today| today <= day)
            && self.hour.is_none_or(|under_way| under_way <= hour(at))
    }

    /// It is this late: what is over is over.
    pub(crate) fn advance(
        &mut self,
        at: Timestamp,
        day: Date,
        rules: &Rules,
        history: &mut History,
    ) {
        match rules.conventions.basis() {
            Basis::PeriodReturns => {
                if self.today.is_some_and(|today| today < day) {
                    let earliest = day.saturating_sub(LONGEST_GAP_DAYS.days());
                    self.today = self.today.map(|today| today.max(earliest));
                }
                // A zone may repeat a day: the clock of the ledger does not.
                while let Some(today) = self.today.filter(|today| *today < day) {
                    self.close_period(today, rules, history);
                    self.next_day(today.tomorrow().unwrap_or(Date::MAX).min(day), history);
                }
            }
            Basis::HourlyReturns => {
                let now = hour(at);
                self.hour = self.hour.map(|hour| hour.max(now - LONGEST_GAP_HOURS));
                while let Some(under_way) = self.hour.filter(|under_way| *under_way < now) {
                    self.close_period(rules.day_of_hour(under_way), rules, history);
                    self.hour = Some(under_way + 1);
                }
                self.hour.get_or_insert(now);
            }
            Basis::PerTrade | Basis::PerNotional => {}
        }
        if self.today.is_none_or(|today| today < day) {
            self.next_day(day, history);
        }
    }

    fn next_day(&mut self, day: Date, history: &mut History) {
        if let Some(trades) = self.day.take() {
            history.push_day(trades);
            self.marker = history.end();
        }
        self.periods.advance(day, self.fund.equity());
        self.today = Some(day);
    }

    /// Takes the return of the period that ends. What changed in one that does not count belongs to the next that does.
    fn close_period(&mut self, day: Date, rules: &Rules, history: &mut History) {
        if !rules.conventions.calendar().is_trading_day(day) {
            return;
        }
        let value = self.fund.value();
        let gain = self.fund.equity() - self.opening;
        let path = std::mem::replace(&mut self.path, Path::STILL);
        self.opening = self.fund.equity();
        let change = if let Some(lost) = self.lost.take() {
            self.path.observe(value / self.close);
            Some(lost)
        } else {
            let before = std::mem::replace(&mut self.close, value);
            change_of(before, value - before)
        };
        let single = Single {
            day,
            change,
            gain,
            path,
        };
        self.take_return(single, rules, history);
    }

    fn take_return(&mut self, single: Single, rules: &Rules, history: &mut History) {
        self.returns
            .push(single.change, rules.risk_free.on(single.day));
        history.push(single);
        self.marker = history.end();
    }

    /// What happened, once [`advance`](Self::advance) went to its time. What is refused changes nothing.
    pub(crate) fn apply(
        &mut self,
        entry: &Entry,
        rules: &Rules,
        history: &mut History,
    ) -> Result<(), Overdrawn> {
        if entry.is_void {
            return Ok(());
        }
        self.drawdown.begin(entry.at);
        match entry.what {
            What::Trade { pnl, notional } => {
                self.trade(entry, pnl, notional, rules, history);
                let scratch = rules.conventions.scratch();
                self.day = Some(match self.day {
                    Some(day) => day.with(pnl, scratch),
                    None => DayOfTrades::first(entry.day, pnl, scratch),
                });
            }
            What::LateTrade { pnl, notional, of } => {
                let entry = Entry { day: of, ..*entry };
                self.trade(&entry, pnl, notional, rules, history);
            }
            What::Equity(equity) | What::CorrectedEquity { is: equity, .. } => {
                self.observe(entry.at, equity);
            }
            What::OpenPnl(pnl) | What::CorrectedOpenPnl { is: pnl, .. } => {
                self.observe(entry.at, self.closed_trades_equity() + pnl);
            }
            What::Flow(amount) => self.flow(entry.at, amount, rules)?,
        }
        self.at = Some(entry.at);
        Ok(())
    }

    fn trade(
        &mut self,
        entry: &Entry,
        pnl: f64,
        notional: Option<f64>,
        rules: &Rules,
        history: &mut History,
    ) {
        let before = self.closed_trades_equity();
        self.trades.push(pnl, rules.conventions.scratch());
        self.periods.trade(entry.day, pnl);
        let change = match rules.conventions.basis() {
            Basis::PerTrade => Some(change_of(before, pnl)),
            Basis::PerNotional => Some(notional.and_then(|notional| change_of(notional, pnl))),
            Basis::PeriodReturns | Basis::HourlyReturns => None,
        };
        if let Some(change) = change {
            let single = Single {
                day: entry.day,
                change,
                gain: pnl,
                path: Path::to(1.0 + change.unwrap_or(0.0)),
            };
            self.take_return(single, rules, history);
        }
        if rules.conventions.valuation() == Valuation::ClosedTrades {
            self.observe(entry.at, self.closed_trades_equity());
        }
    }

    fn observe(&mut self, at: Timestamp, equity: f64) {
        self.fund.mark(equity);
        let value = self.fund.value();
        self.drawdown.observe(at, value);
        if self.lost.is_none() {
            self.path.observe(value / self.close);
        }
    }

    fn flow(&mut self, at: Timestamp, amount: f64, rules: &Rules) -> Result<(), Overdrawn> {
        let after = self.fund.after(amount);
        let mut after = after.map_err(|equity| Overdrawn { equity })?;
        self.contributed += amount;
        self.opening += amount;
        if rules.conventions.valuation() == Valuation::ClosedTrades && after != 0.0 {
            after = self.closed_trades_equity();
        }
        let value = self.fund.value();
        if self.fund.flow_to(after) == Flowed::BeganAnew {
            let lost = change_of(self.close, value - self.close);
            self.lost = self.lost.or(lost);
            self.close = self.fund.value();
            self.drawdown.begin_anew(at, self.close);
        }
        self.periods.transfer(amount);
        Ok(())
    }

    /// Starting equity, transfers and realised P/L.
    pub(crate) fn closed_trades_equity(&self) -> f64 {
        self.contributed + self.trades.realized()
    }

    /// What the periods under way are once this day has come.
    pub(crate) fn periods_on(&self, day: Date) -> Periods {
        let mut periods = self.periods;
        periods.advance(day, self.fund.equity());
        periods
    }

    /// How much the equity changed in a period, of these under way.
    pub(crate) fn equity_change(&self, periods: &Periods, period: Period) -> f64 {
        self.fund.equity() - periods.opening(period).unwrap_or(self.contributed)
    }

    /// The way of the period under way, and the trades of the day.
    pub(crate) const fn under_way(&self) -> (Path, Option<&DayOfTrades>) {
        (self.path, self.day.as_ref())
    }

    /// Takes what an earlier edition kept as its own.
    pub(crate) fn complete(&mut self, at: Option<Timestamp>, risk_free: f64) {
        self.at = at;
        self.opening = self
            .periods
            .opening(Period::Day)
            .unwrap_or(self.contributed);
        self.returns.complete(risk_free);
    }

    /// Counts the returns at other rates.
    pub(crate) const fn set_returns(&mut self, returns: Returns) {
        self.returns = returns;
    }

    /// What was made since the last period that counts was over.
    pub(crate) fn gain(&self) -> f64 {
        self.fund.equity() - self.opening
    }
}
