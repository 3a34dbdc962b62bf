//! One call for a fill: positions, ledgers, limits and rules of an account together.

use std::collections::BTreeMap;
use std::hash::Hash;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Account, Booked, CashAccount, ChangedTrade, ClosedPart, ClosedTrade, DayTrades, Decimal, Error,
    ExecutionId, ExposureKind, Fee, Fill, IntradayMargin, IntradayMarginRule, LedgerState, Limits,
    Money, OrderBook, OrderReport, PositionKey, Positions, SavedCashAccount, SavedDayTrades,
    SavedIntradayMargin, SavedLimits, SavedPositions, Side, StrategyLedger, limit,
};

/// An account with all that follows its fills: [`Positions`], the ledgers of the account and its strategies, limits, and the rules of
/// cash accounts and day trades. One call feeds them all, in one kind of money.
///
/// ```
/// use obs_trading::jiff::Timestamp;
/// use obs_trading::{
///     Account, AccountBook, Basis, Calendar, Conventions, Currency, Fill, Instrument, Money, PeriodsPerYear, Positions,
///     Side, StrategyLedger, Valuation,
/// };
///
/// let conventions = Conventions::new(
///     Basis::PeriodReturns,
///     Valuation::Marks,
///     PeriodsPerYear::TRADING_DAYS,
///     Calendar::nyse(),
/// )?;
/// let usd = |amount| Money::new(amount, Currency::USD);
/// let at: Timestamp = "2026-03-02T15:00:00Z".parse()?;
///
/// let positions = Positions::new("main", at, usd(10_000)).with_instrument("AAPL", Instrument::new(Currency::USD));
/// let mut book = AccountBook::new(positions)
///     .with_account(Account::new("main", conventions.clone(), usd(10_000))?)
///     .with_strategy("crossover", StrategyLedger::new("main", "crossover", conventions, usd(5_000))?);
/// let apple = book.key("crossover", "AAPL")?;
///
/// book.fill(apple, Side::Buy, &Fill::new(10, 187.25).at(at))?;
/// let fed = book.fill(apple, Side::Sell, &Fill::new(10, 190.25).at(at))?;
/// assert_eq!(fed.booked.closed.unwrap().pnl, usd(30));
/// book.mark(at, [("AAPL", 190.5.into())]);
/// assert_eq!(book.strategy("crossover").unwrap().ledger().equity(), 5_030.0);
/// assert_eq!(book.account().unwrap().ledger().equity(), 10_030.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Trades go to the ledgers under numbers of the positions: a fill that comes again is known by these and makes no second trade, and one
/// that is corrected or busted corrects or takes back the trades that it closed.
#[derive(Debug)]
pub struct AccountBook {
    positions: Positions,
    account: Option<Account>,
    strategies: BTreeMap<Box<str>, StrategyLedger>,
    limits: Option<Limits>,
    cash: Option<CashAccount>,
    day_trades: Option<DayTrades>,
    margin: Option<IntradayMargin>,
}

/// What became of a fill in an [`AccountBook`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Fed {
    /// What the positions made of it.
    pub booked: Booked,
    /// What ledgers and rules refused. The fill happened, and is booked all the same.
    pub refused: Vec<Error>,
}

/// What is kept of an [`AccountBook`] over a restart. Ledgers, limits and rules are restored each by its own `restore`, which takes
/// their conventions, and put together again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SavedAccountBook {
    /// For [`Positions::restore`].
    pub positions: SavedPositions,
    /// For [`Account::restore`].
    pub account: Option<LedgerState>,
    /// For [`StrategyLedger::restore`], by the strategy's name.
    pub strategies: BTreeMap<Box<str>, LedgerState>,
    /// For [`Limits::restore`].
    pub limits: Option<SavedLimits>,
    /// For [`CashAccount::restore`].
    pub cash: Option<SavedCashAccount>,
    /// For [`DayTrades::restore`].
    pub day_trades: Option<SavedDayTrades>,
    /// For [`IntradayMargin::restore`].
    #[serde(default)]
    pub margin: Option<SavedIntradayMargin>,
}

impl AccountBook {
    /// A book of these positions, and nothing else yet.
    #[must_use]
    pub const fn new(positions: Positions) -> Self {
        Self {
            positions,
            account: None,
            strategies: BTreeMap::new(),
            limits: None,
            cash: None,
            day_trades: None,
            margin: None,
        }
    }

    /// The same with the account's ledger. It is in the base currency of the positions; marked, it takes their value.
    #[must_use]
    pub fn with_account(mut self, account: Account) -> Self {
        self.account = Some(account);
        self
    }

    /// The same with a strategy's ledger, by the name its positions have.
    #[must_use]
    pub fn with_strategy(mut self, name: &str, ledger: StrategyLedger) -> Self {
        self.strategies.insert(name.into(), ledger);
        self
    }

    /// The same with limits: fills and marks say how much of [`EXPOSURE`](limit::EXPOSURE) and [`MAX_POSITION`](limit::MAX_POSITION) is
    /// used, and marks what was lost. The verdicts are asked for before a trade.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// The same under the rules of a cash account, which takes fills in its currency.
    #[must_use]
    pub fn with_cash_account(mut self, cash: CashAccount) -> Self {
        self.cash = Some(cash);
        self
    }

    /// The same under the rules of day trades.
    #[must_use]
    pub fn with_day_trades(mut self, day_trades: DayTrades) -> Self {
        self.day_trades = Some(day_trades);
        self
    }

    /// The same under the intraday margin standard, in the base currency. Fills change the level by the shares of its
    /// [rule](IntradayMargin::rule), and marks state equity and maintenance margin by them.
    #[must_use]
    pub fn with_intraday_margin(mut self, margin: IntradayMargin) -> Self {
        self.margin = Some(margin);
        self
    }

    /// A position, as [`Positions::key`] finds it.
    pub fn key(&mut self, strategy: &str, symbol: &str) -> Result<PositionKey, Error> {
        self.positions.key(strategy, symbol)
    }

    /// A fill: the one call. Fails as [`Positions::fill`] does, and then nothing has changed.
    pub fn fill(&mut self, key: PositionKey, side: Side, fill: &Fill) -> Result<Fed, Error> {
        let booked = self.positions.fill(key, side, fill)?;
        Ok(self.feed(key, side, fill.id, Some(fill), booked))
    }

    /// The same, with its order. The order takes it first, so that its costs and times are measured whatever becomes of the position.
    pub fn fill_order<Id: Hash + Eq + Clone>(
        &mut self,
        orders: &mut OrderBook<Id>,
        id: &Id,
        key: PositionKey,
        side: Side,
        fill: &Fill,
    ) -> Result<(Fed, Option<OrderReport>), Error> {
        let report = orders.fill(id, *fill);
        Ok((self.fill(key, side, fill)?, report))
    }

    /// An execution is another than was said before; see [`Positions::correct`]. The ledgers correct the trades that change by it. What is
    /// older than their [correction window](crate::CorrectionWindow) stays, and a trade of the difference is closed instead. Rules of cash,
    /// day trades and margin count anew from the day of the execution, as far back as they keep it.
    pub fn correct(&mut self, key: PositionKey, side: Side, fill: &Fill) -> Result<Fed, Error> {
        let booked = self.positions.correct(key, side, fill)?;
        Ok(self.feed(key, side, fill.id, Some(fill), booked))
    }

    /// An execution did not happen; see [`Positions::bust`]. The ledgers take back the trade that it closed, and the rules what came of it,
    /// as [`correct`](Self::correct) puts it right.
    pub fn bust(
        &mut self,
        key: PositionKey,
        side: Side,
        id: impl Into<ExecutionId>,
    ) -> Result<Fed, Error> {
        let id = id.into();
        let booked = self.positions.bust(key, side, id)?;
        Ok(self.feed(key, side, Some(id), None, booked))
    }

    /// The shares of a symbol were split: for each `from` of them there are `to`. Positions, the lots of the cash account and day trades
    /// become as many more. Fails as [`Positions::split`] does, and then nothing has changed.
    pub fn split(
        &mut self,
        at: Timestamp,
        symbol: &str,
        to: impl Into<Decimal>,
        from: impl Into<Decimal>,
    ) -> Result<(), Error> {
        let (to, from) = (to.into(), from.into());
        self.positions.split(at, symbol, to, from)?;
        let (to, from) = (to.to_f64(), from.to_f64());
        if let Some(cash) = &mut self.cash {
            cash.split(symbol, to, from)?;
        }
        if let Some(day_trades) = &mut self.day_trades {
            day_trades.split(symbol, to, from)?;
        }
        Ok(())
    }

    /// The same, with the [open orders](OrderBook::split) in the symbol, by the same factor.
    pub fn split_with_orders<Id: Hash + Eq + Clone>(
        &mut self,
        orders: &mut OrderBook<Id>,
        at: Timestamp,
        symbol: &str,
        to: impl Into<Decimal>,
        from: impl Into<Decimal>,
    ) -> Result<(), Error> {
        let (to, from) = (to.into(), from.into());
        self.split(at, symbol, to, from)?;
        orders.split(symbol, to, from);
        Ok(())
    }

    /// A symbol has another name from now on: in positions, cash account and day trades. Fails as [`Positions::rename`] does, and then
    /// nothing has changed.
    pub fn rename(&mut self, symbol: &str, new: &str) -> Result<(), Error> {
        self.positions.rename(symbol, new)?;
        if let Some(cash) = &mut self.cash {
            cash.rename(symbol, new);
        }
        if let Some(day_trades) = &mut self.day_trades {
            day_trades.rename(symbol, new);
        }
        Ok(())
    }

    /// The same, with the [open orders](OrderBook::rename) in the symbol.
    pub fn rename_with_orders<Id: Hash + Eq + Clone>(
        &mut self,
        orders: &mut OrderBook<Id>,
        symbol: &str,
        new: &str,
    ) -> Result<(), Error> {
        self.rename(symbol, new)?;
        orders.rename(symbol, new);
        Ok(())
    }

    /// Prices of symbols, of one time: positions are valued at them, and ledgers and limits marked at what comes of it. Returns what
    /// ledgers refused. While a rate is missing or too old, they are not marked.
    pub fn mark<'a>(
        &mut self,
        at: Timestamp,
        prices: impl IntoIterator<Item = (&'a str, Decimal)>,
    ) -> Vec<Error> {
        self.positions.mark_all(at, prices);
        self.mark_ledgers(at)
    }

    /// Money was paid in, or, negative, taken out: to positions, account, limits and margin alike. Fails when it is no amount.
    pub fn transfer_cash(&mut self, at: Timestamp, amount: Money) -> Result<Vec<Error>, Error> {
        let before = self.positions.value();
        self.positions.transfer_cash(at, amount)?;
        let mut refused = Vec::new();
        let Some((before, after)) = before.zip(self.positions.value()) else {
            return Ok(refused);
        };
        let moved = Money::new(after.decimal() - before.decimal(), after.currency());
        if let Some(account) = &mut self.account {
            refused.extend(account.transfer(at, moved).err());
        }
        if let Some(limits) = &mut self.limits {
            refused.extend(limits.cash_flow(moved.amount()).err());
        }
        if let Some(margin) = &mut self.margin {
            let taken = if moved.amount() < 0.0 {
                margin.withdraw(at, moved.negated()).map(drop)
            } else {
                margin.deposit(at, moved)
            };
            refused.extend(taken.err());
        }
        Ok(refused)
    }

    /// The positions.
    #[must_use]
    pub const fn positions(&self) -> &Positions {
        &self.positions
    }

    /// The positions, for flows, rates and reconciliation, which concern nothing else.
    pub const fn positions_mut(&mut self) -> &mut Positions {
        &mut self.positions
    }

    /// The account's ledger.
    #[must_use]
    pub const fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// A strategy's ledger.
    #[must_use]
    pub fn strategy(&self, name: &str) -> Option<&StrategyLedger> {
        self.strategies.get(name)
    }

    /// The limits, to ask them.
    #[must_use]
    pub const fn limits(&self) -> Option<&Limits> {
        self.limits.as_ref()
    }

    /// The cash account, to ask it.
    #[must_use]
    pub const fn cash_account(&self) -> Option<&CashAccount> {
        self.cash.as_ref()
    }

    /// The day trades, to ask them.
    #[must_use]
    pub const fn day_trades(&self) -> Option<&DayTrades> {
        self.day_trades.as_ref()
    }

    /// The intraday margin, to ask it.
    #[must_use]
    pub const fn intraday_margin(&self) -> Option<&IntradayMargin> {
        self.margin.as_ref()
    }

    /// What is to be kept over a restart.
    #[must_use]
    pub fn save(&self) -> SavedAccountBook {
        let strategies = self.strategies.iter();
        SavedAccountBook {
            positions: self.positions.save(),
            account: self.account.as_ref().map(Account::save),
            strategies: strategies
                .map(|(name, ledger)| (name.clone(), ledger.save()))
                .collect(),
            limits: self.limits.as_ref().map(Limits::save),
            cash: self.cash.as_ref().map(CashAccount::save),
            day_trades: self.day_trades.as_ref().map(DayTrades::save),
            margin: self.margin.as_ref().map(IntradayMargin::save),
        }
    }

    fn feed(
        &mut self,
        key: PositionKey,
        side: Side,
        id: Option<ExecutionId>,
        fill: Option<&Fill>,
        booked: Booked,
    ) -> Fed {
        let mut refused = Vec::new();
        if booked.is_correction {
            for trade in &booked.changed {
                self.rebook(key, trade, &mut refused);
            }
            if let Some((id, at)) = id.zip(booked.corrected) {
                self.correct_rules(key, side, (id, at), fill, &mut refused);
            }
        } else if booked.is_new
            && let Some(fill) = fill
        {
            self.book_trade(key, &booked, &mut refused);
            self.feed_rules(key, side, fill, &mut refused);
        }
        if booked.is_new {
            self.use_limits(key);
        }
        Fed { booked, refused }
    }

    fn book_trade(&mut self, key: PositionKey, booked: &Booked, refused: &mut Vec<Error>) {
        // Without a rate its P/L is undefined, which the positions have counted.
        if let Some(trade) = booked.closed.and_then(|closed| trade_of(&closed)) {
            self.close(key, &trade, refused);
        }
    }

    fn close(&mut self, key: PositionKey, trade: &ClosedTrade<'_>, refused: &mut Vec<Error>) {
        // Pushed, and not extended by an option: that moves an error about with every trade that none refuses.
        if let Some(account) = &mut self.account
            && let Err(error) = account.trade_closed(trade)
        {
            refused.push(error);
        }
        if let Some(ledger) = self.strategy_of(key)
            && let Err(error) = ledger.trade_closed(trade)
        {
            refused.push(error);
        }
    }

    /// Puts a trade right in the ledgers. Where one has it no more, what it made beyond is closed as a trade of now.
    fn rebook(&mut self, key: PositionKey, changed: &ChangedTrade, refused: &mut Vec<Error>) {
        let now = match &changed.now {
            Some(part) => match trade_of(part) {
                Some(trade) => Some(trade),
                None => return,
            },
            None => None,
        };
        let at = self.positions.now();
        let difference = changed
            .difference_in_base
            .map(|difference| ClosedTrade::new(at, difference));
        if changed.was.is_none() {
            if let Some(trade) = now.or(difference) {
                self.close(key, &trade, refused);
            }
            return;
        }
        let is_gone = |done: &Result<(), Error>| matches!(done, Err(Error::NotCorrectable { .. }));
        if let Some(account) = &mut self.account {
            let mut done = account.rebook(changed.number, now.as_ref());
            if let (true, Some(difference)) = (is_gone(&done), &difference) {
                done = account.trade_closed(difference);
            }
            refused.extend(done.err());
        }
        if let Some(ledger) = self.strategy_of(key) {
            let mut done = ledger.rebook(changed.number, now.as_ref());
            if let (true, Some(difference)) = (is_gone(&done), &difference) {
                done = ledger.trade_closed(difference);
            }
            refused.extend(done.err());
        }
    }

    fn strategy_of(&mut self, key: PositionKey) -> Option<&mut StrategyLedger> {
        let (strategy, _) = self.positions.name(key).ok()?;
        self.strategies.get_mut(strategy)
    }

    fn feed_rules(&mut self, key: PositionKey, side: Side, fill: &Fill, refused: &mut Vec<Error>) {
        let Ok((_, symbol)) = self.positions.name(key) else {
            return;
        };
        let day = self.positions.day_of(fill);
        let (units, what) = (fill.quantity.to_f64(), (side, symbol));
        let id = fill
            .id
            .and_then(|id| self.positions.identity(key, side, id));
        if let Some(cash) = &mut self.cash
            && let Some(paid) = paid(&self.positions, key, side, fill)
        {
            refused.extend(cash.trade_new(id, what, units, paid, day).err());
        }
        if let Some(day_trades) = &mut self.day_trades {
            refused.extend(day_trades.fill_new(id, what, units, day).err());
        }
        if let Some(margin) = &mut self.margin {
            let at = fill.venue_time.unwrap_or(self.positions.now());
            let held = self.positions.quantity_of(symbol);
            let change = margin_change(&self.positions, margin.rule(), (key, held), side, fill);
            // Without a rate, the next mark says what the level is.
            let taken = change.map(|change| margin.transact_new(id, at, change));
            refused.extend(taken.and_then(Result::err));
        }
    }

    /// Rules count an execution anew that was another, or did not happen. Where a rule refused it at first, its correction is a fill.
    fn correct_rules(
        &mut self,
        key: PositionKey,
        side: Side,
        (id, at): (ExecutionId, Timestamp),
        fill: Option<&Fill>,
        refused: &mut Vec<Error>,
    ) {
        let (Ok((_, symbol)), Some(id)) = (
            self.positions.name(key),
            self.positions.identity(key, side, id),
        ) else {
            return;
        };
        let (day, what) = (self.positions.day_at(at), (side, symbol));
        let gone = || Err(Error::not_correctable("execution of", symbol));
        if let Some(cash) = &mut self.cash {
            let done = match fill {
                None => cash.bust_known(id).unwrap_or_else(gone),
                Some(fill) => {
                    let units = fill.quantity.to_f64();
                    let paid = paid(&self.positions, key, side, fill);
                    paid.map_or(Ok(()), |paid| {
                        let corrected = cash.trade_corrected(id, what, units, paid, day);
                        corrected
                            .unwrap_or_else(|| cash.trade_new(Some(id), what, units, paid, day))
                    })
                }
            };
            refused.extend(done.err());
        }
        if let Some(day_trades) = &mut self.day_trades {
            let done = match fill {
                None if day_trades.bust_known(id) => Ok(()),
                None => gone(),
                Some(fill) => {
                    let units = fill.quantity.to_f64();
                    let corrected = day_trades.fill_corrected(id, what, units, day);
                    corrected.unwrap_or_else(|| day_trades.fill_new(Some(id), what, units, day))
                }
            };
            refused.extend(done.err());
        }
        if let Some(margin) = &mut self.margin {
            let done = match fill {
                None => margin.bust_known(id).unwrap_or_else(gone),
                Some(fill) => {
                    let held = self.positions.quantity_of_at(symbol, at);
                    let change =
                        margin_change(&self.positions, margin.rule(), (key, held), side, fill);
                    change.map_or(Ok(()), |change| margin.transact_corrected(id, at, change))
                }
            };
            refused.extend(done.err());
        }
    }

    /// What all positions must be margined with; nothing while a rate is missing.
    fn maintenance(&self, rule: &IntradayMarginRule) -> Option<Money> {
        let of_symbols = self.positions.symbols().map(|symbol| {
            let value = self.positions.value_of(symbol)?.amount();
            Some(rule.maintenance(value, 1.0))
        });
        let sum: Option<f64> = of_symbols.sum();
        Some(Money::new(sum?, self.positions.currency()))
    }

    /// How much of exposure and, for the symbol that was traded, of the largest position is used. A limit that is not set says so, which is
    /// no fault of the fill's.
    fn use_limits(&mut self, key: PositionKey) {
        let Some(limits) = &mut self.limits else {
            return;
        };
        let share = |amount: Option<Money>| {
            let value = self.positions.value();
            amount.zip(value).map_or(f64::NAN, |(amount, value)| {
                amount.amount().abs() / value.amount()
            })
        };
        let gross = share(self.positions.exposure(ExposureKind::Gross));
        let _ = limits.observe(limit::EXPOSURE, gross);
        if let Ok((_, symbol)) = self.positions.name(key) {
            let used = share(self.positions.value_of(symbol));
            let known = limits.used(limit::MAX_POSITION);
            // The largest of all is found with the next mark; until then, this one may be larger.
            if known.is_none_or(|known| used.is_nan() || used > known) {
                let _ = limits.observe(limit::MAX_POSITION, used);
            }
        }
    }

    fn mark_ledgers(&mut self, at: Timestamp) -> Vec<Error> {
        let mut refused = Vec::new();
        let Some(value) = self.positions.value() else {
            return refused;
        };
        if let Some(account) = &mut self.account {
            refused.extend(account.mark_equity(at, value).err());
        }
        for (name, ledger) in &mut self.strategies {
            if let Some(open) = self.positions.outstanding_of(name) {
                refused.extend(ledger.mark_open_pnl(at, open).err());
            }
        }
        let rule = self.margin.as_ref().map(IntradayMargin::rule);
        let maintenance = rule.and_then(|rule| self.maintenance(&rule));
        if let (Some(margin), Some(maintenance)) = (&mut self.margin, maintenance) {
            let told = margin.observe(at, value, maintenance);
            refused.extend(told.err());
        }
        let (Some(limits), Some(day)) = (&mut self.limits, self.positions.today()) else {
            return refused;
        };
        let share = |amount: Option<Money>| {
            amount.map_or(f64::NAN, |amount| amount.amount().abs() / value.amount())
        };
        let positions = &self.positions;
        let largest = positions
            .symbols()
            .map(|symbol| share(positions.value_of(symbol)));
        let largest = largest.fold(0.0, |largest: f64, share| {
            if share.is_nan() || largest.is_nan() {
                f64::NAN
            } else {
                largest.max(share)
            }
        });
        // The verdicts are counted, and asked for again before a trade.
        let _ = limits.mark(day, value.amount());
        let _ = limits.observe(limit::MAX_POSITION, largest);
        let gross = share(positions.exposure(ExposureKind::Gross));
        let _ = limits.observe(limit::EXPOSURE, gross);
        refused
    }
}

/// A trade as ledgers take it, under its number; nothing without a rate.
fn trade_of(closed: &ClosedPart) -> Option<ClosedTrade<'static>> {
    let trade = ClosedTrade::new(closed.at, closed.pnl_in_base?).numbered(closed.number);
    let notional = closed.cost_in_base?;
    Some(if notional.amount() < 0.0 {
        trade.with_notional(notional.negated())
    } else {
        trade.with_notional(notional)
    })
}

/// What a purchase costs and a sale brings, with its fee; a fee in another currency is none of the cash of this one.
fn paid(positions: &Positions, key: PositionKey, side: Side, fill: &Fill) -> Option<Money> {
    let amount = positions.amount(key, fill)?;
    let fee = fill.fee.map(Fee::cost);
    let Some(fee) = fee.filter(|fee| fee.currency() == amount.currency()) else {
        return Some(amount);
    };
    match side {
        Side::Buy => amount.plus(fee),
        Side::Sell => amount.plus(fee.negated()),
    }
}

/// By how much a fill changes the margin level, after which so much is held of its symbol; nothing without a rate.
fn margin_change(
    positions: &Positions,
    rule: IntradayMarginRule,
    (key, held): (PositionKey, Decimal),
    side: Side,
    fill: &Fill,
) -> Option<Money> {
    let worth = positions.in_base(positions.amount(key, fill)?)?.amount();
    let fee = fill.fee.map_or(Some(0.0), |fee| {
        positions.in_base(fee.cost()).map(Money::amount)
    })?;
    let units = fill.quantity.to_f64();
    let before = held.to_f64() - side.sign() * units;
    let change = rule.change(before, side, units, worth / units, fee);
    Some(Money::new(change, positions.currency()))
}
