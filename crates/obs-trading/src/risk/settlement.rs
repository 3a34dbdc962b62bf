//! Cash accounts: what has settled, and what may be sold without breaking a rule.

use jiff::civil::Date;
use obs_calendar::Calendar;

use super::cash::{Event, Outcome, SavedCashAccount, Terms, Verdicts, What};
use super::today::Today;
use crate::error::positive;
use crate::seen::Identity;
use crate::{
    Clock, ComplianceAction, ComplianceRule, Currency, Decimal, Error, ExecutionId, Money, Risk,
    Side,
};

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
/// # Ok::<(), obs_trading::Error>(())
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
/// How many good-faith violations restrict an account is each broker's own policy and not kept here; state by
/// [`freeze`](Self::freeze) what the broker does. Regulation T spares an account the freeze whose payment arrives in time after all; here the
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
/// # What comes late
///
/// An event that is reported on a later day is put where its day belongs, after the others of that day, and what followed is counted
/// again: a deposit may so pay in time for a purchase after all. Counted are the verdicts that come to be by it; what was counted before
/// stays counted. Events are kept for that for five days, the last 10,000 of them; an earlier event is refused, as is one that leaves a
/// later withdrawal or sale without cover, a trade on a day that is no trading day, and whatever is of a day that has not begun. What is
/// refused changes nothing.
///
/// A trade that has an identifier can be [taken back](Self::bust) and [corrected](Self::buy_with_id) for as long, with what it did to
/// settlement.
///
/// ```
/// # use jiff::civil::date;
/// # use obs_trading::{CashAccount, CashRule, Currency, Money, Risk, SettlementDays};
/// # let usd = |amount: i64| Money::new(amount, Currency::USD);
/// # let days = SettlementDays::us_equities();
/// # let mut account = CashAccount::new(&Risk::new(), Currency::USD, CashRule::default(), days);
/// let friday = date(2026, 3, 6);
/// account.deposit(usd(10_000), friday)?;
/// account.buy_with_id("x-1", "ABC", 50.0, usd(10_000), friday)?;
/// account.bust("x-1")?;
/// assert_eq!((account.settled(friday), account.held("ABC")), (usd(10_000), 0.0));
/// # Ok::<(), obs_trading::Error>(())
/// ```
#[derive(Debug)]
pub struct CashAccount {
    risk: Risk,
    currency: Currency,
    rule: CashRule,
    days: SettlementDays,
    today: Today,
    state: SavedCashAccount,
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
            state: SavedCashAccount::new(currency),
        }
    }

    /// An account that goes on from what [`save`](Self::save) gave. Fails where that is of an account in another currency.
    pub fn restore(
        risk: &Risk,
        currency: Currency,
        rule: CashRule,
        days: SettlementDays,
        saved: SavedCashAccount,
    ) -> Result<Self, Error> {
        let mut account = Self::new(risk, currency, rule, days);
        let kept = saved.currency.unwrap_or(currency);
        let settled = Money::new(saved.available(Date::MIN), kept);
        account.check_currency(settled)?;
        account.state = saved.in_currency(currency);
        Ok(account)
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
    pub fn save(&self) -> SavedCashAccount {
        self.state.clone()
    }

    /// Says what the account held before it was followed here, paid for in full.
    pub fn hold(&mut self, symbol: &str, quantity: f64) -> Result<(), Error> {
        let quantity = positive("the quantity", quantity)?;
        self.state.hold(symbol, quantity);
        Ok(())
    }

    /// Cash that can be used at once was paid in.
    pub fn deposit(&mut self, money: Money, date: Date) -> Result<(), Error> {
        let amount = self.amount("the deposit", money)?;
        self.today.check(date, &self.days.trading)?;
        self.take(date, What::Deposit(amount), None).map(drop)
    }

    /// Settled cash was taken out.
    pub fn withdraw(&mut self, money: Money, date: Date) -> Result<(), Error> {
        let amount = self.amount("the withdrawal", money)?;
        self.today.check(date, &self.days.trading)?;
        self.take(date, What::Withdrawal(amount), None).map(drop)
    }

    /// Something was bought for this cost, fees included. Returns how it was paid.
    pub fn buy(
        &mut self,
        symbol: &str,
        quantity: f64,
        cost: Money,
        date: Date,
    ) -> Result<Funding, Error> {
        let purchase = self.trade(Side::Buy, symbol, quantity, cost, date)?;
        let outcome = self.take(date, purchase, None)?;
        Ok(outcome.paid.unwrap_or_default().in_currency(self.currency))
    }

    /// Something was sold for these proceeds, fees taken off. Returns the rules that this broke, each once.
    pub fn sell(
        &mut self,
        symbol: &str,
        quantity: f64,
        proceeds: Money,
        date: Date,
    ) -> Result<Vec<ComplianceRule>, Error> {
        let sale = self.trade(Side::Sell, symbol, quantity, proceeds, date)?;
        Ok(self.take(date, sale, None)?.broken())
    }

    /// The same as [`buy`](Self::buy) under an identifier that no other event of the account has, by which [`bust`](Self::bust) takes it
    /// back. A purchase or sale that is [kept](Self#what-comes-late) under it is corrected: this one happened instead.
    pub fn buy_with_id(
        &mut self,
        id: &str,
        symbol: &str,
        quantity: f64,
        cost: Money,
        date: Date,
    ) -> Result<Funding, Error> {
        let purchase = self.trade(Side::Buy, symbol, quantity, cost, date)?;
        let outcome = self.take_or_correct(identity(id), date, purchase)?;
        Ok(outcome.paid.unwrap_or_default().in_currency(self.currency))
    }

    /// The same as [`sell`](Self::sell) under an identifier, as [`buy_with_id`](Self::buy_with_id) has it.
    pub fn sell_with_id(
        &mut self,
        id: &str,
        symbol: &str,
        quantity: f64,
        proceeds: Money,
        date: Date,
    ) -> Result<Vec<ComplianceRule>, Error> {
        let sale = self.trade(Side::Sell, symbol, quantity, proceeds, date)?;
        Ok(self.take_or_correct(identity(id), date, sale)?.broken())
    }

    /// The purchase or sale of this identifier did not happen: what it was paid with, what it settles and a freeze that came of it are
    /// taken back, and what followed is counted again. Counted verdicts stay counted.
    ///
    /// Fails when it is not among the events that are [kept](Self#what-comes-late), and when a later sale or withdrawal would be without
    /// cover. Then nothing has changed.
    pub fn bust(&mut self, id: &str) -> Result<(), Error> {
        self.revise(identity(id), None)
            .unwrap_or_else(|| Err(Error::not_correctable("purchase or sale", id)))
    }

    /// A fill of [`AccountBook`](crate::AccountBook), which knows that it is new.
    pub(crate) fn trade_new(
        &mut self,
        id: Option<Identity>,
        (side, symbol): (Side, &str),
        quantity: f64,
        money: Money,
        date: Date,
    ) -> Result<(), Error> {
        let trade = self.trade(side, symbol, quantity, money, date)?;
        self.take(date, trade, id).map(drop)
    }

    /// A fill of [`AccountBook`](crate::AccountBook) was another, on its day.
    pub(crate) fn trade_corrected(
        &mut self,
        id: Identity,
        (side, symbol): (Side, &str),
        quantity: f64,
        money: Money,
        date: Date,
    ) -> Option<Result<(), Error>> {
        let what = match self.trade(side, symbol, quantity, money, date) {
            Ok(what) => what,
            Err(error) => return Some(Err(error)),
        };
        let event = Event {
            date,
            what,
            id: Some(id),
        };
        self.revise(id, Some(event))
    }

    /// A fill of [`AccountBook`](crate::AccountBook) did not happen; nothing where it is not kept.
    pub(crate) fn bust_known(&mut self, id: Identity) -> Option<Result<(), Error>> {
        self.revise(id, None)
    }

    /// Takes back the trade of an identity, or puts another in its place; nothing where none is known.
    fn revise(&mut self, id: Identity, by: Option<Event>) -> Option<Result<(), Error>> {
        let terms = terms(self.currency, self.rule, &self.days);
        let revised = self.state.revise(id, by, terms)?;
        Some(revised.map(|(_, verdicts)| self.count(&verdicts)))
    }

    /// How a purchase of this cost would be paid. Refuses what the account's cash, settled and not, does not cover; while it
    /// is frozen, what settled cash does not. A refusal is counted as `blocked`.
    pub fn check_buy(&self, cost: Money, date: Date) -> Result<Funding, Error> {
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
    pub fn check_sell(&self, symbol: &str, quantity: f64, date: Date) -> Result<(), Error> {
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
        self.state
            .freeze(until, terms(self.currency, self.rule, &self.days));
    }

    /// Whether the account may buy with settled cash only.
    #[must_use]
    pub fn is_frozen(&self, date: Date) -> bool {
        self.state.is_frozen(date)
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

    /// The shares of a symbol were split: for each `from` of them there are `to`. What they were paid with stays. Fails when one of the
    /// numbers is not positive.
    pub fn split(&mut self, symbol: &str, to: f64, from: f64) -> Result<(), Error> {
        let (to, from) = (
            positive("the new shares", to)?,
            positive("the old shares", from)?,
        );
        self.state
            .each_of(symbol, &|_, quantity| *quantity = *quantity * to / from);
        Ok(())
    }

    /// A symbol has another name from now on.
    pub fn rename(&mut self, symbol: &str, new: &str) {
        self.state
            .each_of(symbol, &|symbol, _| *symbol = new.into());
    }

    fn block(&self, rule: ComplianceRule, until: Option<Date>) -> Error {
        self.risk.compliance(rule, ComplianceAction::Blocked);
        Error::Compliance { rule, until }
    }

    /// A purchase or sale that can be booked.
    fn trade(
        &self,
        side: Side,
        symbol: &str,
        quantity: f64,
        money: Money,
        date: Date,
    ) -> Result<What, Error> {
        let quantity = positive("the quantity", quantity)?;
        let what = match side {
            Side::Buy => "the cost",
            Side::Sell => "the proceeds",
        };
        let amount = self.amount(what, money)?;
        self.check_trade_day(date)?;
        let symbol = symbol.into();
        Ok(match side {
            Side::Buy => What::Purchase {
                symbol,
                quantity,
                cost: amount,
            },
            Side::Sell => What::Sale {
                symbol,
                quantity,
                proceeds: amount,
            },
        })
    }

    /// Books an event and counts what came of it.
    fn take(&mut self, date: Date, what: What, id: Option<Identity>) -> Result<Outcome, Error> {
        let terms = terms(self.currency, self.rule, &self.days);
        let (outcome, verdicts) = self.state.take(Event { date, what, id }, terms)?;
        self.count(&verdicts);
        Ok(outcome)
    }

    fn take_or_correct(&mut self, id: Identity, date: Date, what: What) -> Result<Outcome, Error> {
        if !self.state.knows(id) {
            return self.take(date, what, Some(id));
        }
        let terms = terms(self.currency, self.rule, &self.days);
        let event = Event {
            date,
            what,
            id: Some(id),
        };
        let revised = self.state.revise(id, Some(event), terms);
        let (outcome, verdicts) = revised.transpose()?.unwrap_or_default();
        self.count(&verdicts);
        Ok(outcome)
    }

    fn count(&self, verdicts: &Verdicts) {
        for (rule, action) in verdicts {
            self.risk.compliance(*rule, *action);
        }
    }

    fn check_trade_day(&self, date: Date) -> Result<(), Error> {
        if self.days.trading.is_trading_day(date) {
            self.today.check(date, &self.days.trading)
        } else {
            Err(Error::NotABusinessDay { date })
        }
    }

    fn amount(&self, what: &'static str, money: Money) -> Result<Decimal, Error> {
        self.check_currency(money)?;
        let amount = money.decimal();
        if amount.is_number() && !amount.is_negative() {
            Ok(amount)
        } else {
            Err(Error::NotBookable {
                what,
                amount: money,
            })
        }
    }

    fn check_currency(&self, money: Money) -> Result<(), Error> {
        if money.currency() == self.currency {
            Ok(())
        } else {
            Err(Error::OtherCurrency {
                money,
                ledger: self.currency,
            })
        }
    }
}

fn identity(id: &str) -> Identity {
    Identity::of(ExecutionId::from(id))
}

const fn terms(currency: Currency, rule: CashRule, days: &SettlementDays) -> Terms<'_> {
    Terms {
        currency,
        rule,
        days,
    }
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
        assert_eq!(broken.unwrap(), vec![GoodFaith]);
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
            account
                .sell("BTC-USD", 0.01, cents(1_100), saturday)
                .unwrap(),
            vec![]
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
        let refused = account.deposit(cents(100), TUESDAY).unwrap_err();
        assert!(matches!(
            refused,
            Error::DayNotBegun {
                date: TUESDAY,
                today: MONDAY
            }
        ));
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
            desk.account.buy("ABC", 10.0, cents(1_000), MONDAY).unwrap(),
            funding
        );
        assert_eq!((funding.settled, funding.hold_until), (cents(1_000), None));
        desk.account.check_sell("ABC", 10.0, MONDAY).unwrap();
        assert_eq!(
            desk.account
                .sell("ABC", 10.0, cents(1_100), MONDAY)
                .unwrap(),
            vec![]
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
        assert!(matches!(
            refused,
            Error::Compliance {
                rule: GoodFaith,
                until: Some(TUESDAY)
            }
        ));
        assert_eq!(desk.events("good_faith", "blocked"), 1);
        desk.account.check_sell("ABC", 10.0, TUESDAY).unwrap();
        // Sold all the same.
        let broken = desk.account.sell("ABC", 10.0, cents(1_050_000), MONDAY);
        assert_eq!(broken.unwrap(), vec![GoodFaith]);
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
        account.check_sell("ABC", 10.0, MONDAY).unwrap();
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
        assert_eq!(broken.unwrap(), vec![FreeRiding]);
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
        assert!(matches!(
            refused,
            Error::Compliance {
                rule: UnsettledFunds,
                until: Some(WEDNESDAY)
            }
        ));
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
        assert_eq!(
            account.sell("ABC", 10.0, cents(900), TUESDAY).unwrap(),
            vec![]
        );
    }

    #[test]
    fn a_loss_on_a_free_ride_stays_owed() {
        let mut account = desk().account;
        account.buy("ABC", 10.0, cents(1_000), MONDAY).unwrap();
        assert_eq!(
            account.sell("ABC", 10.0, cents(900), MONDAY).unwrap(),
            vec![FreeRiding]
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
        assert_eq!(broken.unwrap(), vec![UnsettledFunds]);
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
        assert_eq!(
            account.sell("XYZ", 10.0, cents(1_200), MONDAY).unwrap(),
            vec![]
        );
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
    fn a_deposit_that_is_reported_late_has_paid_in_time() {
        let mut desk = desk();
        desk.account.buy("ABC", 10.0, cents(1_000), MONDAY).unwrap();
        let broken = desk.account.sell("ABC", 10.0, cents(1_100), WEDNESDAY);
        assert_eq!(broken.unwrap(), vec![FreeRiding]);
        assert!(desk.account.is_frozen(WEDNESDAY));
        desk.account.deposit(cents(1_000), TUESDAY).unwrap();
        assert!(!desk.account.is_frozen(WEDNESDAY));
        let account = &desk.account;
        assert_eq!(
            (account.owed(), account.unsettled(WEDNESDAY)),
            (cents(0), cents(1_100))
        );
        // It was counted when it seemed so.
        assert_eq!(desk.events("free_riding", "violated"), 1);
    }

    #[test]
    fn a_sale_that_is_reported_late_settles_by_its_own_day() {
        let mut desk = desk();
        desk.account.hold("XYZ", 10.0).unwrap();
        desk.account.buy("ABC", 10.0, cents(900), TUESDAY).unwrap();
        assert_eq!(desk.account.owed(), cents(900));
        let broken = desk.account.sell("XYZ", 10.0, cents(1_000), MONDAY);
        assert_eq!(broken.unwrap(), vec![]);
        assert_eq!(
            (desk.account.owed(), desk.account.settled(TUESDAY)),
            (cents(0), cents(100))
        );
        desk.account.check_sell("ABC", 10.0, TUESDAY).unwrap();
    }

    #[test]
    fn a_late_purchase_breaks_what_it_would_have_broken() {
        let mut desk = desk();
        desk.account.deposit(cents(1_000), MONDAY).unwrap();
        desk.account
            .buy("ABC", 10.0, cents(1_000), TUESDAY)
            .unwrap();
        desk.account
            .sell("ABC", 10.0, cents(1_000), TUESDAY)
            .unwrap();
        assert_eq!(desk.events("free_riding", "violated"), 0);
        // Monday's purchase took the money that Tuesday's was paid with.
        desk.account.buy("QRS", 5.0, cents(600), MONDAY).unwrap();
        assert_eq!(desk.events("unsettled_funds", "warned"), 1);
        assert_eq!(desk.events("free_riding", "violated"), 1);
        assert!(desk.account.is_frozen(TUESDAY));
    }

    #[test]
    fn a_late_event_that_takes_the_cover_of_another_is_refused() {
        let mut desk = desk();
        desk.account.deposit(cents(1_000), MONDAY).unwrap();
        desk.account.withdraw(cents(1_000), WEDNESDAY).unwrap();
        let before = desk.account.save();
        let refused = desk.account.buy("ABC", 10.0, cents(500), TUESDAY);
        assert!(matches!(refused, Err(Error::NotSettled { .. })));
        assert_eq!(desk.account.save(), before);
        assert_eq!(desk.events("unsettled_funds", "warned"), 0);
        let old = desk.account.deposit(cents(1), date(2026, 2, 26));
        assert!(matches!(old, Err(Error::OutOfOrder { .. })));
    }

    #[test]
    fn no_more_events_are_kept_than_a_bound() {
        let mut account = desk().account;
        let mut day = MONDAY;
        for number in 0..40_i64 {
            account.deposit(cents(number + 1), day).unwrap();
            day = Calendar::weekdays(TimeZone::UTC).after(day, 1);
        }
        let text = serde_json::to_string(&account.save()).unwrap();
        assert!(text.matches("deposit").count() <= 6, "{text}");
        assert_eq!(account.settled(day), cents(820));
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
        assert!(account.deposit(cents(1), date(2026, 2, 25)).is_err()); // six days ago
        let euros = account.deposit(Money::new(1, Currency::EUR), TUESDAY);
        let text = euros.unwrap_err().to_string();
        assert!(
            text.starts_with("1 EUR does not belong in a ledger of USD"),
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
            account.sell("ABC", 9.0, cents(1_000), MONDAY).unwrap(),
            vec![FreeRiding]
        );
        assert_eq!((account.owed(), account.held("ABC")), (cents(0), 1.0));
        assert!(account.check_sell("ABC", 1.0, MONDAY).is_err());
        account.check_sell("ABC", 1.0, TUESDAY).unwrap();
    }

    #[test]
    fn what_was_held_before_is_sold_first() {
        let mut account = desk().account;
        account.buy("ABC", 10.0, cents(1_000), MONDAY).unwrap();
        account.hold("ABC", 5.0).unwrap();
        account.check_sell("ABC", 5.0, MONDAY).unwrap();
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
