//! The bridge from one value of an account to the next: profit and loss by what made it.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::rates::{BookedRates, NO_RATE, Rate};
use crate::performance::Period;
use crate::{Currency, Decimal};

obs_core::label! {
    /// What made a profit or a loss.
    pub enum PnlComponent as "component" {
        /// Prices: what closing realised and what open positions changed by, before costs.
        Trading = "trading",
        /// Fees, less rebates.
        Fees = "fees",
        /// Funding of perpetuals.
        Funding = "funding",
        /// What borrowing securities or coins costs.
        Borrow = "borrow",
        /// Dividends, paid by short positions and received by long ones.
        Dividends = "dividends",
        /// Interest on cash.
        Interest = "interest",
        /// Changes of exchange rates, and conversions at other rates.
        Fx = "fx",
        /// What the value that was stated changed by beyond all of these. It is never computed to make them add up: NaN until a value
        /// was stated.
        Residual = "residual",
    }
}

/// An amount for each component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parts {
    by_component: [Decimal; 8],
    /// What was bought and sold, without sign. It is no part of the bridge.
    pub(crate) traded: Decimal,
}

impl Parts {
    pub(crate) fn add(&mut self, component: PnlComponent, amount: Decimal) {
        self.by_component[component as usize] += amount;
    }

    pub(crate) const fn of(&self, component: PnlComponent) -> Decimal {
        self.by_component[component as usize]
    }

    pub(crate) const fn by_component(&self) -> [Decimal; 8] {
        self.by_component
    }

    /// All that has events of its own.
    pub(crate) fn total(&self) -> Decimal {
        let residual = PnlComponent::Residual as usize;
        self.by_component[..residual].iter().copied().sum()
    }
}

/// The parts of one currency: since the beginning, and when the periods under way began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bridge {
    /// What it began with, and what was paid in since.
    pub(crate) contributed: Decimal,
    pub(crate) parts: Parts,
    /// Value less contributions and parts when a value was last stated.
    pub(crate) residual: Option<Decimal>,
    periods: [(Option<Date>, Parts, Option<Decimal>); 3],
}

const ROLLING: [Period; 3] = [Period::Day, Period::Week, Period::Month];

impl Bridge {
    pub(crate) fn new(contributed: Decimal) -> Self {
        Self {
            contributed,
            parts: Parts::default(),
            residual: None,
            periods: Default::default(),
        }
    }

    /// What the account is worth by its own events.
    pub(crate) fn value(&self) -> Decimal {
        self.contributed + self.parts.total() + self.parts.of(PnlComponent::Residual)
    }

    /// Somebody says what the account is worth.
    pub(crate) fn state(&mut self, value: Decimal) {
        self.residual = Some(value - self.contributed - self.parts.total());
    }

    /// Moves on to a day: the periods that it does not lie in are over.
    pub(crate) fn advance(&mut self, day: Date) {
        let residual = self.residual();
        for (period, (start, opening, before)) in ROLLING.into_iter().zip(&mut self.periods) {
            let begins = period.start(day);
            if *start < Some(begins) {
                *start = Some(begins);
                *opening = self.parts;
                *before = residual;
            }
        }
    }

    /// What a component made in the period under way; nothing for a residual of which no value was stated.
    pub(crate) fn made(&self, component: PnlComponent, period: Period) -> Option<Decimal> {
        let opening = ROLLING
            .iter()
            .position(|rolling| *rolling == period)
            .map(|place| &self.periods[place]);
        if component == PnlComponent::Residual {
            let before = opening.and_then(|(_, _, before)| *before);
            return Some(self.residual()? - before.unwrap_or_default());
        }
        let before = opening.map_or(Decimal::ZERO, |(_, parts, _)| parts.of(component));
        Some(self.parts.of(component) - before)
    }

    /// What was bought and sold in the period under way, without sign.
    pub(crate) fn traded(&self, period: Period) -> Decimal {
        let opening = ROLLING
            .iter()
            .position(|rolling| *rolling == period)
            .map_or(Decimal::ZERO, |place| self.periods[place].1.traded);
        self.parts.traded - opening
    }

    /// What was stated beyond the parts; without a statement, what was adopted.
    fn residual(&self) -> Option<Decimal> {
        let adopted = self.parts.of(PnlComponent::Residual);
        self.residual
            .or_else(|| (!adopted.is_zero()).then_some(adopted))
    }
}

/// One currency of an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pocket {
    pub(crate) currency: Currency,
    pub(crate) cash: Decimal,
    /// Proceeds that are not settled yet, as the desk says.
    pub(crate) unsettled: Decimal,
    /// In this currency.
    pub(crate) own: Bridge,
    rate: Option<Rate>,
    #[serde(default)]
    booked: BookedRates,
    /// What was last counted of it in the base currency.
    in_base: Decimal,
    /// What happened while no rate was known, and is counted at the first one that comes.
    waiting: Vec<(usize, PnlComponent, Decimal)>,
    /// What was paid in while no rate was known.
    waiting_contribution: Decimal,
}

/// All currencies of an account, and the whole of it in its base currency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Money {
    pub(crate) base: Currency,
    pub(crate) whole: Bridge,
    pub(crate) pockets: Vec<Pocket>,
    pub(crate) owners: Vec<Owner>,
    oldest: SignedDuration,
    /// Events that had no rate when they came.
    pub(crate) unconverted: u64,
}

/// What a strategy made, or what belongs to none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub(crate) name: Box<str>,
    pub(crate) in_base: Parts,
    pub(crate) by_pocket: Vec<Parts>,
}

/// The owner of what belongs to no strategy.
pub(crate) const UNALLOCATED: usize = 0;

/// Amounts that wait for a rate, by owner and component: there are few of each.
const WAITING: usize = 1_000;

impl Money {
    pub(crate) fn new(base: Currency, cash: Decimal, oldest: SignedDuration) -> Self {
        let mut money = Self {
            base,
            whole: Bridge::new(cash),
            pockets: Vec::new(),
            owners: Vec::new(),
            oldest,
            unconverted: 0,
        };
        money.owner("unallocated");
        let pocket = money.pocket(base);
        money.pockets[pocket].cash = cash;
        money.pockets[pocket].own.contributed = cash;
        money.pockets[pocket].in_base = cash;
        money
    }

    pub(crate) fn owner(&mut self, name: &str) -> usize {
        if let Some(known) = self.owners.iter().position(|owner| *owner.name == *name) {
            return known;
        }
        self.owners.push(Owner {
            name: name.into(),
            in_base: Parts::default(),
            by_pocket: vec![Parts::default(); self.pockets.len()],
        });
        self.owners.len() - 1
    }

    pub(crate) fn pocket(&mut self, currency: Currency) -> usize {
        if let Some(known) = self.find(currency) {
            return known;
        }
        self.pockets.push(Pocket {
            currency,
            cash: Decimal::ZERO,
            unsettled: Decimal::ZERO,
            own: Bridge::new(Decimal::ZERO),
            rate: None,
            booked: BookedRates::default(),
            in_base: Decimal::ZERO,
            waiting: Vec::new(),
            waiting_contribution: Decimal::ZERO,
        });
        for owner in &mut self.owners {
            owner.by_pocket.push(Parts::default());
        }
        self.pockets.len() - 1
    }

    pub(crate) fn find(&self, currency: Currency) -> Option<usize> {
        let is_it = |pocket: &Pocket| pocket.currency == currency;
        self.pockets.iter().position(is_it)
    }

    /// A component made this much, in a currency; its cash is booked apart.
    pub(crate) fn made(
        &mut self,
        at: Timestamp,
        pocket: usize,
        owner: usize,
        component: PnlComponent,
        amount: Decimal,
    ) {
        self.made_then(at, pocket, owner, component, amount, NO_RATE);
    }

    /// The same of something that was booked before, and is put right: at the rate of then, by its number. What the rate changed since is
    /// `fx`, as it would be had it been booked right.
    pub(crate) fn made_then(
        &mut self,
        at: Timestamp,
        pocket: usize,
        owner: usize,
        component: PnlComponent,
        amount: Decimal,
        rate: u32,
    ) {
        if amount.is_zero() {
            return;
        }
        self.pockets[pocket].own.parts.add(component, amount);
        self.owners[owner].by_pocket[pocket].add(component, amount);
        match self.counted(at, pocket, amount) {
            Some(in_base) => {
                let then = self.pockets[pocket].booked.get(rate);
                let then = then.map_or(in_base, |rate| rate.convert(amount));
                self.made_in_base(owner, component, then);
                self.made_in_base(UNALLOCATED, PnlComponent::Fx, in_base - then);
            }
            None => self.wait(pocket, owner, component, amount),
        }
    }

    /// So much was bought or sold, without sign.
    pub(crate) fn traded(&mut self, at: Timestamp, pocket: usize, amount: Decimal) {
        self.pockets[pocket].own.parts.traded += amount;
        if let Some(in_base) = self.convert(at, pocket, amount) {
            self.whole.parts.traded += in_base;
        }
    }

    /// Rates are too old after this long.
    pub(crate) const fn set_oldest(&mut self, age: SignedDuration) {
        self.oldest = age;
    }

    fn made_in_base(&mut self, owner: usize, component: PnlComponent, amount: Decimal) {
        self.whole.parts.add(component, amount);
        self.owners[owner].in_base.add(component, amount);
    }

    fn wait(&mut self, pocket: usize, owner: usize, component: PnlComponent, amount: Decimal) {
        self.unconverted += 1;
        let waiting = &mut self.pockets[pocket].waiting;
        let is_same =
            |entry: &(usize, PnlComponent, Decimal)| (entry.0, entry.1) == (owner, component);
        match waiting.iter().position(is_same) {
            Some(place) => waiting[place].2 += amount,
            None if waiting.len() < WAITING => waiting.push((owner, component, amount)),
            // So many strategies without a rate: the money is kept, its strategy is not.
            None => waiting[0].2 += amount,
        }
    }

    /// Money was paid in, or, negative, taken out.
    pub(crate) fn contribute(&mut self, at: Timestamp, pocket: usize, amount: Decimal) {
        self.pockets[pocket].cash += amount;
        self.pockets[pocket].own.contributed += amount;
        if let Some(in_base) = self.counted(at, pocket, amount) {
            self.whole.contributed += in_base;
        } else {
            self.unconverted += 1;
            self.pockets[pocket].waiting_contribution += amount;
        }
    }

    /// By how much the pocket's value in the base currency changes with this. What is counted is always the difference of two
    /// converted totals, and not the converted difference: so the parts add up to the last digit, however the rates are.
    fn counted(&mut self, at: Timestamp, pocket: usize, amount: Decimal) -> Option<Decimal> {
        let is_base = self.pockets[pocket].currency == self.base;
        let oldest = self.oldest;
        let pocket = &mut self.pockets[pocket];
        let now = if is_base {
            pocket.in_base + amount
        } else {
            let rate = pocket.rate.filter(|rate| !rate.is_older_than(oldest, at))?;
            if !pocket.is_counted() {
                return None;
            }
            rate.convert(pocket.own.value())
        };
        let before = std::mem::replace(&mut pocket.in_base, now);
        Some(now - before)
    }

    /// A new rate: what the currency's money changed by is `fx`, and what waited for a rate is counted at this one.
    pub(crate) fn rate(&mut self, pocket: usize, rate: Rate) {
        let waiting = std::mem::take(&mut self.pockets[pocket].waiting);
        let contribution = std::mem::take(&mut self.pockets[pocket].waiting_contribution);
        let of = &mut self.pockets[pocket];
        if of.rate.is_some_and(|known| known.at() > rate.at()) {
            (of.waiting, of.waiting_contribution) = (waiting, contribution);
            return;
        }
        of.rate = Some(rate);
        let uncounted: Decimal = waiting.iter().map(|(.., amount)| *amount).sum();
        let mut value = of.own.value() - uncounted - contribution;
        let mut count = |amount: Decimal| {
            value += amount;
            let now = rate.convert(value);
            now - std::mem::replace(&mut of.in_base, now)
        };
        let (revalued, contributed) = (count(Decimal::ZERO), count(contribution));
        let counted: Vec<_> = waiting
            .into_iter()
            .map(|(owner, component, amount)| (owner, component, count(amount)))
            .collect();
        self.whole.contributed += contributed;
        self.made_in_base(UNALLOCATED, PnlComponent::Fx, revalued);
        for (owner, component, amount) in counted {
            self.made_in_base(owner, component, amount);
        }
    }

    /// The number of the rate that an event is booked at.
    pub(crate) fn rate_number(&mut self, at: Timestamp, pocket: usize) -> u32 {
        let oldest = self.oldest;
        let pocket = &mut self.pockets[pocket];
        match pocket.rate {
            Some(rate) if !rate.is_older_than(oldest, at) => pocket.booked.number(rate),
            _ => NO_RATE,
        }
    }

    /// The amount in the base currency at the rate of then, by its number; where that is not known, at the present one.
    pub(crate) fn convert_then(
        &self,
        at: Timestamp,
        pocket: usize,
        amount: Decimal,
        rate: u32,
    ) -> Option<Decimal> {
        match self.pockets[pocket].booked.get(rate) {
            Some(rate) => Some(rate.convert(amount)),
            None => self.convert(at, pocket, amount),
        }
    }

    /// The amount in the base currency; nothing without a rate that is young enough.
    pub(crate) fn convert(&self, at: Timestamp, pocket: usize, amount: Decimal) -> Option<Decimal> {
        let pocket = &self.pockets[pocket];
        if pocket.currency == self.base {
            return Some(amount);
        }
        let rate = pocket.rate?;
        (!rate.is_older_than(self.oldest, at)).then(|| rate.convert(amount))
    }

    /// Whether everything is counted in the base currency, at rates that are young enough.
    pub(crate) fn is_whole(&self, at: Timestamp) -> bool {
        self.pockets.iter().all(|pocket| {
            let is_young = || {
                pocket
                    .rate
                    .is_some_and(|rate| !rate.is_older_than(self.oldest, at))
            };
            pocket.currency == self.base
                || pocket.own.value().is_zero() && pocket.is_counted()
                || pocket.is_counted() && is_young()
        })
    }

    /// Moves on to a day.
    pub(crate) fn advance(&mut self, day: Date) {
        self.whole.advance(day);
        for pocket in &mut self.pockets {
            pocket.own.advance(day);
        }
    }
}

impl Pocket {
    /// Whether nothing waits for a rate.
    fn is_counted(&self) -> bool {
        self.waiting.is_empty() && self.waiting_contribution.is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    #[test]
    fn what_waits_for_a_rate_is_counted_at_the_first() {
        let mut money = Money::new(Currency::USD, decimal("1000"), DAY);
        let euro = money.pocket(Currency::EUR);
        money.made(
            at(0),
            euro,
            UNALLOCATED,
            PnlComponent::Dividends,
            decimal("10"),
        );
        assert!(!money.is_whole(at(0)));
        assert_eq!(money.unconverted, 1);
        assert_eq!(money.whole.parts.of(PnlComponent::Dividends), Decimal::ZERO);
        money.rate(
            euro,
            Rate::new(at(1), decimal("1.1"), Decimal::ONE).unwrap(),
        );
        assert!(money.is_whole(at(1)));
        assert_eq!(money.whole.parts.of(PnlComponent::Dividends), decimal("11"));
        money.rate(
            euro,
            Rate::new(at(2), decimal("1.2"), Decimal::ONE).unwrap(),
        );
        assert_eq!(money.whole.parts.of(PnlComponent::Fx), decimal("1"));
        assert_eq!(money.whole.value(), decimal("1012"));
        assert!(!money.is_whole(at(2) + DAY + DAY), "the rate is too old");
    }

    /// An older rate that comes late changes nothing.
    #[test]
    fn rates_come_in_order() {
        let mut money = Money::new(Currency::USD, Decimal::ZERO, DAY);
        let euro = money.pocket(Currency::EUR);
        money.contribute(at(0), euro, decimal("100"));
        money.rate(
            euro,
            Rate::new(at(5), decimal("1.1"), Decimal::ONE).unwrap(),
        );
        money.rate(euro, Rate::new(at(4), decimal("9"), Decimal::ONE).unwrap());
        assert_eq!(money.whole.value(), decimal("110"));
        assert_eq!(money.whole.contributed, decimal("110"));
    }
}
