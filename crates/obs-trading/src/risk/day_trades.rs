//! Pattern day trading: counting day trades over five business days.

use std::collections::{BTreeMap, VecDeque};

use jiff::civil::Date;
use obs_calendar::Calendar;
use serde::{Deserialize, Serialize};

use super::today::Today;
use crate::error::positive;
use crate::seen::Identity;
use crate::{Clock, Error, ExecutionId, PdtAction, Risk, Side};

/// The numbers of the rule. The default is that of FINRA Rule 4210(f)(8)(B), as [`DayTrades`] cites it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DayTradeRule {
    /// This many day trades in the window make a pattern: 4.
    pub pattern: u32,
    /// Length of the window in business days, the present one included: 5.
    pub business_days: u32,
    /// No pattern while day trades are no more than this share of all trades in the window: 0.06.
    pub share: f64,
    /// The rule does not restrict an account of at least this equity: 25,000 US dollars.
    pub minimum_equity: f64,
}

impl Default for DayTradeRule {
    fn default() -> Self {
        Self {
            pattern: 4,
            business_days: 5,
            share: 0.06,
            minimum_equity: 25_000.0,
        }
    }
}

/// Counts the day trades of one account, and says before a trade whether it would be one too many.
///
/// ```
/// use jiff::civil::date;
/// use obs_trading::{Calendar, DayTradeRule, DayTrades, Risk, Side};
///
/// let mut account = DayTrades::new(&Risk::new(), "margin", DayTradeRule::default(), Calendar::nyse());
/// let monday = date(2026, 3, 2);
/// for symbol in ["AAPL", "MSFT", "NVDA"] {
///     account.fill(symbol, Side::Buy, 10.0, monday)?;
///     account.check(symbol, Side::Sell, monday)?;
///     account.fill(symbol, Side::Sell, 10.0, monday)?;
/// }
/// assert_eq!(account.remaining(monday), Some(0));
///
/// account.fill("AMD", Side::Buy, 10.0, monday)?;
/// assert!(account.check("AMD", Side::Sell, monday).is_err());             // counted as avoided
/// assert!(account.check("AMD", Side::Sell, date(2026, 3, 3)).is_ok());    // held overnight: no day trade
/// assert_eq!(account.remaining(date(2026, 3, 9)), Some(3));               // Monday has left the window
/// # Ok::<(), obs_trading::Error>(())
/// ```
///
/// # The rule
///
/// FINRA Rule 4210(f)(8)(B), in our words: in a margin account, buying and selling the same security on the same day, or
/// selling and buying it, is a day trade. It is none when a position held overnight is closed before any new trade that
/// opens. Who makes four or more in five business days is a pattern day trader, unless they are no more than 6 % of all his
/// trades in that time, and must then keep an equity of 25,000 US dollars or more.
///
/// Executions are counted by changes of direction, the method that FINRA Regulatory Notice 21-13 allows: however many
/// executions open in a row, and however many close in a row after them, they are one day trade. Total trades are counted the
/// same way, one for each run of executions in one direction in one symbol, so that an order filled in pieces does not water
/// down the 6 %. Which executions were held overnight and which were not is not told apart: after any opening trade of the
/// day, the next closing one completes a day trade.
///
/// **This rule is retired.** FINRA replaced it by [intraday margin standards](crate::IntradayMargin), in force since 4 June 2026
/// (SR-FINRA-2025-017, 91 FR 20731); brokers may keep it until 20 October 2027. Which of the two binds an account is for its owner to find
/// out and to choose: neither is a default. Some brokers count otherwise or keep limits of their own: state their numbers in
/// [`DayTradeRule`].
///
/// # Verdicts and counts
///
/// `risk_pdt_events_total` counts `avoided` for each check that refuses, `warned` when a day trade uses up the last free one,
/// and `violated` for each that completes or continues a pattern. `risk_day_trades_remaining` moves with each fill and each
/// [`advance_to`](Self::advance_to). It leaves the 6 % aside, and is `NaN` for an account that the rule does not restrict.
///
/// A fill that is reported late is counted on its day, as the last of it, and the days since are counted anew, as long as its day lies
/// in the window and among the last 10,000 executions. For as long, one that has an identifier can be [taken back](Self::bust) and
/// [corrected](Self::fill_with_id). An earlier one, one of a day that has not begun or is no trading day, and one of
/// a quantity that is not a positive number are refused and change nothing. Memory is bounded by those executions and the positions
/// held.
#[derive(Debug)]
pub struct DayTrades {
    risk: Risk,
    account: Box<str>,
    rule: DayTradeRule,
    calendar: Calendar,
    today: Today,
    state: SavedDayTrades,
}

/// The state of [`DayTrades`] as it can be kept across a restart. Rule and calendar are not part of it: they are stated anew.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedDayTrades {
    is_exempt: bool,
    last: Option<Date>,
    /// The days of the window on which something was traded, oldest first.
    days: VecDeque<Tally>,
    symbols: BTreeMap<Box<str>, Holding>,
    #[serde(default)]
    recent: Recent,
}

/// The executions of the last days, so that one that is reported late can be put in its place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Recent {
    /// The first day from whose beginning on all of them are here; nothing before the first day.
    from: Option<Date>,
    /// What was held when that day began.
    positions: BTreeMap<Box<str>, f64>,
    /// By day, and within a day as reported.
    executions: VecDeque<Execution>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Execution {
    date: Date,
    symbol: Box<str>,
    /// Bought; sold if negative.
    quantity: f64,
    /// By which it can be corrected and taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<Identity>,
}

/// So many executions are kept for late reports.
const KEPT: usize = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Tally {
    date: Date,
    day_trades: u32,
    trades: u32,
}

/// What is held of a symbol, and what was done with it on the last day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Holding {
    /// Negative when short.
    position: f64,
    /// The direction of the day's last run of executions: 1 or −1; 0 before the first.
    direction: i8,
    /// Whether something was opened today that no closing run has followed.
    opened_today: bool,
}

impl DayTrades {
    /// An account that holds nothing and has traded nothing.
    #[must_use]
    pub fn new(risk: &Risk, account: &str, rule: DayTradeRule, calendar: Calendar) -> Self {
        let day_trades = Self {
            risk: risk.clone(),
            account: account.into(),
            rule,
            calendar,
            today: Today::default(),
            state: SavedDayTrades::default(),
        };
        day_trades.show();
        day_trades
    }

    /// An account that goes on from what [`save`](Self::save) gave.
    #[must_use]
    pub fn restore(
        risk: &Risk,
        account: &str,
        rule: DayTradeRule,
        calendar: Calendar,
        saved: SavedDayTrades,
    ) -> Self {
        let mut day_trades = Self::new(risk, account, rule, calendar);
        day_trades.state = saved;
        day_trades.show();
        day_trades
    }

    /// The same, held to another clock than the machine's: an event of a day that has not begun is refused. A replay of days that are
    /// yet to come hands in its own.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Into<Clock>) -> Self {
        self.today = Today::by(clock);
        self
    }

    /// The state as it can be kept across a restart.
    #[must_use]
    pub fn save(&self) -> SavedDayTrades {
        self.state.clone()
    }

    /// Says what the account held before it was followed here; a short position is negative. It counts as held overnight.
    pub fn hold(&mut self, symbol: &str, position: f64) -> Result<(), Error> {
        if !position.is_finite() {
            return Err(Error::NotFinite {
                what: "the position",
                value: position,
            });
        }
        let holding = self.state.holding(symbol);
        let change = position - holding.position;
        holding.position = position;
        *self
            .state
            .recent
            .positions
            .entry(symbol.into())
            .or_default() += change;
        Ok(())
    }

    /// Says what the account's equity was at the close of the day before: at or above [`DayTradeRule::minimum_equity`] the
    /// rule does not restrict it. One that is not a number restricts. Without a word, the account is restricted.
    pub fn set_equity(&mut self, equity: f64) {
        self.state.is_exempt = equity >= self.rule.minimum_equity;
        self.show();
    }

    /// A new day begins. Not needed before a fill, but the day trades remaining are shown as of the latest day. An earlier one changes
    /// nothing. Fails for a day that has not begun.
    pub fn advance_to(&mut self, date: Date) -> Result<(), Error> {
        self.today.check(date, &self.calendar)?;
        if self.state.last.is_none_or(|last| last < date) {
            let start = self.window_start(date);
            self.state.begin(date, start);
        }
        self.show();
        Ok(())
    }

    /// Something was executed. Returns whether it completed a day trade.
    ///
    /// A fill larger than the position closes it and opens the rest the other way. One of an earlier day may complete day trades of that
    /// day and undo others'; what is counted of it is the verdict on the present day.
    pub fn fill(
        &mut self,
        symbol: &str,
        side: Side,
        quantity: f64,
        date: Date,
    ) -> Result<bool, Error> {
        let execution = self.execution(None, symbol, side, quantity, date)?;
        self.take(execution)
    }

    /// The same under an identifier that no other execution of the account has, by which [`bust`](Self::bust) takes it back. An execution
    /// that is [kept](Self#verdicts-and-counts) under it is corrected: this one happened instead.
    pub fn fill_with_id(
        &mut self,
        id: &str,
        symbol: &str,
        side: Side,
        quantity: f64,
        date: Date,
    ) -> Result<bool, Error> {
        let id = identity(id);
        let execution = self.execution(Some(id), symbol, side, quantity, date)?;
        self.correct(id, execution.clone())
            .unwrap_or_else(|| self.take(execution))
    }

    /// The execution of this identifier did not happen: day trades that it completed are none, and the days since are counted anew.
    /// Verdicts that were counted stay counted.
    ///
    /// Fails when it is not among the executions that are [kept](Self#verdicts-and-counts).
    pub fn bust(&mut self, id: &str) -> Result<(), Error> {
        if self.bust_known(identity(id)) {
            Ok(())
        } else {
            Err(Error::not_correctable("execution", id))
        }
    }

    /// A fill of [`AccountBook`](crate::AccountBook), which knows that it is new.
    pub(crate) fn fill_new(
        &mut self,
        id: Option<Identity>,
        (side, symbol): (Side, &str),
        quantity: f64,
        date: Date,
    ) -> Result<(), Error> {
        let execution = self.execution(id, symbol, side, quantity, date)?;
        self.take(execution).map(drop)
    }

    /// A fill of [`AccountBook`](crate::AccountBook) was another, on its day; nothing where it is not kept.
    pub(crate) fn fill_corrected(
        &mut self,
        id: Identity,
        (side, symbol): (Side, &str),
        quantity: f64,
        date: Date,
    ) -> Option<Result<(), Error>> {
        match self.execution(Some(id), symbol, side, quantity, date) {
            Ok(execution) => Some(self.correct(id, execution)?.map(drop)),
            Err(error) => Some(Err(error)),
        }
    }

    /// Takes an execution back; not where none of that identity is kept.
    pub(crate) fn bust_known(&mut self, id: Identity) -> bool {
        let (Some(place), Some(last)) = (self.state.recent.place_of(id), self.state.last) else {
            return false;
        };
        self.state.recent.executions.remove(place);
        self.state.count_anew(last);
        self.show();
        true
    }

    fn correct(&mut self, id: Identity, execution: Execution) -> Option<Result<bool, Error>> {
        let place = self.state.recent.place_of(id)?;
        let last = self.state.last?;
        if execution.date > last {
            // Its day begins with it; what it was said to be before did not happen.
            self.state.recent.executions.remove(place);
            self.state.count_anew(last);
            return Some(self.take(execution));
        }
        let (before, date) = (self.day_trades(last), execution.date);
        let is_moved = self.state.recent.executions[place].date != date;
        if is_moved && !self.state.keeps(date, self.window_start(last)) {
            return Some(Err(Error::OutOfOrder { date, last }));
        }
        if is_moved {
            self.state.recent.executions.remove(place);
            self.state.recent.insert(execution);
        } else {
            self.state.recent.executions[place] = execution;
        }
        self.state.count_anew(last);
        let is_day_trade = self.day_trades(last) > before;
        if is_day_trade {
            self.judge(last);
        }
        self.show();
        Some(Ok(is_day_trade))
    }

    fn execution(
        &self,
        id: Option<Identity>,
        symbol: &str,
        side: Side,
        quantity: f64,
        date: Date,
    ) -> Result<Execution, Error> {
        let quantity = positive("the quantity", quantity)?;
        if !self.calendar.is_trading_day(date) {
            return Err(Error::NotABusinessDay { date });
        }
        self.today.check(date, &self.calendar)?;
        Ok(Execution {
            date,
            symbol: symbol.into(),
            quantity: side.sign() * quantity,
            id,
        })
    }

    fn take(&mut self, execution: Execution) -> Result<bool, Error> {
        let date = execution.date;
        let last = self.state.last.filter(|last| date < *last);
        let is_day_trade = if let Some(last) = last {
            self.fill_late(execution, last)?
        } else {
            self.advance_to(date)?;
            let is_day_trade = self.state.execute(&execution);
            self.state.recent.keep(execution);
            is_day_trade
        };
        if is_day_trade {
            self.judge(last.unwrap_or(date));
        }
        self.show();
        Ok(is_day_trade)
    }

    /// Puts an execution in its place and counts the days since anew. Returns whether the window has more day trades for it.
    fn fill_late(&mut self, execution: Execution, last: Date) -> Result<bool, Error> {
        let date = execution.date;
        if !self.state.keeps(date, self.window_start(last)) {
            return Err(Error::OutOfOrder { date, last });
        }
        let before = self.day_trades(last);
        self.state.recent.insert(execution);
        self.state.count_anew(last);
        Ok(self.day_trades(last) > before)
    }

    /// The shares of a symbol were split: for each `from` of them there are `to`. Fails when one of the numbers is not positive.
    pub fn split(&mut self, symbol: &str, to: f64, from: f64) -> Result<(), Error> {
        let (to, from) = (
            positive("the new shares", to)?,
            positive("the old shares", from)?,
        );
        let SavedDayTrades {
            symbols, recent, ..
        } = &mut self.state;
        if let Some(holding) = symbols.get_mut(symbol) {
            holding.position = holding.position * to / from;
        }
        if let Some(position) = recent.positions.get_mut(symbol) {
            *position = *position * to / from;
        }
        for execution in &mut recent.executions {
            if *execution.symbol == *symbol {
                execution.quantity = execution.quantity * to / from;
            }
        }
        Ok(())
    }

    /// A symbol has another name from now on.
    pub fn rename(&mut self, symbol: &str, new: &str) {
        let SavedDayTrades {
            symbols, recent, ..
        } = &mut self.state;
        if let Some(holding) = symbols.remove(symbol) {
            symbols.insert(new.into(), holding);
        }
        if let Some(position) = recent.positions.remove(symbol) {
            recent.positions.insert(new.into(), position);
        }
        for execution in &mut recent.executions {
            if *execution.symbol == *symbol {
                execution.symbol = new.into();
            }
        }
    }

    /// Whether a fill of this side would complete a day trade.
    #[must_use]
    pub fn would_be_day_trade(&self, symbol: &str, side: Side, date: Date) -> bool {
        self.state.last == Some(date)
            && self
                .state
                .symbols
                .get(symbol)
                .is_some_and(|holding| holding.opened_today && holding.is_closed_by(side))
    }

    /// Refuses a fill of this side that would complete or continue a pattern. A refusal is counted as `avoided`.
    pub fn check(&self, symbol: &str, side: Side, date: Date) -> Result<(), Error> {
        if self.state.is_exempt || !self.would_be_day_trade(symbol, side, date) {
            return Ok(());
        }
        let (day_trades, trades) = self.counts(date);
        // The closing run is a trade of its own, for an opening one stands before it.
        let (day_trades, trades) = (day_trades.saturating_add(1), trades.saturating_add(1));
        if !self.rule.is_pattern(day_trades, trades) {
            return Ok(());
        }
        self.risk.pdt(PdtAction::Avoided);
        Err(Error::DayTrade {
            symbol: symbol.into(),
            day_trades,
        })
    }

    /// The day trades in the window that ends with this day.
    #[must_use]
    pub fn day_trades(&self, date: Date) -> u32 {
        self.counts(date).0
    }

    /// How many day trades are free on this day, the 6 % left aside; `None` for an account that the rule does not restrict.
    #[must_use]
    pub fn remaining(&self, date: Date) -> Option<u32> {
        let free = self.rule.pattern.saturating_sub(1);
        (!self.state.is_exempt).then(|| free.saturating_sub(self.day_trades(date)))
    }

    /// Whether the window that ends with this day holds a pattern of day trades, whatever the equity.
    #[must_use]
    pub fn is_pattern(&self, date: Date) -> bool {
        let (day_trades, trades) = self.counts(date);
        self.rule.is_pattern(day_trades, trades)
    }

    fn judge(&self, date: Date) {
        if self.state.is_exempt {
            return;
        }
        if self.is_pattern(date) {
            self.risk.pdt(PdtAction::Violated);
        } else if self.remaining(date) == Some(0) {
            self.risk.pdt(PdtAction::Warned);
        }
    }

    fn show(&self) {
        let remaining = match self.state.last {
            Some(date) => self.remaining(date),
            None => self.remaining(Date::MIN),
        };
        self.risk.day_trades_remaining(&self.account, remaining);
    }

    /// Day trades and trades in the window.
    fn counts(&self, date: Date) -> (u32, u32) {
        let start = self.window_start(date);
        let within = |day: &&Tally| start <= day.date && day.date <= date;
        let days = self.state.days.iter().filter(within);
        days.fold((0, 0), |(day_trades, trades), day| {
            (
                day_trades.saturating_add(day.day_trades),
                trades.saturating_add(day.trades),
            )
        })
    }

    /// The first day of the window that ends with this one.
    fn window_start(&self, date: Date) -> Date {
        let last = if self.calendar.is_trading_day(date) {
            date
        } else {
            self.calendar.before(date, 1)
        };
        self.calendar
            .before(last, self.rule.business_days.saturating_sub(1))
    }
}

fn identity(id: &str) -> Identity {
    Identity::of(ExecutionId::from(id))
}

impl DayTradeRule {
    fn is_pattern(&self, day_trades: u32, trades: u32) -> bool {
        // Not ">": a share that is not a number excuses nothing.
        let is_few = f64::from(day_trades) <= self.share * f64::from(trades);
        day_trades >= self.pattern && !is_few
    }
}

impl SavedDayTrades {
    fn holding(&mut self, symbol: &str) -> &mut Holding {
        self.symbols.entry(symbol.into()).or_default()
    }

    /// A new day: what is held now was held overnight, and what lies before the window is forgotten.
    fn begin(&mut self, date: Date, window_start: Date) {
        if self.recent.from.is_none() {
            self.recent = Recent {
                from: Some(date),
                positions: self.positions(),
                ..Recent::default()
            };
        }
        self.recent.forget(window_start);
        self.begin_day(date, window_start);
    }

    fn positions(&self) -> BTreeMap<Box<str>, f64> {
        let held = self.symbols.iter();
        held.map(|(symbol, holding)| (symbol.clone(), holding.position))
            .collect()
    }

    fn begin_day(&mut self, date: Date, window_start: Date) {
        self.last = Some(date);
        self.symbols.retain(|_, holding| holding.position != 0.0);
        for holding in self.symbols.values_mut() {
            holding.direction = 0;
            holding.opened_today = false;
        }
        while self.days.front().is_some_and(|day| day.date < window_start) {
            self.days.pop_front();
        }
    }

    /// Whether an execution of an earlier day can be put in its place.
    fn keeps(&self, date: Date, window_start: Date) -> bool {
        let recent = &self.recent;
        let is_full = recent.executions.len() >= KEPT;
        !is_full && recent.from.is_some_and(|from| from <= date) && window_start <= date
    }

    /// Whether the execution completes a day trade. It is of the day under way.
    fn execute(&mut self, execution: &Execution) -> bool {
        let quantity = execution.quantity.abs();
        let side = if execution.quantity > 0.0 {
            Side::Buy
        } else {
            Side::Sell
        };
        let holding = self.holding(&execution.symbol);
        let is_new_run = holding.turn(side);
        let is_day_trade = holding.trade(side, quantity);
        let (day_trades, trades) = (u32::from(is_day_trade), u32::from(is_new_run));
        self.count(execution.date, day_trades, trades);
        is_day_trade
    }

    /// Counts the days of the kept executions anew, from what was held before them.
    fn count_anew(&mut self, last: Date) {
        let Some(from) = self.recent.from else {
            return;
        };
        self.days.retain(|day| day.date < from);
        let held = self.recent.positions.iter();
        self.symbols = held
            .map(|(symbol, position)| {
                let position = *position;
                (
                    symbol.clone(),
                    Holding {
                        position,
                        ..Holding::default()
                    },
                )
            })
            .collect();
        self.last = None;
        let executions = std::mem::take(&mut self.recent.executions);
        for execution in &executions {
            if self.last != Some(execution.date) {
                self.begin_day(execution.date, Date::MIN);
            }
            self.execute(execution);
        }
        self.recent.executions = executions;
        if self.last != Some(last) {
            self.begin_day(last, Date::MIN);
        }
    }

    fn count(&mut self, date: Date, day_trades: u32, trades: u32) {
        match self.days.back_mut() {
            Some(day) if day.date == date => {
                day.day_trades = day.day_trades.saturating_add(day_trades);
                day.trades = day.trades.saturating_add(trades);
            }
            _ => self.days.push_back(Tally {
                date,
                day_trades,
                trades,
            }),
        }
    }
}

impl Recent {
    /// The execution is the latest.
    fn keep(&mut self, execution: Execution) {
        let today = execution.date;
        self.executions.push_back(execution);
        if self.executions.len() > KEPT {
            let first = self.executions.front().map(|oldest| oldest.date);
            match first.filter(|first| *first < today) {
                Some(first) => self.forget(first.tomorrow().unwrap_or(today)),
                // More than that in a day: late reports are taken again from the next day on.
                None => *self = Self::default(),
            }
        }
    }

    /// The latest report under an identity.
    fn place_of(&self, id: Identity) -> Option<usize> {
        let is_it = |execution: &Execution| execution.id == Some(id);
        self.executions.iter().rposition(is_it)
    }

    /// After those of its day.
    fn insert(&mut self, execution: Execution) {
        let place = self
            .executions
            .partition_point(|kept| kept.date <= execution.date);
        self.executions.insert(place, execution);
    }

    /// Forgets the executions before a day, but for what they left in the positions.
    fn forget(&mut self, before: Date) {
        let kept = self.executions.partition_point(|kept| kept.date < before);
        for gone in self.executions.drain(..kept) {
            let position = self.positions.entry(gone.symbol).or_default();
            *position += gone.quantity;
            if position.abs() <= ROUNDING * gone.quantity.abs() {
                *position = 0.0;
            }
        }
        self.positions.retain(|_, position| *position != 0.0);
        self.from = self.from.max(Some(before));
    }
}

/// What is left of a quantity after it was traded away again, where fractions of shares do not add up to zero.
const ROUNDING: f64 = 1e-9;

impl Holding {
    /// Whether the execution starts a new run.
    fn turn(&mut self, side: Side) -> bool {
        let direction = if side == Side::Buy { 1 } else { -1 };
        let is_new = self.direction != direction;
        self.direction = direction;
        is_new
    }

    /// Whether the execution completes a day trade.
    fn trade(&mut self, side: Side, quantity: f64) -> bool {
        let closes = self.is_closed_by(side);
        let before = self.position;
        self.position += side.sign() * quantity;
        if self.position.abs() <= ROUNDING * quantity {
            self.position = 0.0;
        }
        let is_day_trade = closes && self.opened_today;
        let opens_the_other_way = closes && self.position * before < 0.0;
        self.opened_today = if closes { opens_the_other_way } else { true };
        is_day_trade
    }

    fn is_closed_by(&self, side: Side) -> bool {
        self.position * side.sign() < 0.0
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these numbers come out exactly")]
mod tests {
    use Side::{Buy, Sell};
    use jiff::civil::date;
    use jiff::tz::TimeZone;
    use obs_core::TestRecorder;

    use super::*;

    struct Desk {
        test: TestRecorder,
        account: DayTrades,
    }

    fn desk(holidays: &[Date]) -> Desk {
        let test = TestRecorder::new();
        let calendar = Calendar::weekdays(TimeZone::UTC).with_holidays(holidays.iter().copied());
        let account =
            test.run(|| DayTrades::new(&Risk::new(), "margin", DayTradeRule::default(), calendar));
        Desk { test, account }
    }

    impl Desk {
        fn events(&self, action: &str) -> u64 {
            self.test
                .counter("risk_pdt_events_total", &[("action", action)])
                .unwrap()
        }

        fn shown(&self) -> f64 {
            self.test
                .gauge("risk_day_trades_remaining", &[("account", "margin")])
                .unwrap()
        }

        fn round_trip(&mut self, symbol: &str, date: Date) {
            self.account.fill(symbol, Buy, 1.0, date).unwrap();
            assert!(self.account.fill(symbol, Sell, 1.0, date).unwrap());
        }
    }

    const MONDAY: Date = date(2026, 3, 2);

    fn day_trades(fills: &[(&str, Side, f64)]) -> u32 {
        let mut desk = desk(&[]);
        for (symbol, side, quantity) in fills {
            desk.account.fill(symbol, *side, *quantity, MONDAY).unwrap();
        }
        desk.account.day_trades(MONDAY)
    }

    const TUESDAY: Date = date(2026, 3, 3);

    #[test]
    fn a_late_report_of_yesterday_completes_its_day_trade() {
        let mut desk = desk(&[]);
        for symbol in ["ABC", "XYZ"] {
            desk.round_trip(symbol, MONDAY);
        }
        desk.account.fill("QRS", Buy, 10.0, MONDAY).unwrap();
        // As far as is known, QRS was held overnight.
        desk.account.fill("ABC", Buy, 1.0, TUESDAY).unwrap();
        assert_eq!(desk.account.remaining(TUESDAY), Some(1));
        assert!(desk.account.fill("QRS", Sell, 10.0, MONDAY).unwrap());
        assert_eq!(desk.account.remaining(TUESDAY), Some(0));
        assert_eq!((desk.events("warned"), desk.shown()), (1, 0.0));
        // Nothing is left of QRS to be sold today, and ABC is open still.
        assert!(!desk.account.would_be_day_trade("QRS", Sell, TUESDAY));
        assert!(desk.account.check("ABC", Sell, TUESDAY).is_err());
        // The same after a restart.
        let saved = serde_json::to_string(&desk.account.save()).unwrap();
        let mut again = DayTrades::restore(
            &Risk::new(),
            "margin",
            DayTradeRule::default(),
            Calendar::weekdays(TimeZone::UTC),
            serde_json::from_str(&saved).unwrap(),
        );
        again.fill("QRS", Buy, 1.0, MONDAY).unwrap();
        assert!(again.fill("QRS", Sell, 1.0, MONDAY).unwrap());
        assert_eq!(again.day_trades(TUESDAY), 4);
    }

    /// Whichever last fill of a day comes late: the account is what it would be in the order of days.
    #[test]
    fn late_reports_leave_what_order_would_have() {
        let days = [MONDAY, TUESDAY, date(2026, 3, 4), date(2026, 3, 5)];
        let fills: Vec<_> = (0..40_u32)
            .map(|number| {
                let side = if number % 5 < 3 { Buy } else { Sell };
                let symbol = ["ABC", "XYZ", "QRS"][(number % 3) as usize];
                (
                    symbol,
                    side,
                    f64::from(number % 4 + 1),
                    days[(number / 10) as usize],
                )
            })
            .collect();
        let play = |account: &mut DayTrades, fills: &[(&str, Side, f64, Date)]| {
            for (symbol, side, quantity, day) in fills {
                account.fill(symbol, *side, *quantity, *day).unwrap();
            }
        };
        let mut ordered = desk(&[]).account;
        play(&mut ordered, &fills);
        for late in [9, 19, 29] {
            let mut shuffled = fills.clone();
            let fill = shuffled.remove(late);
            shuffled.push(fill);
            let mut account = desk(&[]).account;
            play(&mut account, &shuffled);
            let (account, ordered) = (account.save(), ordered.save());
            assert_eq!(account.days, ordered.days, "{late}");
            assert_eq!(account.recent, ordered.recent, "{late}");
            let held = |state: &SavedDayTrades| {
                let mut held = state.symbols.clone();
                held.retain(|_, holding| *holding != Holding::default());
                held
            };
            assert_eq!(held(&account), held(&ordered), "{late}");
        }
    }

    #[test]
    fn what_left_the_window_is_not_counted_any_more() {
        let mut account = desk(&[]).account;
        account.hold("ABC", 5.0).unwrap();
        account.fill("ABC", Buy, 1.0, MONDAY).unwrap();
        let next_monday = date(2026, 3, 9);
        account.fill("ABC", Sell, 1.0, next_monday).unwrap();
        let late = account.fill("ABC", Sell, 1.0, MONDAY).unwrap_err();
        assert!(
            matches!(late, Error::OutOfOrder { date: MONDAY, last } if last == next_monday),
            "{late}"
        );
        // Tuesday is in the window still, and five of ABC were held when it began.
        assert!(!account.fill("ABC", Sell, 6.0, TUESDAY).unwrap());
        assert_eq!(account.save().symbols["ABC"].position, -1.0);
    }

    #[test]
    fn no_more_executions_are_kept_than_a_bound() {
        let mut account = desk(&[]).account;
        for _ in 0..KEPT / 2 + 10 {
            account.fill("ABC", Buy, 1.0, MONDAY).unwrap();
        }
        for _ in 0..KEPT / 2 + 10 {
            account.fill("ABC", Sell, 1.0, TUESDAY).unwrap();
        }
        let recent = account.save().recent;
        assert_eq!(recent.executions.len(), KEPT / 2 + 10);
        assert_eq!(recent.from, Some(TUESDAY));
        assert!(account.fill("ABC", Buy, 1.0, MONDAY).is_err());
        assert_eq!(account.save().symbols["ABC"].position, 0.0);
    }

    #[test]
    fn a_day_that_has_not_begun_is_refused() {
        let mut account = desk(&[]).account;
        account.fill("ABC", Buy, 1.0, MONDAY).unwrap();
        let before = account.save();
        let error = account
            .fill("ABC", Sell, 1.0, date(2064, 1, 2))
            .unwrap_err();
        assert!(matches!(error, Error::DayNotBegun { .. }), "{error}");
        assert!(account.advance_to(date(2064, 1, 2)).is_err());
        assert_eq!(account.save(), before);
    }

    #[test]
    fn counts_changes_of_direction_as_the_notice_does() {
        let abc = |fills: &[(Side, f64)]| {
            let fills: Vec<_> = fills.iter().map(|fill| ("ABC", fill.0, fill.1)).collect();
            day_trades(&fills)
        };
        assert_eq!(abc(&[(Buy, 250.0), (Buy, 250.0), (Sell, 500.0)]), 1);
        let twice = [(Buy, 100.0), (Sell, 100.0), (Buy, 100.0), (Sell, 100.0)];
        assert_eq!(abc(&twice), 2);
        let in_pieces = [(Buy, 500.0), (Sell, 100.0), (Sell, 100.0), (Sell, 300.0)];
        assert_eq!(abc(&in_pieces), 1);
        let partly = [
            (Buy, 250.0),
            (Buy, 300.0),
            (Buy, 100.0),
            (Sell, 150.0),
            (Sell, 175.0),
        ];
        assert_eq!(abc(&partly), 1);
        let turned = [
            (Buy, 199.0),
            (Buy, 142.0),
            (Sell, 1.0),
            (Buy, 45.0),
            (Sell, 100.0),
            (Sell, 200.0),
        ];
        assert_eq!(abc(&turned), 2);
        let two_symbols = [
            ("ABC", Buy, 200.0),
            ("XYZ", Buy, 100.0),
            ("ABC", Sell, 100.0),
            ("XYZ", Sell, 100.0),
        ];
        assert_eq!(day_trades(&two_symbols), 2);
        // Short and back, and through zero: long, short, flat.
        assert_eq!(abc(&[(Sell, 10.0), (Buy, 10.0)]), 1);
        assert_eq!(abc(&[(Buy, 10.0), (Sell, 20.0), (Buy, 10.0)]), 2);
    }

    #[test]
    fn what_was_held_overnight_may_be_closed_before_anything_is_opened() {
        let mut account = desk(&[]).account;
        account.hold("ABC", 100.0).unwrap();
        account.fill("XYZ", Sell, 5.0, MONDAY).unwrap();
        let tuesday = date(2026, 3, 3);
        assert!(!account.would_be_day_trade("ABC", Sell, tuesday));
        assert!(!account.fill("ABC", Sell, 100.0, tuesday).unwrap());
        assert!(!account.fill("ABC", Buy, 100.0, tuesday).unwrap());
        assert!(account.would_be_day_trade("ABC", Sell, tuesday));
        assert!(account.fill("ABC", Sell, 100.0, tuesday).unwrap());
        assert!(!account.fill("XYZ", Buy, 5.0, tuesday).unwrap()); // the short of yesterday
    }

    #[test]
    fn overnight_shares_do_not_excuse_new_ones() {
        let mut account = desk(&[]).account;
        account.hold("ABC", 50.0).unwrap();
        account.fill("ABC", Buy, 25.0, MONDAY).unwrap();
        assert!(account.fill("ABC", Sell, 25.0, MONDAY).unwrap());
    }

    #[test]
    fn the_window_is_five_business_days_over_weekend_and_holiday() {
        let presidents_day = date(2026, 2, 16);
        let mut desk = desk(&[presidents_day]);
        desk.round_trip("A", date(2026, 2, 12)); // a Thursday
        desk.round_trip("B", date(2026, 2, 13));
        assert_eq!(desk.account.remaining(date(2026, 2, 13)), Some(1));
        // Thursday, Friday, Tuesday, Wednesday, Thursday: still five days, a week later.
        assert_eq!(desk.account.remaining(date(2026, 2, 19)), Some(1));
        assert_eq!(desk.account.remaining(date(2026, 2, 20)), Some(2));
        assert_eq!(desk.account.remaining(date(2026, 2, 21)), Some(2)); // Saturday: as Friday
        assert_eq!(desk.account.remaining(date(2026, 2, 23)), Some(3));
    }

    #[test]
    fn warns_avoids_and_counts_violations() {
        let mut desk = desk(&[]);
        assert_eq!(desk.shown(), 3.0);
        for symbol in ["A", "B"] {
            desk.round_trip(symbol, MONDAY);
        }
        assert_eq!((desk.shown(), desk.events("warned")), (1.0, 0));
        desk.round_trip("C", MONDAY);
        assert_eq!((desk.shown(), desk.events("warned")), (0.0, 1));
        desk.account.fill("D", Buy, 1.0, MONDAY).unwrap();
        let refused = desk.account.check("D", Sell, MONDAY).unwrap_err();
        assert!(refused.to_string().contains("day trade 4 in the window"));
        assert_eq!((desk.events("avoided"), desk.events("violated")), (1, 0));
        desk.account.fill("D", Sell, 1.0, MONDAY).unwrap();
        assert_eq!((desk.shown(), desk.events("violated")), (0.0, 1));
        assert!(desk.account.is_pattern(MONDAY));
        desk.account.advance_to(date(2026, 3, 9)).unwrap();
        assert_eq!(desk.shown(), 3.0);
    }

    #[test]
    fn enough_equity_lifts_the_restriction() {
        let mut desk = desk(&[]);
        desk.account.set_equity(25_000.0);
        assert!(desk.shown().is_nan());
        for symbol in ["A", "B", "C", "D"] {
            desk.round_trip(symbol, MONDAY);
        }
        assert_eq!((desk.events("warned"), desk.events("violated")), (0, 0));
        desk.account.set_equity(f64::NAN);
        assert_eq!(desk.shown(), 0.0);
    }

    #[test]
    fn few_day_trades_among_many_trades_are_no_pattern() {
        let mut desk = desk(&[]);
        for i in 0..60 {
            let symbol = format!("S{i}");
            desk.account.fill(&symbol, Buy, 1.0, MONDAY).unwrap();
        }
        for symbol in ["S0", "S1", "S2"] {
            desk.account.fill(symbol, Sell, 1.0, MONDAY).unwrap();
        }
        // The fourth would be 4 of 64 trades, 6.25 %.
        assert!(desk.account.check("S3", Sell, MONDAY).is_err());
        for symbol in ["S60", "S61", "S62"] {
            desk.account.fill(symbol, Buy, 1.0, MONDAY).unwrap();
        }
        // Now it is 4 of 67, 5.97 %.
        desk.account.check("S3", Sell, MONDAY).unwrap();
        desk.account.fill("S3", Sell, 1.0, MONDAY).unwrap();
        assert!(!desk.account.is_pattern(MONDAY));
        assert_eq!((desk.events("warned"), desk.events("violated")), (2, 0));
    }

    #[test]
    fn an_order_filled_in_pieces_is_one_trade() {
        let mut account = desk(&[]).account;
        for symbol in ["A", "B", "C", "D"] {
            for _ in 0..50 {
                account.fill(symbol, Buy, 1.0, MONDAY).unwrap();
            }
            account.fill(symbol, Sell, 50.0, MONDAY).unwrap();
        }
        assert!(account.is_pattern(MONDAY)); // 4 of 8, not of 204
    }

    #[test]
    fn refuses_what_it_cannot_place() {
        let mut account = desk(&[]).account;
        account.fill("A", Buy, 1.0, date(2026, 3, 3)).unwrap();
        let before = account.save();
        let refused = [
            account.fill("A", Sell, 1.0, MONDAY),
            account.fill("A", Sell, 1.0, date(2026, 3, 7)),
            account.fill("A", Sell, f64::NAN, date(2026, 3, 3)),
            account.fill("A", Sell, 0.0, date(2026, 3, 3)),
        ];
        let texts = refused.map(|result| result.unwrap_err().to_string());
        assert!(texts[0].starts_with("2026-03-02 comes before 2026-03-03"));
        assert!(texts[1].starts_with("2026-03-07 is a weekend"));
        assert!(texts[2].starts_with("the quantity is NaN"));
        assert!(texts[3].starts_with("the quantity is 0"));
        assert!(account.hold("A", f64::INFINITY).is_err());
        assert_eq!(account.save(), before);
    }

    #[test]
    fn fractions_of_a_share_add_up_to_nothing() {
        let mut account = desk(&[]).account;
        account.fill("A", Buy, 0.1, MONDAY).unwrap();
        account.fill("A", Buy, 0.2, MONDAY).unwrap();
        account.fill("A", Sell, 0.3, MONDAY).unwrap();
        // Flat: the next sale opens a short position, and the next purchase closes it.
        assert!(!account.fill("A", Sell, 1.0, MONDAY).unwrap());
        assert!(account.fill("A", Buy, 1.0, MONDAY).unwrap());
    }
}
