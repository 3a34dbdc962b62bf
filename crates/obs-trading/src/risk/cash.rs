//! What a cash account has: settled and unsettled cash, and lots with what they were paid with. And the events of the last days that made
//! it so, by which one that is reported late is put where its day belongs.

use std::collections::VecDeque;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::settlement::{CashRule, Funding, SettlementDays};
use crate::seen::Identity;
use crate::{ComplianceAction, ComplianceRule, Currency, Decimal, Error, Money};

/// The state of [`CashAccount`](crate::CashAccount) as it can be kept across a restart. Rule and calendar are not part of it: they are
/// stated anew. Files of before are read, in which amounts are whole cents of a currency that is not named, or no events are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedCashAccount {
    #[serde(default)]
    pub(super) currency: Option<Currency>,
    last: Option<Date>,
    #[serde(with = "units")]
    settled: Decimal,
    /// Proceeds on their way that no purchase has used, by the day they settle.
    pending: Vec<Pending>,
    /// What is held, the oldest purchase first. A lot that was sold before it was paid for stays until it is.
    pub(super) lots: Vec<Lot>,
    frozen_until: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recent: Option<Box<Recent>>,
}

/// The events of the last days, and what the account had before them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Recent {
    before: SavedCashAccount,
    /// By day, and within a day as reported.
    events: VecDeque<Event>,
}

/// Something that happened on a day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Event {
    pub(super) date: Date,
    pub(super) what: What,
    /// By which it can be corrected and taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<Identity>,
}

/// What happened. Amounts are in the account's currency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    Deposit(Decimal),
    Withdrawal(Decimal),
    Purchase {
        symbol: Box<str>,
        quantity: f64,
        cost: Decimal,
    },
    Sale {
        symbol: Box<str>,
        quantity: f64,
        proceeds: Decimal,
    },
    /// By the broker's word.
    Frozen(Option<Date>),
}

/// Rules that were broken or warned of.
pub(super) type Verdicts = Vec<(ComplianceRule, ComplianceAction)>;

/// What came of an event.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    /// How a purchase is paid.
    pub(super) paid: Option<Paid>,
    /// The rules that it broke or was warned of, each once.
    pub(super) verdicts: Verdicts,
}

impl Outcome {
    /// The rules that it broke.
    pub(super) fn broken(&self) -> Vec<ComplianceRule> {
        let broken = |(rule, action): &(ComplianceRule, ComplianceAction)| {
            (*action == ComplianceAction::Violated).then_some(*rule)
        };
        self.verdicts.iter().filter_map(broken).collect()
    }
}

/// What is needed to book an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'a> {
    pub(super) currency: Currency,
    pub(super) rule: CashRule,
    pub(super) days: &'a SettlementDays,
}

impl Terms<'_> {
    fn settlement_of(self, date: Date) -> Date {
        self.days.settlement.after(date, self.rule.settlement_days)
    }

    fn money(self, amount: Decimal) -> Money {
        Money::new(amount, self.currency)
    }
}

/// For so many days, and so many events, late reports are taken: as ledgers do by [`CorrectionWindow::DEFAULT`](crate::CorrectionWindow).
const KEPT_DAYS: i64 = 5;
const KEPT_EVENTS: usize = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pending {
    settles: Date,
    #[serde(with = "units", alias = "cents")]
    amount: Decimal,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Lot {
    symbol: Box<str>,
    quantity: f64,
    /// When the last of the funds it was paid with settles.
    free_from: Option<Date>,
    #[serde(with = "units")]
    owed: Decimal,
    due: Option<Date>,
}

/// How events are taken. One that is refused changes nothing.
impl SavedCashAccount {
    pub(super) fn new(currency: Currency) -> Self {
        Self {
            currency: Some(currency),
            ..Self::default()
        }
    }

    pub(super) fn in_currency(mut self, currency: Currency) -> Self {
        self.currency = Some(currency);
        self
    }

    /// Takes an event: at the end, or, if it comes late, where its day belongs, from where all that follows is taken again. Says what came
    /// of it, and of others by it.
    pub(super) fn take(
        &mut self,
        event: Event,
        terms: Terms<'_>,
    ) -> Result<(Outcome, Verdicts), Error> {
        if let Some(last) = self.last.filter(|last| event.date < *last) {
            return self.take_late(event, last, terms);
        }
        if self.recent.is_none() {
            let before = self.clone();
            let events = VecDeque::new();
            self.recent = Some(Box::new(Recent { before, events }));
        }
        let outcome = self.book(&event, terms)?;
        self.keep(event, terms);
        let verdicts = outcome.verdicts.clone();
        Ok((outcome, verdicts))
    }

    fn take_late(
        &mut self,
        event: Event,
        last: Date,
        terms: Terms<'_>,
    ) -> Result<(Outcome, Verdicts), Error> {
        let date = event.date;
        let is_within = add_days(date, KEPT_DAYS) >= last;
        let recent = self.recent.as_ref().filter(|recent| {
            let is_kept = recent.before.last.is_none_or(|first| first <= date);
            is_within && is_kept && recent.events.len() < KEPT_EVENTS
        });
        let Some(recent) = recent else {
            return Err(Error::OutOfOrder { date, last });
        };
        let mut events = recent.events.clone();
        let place = put(&mut events, event);
        let (outcomes, fresh) = self.retake(events, terms)?;
        Ok((outcomes.into_iter().nth(place).unwrap_or_default(), fresh))
    }

    /// Whether an event of this identity is among those that can be corrected.
    pub(super) fn knows(&self, id: Identity) -> bool {
        let recent = self.recent.as_ref();
        recent.is_some_and(|recent| recent.place_of(id).is_some())
    }

    /// Takes back the event of an identity, or puts another in its place; nothing where none is known.
    pub(super) fn revise(
        &mut self,
        id: Identity,
        by: Option<Event>,
        terms: Terms<'_>,
    ) -> Option<Result<(Outcome, Verdicts), Error>> {
        let recent = self.recent.as_ref()?;
        let place = recent.place_of(id)?;
        let mut events = recent.events.clone();
        let place = match by {
            Some(event) if event.date == events[place].date => {
                events[place] = event;
                place
            }
            Some(event) => {
                events.remove(place);
                put(&mut events, event)
            }
            None => {
                events.remove(place);
                events.len()
            }
        };
        let retaken = self.retake(events, terms);
        Some(
            retaken.map(|(outcomes, fresh)| {
                (outcomes.into_iter().nth(place).unwrap_or_default(), fresh)
            }),
        )
    }

    /// Takes these events in the place of those that are kept. Returns what comes of each, and the verdicts that were not there before.
    fn retake(
        &mut self,
        events: VecDeque<Event>,
        terms: Terms<'_>,
    ) -> Result<(Vec<Outcome>, Verdicts), Error> {
        let Some(recent) = &self.recent else {
            return Ok(Default::default());
        };
        let (_, before) = recent.before.replay(&recent.events, terms)?;
        let (mut replayed, outcomes) = recent.before.replay(&events, terms)?;
        let (mut fresh, mut known) = (Vec::new(), flat(&before));
        for verdict in flat(&outcomes) {
            match known.iter().position(|other| *other == verdict) {
                Some(place) => drop(known.swap_remove(place)),
                None => fresh.push(verdict),
            }
        }
        if let Some(last) = self.last {
            // It is as late as it was, though the last event may be gone.
            replayed.advance(last);
        }
        let before = recent.before.clone();
        replayed.recent = Some(Box::new(Recent { before, events }));
        *self = replayed;
        Ok((outcomes, fresh))
    }

    /// What follows from this and events.
    fn replay(
        &self,
        events: &VecDeque<Event>,
        terms: Terms<'_>,
    ) -> Result<(Self, Vec<Outcome>), Error> {
        let mut state = self.clone();
        let outcomes = events.iter().map(|event| state.book(event, terms));
        let outcomes = outcomes.collect::<Result<_, _>>()?;
        Ok((state, outcomes))
    }

    /// Keeps an event, and forgets those that are too old for late reports, but for what came of them.
    fn keep(&mut self, event: Event, terms: Terms<'_>) {
        let last = event.date;
        let Some(recent) = &mut self.recent else {
            return;
        };
        recent.events.push_back(event);
        let is_old = |event: &Event| add_days(event.date, KEPT_DAYS) < last;
        while recent.events.len() > KEPT_EVENTS || recent.events.front().is_some_and(is_old) {
            if let Some(oldest) = recent.events.pop_front() {
                // It was booked before, in the same order.
                let _ = recent.before.book(&oldest, terms);
            }
        }
    }

    /// What was held before the account was followed, paid for in full.
    pub(super) fn hold(&mut self, symbol: &str, quantity: f64) {
        let lot = Lot {
            symbol: symbol.into(),
            quantity,
            free_from: None,
            owed: Decimal::ZERO,
            due: None,
        };
        if let Some(recent) = &mut self.recent {
            recent.before.lots.insert(0, lot.clone());
        }
        self.lots.insert(0, lot);
    }

    /// Changes every lot of a symbol, and what is kept of the executions that made them.
    pub(super) fn each_of(&mut self, symbol: &str, change: &impl Fn(&mut Box<str>, &mut f64)) {
        let of = |known: &str| known == symbol;
        for lot in self.lots.iter_mut().filter(|lot| of(&lot.symbol)) {
            change(&mut lot.symbol, &mut lot.quantity);
        }
        let Some(recent) = &mut self.recent else {
            return;
        };
        recent.before.each_of(symbol, change);
        for event in &mut recent.events {
            if let What::Purchase {
                symbol, quantity, ..
            }
            | What::Sale {
                symbol, quantity, ..
            } = &mut event.what
                && of(symbol)
            {
                change(symbol, quantity);
            }
        }
    }

    /// The broker restricts the account to settled cash, or does no longer.
    pub(super) fn freeze(&mut self, until: Option<Date>, terms: Terms<'_>) {
        let what = What::Frozen(until);
        match self.last {
            // Nothing refuses it.
            Some(date) => {
                let id = None;
                drop(self.take(Event { date, what, id }, terms));
            }
            None => self.frozen_until = until,
        }
    }

    /// Books an event of the last day or a later one.
    fn book(&mut self, event: &Event, terms: Terms<'_>) -> Result<Outcome, Error> {
        let date = event.date;
        match &event.what {
            What::Deposit(amount) => {
                self.check_income("the deposit", *amount, terms)?;
                self.advance(date);
                let (rest, _) = self.pay(*amount, None);
                self.settled += rest;
            }
            What::Withdrawal(amount) => {
                let settled = self.available(date);
                if *amount > settled {
                    let (asked, settled) = (terms.money(*amount), terms.money(settled));
                    return Err(Error::NotSettled { asked, settled });
                }
                self.advance(date);
                self.settled -= *amount;
            }
            What::Purchase {
                symbol,
                quantity,
                cost,
            } => return self.buy(symbol, *quantity, *cost, date, terms),
            What::Sale {
                symbol,
                quantity,
                proceeds,
            } => return self.sell(symbol, *quantity, *proceeds, date, terms),
            What::Frozen(until) => {
                self.advance(date);
                self.frozen_until = *until;
            }
        }
        Ok(Outcome::default())
    }

    fn buy(
        &mut self,
        symbol: &str,
        quantity: f64,
        cost: Decimal,
        date: Date,
        terms: Terms<'_>,
    ) -> Result<Outcome, Error> {
        check_sum("the cost", cost, self.owed(), terms)?;
        self.advance(date);
        let paid = self.spend(cost, date);
        let due = terms.settlement_of(date);
        let lot = Lot {
            symbol: symbol.into(),
            quantity,
            free_from: paid.hold_until,
            owed: paid.owed,
            due: paid.owed.is_positive().then_some(due),
        };
        self.add(lot, date);
        let mut verdicts = Vec::new();
        if paid.settled < cost {
            let action = if self.is_frozen(date) {
                ComplianceAction::Violated
            } else {
                ComplianceAction::Warned
            };
            verdicts.push((ComplianceRule::UnsettledFunds, action));
        }
        Ok(Outcome {
            paid: Some(paid),
            verdicts,
        })
    }

    fn sell(
        &mut self,
        symbol: &str,
        quantity: f64,
        proceeds: Decimal,
        date: Date,
        terms: Terms<'_>,
    ) -> Result<Outcome, Error> {
        self.check_income("the proceeds", proceeds, terms)?;
        let held = self.held(symbol);
        if quantity > held * (1.0 + ROUNDING) {
            return Err(Error::NotHeld {
                symbol: symbol.into(),
                asked: quantity,
                held,
            });
        }
        self.advance(date);
        let mut broken: Vec<_> = self.broken_by(symbol, quantity, date).collect();
        self.remove(symbol, quantity);
        let settles = terms.settlement_of(date);
        let rest = self.pay_own(symbol, proceeds, settles);
        let (rest, is_late) = self.pay(rest, Some(settles));
        if is_late {
            broken.push(ComplianceRule::UnsettledFunds);
        }
        self.receive(rest, settles);
        self.settle(date);
        if broken.contains(&ComplianceRule::FreeRiding) {
            let until = add_days(date, i64::from(terms.rule.freeze_days));
            self.frozen_until = self.frozen_until.max(Some(until));
        }
        let violated = |rule| (rule, ComplianceAction::Violated);
        Ok(Outcome {
            paid: None,
            verdicts: broken.into_iter().map(violated).collect(),
        })
    }

    /// Whether the cash can take it: what is settled and pending adds up without overflow, always.
    fn check_income(
        &self,
        what: &'static str,
        amount: Decimal,
        terms: Terms<'_>,
    ) -> Result<(), Error> {
        let cash = self.settled + self.pending_by(|_| true);
        check_sum(what, amount, cash, terms)
    }

    pub(super) fn is_frozen(&self, date: Date) -> bool {
        self.frozen_until.is_some_and(|until| date <= until)
    }

    fn advance(&mut self, date: Date) {
        if self.last != Some(date) {
            self.last = Some(date);
            self.settle(date);
            self.merge(date);
        }
    }
}

fn check_sum(
    what: &'static str,
    amount: Decimal,
    to: Decimal,
    terms: Terms<'_>,
) -> Result<(), Error> {
    match to.checked_add(amount) {
        Some(_) => Ok(()),
        None => Err(Error::NotBookable {
            what,
            amount: terms.money(amount),
        }),
    }
}

impl Recent {
    /// The latest report under an identity.
    fn place_of(&self, id: Identity) -> Option<usize> {
        self.events.iter().rposition(|event| event.id == Some(id))
    }
}

/// Puts an event after the others of its day.
fn put(events: &mut VecDeque<Event>, event: Event) -> usize {
    let place = events.partition_point(|kept| kept.date <= event.date);
    events.insert(place, event);
    place
}

fn flat(outcomes: &[Outcome]) -> Verdicts {
    let verdicts = outcomes.iter().flat_map(|outcome| &outcome.verdicts);
    verdicts.copied().collect()
}

/// What there is, and what it is paid with.
impl SavedCashAccount {
    fn settle(&mut self, date: Date) {
        self.settled += self.pending_by(|settles| settles <= date);
        self.pending.retain(|pending| pending.settles > date);
    }

    /// The cash that is settled on this day.
    pub(super) fn available(&self, date: Date) -> Decimal {
        self.settled + self.pending_by(|settles| settles <= date)
    }

    pub(super) fn owed(&self) -> Decimal {
        self.lots.iter().map(|lot| lot.owed).sum()
    }

    pub(super) fn pending_by(&self, counts: impl Fn(Date) -> bool) -> Decimal {
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
    pub(super) fn fund(&self, cost: Decimal, date: Date) -> Paid {
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
    fn spend(&mut self, cost: Decimal, date: Date) -> Paid {
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

    pub(super) fn held(&self, symbol: &str) -> f64 {
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
    pub(super) fn broken_by(
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
    pub(super) fn free_from(&self, symbol: &str, quantity: f64) -> Option<Date> {
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
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Paid {
    pub(super) settled: Decimal,
    pub(super) unsettled: Decimal,
    pub(super) owed: Decimal,
    pub(super) hold_until: Option<Date>,
}

impl Paid {
    pub(super) fn in_currency(self, currency: Currency) -> Funding {
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

/// At the ends of the calendar adding stops.
fn add_days(date: Date, days: i64) -> Date {
    date.saturating_add(jiff::Span::new().days(days))
}
