//! Cash accounts: what has settled, and what may be sold without breaking a rule.

use jiff::civil::Date;
use obs_calendar::Calendar;
use serde::{Deserialize, Serialize};

use super::error::positive;
use super::today::Today;
use crate::{Clock, ComplianceAction, ComplianceRule, Currency, Decimal, Money, Risk, RiskError};

/// The numbers of the rules. The default is that of US equities today, as [`CashAccount`] cites it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CashRule {
    /// Settlement dates from a trade to its settlement: 1; it was 2 until 27 May 2024. 0 settles at once, on whatever day the market
    /// trades.
    pub settlement_days: u32,
    /// Calendar days a free ride freezes the account for: 90.
    pub freeze_days: u32,
}

impl Default for CashRule {
    fn default() -> Self {
        Self {
            settlement_days: 1,
            freeze_days: 90,
        }
    }
}

/// The days on which a market trades, and those on which its trades settle. They differ: exchanges trade on Columbus and Veterans
/// Day, when banks are closed and nothing settles.
#[derive(Clone, Debug)]
pub struct SettlementDays {
    /// The days on which it trades.
    pub trading: Calendar,
    /// The days on which trades settle.
    pub settlement: Calendar,
}

impl SettlementDays {
    /// Of US equities.
    #[must_use]
    pub fn us_equities() -> Self {
        Self {
            trading: Calendar::nyse(),
            settlement: Calendar::us_settlement(),
        }
    }

    /// Of a market that settles on the days it trades, such as one that never closes and settles at once.
    #[must_use]
    pub fn same(calendar: Calendar) -> Self {
        Self {
            settlement: calendar.clone(),
            trading: calendar,
        }
    }
}

/// A cash account: what has settled, what has not, and with what each position was paid.
///
/// Money is exact, and of the account's one currency.
///
/// ```
/// use jiff::civil::date;
/// use obs_trading::{CashAccount, CashRule, Currency, Money, Risk, SettlementDays};
///
/// let usd = |amount: i64| Money::new(amount, Currency::USD);
/// let days = SettlementDays::us_equities();
/// let mut account = CashAccount::new(&Risk::new(), Currency::USD, CashRule::default(), days);
/// let (friday, monday) = (date(2026, 3, 6), date(2026, 3, 9));
/// account.hold("XYZ", 100.0)?;
/// account.sell("XYZ", 100.0, usd(10_000), friday)?;                   // settled on Monday
/// assert_eq!((account.settled(friday), account.unsettled(friday)), (usd(0), usd(10_000)));
///
/// let funding = account.check_buy(usd(10_000), friday)?;               // allowed, with unsettled funds
/// assert_eq!(funding.hold_until, Some(monday));
/// account.buy("ABC", 50.0, usd(10_000), friday)?;                      // counted as warned
/// assert!(account.check_sell("ABC", 50.0, friday).is_err());           // good faith: counted as blocked
/// assert!(account.check_sell("ABC", 50.0, monday).is_ok());
/// # Ok::<(), obs_trading::RiskError>(())
/// ```
///
/// # The rules
///
/// A trade settles one business day after it was made since 28 May 2024 (SEC Rule 15c6-1, 17 CFR 240.15c6-1); days on which banks are
/// closed are none of these, though exchanges trade ([`SettlementDays`]). Regulation T
/// (12 CFR 220.8) lets a cash account buy with funds it has, or on the agreement to pay in full before selling and without
/// meaning to sell first. What was sold before it was paid for takes the privilege of paying later away for 90 calendar days.
/// In the words brokers use:
///
/// - **Good faith** ([`ComplianceRule::GoodFaith`]): what was bought with the proceeds of a sale is sold before those
///   proceeds have settled. On the day they settle, it may be sold.
/// - **Free riding** ([`ComplianceRule::FreeRiding`]): what was bought without the money to pay for it is sold before it is
///   paid for. The account is frozen: it may buy with settled cash only.
/// - **Unsettled funds** ([`ComplianceRule::UnsettledFunds`]): a purchase is paid from a sale that settles after the payment
///   was due (a "cash liquidation"), or with unsettled funds while the account is frozen.
///
/// How many good-faith violations restrict an account is each broker's own policy and not kept here; tell what he does with
/// [`freeze`](Self::freeze). Regulation T spares an account the freeze whose payment arrives in time after all; here the
/// sale decides, which is the stricter reading, and `freeze` takes it back.
///
/// # How money moves
///
/// A purchase is paid at once: from settled cash, then from the unsettled proceeds that settle first, and the rest is owed
/// until it is due, on the purchase's settlement day. Money that comes in, by deposit or sale, pays what is owed first, the
/// oldest purchase before the others. Sold first is what was bought first. So at any time
///
/// > settled + unsettled − owed = deposits − withdrawals + sales − purchases
///
/// # Verdicts and counts
///
/// `risk_compliance_events_total` counts `blocked` for each check that refuses, `warned` for each purchase that settled
/// cash does not cover, and `violated` for each rule that a purchase or sale broke. [`buy`](Self::buy) and
/// [`sell`](Self::sell) say what happened and so never refuse because of a rule.
///
/// Events come in the order of their days, trades on trading days, and none of a day that has not begun. What cannot be booked is
/// refused and changes nothing.
#[derive(Debug)]
pub struct CashAccount {
    risk: Risk,
    currency: Currency,
    rule: CashRule,
    days: SettlementDays,
    today: Today,
    state: SavedCashAccount,
}

/// The state of [`CashAccount`] as it can be kept across a restart. Rule and calendar are not part of it: they are stated
/// anew. Files of before are read, in which amounts are whole cents of a currency that is not named.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedCashAccount {
    #[serde(default)]
    currency: Option<Currency>,
    last: Option<Date>,
    #[serde(with = "units")]
    settled: Decimal,
    /// Proceeds on their way that no purchase has used, by the day they settle.
    pending: Vec<Pending>,
    /// What is held, the oldest purchase first. A lot that was sold before it was paid for stays until it is.
    lots: Vec<Lot>,
    frozen_until: Option<Date>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pending {
    settles: Date,
    #[serde(with = "units", alias = "cents")]
    amount: Decimal,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Lot {
    symbol: Box<str>,
    quantity: f64,
    /// When the last of the funds it was paid with settles.
    free_from: Option<Date>,
    #[serde(with = "units")]
    owed: Decimal,
    due: Option<Date>,
}

/// How a purchase is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Funding {
    /// From settled cash.
    pub settled: Money,
    /// From proceeds that have not settled.
    pub unsettled: Money,
    /// Not yet.
    pub owed: Money,
    /// Before this day a sale of what is bought would break the good-faith rule; `None` where no unsettled funds are used.
    pub hold_until: Option<Date>,
}

impl CashAccount {
    /// An account in a currency, without cash or positions.
    #[must_use]
    pub fn new(risk: &Risk, currency: Currency, rule: CashRule, days: SettlementDays) -> Self {
        Self {
            risk: risk.clone(),
            currency,
            rule,
            days,
            today: Today::default(),
            state: SavedCashAccount {
                currency: Some(currency),
                ..SavedCashAccount::default()
            },
        }
    }

    /// The same, held to another clock than the machine's: an event of a day that has not begun is refused. A replay of days that are
    /// yet to come hands in its own.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Into<Clock>) -> Self {
        self.today = Today::by(clock);
        self
    }

    /// Takes a kept state up again. Fails where that is of an account in another currency.
    pub fn restore(mut self, saved: SavedCashAccount) -> Result<Self, RiskError> {
        let currency = saved.currency.unwrap_or(self.currency);
        let settled = Money::new(saved.settled, currency);
        self.check_currency("the kept cash", settled)?;
        self.state = SavedCashAccount {
            currency: Some(currency),
            ..saved
        };
        Ok(self)
    }

    /// The state as it can be kept across a restart.
    #[must_use]
    pub fn save(&self) -> SavedCashAccount {
        self.state.clone()
    }

    /// Says what the account held before it was followed here, paid for in full.
    pub fn hold(&mut self, symbol: &str, quantity: f64) -> Result<(), RiskError> {
        let quantity = positive("the quantity", quantity)?;
        let lot = Lot {
            symbol: symbol.into(),
            quantity,
            free_from: None,
            owed: Decimal::ZERO,
            due: None,
        };
        self.state.lots.insert(0, lot);
        Ok(())
    }

    /// Cash that can be used at once was paid in.
    pub fn deposit(&mut self, money: Money, date: Date) -> Result<(), RiskError> {
        let amount = self.check_income("the deposit", money)?;
        self.advance(date)?;
        let (rest, _) = self.state.pay(amount, None);
        self.state.settled += rest;
        Ok(())
    }

    /// Settled cash was taken out.
    pub fn withdraw(&mut self, money: Money, date: Date) -> Result<(), RiskError> {
        let amount = self.amount("the withdrawal", money)?;
        self.check_order(date)?;
        let settled = self.settled(date);
        if amount > settled.decimal() {
            return Err(RiskError::NotSettled {
                asked: money,
                settled,
            });
        }
        self.advance(date)?;
        self.state.settled -= amount;
        Ok(())
    }

    /// Something was bought for this cost, fees included. Returns how it was paid.
    pub fn buy(
        &mut self,
        symbol: &str,
        quantity: f64,
        cost: Money,
        date: Date,
    ) -> Result<Funding, RiskError> {
        let quantity = positive("the quantity", quantity)?;
        let cost = self.check_cost(cost)?;
        self.check_trade_day(date)?;
        self.advance(date)?;
        let funding = self.state.take(cost, date);
        let lot = Lot {
            symbol: symbol.into(),
            quantity,
            free_from: funding.hold_until,
            owed: funding.owed,
            due: funding.owed.is_positive().then(|| self.settlement_of(date)),
        };
        self.state.add(lot, date);
        if funding.settled < cost {
            let action = if self.is_frozen(date) {
                ComplianceAction::Violated
            } else {
                ComplianceAction::Warned
            };
            self.risk.compliance(ComplianceRule::UnsettledFunds, action);
        }
        Ok(funding.in_currency(self.currency))
    }

    /// Something was sold for these proceeds, fees taken off. Returns the rules that this broke, each once.
    pub fn sell(
        &mut self,
        symbol: &str,
        quantity: f64,
        proceeds: Money,
        date: Date,
    ) -> Result<Vec<ComplianceRule>, RiskError> {
        let quantity = positive("the quantity", quantity)?;
        let proceeds = self.check_income("the proceeds", proceeds)?;
        self.check_trade_day(date)?;
        let held = self.state.held(symbol);
        if quantity > held * (1.0 + ROUNDING) {
            return Err(RiskError::NotHeld {
                symbol: symbol.into(),
                asked: quantity,
                held,
            });
        }
        self.advance(date)?;
        let mut broken: Vec<_> = self.state.broken_by(symbol, quantity, date).collect();
        self.state.remove(symbol, quantity);
        let settles = self.settlement_of(date);
        let rest = self.state.pay_own(symbol, proceeds, settles);
        let (rest, is_late) = self.state.pay(rest, Some(settles));
        if is_late {
            broken.push(ComplianceRule::UnsettledFunds);
        }
        self.state.receive(rest, settles);
        self.state.settle(date);
        if broken.contains(&ComplianceRule::FreeRiding) {
            let until = add_days(date, self.rule.freeze_days);
            self.freeze(self.state.frozen_until.max(Some(until)));
        }
        for rule in &broken {
            self.risk.compliance(*rule, ComplianceAction::Violated);
        }
        Ok(broken)
    }

    /// How a purchase of this cost would be paid. Refuses what the account's cash, settled and not, does not cover; while it
    /// is frozen, what settled cash does not. A refusal is counted as `blocked`.
    pub fn check_buy(&self, cost: Money, date: Date) -> Result<Funding, RiskError> {
        let cost = self.amount("the cost", cost)?;
        let funding = self.state.fund(cost, date);
        let is_frozen = self.is_frozen(date);
        if funding.owed.is_zero() && !(is_frozen && funding.unsettled.is_positive()) {
            return Ok(funding.in_currency(self.currency));
        }
        // Waiting helps where the money is on its way.
        let until = funding
            .owed
            .is_zero()
            .then_some(funding.hold_until)
            .flatten();
        Err(self.block(ComplianceRule::UnsettledFunds, until))
    }

    /// Refuses a sale that would break the good-faith rule or be a free ride. A refusal is counted as `blocked`. Whether
    /// that much is held is not checked.
    pub fn check_sell(&self, symbol: &str, quantity: f64, date: Date) -> Result<(), RiskError> {
        let quantity = positive("the quantity", quantity)?;
        let mut broken = self.state.broken_by(symbol, quantity, date);
        match broken.next() {
            None => Ok(()),
            Some(ComplianceRule::GoodFaith) => {
                let until = self.state.free_from(symbol, quantity);
                Err(self.block(ComplianceRule::GoodFaith, until))
            }
            Some(rule) => Err(self.block(rule, None)),
        }
    }

    /// Says that the broker restricts the account to settled cash through this day, or with `None` that he does no longer.
    pub fn freeze(&mut self, until: Option<Date>) {
        self.state.frozen_until = until;
    }

    /// Whether the account may buy with settled cash only.
    #[must_use]
    pub fn is_frozen(&self, date: Date) -> bool {
        self.state.frozen_until.is_some_and(|until| date <= until)
    }

    /// The cash that has settled by this day and is not used.
    #[must_use]
    pub fn settled(&self, date: Date) -> Money {
        Money::new(self.state.available(date), self.currency)
    }

    /// The proceeds that have not settled by this day and are not used.
    #[must_use]
    pub fn unsettled(&self, date: Date) -> Money {
        let unsettled = self.state.pending_by(|settles| settles > date);
        Money::new(unsettled, self.currency)
    }

    /// What purchases still cost that nothing has paid for.
    #[must_use]
    pub fn owed(&self) -> Money {
        Money::new(self.state.owed(), self.currency)
    }

    /// How much of a symbol is held.
    #[must_use]
    pub fn held(&self, symbol: &str) -> f64 {
        self.state.held(symbol)
    }

    fn block(&self, rule: ComplianceRule, until: Option<Date>) -> RiskError {
        self.risk.compliance(rule, ComplianceAction::Blocked);
        RiskError::Compliance { rule, until }
    }

    fn settlement_of(&self, date: Date) -> Date {
        self.days.settlement.after(date, self.rule.settlement_days)
    }

    fn check_order(&self, date: Date) -> Result<(), RiskError> {
        match self.state.last {
            Some(last) if date < last => Err(RiskError::OutOfOrder { date, last }),
            _ => self.today.check(date, &self.days.trading),
        }
    }

    fn check_trade_day(&self, date: Date) -> Result<(), RiskError> {
        if self.days.trading.is_trading_day(date) {
            self.check_order(date)
        } else {
            Err(RiskError::NotABusinessDay { date })
        }
    }

    /// Whether the cash can take it: what is settled and pending adds up without overflow, always.
    fn check_income(&self, what: &'static str, money: Money) -> Result<Decimal, RiskError> {
        let cash = self.state.settled + self.state.pending_by(|_| true);
        self.check_sum(what, money, cash)
    }

    /// The same for what is owed.
    fn check_cost(&self, money: Money) -> Result<Decimal, RiskError> {
        self.check_sum("the cost", money, self.state.owed())
    }

    fn check_sum(
        &self,
        what: &'static str,
        money: Money,
        to: Decimal,
    ) -> Result<Decimal, RiskError> {
        let amount = self.amount(what, money)?;
        match to.checked_add(amount) {
            Some(_) => Ok(amount),
            None => Err(RiskError::Amount {
                what,
                amount: money,
            }),
        }
    }

    fn amount(&self, what: &'static str, money: Money) -> Result<Decimal, RiskError> {
        self.check_currency(what, money)?;
        let amount = money.decimal();
        if amount.is_number() && !amount.is_negative() {
            Ok(amount)
        } else {
            Err(RiskError::Amount {
                what,
                amount: money,
            })
        }
    }

    fn check_currency(&self, what: &'static str, money: Money) -> Result<(), RiskError> {
        if money.currency() == self.currency {
            Ok(())
        } else {
            Err(RiskError::OtherCurrency {
                what,
                money,
                account: self.currency,
            })
        }
    }

    fn advance(&mut self, date: Date) -> Result<(), RiskError> {
        self.check_order(date)?;
        if self.state.last != Some(date) {
            self.state.last = Some(date);
            self.state.settle(date);
            self.state.merge(date);
        }
        Ok(())
    }
}

impl SavedCashAccount {
    fn settle(&mut self, date: Date) {
        self.settled += self.pending_by(|settles| settles <= date);
        self.pending.retain(|pending| pending.settles > date);
    }

    /// The cash that is settled on this day.
    fn available(&self, date: Date) -> Decimal {
        self.settled + self.pending_by(|settles| settles <= date)
    }

    fn owed(&self) -> Decimal {
        self.lots.iter().map(|lot| lot.owed).sum()
    }

    fn pending_by(&self, counts: impl Fn(Date) -> bool) -> Decimal {
        let counted = self
            .pending
            .iter()
            .filter(|pending| counts(pending.settles));
        counted.map(|pending| pending.amount).sum()
    }

    /// Events come in the order of their days, so pending proceeds stay in the order they settle.
    fn receive(&mut self, amount: Decimal, settles: Date) {
        match self.pending.last_mut() {
            Some(last) if last.settles == settles => last.amount += amount,
            _ if amount.is_positive() => self.pending.push(Pending { settles, amount }),
            _ => {}
        }
    }

    /// How a cost would be paid on this day.
    fn fund(&self, cost: Decimal, date: Date) -> Paid {
        let settled = self.available(date).min(cost);
        let mut funding = Paid {
            settled,
            unsettled: Decimal::ZERO,
            owed: cost - settled,
            hold_until: None,
        };
        for pending in self.pending.iter().filter(|pending| pending.settles > date) {
            let used = pending.amount.min(funding.owed);
            if used.is_positive() {
                funding.unsettled += used;
                funding.owed -= used;
                funding.hold_until = Some(pending.settles);
            }
        }
        funding
    }

    /// Pays a cost; the day's proceeds are settled already.
    fn take(&mut self, cost: Decimal, date: Date) -> Paid {
        let funding = self.fund(cost, date);
        self.settled -= funding.settled;
        let mut rest = funding.unsettled;
        for pending in &mut self.pending {
            let used = pending.amount.min(rest);
            pending.amount -= used;
            rest -= used;
        }
        self.pending.retain(|pending| pending.amount.is_positive());
        funding
    }

    /// Joins lots that became free to sell, so that their number is bounded by the symbols held and the trades of the last days.
    fn merge(&mut self, date: Date) {
        for lot in std::mem::take(&mut self.lots) {
            self.add(lot, date);
        }
    }

    /// Adds a lot, or adds it to the symbol's newest one where both are free to sell: nothing tells them apart any more.
    fn add(&mut self, lot: Lot, date: Date) {
        let newest = self.lots.iter_mut().rfind(|held| held.symbol == lot.symbol);
        match newest {
            Some(newest) if newest.is_free(date) && lot.is_free(date) => {
                newest.quantity += lot.quantity;
            }
            _ => self.lots.push(lot),
        }
    }

    fn held(&self, symbol: &str) -> f64 {
        self.of(symbol).map(|lot| lot.quantity).sum()
    }

    fn of(&self, symbol: &str) -> impl Iterator<Item = &Lot> {
        self.lots.iter().filter(move |lot| *lot.symbol == *symbol)
    }

    /// The lots that a sale of this quantity takes from, the oldest first.
    fn sold(&self, symbol: &str, quantity: f64) -> impl Iterator<Item = &Lot> {
        let mut rest = quantity;
        self.of(symbol)
            .filter(|lot| lot.quantity > 0.0)
            .take_while(move |lot| {
                let takes = rest > ROUNDING * quantity;
                rest -= lot.quantity;
                takes
            })
    }

    /// The rules that a sale would break: free riding, which is the graver, before good faith.
    fn broken_by(
        &self,
        symbol: &str,
        quantity: f64,
        date: Date,
    ) -> impl Iterator<Item = ComplianceRule> {
        let free_riding = self.sold(symbol, quantity).any(Lot::is_owed_for);
        let good_faith = self
            .sold(symbol, quantity)
            .any(|lot| !lot.is_owed_for() && !lot.is_free(date));
        let rules = [
            free_riding.then_some(ComplianceRule::FreeRiding),
            good_faith.then_some(ComplianceRule::GoodFaith),
        ];
        rules.into_iter().flatten()
    }

    /// The first day on which a sale of this quantity breaks no good-faith rule.
    fn free_from(&self, symbol: &str, quantity: f64) -> Option<Date> {
        let days = self.sold(symbol, quantity).map(|lot| lot.free_from);
        days.max().flatten()
    }

    /// Takes a quantity from the oldest lots. A lot that is owed for stays, empty, until it is paid.
    fn remove(&mut self, symbol: &str, quantity: f64) {
        let mut rest = quantity;
        for lot in self.lots.iter_mut().filter(|lot| *lot.symbol == *symbol) {
            let taken = lot.quantity.min(rest);
            rest -= taken;
            lot.quantity -= taken;
            if lot.quantity <= ROUNDING * quantity {
                lot.quantity = 0.0;
            }
            if taken > 0.0 && lot.is_owed_for() {
                // Sold unpaid: its own proceeds pay for it, and nothing is late about that any more.
                lot.due = None;
            }
        }
        self.drop_spent();
    }

    /// Pays for what was sold unpaid from its own proceeds. Returns what is left of them.
    fn pay_own(&mut self, symbol: &str, amount: Decimal, settles: Date) -> Decimal {
        let mut rest = amount;
        let own = self.lots.iter_mut().filter(|lot| *lot.symbol == *symbol);
        for lot in own.filter(|lot| lot.is_owed_for() && lot.due.is_none()) {
            rest = lot.pay(rest);
            lot.free_from = lot.free_from.max(Some(settles));
        }
        self.drop_spent();
        rest
    }

    /// Pays what is owed, the oldest purchase first, with money that is there or settles on a day. Returns what is left, and
    /// whether a payment was due before its money settles.
    fn pay(&mut self, amount: Decimal, settles: Option<Date>) -> (Decimal, bool) {
        let (mut rest, mut is_late) = (amount, false);
        for lot in self.lots.iter_mut().filter(|lot| lot.is_owed_for()) {
            if rest.is_zero() {
                break;
            }
            rest = lot.pay(rest);
            if settles.is_some() {
                is_late |= lot.due.is_some() && settles > lot.due;
                lot.free_from = lot.free_from.max(settles);
            }
        }
        self.drop_spent();
        (rest, is_late)
    }

    fn drop_spent(&mut self) {
        self.lots
            .retain(|lot| lot.quantity > 0.0 || lot.is_owed_for());
    }
}

/// How much of a quantity may be left where fractions of shares do not add up.
const ROUNDING: f64 = 1e-9;

impl Lot {
    fn is_free(&self, date: Date) -> bool {
        !self.is_owed_for() && self.free_from.is_none_or(|from| from <= date)
    }

    fn is_owed_for(&self) -> bool {
        self.owed.is_positive()
    }

    /// Pays what is owed from this money and returns the rest of it.
    fn pay(&mut self, amount: Decimal) -> Decimal {
        let paid = self.owed.min(amount);
        self.owed -= paid;
        amount - paid
    }
}

/// How a cost is paid, in the account's currency.
#[derive(Clone, Copy, Debug)]
struct Paid {
    settled: Decimal,
    unsettled: Decimal,
    owed: Decimal,
    hold_until: Option<Date>,
}

impl Paid {
    fn in_currency(self, currency: Currency) -> Funding {
        let money = |amount: Decimal| Money::new(amount, currency);
        Funding {
            settled: money(self.settled),
            unsettled: money(self.unsettled),
            owed: money(self.owed),
            hold_until: self.hold_until,
        }
    }
}

/// An amount in units of the currency, as decimal digits. Whole numbers are cents, as they were written before.
mod units {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::Decimal;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Kept {
        Cents(i64),
        Units(Decimal),
    }

    pub(super) fn serialize<S: Serializer>(
        amount: &Decimal,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        amount.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Decimal, D::Error> {
        Kept::deserialize(deserializer).map(|kept| match kept {
            Kept::Cents(cents) => Decimal::of_minor(cents, 2),
            Kept::Units(amount) => amount,
        })
    }
}

/// At the end of the calendar, the year 9999, adding stops.
fn add_days(date: Date, days: u32) -> Date {
    date.checked_add(jiff::Span::new().days(days))
        .unwrap_or(Date::MAX)
}

#[cfg(test)]
mod tests {
    use ComplianceRule::{FreeRiding, GoodFaith, UnsettledFunds};
    use jiff::civil::date;
    use jiff::tz::TimeZone;
    use obs_core::TestRecorder;

    use super::*;
    use crate::ReplayClock;

    fn cents(cents: i64) -> Money {
        Money::of_minor(cents, 2, Currency::USD)
    }

    struct Desk {
        test: TestRecorder,
        account: CashAccount,
    }

    fn desk_with(rule: CashRule, holidays: &[Date]) -> Desk {
        let test = TestRecorder::new();
        let calendar = Calendar::weekdays(TimeZone::UTC).with_holidays(holidays.iter().copied());
        let calendar = SettlementDays::same(calendar);
        let account = test.run(|| CashAccount::new(&Risk::new(), Currency::USD, rule, calendar));
        Desk { test, account }
    }

    fn desk() -> Desk {
        desk_with(CashRule::default(), &[])
    }

    impl Desk {
        fn events(&self, rule: &str, action: &str) -> u64 {
            let labels = [("rule", rule), ("action", action)];
            self.test
                .counter("risk_compliance_events_total", &labels)
                .unwrap()
        }
    }

    const MONDAY: Date = date(2026, 3, 2);
    const TUESDAY: Date = date(2026, 3, 3);
    const WEDNESDAY: Date = date(2026, 3, 4);
    const FRIDAY: Date = date(2026, 3, 6);

    #[test]
    fn a_sale_settles_on_the_next_business_day() {
        let mut desk = desk_with(CashRule::default(), &[date(2026, 3, 9)]);
        desk.account.hold("XYZ", 10.0).unwrap();
        desk.account.sell("XYZ", 10.0, cents(500), FRIDAY).unwrap();
        // A weekend and a holiday lie in between.
        let at = |day| (desk.account.settled(day), desk.account.unsettled(day));
        assert_eq!(at(FRIDAY), (cents(0), cents(500)));
        assert_eq!(at(date(2026, 3, 9)), (cents(0), cents(500)));
        assert_eq!(at(date(2026, 3, 10)), (cents(500), cents(0)));
    }

    fn us_equities() -> Desk {
        let test = TestRecorder::new();
        let days = SettlementDays::us_equities();
        let account =
            test.run(|| CashAccount::new(&Risk::new(), Currency::USD, CashRule::default(), days));
        Desk { test, account }
    }

    /// The exchange trades on Columbus Day, and Friday's proceeds settle on Tuesday.
    #[test]
    fn a_bank_holiday_is_a_trading_day_and_no_settlement_date() {
        let mut desk = us_equities();
        let (friday, columbus, tuesday) =
            (date(2026, 10, 9), date(2026, 10, 12), date(2026, 10, 13));
        desk.account.hold("XYZ", 10.0).unwrap();
        desk.account.sell("XYZ", 10.0, cents(500), friday).unwrap();
        let funding = desk.account.buy("ABC", 10.0, cents(500), friday).unwrap();
        assert_eq!(funding.hold_until, Some(tuesday));
        assert!(desk.account.check_sell("ABC", 10.0, columbus).is_err());
        let broken = desk.account.sell("ABC", 10.0, cents(510), columbus);
        assert_eq!(broken, Ok(vec![GoodFaith]));
        assert_eq!(desk.events("good_faith", "violated"), 1);
        // The same over Veterans Day, a Wednesday: Tuesday's sale settles on Thursday, Wednesday's too.
        let mut account = us_equities().account;
        account.hold("XYZ", 20.0).unwrap();
        account
            .sell("XYZ", 10.0, cents(500), date(2026, 11, 10))
            .unwrap();
        account
            .sell("XYZ", 10.0, cents(500), date(2026, 11, 11))
            .unwrap();
        assert_eq!(account.unsettled(date(2026, 11, 11)), cents(1_000));
        assert_eq!(account.settled(date(2026, 11, 12)), cents(1_000));
    }

    #[test]
    fn a_market_that_never_closes_settles_at_once_on_a_saturday() {
        let rule = CashRule {
            settlement_days: 0,
            ..CashRule::default()
        };
        let days = SettlementDays::same(Calendar::always_open());
        let test = TestRecorder::new();
        let mut account = test.run(|| CashAccount::new(&Risk::new(), Currency::USD, rule, days));
        let saturday = date(2026, 3, 7);
        account.deposit(cents(1_000), saturday).unwrap();
        account
            .buy("BTC-USD", 0.01, cents(1_000), saturday)
            .unwrap();
        assert_eq!(
            account.sell("BTC-USD", 0.01, cents(1_100), saturday),
            Ok(vec![])
        );
        assert_eq!(account.settled(saturday), cents(1_100));
    }

    #[test]
    fn a_day_that_has_not_begun_is_refused() {
        let clock = ReplayClock::new();
        // Monday, 2 March 2026, 23:54:59 in New York, and a minute later: Tuesday is within five minutes.
        clock.advance_to(std::time::Duration::from_secs(1_772_513_699));
        let mut account = us_equities().account.with_clock(&clock);
        let before = account.save();
        let refused = account.deposit(cents(100), TUESDAY);
        let today = MONDAY;
        let date = TUESDAY;
        assert_eq!(refused, Err(RiskError::FromFuture { date, today }));
        assert!(
            account
                .buy("ABC", 1.0, cents(1), jiff::civil::date(2064, 1, 2))
                .is_err()
        );
        assert_eq!(account.save(), before);
        account.deposit(cents(100), MONDAY).unwrap();
        clock.advance_to(std::time::Duration::from_secs(1_772_513_759));
        account.deposit(cents(100), TUESDAY).unwrap();
    }

    #[test]
    fn the_cycle_of_two_days_can_be_stated() {
        let rule = CashRule {
            settlement_days: 2,
            ..CashRule::default()
        };
        let mut account = desk_with(rule, &[]).account;
        account.hold("XYZ", 1.0).unwrap();
        account
            .sell("XYZ", 1.0, cents(500), date(2024, 5, 24))
            .unwrap();
        assert_eq!(account.settled(date(2024, 5, 27)), cents(0));
        assert_eq!(account.settled(date(2024, 5, 28)), cents(500));
    }

    #[test]
    fn settled_cash_buys_and_sells_freely() {
        let mut desk = desk();
        desk.account.deposit(cents(1_000), MONDAY).unwrap();
        let funding = desk.account.check_buy(cents(1_000), MONDAY).unwrap();
        assert_eq!(
            desk.account.buy("ABC", 10.0, cents(1_000), MONDAY),
            Ok(funding)
        );
        assert_eq!((funding.settled, funding.hold_until), (cents(1_000), None));
        assert_eq!(desk.account.check_sell("ABC", 10.0, MONDAY), Ok(()));
        assert_eq!(
            desk.account.sell("ABC", 10.0, cents(1_100), MONDAY),
            Ok(vec![])
        );
        assert_eq!(
            desk.test.counter_sum("risk_compliance_events_total", &[]),
            0
        );
    }

    #[test]
    fn what_unsettled_funds_bought_is_held_until_they_settle() {
        let mut desk = desk();
        desk.account.hold("XYZ", 100.0).unwrap();
        desk.account
            .sell("XYZ", 100.0, cents(1_000_000), MONDAY)
            .unwrap();
        desk.account
            .buy("ABC", 10.0, cents(1_000_000), MONDAY)
            .unwrap();
        assert_eq!(desk.events("unsettled_funds", "warned"), 1);
        let refused = desk.account.check_sell("ABC", 10.0, MONDAY).unwrap_err();
        let until = Some(TUESDAY);
        assert_eq!(
            refused,
            RiskError::Compliance {
                rule: GoodFaith,
                until
            }
        );
        assert_eq!(desk.events("good_faith", "blocked"), 1);
        assert_eq!(desk.account.check_sell("ABC", 10.0, TUESDAY), Ok(()));
        // Sold all the same.
        let broken = desk.account.sell("ABC", 10.0, cents(1_050_000), MONDAY);
        assert_eq!(broken, Ok(vec![GoodFaith]));
        assert_eq!(desk.events("good_faith", "violated"), 1);
        assert!(!desk.account.is_frozen(MONDAY));
    }

    #[test]
    fn the_oldest_shares_are_sold_first() {
        let mut account = desk().account;
        account.hold("ABC", 10.0).unwrap();
        account.hold("XYZ", 1.0).unwrap();
        account.sell("XYZ", 1.0, cents(1_000), MONDAY).unwrap();
        account.buy("ABC", 5.0, cents(1_000), MONDAY).unwrap();
        assert_eq!(account.check_sell("ABC", 10.0, MONDAY), Ok(()));
        assert!(account.check_sell("ABC", 10.5, MONDAY).is_err());
    }

    #[test]
    fn selling_what_nobody_paid_for_is_free_riding_and_freezes() {
        let mut desk = desk();
        desk.account.deposit(cents(400), MONDAY).unwrap();
        assert!(desk.account.check_buy(cents(1_000), MONDAY).is_err());
        assert_eq!(desk.events("unsettled_funds", "blocked"), 1);
        let funding = desk.account.buy("ABC", 10.0, cents(1_000), MONDAY).unwrap();
        assert_eq!((funding.settled, funding.owed), (cents(400), cents(600)));
        assert!(desk.account.check_sell("ABC", 10.0, TUESDAY).is_err());
        assert_eq!(desk.events("free_riding", "blocked"), 1);
        let broken = desk.account.sell("ABC", 10.0, cents(1_100), TUESDAY);
        assert_eq!(broken, Ok(vec![FreeRiding]));
        assert_eq!(desk.events("free_riding", "violated"), 1);
        assert_eq!(
            (desk.account.owed(), desk.account.unsettled(TUESDAY)),
            (cents(0), cents(500))
        );
        // 90 calendar days after the sale.
        assert!(desk.account.is_frozen(date(2026, 6, 1)));
        assert!(!desk.account.is_frozen(date(2026, 6, 2)));
        // Unsettled funds do not buy while frozen; settled ones do.
        let refused = desk.account.check_buy(cents(500), TUESDAY).unwrap_err();
        let until = Some(WEDNESDAY);
        assert_eq!(
            refused,
            RiskError::Compliance {
                rule: UnsettledFunds,
                until
            }
        );
        assert!(desk.account.check_buy(cents(500), WEDNESDAY).is_ok());
        desk.account.buy("ABC", 1.0, cents(500), TUESDAY).unwrap();
        assert_eq!(desk.events("unsettled_funds", "violated"), 1);
        desk.account.freeze(None);
        assert!(!desk.account.is_frozen(WEDNESDAY));
    }

    #[test]
    fn a_deposit_in_time_pays_for_the_purchase() {
        let mut account = desk().account;
        account.buy("ABC", 10.0, cents(1_000), MONDAY).unwrap();
        account.deposit(cents(1_500), TUESDAY).unwrap();
        assert_eq!(
            (account.owed(), account.settled(TUESDAY)),
            (cents(0), cents(500))
        );
        assert_eq!(account.sell("ABC", 10.0, cents(900), TUESDAY), Ok(vec![]));
    }

    #[test]
    fn a_loss_on_a_free_ride_stays_owed() {
        let mut account = desk().account;
        account.buy("ABC", 10.0, cents(1_000), MONDAY).unwrap();
        assert_eq!(
            account.sell("ABC", 10.0, cents(900), MONDAY),
            Ok(vec![FreeRiding])
        );
        assert_eq!((account.owed(), account.held("ABC")), (cents(100), 0.0));
        account.deposit(cents(250), TUESDAY).unwrap();
        assert_eq!(
            (account.owed(), account.settled(TUESDAY)),
            (cents(0), cents(150))
        );
    }

    #[test]
    fn paying_from_a_sale_that_settles_too_late_is_a_violation() {
        let mut desk = desk();
        desk.account.hold("XYZ", 10.0).unwrap();
        desk.account.buy("ABC", 10.0, cents(1_000), MONDAY).unwrap(); // due on Tuesday
        let broken = desk.account.sell("XYZ", 10.0, cents(1_200), TUESDAY); // settles on Wednesday
        assert_eq!(broken, Ok(vec![UnsettledFunds]));
        assert_eq!(desk.events("unsettled_funds", "violated"), 1);
        assert_eq!(
            (desk.account.owed(), desk.account.unsettled(TUESDAY)),
            (cents(0), cents(200))
        );
        // And what was bought is held until then.
        assert!(desk.account.check_sell("ABC", 10.0, TUESDAY).is_err());
        // On the day of the purchase it would have been in time.
        let mut account = super::tests::desk().account;
        account.hold("XYZ", 10.0).unwrap();
        account.buy("ABC", 10.0, cents(1_000), MONDAY).unwrap();
        assert_eq!(account.sell("XYZ", 10.0, cents(1_200), MONDAY), Ok(vec![]));
    }

    #[test]
    fn only_settled_cash_leaves_the_account() {
        let mut account = desk().account;
        account.hold("XYZ", 1.0).unwrap();
        account.deposit(cents(100), MONDAY).unwrap();
        account.sell("XYZ", 1.0, cents(50), MONDAY).unwrap();
        let text = account
            .withdraw(cents(120), MONDAY)
            .unwrap_err()
            .to_string();
        assert!(text.starts_with("1.2 USD cannot be withdrawn: 1 USD is settled"));
        account.withdraw(cents(120), TUESDAY).unwrap();
        assert_eq!(account.settled(TUESDAY), cents(30));
    }

    #[test]
    fn refuses_what_it_cannot_book() {
        let mut account = desk().account;
        let largest = Money::new(Decimal::LARGEST - Decimal::of_minor(10, 2), Currency::USD);
        account.deposit(largest, TUESDAY).unwrap();
        account.hold("XYZ", 1.0).unwrap();
        let before = account.save();
        assert!(account.deposit(cents(-1), TUESDAY).is_err());
        assert!(account.deposit(cents(11), TUESDAY).is_err());
        assert!(account.deposit(cents(1), MONDAY).is_err());
        let euros = account.deposit(Money::new(1, Currency::EUR), TUESDAY);
        let text = euros.unwrap_err().to_string();
        assert!(
            text.starts_with("the deposit of 1 EUR cannot be booked in an account in USD"),
            "{text}"
        );
        let nothing = Money::new(f64::NAN, Currency::USD);
        assert!(account.deposit(nothing, TUESDAY).is_err());
        assert!(account.buy("ABC", f64::NAN, cents(1), TUESDAY).is_err());
        assert!(account.buy("ABC", 1.0, cents(-1), TUESDAY).is_err());
        assert!(account.buy("ABC", 1.0, cents(1), date(2026, 3, 7)).is_err());
        assert!(account.sell("XYZ", 1.0, cents(11), TUESDAY).is_err());
        let text = account
            .sell("XYZ", 2.0, cents(1), TUESDAY)
            .unwrap_err()
            .to_string();
        assert!(
            text.starts_with("2 XYZ cannot be sold: 1 are held"),
            "{text}"
        );
        assert!(account.check_buy(cents(-1), TUESDAY).is_err());
        assert!(account.check_sell("XYZ", 0.0, TUESDAY).is_err());
        assert_eq!(account.save(), before);
    }

    #[test]
    fn the_rest_of_a_free_ride_is_held_until_its_payment_settles() {
        let mut account = desk().account;
        account.buy("ABC", 10.0, cents(1_000), MONDAY).unwrap();
        assert_eq!(
            account.sell("ABC", 9.0, cents(1_000), MONDAY),
            Ok(vec![FreeRiding])
        );
        assert_eq!((account.owed(), account.held("ABC")), (cents(0), 1.0));
        assert!(account.check_sell("ABC", 1.0, MONDAY).is_err());
        assert_eq!(account.check_sell("ABC", 1.0, TUESDAY), Ok(()));
    }

    #[test]
    fn what_was_held_before_is_sold_first() {
        let mut account = desk().account;
        account.buy("ABC", 10.0, cents(1_000), MONDAY).unwrap();
        account.hold("ABC", 5.0).unwrap();
        assert_eq!(account.check_sell("ABC", 5.0, MONDAY), Ok(()));
        assert!(account.check_sell("ABC", 6.0, MONDAY).is_err());
    }

    #[test]
    fn lots_that_nothing_tells_apart_are_one() {
        let mut account = desk().account;
        account.deposit(cents(1_000), MONDAY).unwrap();
        for _ in 0..100 {
            account.buy("ABC", 1.0, cents(10), MONDAY).unwrap();
        }
        assert_eq!((account.save().lots.len(), account.held("ABC")), (1, 100.0));
        // Bought with unsettled funds they are lots of their own, until the next day.
        let mut day = MONDAY;
        for _ in 0..50 {
            account.sell("ABC", 1.0, cents(10), day).unwrap();
            account.buy("ABC", 1.0, cents(10), day).unwrap();
            day = Calendar::weekdays(TimeZone::UTC).after(day, 1);
        }
        assert_eq!((account.save().lots.len(), account.held("ABC")), (2, 100.0));
    }
}
