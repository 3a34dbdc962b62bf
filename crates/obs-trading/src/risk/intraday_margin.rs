//! The intraday margin standard of FINRA, which replaces the rule on pattern day trading.

use jiff::Timestamp;
use jiff::civil::Date;
use obs_calendar::Calendar;
use obs_core::Gauge;

use super::margin_days::{Event, IntradayDeficit, Refused, SavedIntradayMargin, Terms, What};
use super::today::Today;
use crate::seen::Identity;
use crate::{
    Clock, ComplianceAction, ComplianceRule, Currency, Decimal, Error, ExecutionId, Money, Risk,
    Side,
};

/// The numbers of the standard. The default is that of FINRA Rule 4210 as [`IntradayMargin`] cites it; a broker's house rules may be
/// stricter, and are stated here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IntradayMarginRule {
    /// Maintenance margin of a long position, as a share of its value: 0.25. Used where the broker states no figure of his own.
    pub long: f64,
    /// Maintenance margin of a short position, as a share of its value: 0.30.
    pub short: f64,
    /// The least equity to trade on margin with, in the account's currency: 2,000.
    pub minimum_equity: f64,
    /// Business days within which a deficit is to be satisfied before failing to counts toward a practice: 5.
    pub due_days: u32,
    /// Business days after which a deficit is outstanding no longer: 15.
    pub outstanding_days: u32,
    /// How many deficits that were not satisfied when due make a practice. The rule leaves that to the broker; 1 is the strictest reading.
    pub practice: u32,
    /// Calendar days within which those count: 365. The rule leaves that to the broker, too.
    pub practice_days: u32,
    /// Calendar days for which a practice freezes the account, unless it satisfies the deficit before: 90.
    pub freeze_days: u32,
    /// A deficit makes no practice up to this share of equity: 0.05 …
    pub minor_share: f64,
    /// … or this amount in the account's currency, whichever is less: 1,000.
    pub minor_amount: f64,
    /// When the broker computes.
    pub cadence: MarginCadence,
    /// Whether the broker blocks orders that would make or raise a deficit. Otherwise a check only warns.
    pub blocks: bool,
}

/// When a broker computes intraday deficits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MarginCadence {
    /// With each transaction.
    #[default]
    EachTransaction,
    /// Once a day after its end: over the day's transactions in their order, with positions at their closing prices.
    OnceADay,
}

impl Default for IntradayMarginRule {
    fn default() -> Self {
        Self {
            long: 0.25,
            short: 0.30,
            minimum_equity: 2_000.0,
            due_days: 5,
            outstanding_days: 15,
            practice: 1,
            practice_days: 365,
            freeze_days: 90,
            minor_share: 0.05,
            minor_amount: 1_000.0,
            cadence: MarginCadence::EachTransaction,
            blocks: false,
        }
    }
}

impl IntradayMarginRule {
    /// What a position must be margined with by the shares above: its value times `long` or `short`. A short position is negative.
    #[must_use]
    pub fn maintenance(&self, position: f64, price: f64) -> f64 {
        let share = if position < 0.0 {
            self.short
        } else {
            self.long
        };
        position.abs() * price * share
    }

    /// By how much a trade at the market changes the margin level, by the shares above: what the position needed before, less what it needs
    /// after, less the fee. Negative where it lowers the level, as a trade that opens does.
    #[must_use]
    pub fn change(&self, position: f64, side: Side, quantity: f64, price: f64, fee: f64) -> f64 {
        let after = position + side.sign() * quantity;
        self.maintenance(position, price) - self.maintenance(after, price) - fee
    }
}

/// Follows the margin level of one account, and the intraday deficits that its transactions make.
///
/// ```
/// use jiff::Timestamp;
/// use obs_trading::{Calendar, Currency, IntradayMargin, IntradayMarginRule, Money, Risk, Side};
///
/// let usd = |amount: f64| Money::new(amount, Currency::USD);
/// let rule = IntradayMarginRule::default();
/// let mut margin = IntradayMargin::new(&Risk::new(), "margin", Currency::USD, rule, Calendar::nyse());
/// let at = |time: &str| format!("2026-11-24T{time}Z").parse::<Timestamp>();
///
/// // The broker's figures; without them, equity and the sum of `rule.maintenance(…)`.
/// margin.observe(at("15:00:00")?, usd(30_000.0), usd(0.0))?;
/// // 1,300 shares at 100: 130,000 on margin need 32,500.
/// let change = usd(rule.change(0.0, Side::Buy, 1_300.0, 100.0, 0.0));
/// assert_eq!(margin.check(at("15:00:05")?, change)?.deficit, usd(2_500.0));  // counted as warned
/// margin.transact(at("15:00:06")?, change)?;                                 // counted as violated
/// assert_eq!(margin.deficit(), usd(2_500.0));
///
/// // The price recovers, and the deficit of the day stays.
/// margin.observe(at("15:30:00")?, usd(45_000.0), usd(36_000.0))?;
/// assert_eq!((margin.excess(), margin.deficit()), (Some(usd(9_000.0)), usd(2_500.0)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # The rule
///
/// FINRA replaced its day trading provisions (Rule 4210(f)(8)(B), which [`DayTrades`](crate::DayTrades) follows) by intraday margin
/// standards: SR-FINRA-2025-017, approved by the SEC on 14 April 2026 (Release 34-105226, 91 FR 20731, FR Doc 2026-07485), in force since
/// 4 June 2026 as Rule 4210(a)(17) to (19) and (d)(2). Brokers may keep the old rule until 20 October 2027, so which of the two binds an
/// account is for its owner to find out and to choose here: neither is a default. We relied on the order's summary and on public summaries
/// that quote the filing. In our words:
///
/// - The **intraday margin level** is the cash that could be withdrawn with maintenance margin still met; where it is negative, the cash
///   that is needed: equity less maintenance margin.
/// - An **intraday deficit** exists only on a day with a transaction that lowers the level: a purchase or sale that does, or a
///   withdrawal. It is the largest negative level that follows one. A price that falls makes none, and a level that recovers later undoes
///   none. Where the order of events cannot be shown, the order counts that gives the highest deficit; here that is so within one second,
///   and for events that are reported late on their day.
/// - It is **satisfied** when, from the end of that day to the end of a later one, net deposits or another rise of the level reach it. It
///   is outstanding until then, or until the close of the fifteenth business day.
/// - Who makes a **practice** of not satisfying deficits and misses the fifth business day is **frozen**: no new short position or debit,
///   for 90 calendar days or until it is satisfied. Deficits up to 5 % of equity or 1,000 US dollars, whichever is less, and those from
///   [extraordinary circumstances](Self::excuse) make no practice.
///
/// Good-faith and portfolio-margin accounts are left out by the rule, and not to be followed here.
///
/// # Verdicts and counts
///
/// `risk_compliance_events_total` with the rule `intraday_margin` counts `warned` for each check of an order that would make or raise a
/// deficit, `blocked` for each that is refused, and `violated` once for each day on which a deficit came to be. `risk_margin_excess` is
/// the level, `NaN` before the first figures; `risk_intraday_margin_deficit` is what is not satisfied: the day's deficit and those that
/// are outstanding.
///
/// # What comes late
///
/// An event that is reported on a later day is put where its day belongs, after the others of that day and at the day's lowest level, and
/// what followed is judged again: a deficit may so come to be, or be satisfied after all. Counted are the violations that come to be by
/// it; what was counted before stays counted. Events are kept for that for five days, the last 10,000 of them, of figures that follow each
/// other the last; an earlier event is refused, as is one of a day that has not begun, and changes nothing. A transaction that has an
/// identifier can be [taken back](Self::bust) and [corrected](Self::transact_with_id) for as long.
#[derive(Debug)]
pub struct IntradayMargin {
    risk: Risk,
    currency: Currency,
    rule: IntradayMarginRule,
    calendar: Calendar,
    today: Today,
    excess: Gauge,
    deficit: Gauge,
    state: SavedIntradayMargin,
}

/// What an order would make of the margin level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MarginCheck {
    /// The level after it: what could be withdrawn, or is missing if negative.
    pub excess: Money,
    /// The deficit that the day would then have.
    pub deficit: Money,
}

impl IntradayMargin {
    /// An account whose level is not known yet.
    #[must_use]
    pub fn new(
        risk: &Risk,
        account: &str,
        currency: Currency,
        rule: IntradayMarginRule,
        calendar: Calendar,
    ) -> Self {
        let metrics = risk.metrics();
        let margin = Self {
            risk: risk.clone(),
            currency,
            rule,
            calendar,
            today: Today::default(),
            excess: metrics
                .margin_excess
                .of(account)
                .of(currency.as_str())
                .clone(),
            deficit: metrics
                .intraday_deficit
                .of(account)
                .of(currency.as_str())
                .clone(),
            state: SavedIntradayMargin::default().in_currency(currency),
        };
        margin.show();
        margin
    }

    /// An account that goes on from what [`save`](Self::save) gave. Fails where that is of an account in another currency.
    pub fn restore(
        risk: &Risk,
        account: &str,
        currency: Currency,
        rule: IntradayMarginRule,
        calendar: Calendar,
        saved: SavedIntradayMargin,
    ) -> Result<Self, Error> {
        let mut margin = Self::new(risk, account, currency, rule, calendar);
        let kept = saved.currency.unwrap_or(currency);
        let level = Money::new(saved.level.unwrap_or_default(), kept);
        margin.amount("the kept level", level)?;
        margin.state = saved.in_currency(currency);
        margin.show();
        Ok(margin)
    }

    /// The same, held to another clock than the machine's: an event of a day that has not begun is refused.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Into<Clock>) -> Self {
        self.today = Today::by(clock);
        self
    }

    /// The state as it can be kept across a restart.
    #[must_use]
    pub fn save(&self) -> SavedIntradayMargin {
        self.state.clone()
    }

    /// The rule.
    #[must_use]
    pub const fn rule(&self) -> IntradayMarginRule {
        self.rule
    }

    /// The account's figures are these: the broker's, which count before any of one's own. Prices move the level and make no deficit.
    pub fn observe(
        &mut self,
        at: Timestamp,
        equity: Money,
        maintenance: Money,
    ) -> Result<(), Error> {
        let equity = self.amount("the equity", equity)?;
        let maintenance = self.amount("the maintenance margin", maintenance)?;
        let Some(level) = equity.checked_sub(maintenance) else {
            let what = "the maintenance margin";
            let amount = Money::new(maintenance, self.currency);
            return Err(Error::NotBookable { what, amount });
        };
        let lowest = level;
        let what = What::Observed {
            equity,
            level,
            lowest,
        };
        self.take(Event { at, what, id: None })
    }

    /// A transaction changed the level by this much: a purchase or sale, by [`IntradayMarginRule::change`] or the broker's figures before
    /// and after it. Negative where it lowers the level. Returns the deficit that the day under way has now.
    pub fn transact(&mut self, at: Timestamp, change: Money) -> Result<Money, Error> {
        let change = self.amount("the change of the level", change)?;
        self.change(None, at, change, Decimal::ZERO)?;
        Ok(self.deficit())
    }

    /// The same under an identifier that no other transaction of the account has, by which [`bust`](Self::bust) takes it back. A
    /// transaction that is [kept](Self#what-comes-late) under it is corrected: this one happened instead.
    pub fn transact_with_id(
        &mut self,
        id: &str,
        at: Timestamp,
        change: Money,
    ) -> Result<Money, Error> {
        self.transact_corrected(identity(id), at, change)?;
        Ok(self.deficit())
    }

    /// The transaction of this identifier did not happen: the level is what it would be without it, and so are the deficits of its day and
    /// what came of them. Counted verdicts stay counted.
    ///
    /// Fails when it is not among the events that are [kept](Self#what-comes-late).
    pub fn bust(&mut self, id: &str) -> Result<(), Error> {
        self.bust_known(identity(id))
            .unwrap_or_else(|| Err(Error::not_correctable("transaction", id)))
    }

    /// A fill of [`AccountBook`](crate::AccountBook), which knows that it is new.
    pub(crate) fn transact_new(
        &mut self,
        id: Option<Identity>,
        at: Timestamp,
        change: Money,
    ) -> Result<(), Error> {
        let change = self.amount("the change of the level", change)?;
        self.change(id, at, change, Decimal::ZERO)
    }

    /// A transaction was another than was said before; one that is not kept is taken as new.
    pub(crate) fn transact_corrected(
        &mut self,
        id: Identity,
        at: Timestamp,
        change: Money,
    ) -> Result<(), Error> {
        let change = self.amount("the change of the level", change)?;
        self.today.check(self.calendar.day(at), &self.calendar)?;
        let paid = Decimal::ZERO;
        let what = What::Changed { change, paid };
        let event = Event {
            at,
            what,
            id: Some(id),
        };
        let revised = self.revise(id, Some(event));
        revised.unwrap_or_else(|| self.change(Some(id), at, change, paid))
    }

    /// Takes a transaction back; nothing where none of that identity is kept.
    pub(crate) fn bust_known(&mut self, id: Identity) -> Option<Result<(), Error>> {
        self.revise(id, None)
    }

    /// Cash was paid in.
    pub fn deposit(&mut self, at: Timestamp, money: Money) -> Result<(), Error> {
        let amount = self.income("the deposit", money)?;
        self.change(None, at, amount, amount)
    }

    /// Cash was taken out. Returns the deficit that the day under way has now.
    pub fn withdraw(&mut self, at: Timestamp, money: Money) -> Result<Money, Error> {
        let amount = self.income("the withdrawal", money)?;
        self.change(None, at, amount.negated(), amount.negated())?;
        Ok(self.deficit())
    }

    /// It is this late: days that are over are judged. Events do so themselves; this is for an account at rest, once a day. An earlier day
    /// changes nothing.
    pub fn advance_to(&mut self, at: Timestamp) -> Result<(), Error> {
        self.today.check(self.calendar.day(at), &self.calendar)?;
        let violated = self.state.advance(at, terms(self.rule, &self.calendar));
        self.counted(violated);
        Ok(())
    }

    /// What an order that changes the level by this much would make of it. Counts `warned` where it would make or raise a deficit.
    ///
    /// Fails, and counts `blocked`, for an order that lowers the level while the account is frozen or has less than the least equity, and
    /// for one that would make or raise a deficit where the [rule blocks](IntradayMarginRule::blocks) those.
    pub fn check(&self, at: Timestamp, change: Money) -> Result<MarginCheck, Error> {
        let change = self.amount("the change of the level", change)?;
        let day = self.calendar.day(at);
        let level = self.level() + change;
        let had = self.state.day.filter(|known| known.date == day);
        let had = had.map_or(Decimal::ZERO, |day| day.deficit);
        let makes = if change.is_negative() {
            level.negated().max(Decimal::ZERO)
        } else {
            Decimal::ZERO
        };
        let money = |amount| Money::new(amount, self.currency);
        let is_raised = makes > had;
        let is_barred = self.is_frozen(day) || self.is_below_minimum();
        if change.is_negative() && (is_barred || is_raised && self.rule.blocks) {
            self.count(ComplianceAction::Blocked);
            return Err(Error::IntradayMargin {
                deficit: money(makes),
                frozen_until: self.frozen_until(day),
            });
        }
        if is_raised {
            self.count(ComplianceAction::Warned);
        }
        Ok(MarginCheck {
            excess: money(level),
            deficit: money(makes.max(had)),
        })
    }

    /// Says that the deficits of a day came from extraordinary circumstances, and make no practice.
    pub fn excuse(&mut self, day: Date) {
        self.state.excuse(day, terms(self.rule, &self.calendar));
        self.show();
    }

    /// The margin level: what could be withdrawn, or is missing if negative. `None` before the first figures.
    #[must_use]
    pub fn excess(&self) -> Option<Money> {
        self.state
            .level
            .map(|level| Money::new(level, self.currency))
    }

    /// The deficit of the day under way, so far; that of a broker who computes once a day is known when the day is over.
    #[must_use]
    pub fn deficit(&self) -> Money {
        let deficit = self.state.day.map_or(Decimal::ZERO, |day| day.deficit);
        Money::new(deficit, self.currency)
    }

    /// The deficits of earlier days that are outstanding, oldest first.
    #[must_use]
    pub fn outstanding(&self) -> &[IntradayDeficit] {
        &self.state.deficits
    }

    /// Whether new short positions and debits are barred on this day.
    #[must_use]
    pub fn is_frozen(&self, day: Date) -> bool {
        self.frozen_until(day).is_some()
    }

    fn frozen_until(&self, day: Date) -> Option<Date> {
        let freeze = self.state.frozen.filter(|freeze| day <= freeze.until);
        freeze.map(|freeze| freeze.until)
    }

    fn is_below_minimum(&self) -> bool {
        let minimum = Decimal::of_float(self.rule.minimum_equity);
        self.state.equity.is_some_and(|equity| equity < minimum)
    }

    fn level(&self) -> Decimal {
        self.state.level.unwrap_or_default()
    }

    fn change(
        &mut self,
        id: Option<Identity>,
        at: Timestamp,
        change: Decimal,
        paid: Decimal,
    ) -> Result<(), Error> {
        let what = What::Changed { change, paid };
        self.take(Event { at, what, id })
    }

    /// Books an event and counts what came of it.
    fn take(&mut self, event: Event) -> Result<(), Error> {
        self.today
            .check(self.calendar.day(event.at), &self.calendar)?;
        let taken = self.state.take(event, terms(self.rule, &self.calendar));
        self.counted(self.or_refused(taken)?);
        Ok(())
    }

    fn revise(&mut self, id: Identity, by: Option<Event>) -> Option<Result<(), Error>> {
        let terms = terms(self.rule, &self.calendar);
        let revised = self.state.revise(id, by, terms)?;
        Some(self.or_refused(revised).map(|days| self.counted(days)))
    }

    fn or_refused(&self, taken: Result<Vec<Date>, Refused>) -> Result<Vec<Date>, Error> {
        taken.map_err(|refused| match refused {
            Refused::OutOfOrder { date, last } => Error::OutOfOrder { date, last },
            Refused::NoNumber(amount) => Error::NotBookable {
                what: "the change of the level",
                amount: Money::new(amount, self.currency),
            },
        })
    }

    /// Counts the days on which a deficit came to be, and shows what is now.
    fn counted(&self, violated: Vec<Date>) {
        for _ in violated {
            self.count(ComplianceAction::Violated);
        }
        self.show();
    }

    fn count(&self, action: ComplianceAction) {
        self.risk.compliance(ComplianceRule::IntradayMargin, action);
    }

    fn show(&self) {
        let level = self.state.equity.and(self.state.level);
        match level {
            Some(level) => self.excess.set(level.to_f64()),
            None => self.excess.set_undefined(),
        }
        let outstanding: Decimal = self
            .state
            .deficits
            .iter()
            .map(|deficit| deficit.amount)
            .sum();
        let deficit = outstanding + self.deficit().decimal();
        self.deficit.set(deficit.to_f64());
    }

    fn amount(&self, what: &'static str, money: Money) -> Result<Decimal, Error> {
        if money.currency() != self.currency {
            return Err(Error::OtherCurrency {
                money,
                ledger: self.currency,
            });
        }
        let amount = money.decimal();
        if amount.is_number() {
            Ok(amount)
        } else {
            Err(Error::NotBookable {
                what,
                amount: money,
            })
        }
    }

    fn income(&self, what: &'static str, money: Money) -> Result<Decimal, Error> {
        let amount = self.amount(what, money)?;
        if amount.is_negative() {
            return Err(Error::NotBookable {
                what,
                amount: money,
            });
        }
        Ok(amount)
    }
}

fn identity(id: &str) -> Identity {
    Identity::of(ExecutionId::from(id))
}

const fn terms(rule: IntradayMarginRule, calendar: &Calendar) -> Terms<'_> {
    Terms { rule, calendar }
}

#[cfg(test)]
mod tests {
    use ComplianceAction::{Blocked, Violated, Warned};
    use jiff::ToSpan;
    use jiff::civil::date;
    use obs_core::{Closed, TestRecorder};

    use super::*;

    struct Desk {
        test: TestRecorder,
        margin: IntradayMargin,
    }

    fn desk_under(rule: IntradayMarginRule) -> Desk {
        let test = TestRecorder::new();
        let calendar = Calendar::nyse();
        let margin =
            test.run(|| IntradayMargin::new(&Risk::new(), "margin", Currency::USD, rule, calendar));
        Desk { test, margin }
    }

    fn desk() -> Desk {
        desk_under(IntradayMarginRule::default())
    }

    fn usd(amount: i64) -> Money {
        Money::new(amount, Currency::USD)
    }

    const MONDAY: Date = date(2026, 11, 2);

    /// A time of trading on a day in New York, in seconds after ten o'clock.
    fn at(day: Date, second: i64) -> Timestamp {
        let ten = Calendar::nyse()
            .zone()
            .to_timestamp(day.at(10, 0, 0, 0))
            .unwrap();
        ten + second.seconds()
    }

    fn trading_day(number: u32) -> Date {
        Calendar::nyse().after(MONDAY, number)
    }

    impl Desk {
        fn events(&self, action: ComplianceAction) -> u64 {
            let labels = [("rule", "intraday_margin"), ("action", action.as_str())];
            self.test
                .counter("risk_compliance_events_total", &labels)
                .unwrap()
        }

        fn shown(&self, name: &str) -> f64 {
            let labels = [("account", "margin"), ("currency", "USD")];
            self.test.gauge(name, &labels).unwrap()
        }

        fn deficit(&self) -> Money {
            self.margin.deficit()
        }

        /// Monday's deficit of 2,500 on an equity of 30,000.
        fn with_deficit(mut self) -> Self {
            self.margin
                .observe(at(MONDAY, 0), usd(30_000), usd(0))
                .unwrap();
            self.margin.transact(at(MONDAY, 60), usd(-32_500)).unwrap();
            self.margin.transact(at(MONDAY, 120), usd(32_500)).unwrap();
            self
        }

        fn rest_until(&mut self, day: Date) {
            self.margin.advance_to(at(day, 0)).unwrap();
        }
    }

    #[test]
    fn a_price_that_falls_makes_no_deficit() {
        let mut desk = desk();
        assert!(desk.shown("risk_margin_excess").is_nan());
        desk.margin
            .observe(at(MONDAY, 0), usd(30_000), usd(20_000))
            .unwrap();
        desk.margin
            .observe(at(MONDAY, 1), usd(10_000), usd(15_000))
            .unwrap();
        assert_eq!(desk.margin.excess(), Some(usd(-5_000)));
        assert_eq!(desk.deficit(), usd(0));
        // Nor does a sale that raises the level while it is negative.
        desk.margin.transact(at(MONDAY, 2), usd(1_000)).unwrap();
        assert_eq!((desk.deficit(), desk.events(Violated)), (usd(0), 0));
        assert!((desk.shown("risk_margin_excess") + 4_000.0).abs() < 1e-9);
        // One that lowers it makes a deficit of all that is missing.
        desk.margin.transact(at(MONDAY, 3), usd(-100)).unwrap();
        assert_eq!((desk.deficit(), desk.events(Violated)), (usd(4_100), 1));
    }

    #[test]
    fn a_recovery_undoes_no_deficit() {
        let mut desk = desk();
        desk.margin
            .observe(at(MONDAY, 0), usd(30_000), usd(0))
            .unwrap();
        desk.margin.transact(at(MONDAY, 60), usd(-32_500)).unwrap();
        assert_eq!(desk.deficit(), usd(2_500));
        desk.margin
            .observe(at(MONDAY, 61), usd(20_000), usd(30_000))
            .unwrap();
        assert_eq!(desk.deficit(), usd(2_500));
        desk.margin
            .observe(at(MONDAY, 90), usd(60_000), usd(40_000))
            .unwrap();
        desk.margin.transact(at(MONDAY, 95), usd(40_000)).unwrap();
        desk.margin.deposit(at(MONDAY, 99), usd(5_000)).unwrap();
        assert_eq!((desk.deficit(), desk.events(Violated)), (usd(2_500), 1));
        assert!((desk.shown("risk_intraday_margin_deficit") - 2_500.0).abs() < 1e-9);
    }

    #[test]
    fn within_a_second_the_worst_order_counts() {
        for deposit_first in [true, false] {
            let mut desk = desk();
            desk.margin
                .observe(at(MONDAY, 0), usd(30_000), usd(0))
                .unwrap();
            let buy = |margin: &mut IntradayMargin| {
                margin.transact(at(MONDAY, 5), usd(-32_500)).map(drop)
            };
            let pay = |margin: &mut IntradayMargin| margin.deposit(at(MONDAY, 5), usd(10_000));
            if deposit_first {
                pay(&mut desk.margin).unwrap();
                buy(&mut desk.margin).unwrap();
            } else {
                buy(&mut desk.margin).unwrap();
                pay(&mut desk.margin).unwrap();
            }
            assert_eq!(desk.deficit(), usd(2_500), "{deposit_first}");
            assert_eq!(desk.margin.excess(), Some(usd(7_500)));
        }
        // A second apart, the order is known.
        let mut desk = desk();
        desk.margin
            .observe(at(MONDAY, 0), usd(30_000), usd(0))
            .unwrap();
        desk.margin.deposit(at(MONDAY, 5), usd(10_000)).unwrap();
        desk.margin.transact(at(MONDAY, 6), usd(-32_500)).unwrap();
        assert_eq!(desk.deficit(), usd(0));
        // What is reported late comes at the day's lowest.
        desk.margin.transact(at(MONDAY, 3), usd(-8_000)).unwrap();
        assert_eq!(desk.deficit(), usd(500));
    }

    #[test]
    fn a_withdrawal_makes_a_deficit() {
        let mut desk = desk();
        desk.margin
            .observe(at(MONDAY, 0), usd(30_000), usd(29_000))
            .unwrap();
        let deficit = desk.margin.withdraw(at(MONDAY, 1), usd(1_500)).unwrap();
        assert_eq!(deficit, usd(500));
        assert!(desk.margin.withdraw(at(MONDAY, 2), usd(-1)).is_err());
        let euro = Money::new(1, Currency::EUR);
        assert!(desk.margin.deposit(at(MONDAY, 2), euro).is_err());
    }

    #[test]
    fn a_broker_who_computes_once_a_day_takes_closing_prices() {
        let rule = IntradayMarginRule {
            cadence: MarginCadence::OnceADay,
            ..IntradayMarginRule::default()
        };
        let mut desk = desk_under(rule);
        desk.margin
            .observe(at(MONDAY, 0), usd(30_000), usd(0))
            .unwrap();
        desk.margin.transact(at(MONDAY, 60), usd(-32_500)).unwrap();
        desk.margin.transact(at(MONDAY, 90), usd(32_500)).unwrap();
        // The day ends 1,000 better: at those prices 1,500 were missing after the purchase.
        desk.margin
            .observe(at(MONDAY, 300), usd(31_000), usd(0))
            .unwrap();
        assert_eq!((desk.deficit(), desk.events(Violated)), (usd(0), 0));
        desk.rest_until(trading_day(1));
        assert_eq!(desk.margin.outstanding()[0].amount, Decimal::from(1_500));
        assert_eq!(desk.events(Violated), 1);
    }

    #[test]
    fn deposits_or_a_rise_of_the_level_satisfy_from_the_days_end() {
        // Paid in on the day itself, it satisfies nothing; on a later one it does when that is over.
        let mut desk = desk().with_deficit();
        desk.margin.deposit(at(MONDAY, 400), usd(2_500)).unwrap();
        desk.rest_until(trading_day(1));
        assert_eq!(desk.margin.outstanding().len(), 1);
        desk.margin
            .deposit(at(trading_day(1), 1), usd(1_500))
            .unwrap();
        desk.rest_until(trading_day(2));
        assert_eq!(desk.margin.outstanding().len(), 1);
        desk.margin
            .deposit(at(trading_day(2), 1), usd(1_000))
            .unwrap();
        assert_eq!(desk.margin.outstanding().len(), 1);
        desk.rest_until(trading_day(3));
        assert_eq!(desk.margin.outstanding(), []);
        assert_eq!(
            desk.shown("risk_intraday_margin_deficit").to_bits(),
            0.0_f64.to_bits()
        );
        // A better price does so too.
        let mut desk = super::tests::desk().with_deficit();
        desk.margin
            .observe(at(trading_day(1), 0), usd(32_500), usd(0))
            .unwrap();
        desk.rest_until(trading_day(2));
        assert_eq!(desk.margin.outstanding(), []);
    }

    #[test]
    fn a_practice_freezes_until_satisfied_or_for_ninety_days() {
        let mut desk = desk().with_deficit();
        let fifth = trading_day(5);
        desk.rest_until(fifth);
        assert!(!desk.margin.is_frozen(fifth));
        let sixth = trading_day(6);
        desk.rest_until(sixth);
        assert!(desk.margin.is_frozen(sixth));
        let refused = desk.margin.check(at(sixth, 1), usd(-10)).unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("frozen through 2027-02-07"), "{text}");
        assert!(desk.margin.check(at(sixth, 1), usd(10)).is_ok());
        assert_eq!(desk.events(Blocked), 1);
        // Kept over a restart.
        let saved = serde_json::to_string(&desk.margin.save()).unwrap();
        let saved = serde_json::from_str(&saved).unwrap();
        let mut again = super::tests::desk();
        again.margin = IntradayMargin::restore(
            &Risk::new(),
            "margin",
            Currency::USD,
            IntradayMarginRule::default(),
            Calendar::nyse(),
            saved,
        )
        .unwrap();
        assert!(again.margin.is_frozen(sixth));
        // Satisfied, it thaws.
        again.margin.deposit(at(sixth, 2), usd(2_500)).unwrap();
        again.rest_until(trading_day(7));
        assert!(!again.margin.is_frozen(trading_day(7)));
        // Not satisfied, it is outstanding through the fifteenth business day and frozen for ninety days.
        desk.rest_until(trading_day(15));
        assert_eq!(desk.margin.outstanding().len(), 1);
        desk.rest_until(trading_day(16));
        assert_eq!(desk.margin.outstanding(), []);
        assert!(desk.margin.is_frozen(date(2027, 2, 7)));
        assert!(!desk.margin.is_frozen(date(2027, 2, 8)));
    }

    #[test]
    fn small_and_excused_deficits_make_no_practice() {
        // Min(5 % of 30,000, 1,000) is 1,000.
        for (missing, frozen) in [(1_000, false), (1_001, true)] {
            let mut desk = desk();
            desk.margin
                .observe(at(MONDAY, 0), usd(30_000), usd(0))
                .unwrap();
            desk.margin
                .transact(at(MONDAY, 1), usd(-30_000 - missing))
                .unwrap();
            desk.margin
                .transact(at(MONDAY, 2), usd(30_000 + missing))
                .unwrap();
            desk.rest_until(trading_day(6));
            assert_eq!(desk.margin.is_frozen(trading_day(6)), frozen, "{missing}");
        }
        let mut desk = desk().with_deficit();
        desk.rest_until(trading_day(6));
        desk.margin.excuse(MONDAY);
        assert!(!desk.margin.is_frozen(trading_day(6)));
        // A broker may take two for a practice.
        let rule = IntradayMarginRule {
            practice: 2,
            ..IntradayMarginRule::default()
        };
        let mut desk = desk_under(rule).with_deficit();
        desk.rest_until(trading_day(6));
        assert!(!desk.margin.is_frozen(trading_day(6)));
    }

    #[test]
    fn an_order_is_warned_of_before_and_house_rules_block() {
        let mut desk = desk();
        desk.margin
            .observe(at(MONDAY, 0), usd(30_000), usd(0))
            .unwrap();
        let check = desk.margin.check(at(MONDAY, 1), usd(-32_500)).unwrap();
        assert_eq!((check.excess, check.deficit), (usd(-2_500), usd(2_500)));
        assert!(desk.margin.check(at(MONDAY, 1), usd(-30_000)).is_ok());
        assert_eq!((desk.events(Warned), desk.events(Violated)), (1, 0));
        let rule = IntradayMarginRule {
            blocks: true,
            ..IntradayMarginRule::default()
        };
        let mut desk = desk_under(rule);
        desk.margin
            .observe(at(MONDAY, 0), usd(30_000), usd(0))
            .unwrap();
        assert!(desk.margin.check(at(MONDAY, 1), usd(-32_500)).is_err());
        // Nor does an account below the least equity open anything on margin.
        desk.margin
            .observe(at(MONDAY, 2), usd(1_999), usd(0))
            .unwrap();
        assert!(desk.margin.check(at(MONDAY, 3), usd(-10)).is_err());
        assert_eq!((desk.events(Warned), desk.events(Blocked)), (0, 2));
    }

    #[test]
    fn the_table_of_shares_gives_the_change_of_a_trade() {
        let rule = IntradayMarginRule::default();
        let near = |value: f64, expected: f64| assert!((value - expected).abs() < 1e-9, "{value}");
        near(rule.change(0.0, Side::Buy, 100.0, 50.0, 1.0), -1_251.0);
        near(rule.change(100.0, Side::Sell, 100.0, 50.0, 0.0), 1_250.0);
        near(rule.change(0.0, Side::Sell, 100.0, 50.0, 0.0), -1_500.0);
        // From long to short.
        near(rule.change(100.0, Side::Sell, 200.0, 50.0, 0.0), -250.0);
    }

    /// Prices come by the second: what is kept for late reports is bounded by the transactions.
    #[test]
    fn figures_that_follow_each_other_are_kept_as_one() {
        let mut desk = desk();
        let mut observe = |second: i64, level: i64| {
            let maintenance = usd(30_000_i64 - level);
            let observed = desk
                .margin
                .observe(at(MONDAY, second), usd(30_000), maintenance);
            observed.unwrap();
        };
        for second in 0..1_000 {
            observe(second, if second == 500 { 1_000 } else { 9_000_i64 });
        }
        let kept = serde_json::to_string(&desk.margin.save()).unwrap();
        assert!(kept.len() < 2_000, "{}", kept.len());
        // The lowest of them counts for what is reported late on its day.
        desk.margin.transact(at(MONDAY, 2_000), usd(-10)).unwrap();
        assert_eq!(desk.deficit(), usd(0));
        desk.margin.transact(at(MONDAY, 600), usd(-1_500)).unwrap();
        assert_eq!(desk.deficit(), usd(500));
    }

    #[test]
    fn what_cannot_be_booked_changes_nothing() {
        let mut desk = desk().with_deficit();
        desk.rest_until(trading_day(1));
        let before = desk.margin.save();
        let long_ago = at(Calendar::nyse().before(MONDAY, 5), 0);
        assert!(desk.margin.transact(long_ago, usd(-1)).is_err());
        assert!(
            desk.margin
                .observe(at(date(2064, 1, 2), 0), usd(1), usd(0))
                .is_err()
        );
        let nan = Money::new(f64::NAN, Currency::USD);
        assert!(desk.margin.transact(at(trading_day(1), 0), nan).is_err());
        assert_eq!(desk.margin.save(), before);
    }
}
