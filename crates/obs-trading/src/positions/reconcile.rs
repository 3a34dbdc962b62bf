//! Reconciliation with the broker: what it says against what was booked.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use obs_core::{By, Gauge, Unit};
use serde::{Deserialize, Serialize};

use super::bridge::{PnlComponent, UNALLOCATED};
use super::position::{Entry, Traded, What};
use super::{Positions, invalid};
use crate::performance::{AccountName, CurrencyCode};
use crate::{Currency, Decimal, Error, Money};

obs_core::label! {
    /// What of an account is reconciled.
    pub enum ReconciledPart as "what" {
        /// Units of a symbol.
        Position = "position",
        /// Cash of a currency.
        Cash = "cash",
        /// The account's value.
        Value = "value",
        /// An open order.
        Order = "order",
    }
}

obs_core::label! {
    /// What of an account is reconciled in money.
    pub enum ReconciledMoney as "what" {
        /// Units of symbols, at their marks.
        Position = "position",
        /// Cash.
        Cash = "cash",
        /// The account's value.
        Value = "value",
    }
}

obs_core::families! {
    group crate::groups::POSITIONS;

    /// Whether the broker agrees.
    pub struct ReconciliationMetrics(account: AccountName) {
        /// Differences from the broker that are open.
        pub open_breaks: By<ReconciledPart, Gauge> = "portfolio_reconciliation_open_breaks" { unit: Unit::Count },
        /// The time of the last statement that was compared; NaN if there was none.
        pub reconciled: Gauge = "portfolio_reconciliation_timestamp_seconds",
    }
}

obs_core::families! {
    group crate::groups::POSITIONS;

    /// By how much the broker differs.
    pub struct ReconciliationMoneyMetrics(account: AccountName, currency: CurrencyCode) {
        /// Ours against the broker's, without sign, in the account's base currency.
        pub difference: By<ReconciledMoney, Gauge> = "portfolio_reconciliation_difference" { unit: Unit::Currency },
    }
}

/// What a broker says of an account, as of a time.
///
/// ```
/// use obs_trading::{Currency, Money, Statement, jiff::Timestamp};
///
/// let as_of: Timestamp = "2026-03-02T21:00:00Z".parse()?;
/// let statement = Statement::new(as_of)
///     .with_positions([("AAPL", 10.into()), ("MSFT", (-3).into())])
///     .with_cash(Money::new(1_250.5, Currency::USD));
/// # Ok::<(), obs_trading::jiff::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    as_of: Timestamp,
    positions: Option<BTreeMap<Box<str>, Decimal>>,
    cash: Vec<Money>,
    value: Option<Money>,
    rates: Vec<(Currency, Decimal)>,
    orders: Option<BTreeSet<Box<str>>>,
}

impl Statement {
    /// A statement that says nothing yet. What it does not say is not compared.
    #[must_use]
    pub const fn new(as_of: Timestamp) -> Self {
        Self {
            as_of,
            positions: None,
            cash: Vec::new(),
            value: None,
            rates: Vec::new(),
            orders: None,
        }
    }

    /// The same with all positions, short below zero: what is not among them is flat. Several of one symbol, such as the long and the
    /// short leg of an account in hedge mode, are added up.
    #[must_use]
    pub fn with_positions<'a>(
        mut self,
        positions: impl IntoIterator<Item = (&'a str, Decimal)>,
    ) -> Self {
        let all = self.positions.get_or_insert_default();
        for (symbol, quantity) in positions {
            *all.entry(symbol.into()).or_default() += quantity;
        }
        self
    }

    /// The same with the cash of a currency.
    #[must_use]
    pub fn with_cash(mut self, cash: Money) -> Self {
        self.cash.push(cash);
        self
    }

    /// The same with the value of the account, in its base currency.
    #[must_use]
    pub const fn with_value(mut self, value: Money) -> Self {
        self.value = Some(value);
        self
    }

    /// The same with the rate at which the broker values a currency, in the base currency.
    #[must_use]
    pub fn with_rate(mut self, currency: Currency, rate: impl Into<Decimal>) -> Self {
        self.rates.push((currency, rate.into()));
        self
    }

    /// The same with the identifiers of all open orders.
    #[must_use]
    pub fn with_orders<'a>(mut self, orders: impl IntoIterator<Item = &'a str>) -> Self {
        let all = self.orders.get_or_insert_default();
        all.extend(orders.into_iter().map(Box::from));
        self
    }
}

/// An order that is open as far as the desk knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenOrder {
    /// The broker's identifier.
    pub id: Box<str>,
    /// What it trades.
    pub symbol: Box<str>,
    /// What is not executed, as far as the desk knows; negative for a sale.
    pub remaining: Decimal,
    /// When it was sent.
    pub since: Timestamp,
}

/// What differs by no more is equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerances {
    /// Units of a symbol; none at first.
    pub quantity: Decimal,
    /// Cash of a currency, in its unit; half a cent at first.
    pub cash: Decimal,
    /// The account's value, in its base currency; one at first.
    pub value: Decimal,
    /// A rate, as a share of it; a hundredth at first.
    pub rate: Decimal,
    /// A statement that is older is stale; a day at first.
    pub age: SignedDuration,
    /// How long an execution may take to be reported: what an open order may have done since is waited for; a minute at first.
    pub in_flight: SignedDuration,
}

impl Default for Tolerances {
    fn default() -> Self {
        Self {
            quantity: Decimal::ZERO,
            cash: Decimal::of_minor(5, 3),
            value: Decimal::ONE,
            rate: Decimal::of_minor(1, 2),
            age: SignedDuration::from_hours(24),
            in_flight: SignedDuration::from_mins(1),
        }
    }
}

/// What a difference most likely is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BreakKind {
    /// The broker has an execution that was not booked: units differ, and cash by about their price.
    MissingFill,
    /// An execution was booked twice: two equal ones are booked, and the broker has one less.
    DoubleFill,
    /// An execution was booked on the other side: units differ by twice of it.
    WrongSide,
    /// Units differ by a simple ratio, and cash does not.
    UnbookedSplit,
    /// Cash differs, and no position explains it.
    Cash,
    /// The broker values a currency at another rate.
    Fx,
    /// The value differs, although positions, cash and rates that are stated agree: a price does.
    Value,
    /// An order is open at the broker, and the desk does not know it.
    OrphanOrder,
    /// The desk takes an order for open that the broker does not have.
    MissingOrder,
    /// The statement is too old, or older than the last: nothing was compared.
    StaleStatement,
}

impl BreakKind {
    /// What it is a difference of.
    #[must_use]
    pub const fn part(self) -> ReconciledPart {
        match self {
            Self::MissingFill | Self::DoubleFill | Self::WrongSide | Self::UnbookedSplit => {
                ReconciledPart::Position
            }
            Self::Cash => ReconciledPart::Cash,
            Self::Fx | Self::Value | Self::StaleStatement => ReconciledPart::Value,
            Self::OrphanOrder | Self::MissingOrder => ReconciledPart::Order,
        }
    }
}

/// A difference between ours and the broker's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Break {
    /// What it most likely is.
    pub kind: BreakKind,
    /// The symbol, currency or order.
    pub subject: Box<str>,
    /// What was booked: units, money or a rate.
    pub ours: Decimal,
    /// What the broker says.
    pub theirs: Decimal,
    /// What the broker's is worth beyond ours.
    pub money: Money,
}

/// What a reconciliation found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reconciled {
    /// The statement's time: what was booked later was set aside.
    pub as_of: Timestamp,
    /// What differs.
    pub breaks: Vec<Break>,
    /// What differs, and open orders may explain; the next statement tells.
    pub in_flight: Vec<Break>,
    cash: Vec<Money>,
}

impl Reconciled {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.breaks.is_empty()
    }

    /// The differences of a kind.
    pub fn of(&self, kind: BreakKind) -> impl Iterator<Item = &Break> {
        self.breaks.iter().filter(move |found| found.kind == kind)
    }
}

/// The broker's state as it was taken over, so that it can be given back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Adopted {
    entry: u64,
    units: Vec<(Box<str>, Taken)>,
    cash: Vec<Money>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Taken {
    Units { quantity: Decimal, price: Decimal },
    Split { to: Decimal, from: Decimal },
}

/// How many adopted entries can be reversed.
const REVERSIBLE: usize = 100;

/// The terms of a ratio that is taken for a split.
const SPLIT_TERMS: i64 = 50;

/// A position that differs.
struct Differing<'a> {
    symbol: &'a str,
    ours: Decimal,
    theirs: Decimal,
    pocket: Option<usize>,
    /// Worth of the difference at the mark, and in the base currency.
    worth: Decimal,
    /// Whether what is held is not paid for, as a future is not.
    is_margined: bool,
    in_base: Money,
}

/// Reconciliation.
impl Positions {
    /// Compares what the broker says with what was booked up to then. Later fills are set aside, and so is a difference that open orders
    /// may have made in the time that a report may take, with the cash that they may have moved. A stale statement is not compared.
    ///
    /// `open` are the orders that are open as far as the desk knows, and those that ended after the statement's time, with nothing
    /// remaining: the statement may list them.
    ///
    /// The kind of a difference is what the evidence is for: executions booked twice or on the other side are looked for among the last
    /// 64 events of a position, a split among simple ratios, and cash decides between a split and an execution that is missing.
    pub fn reconcile(
        &mut self,
        now: Timestamp,
        statement: &Statement,
        open: &[OpenOrder],
        tolerances: &Tolerances,
    ) -> Reconciled {
        let mut report = Reconciled {
            as_of: statement.as_of,
            breaks: Vec::new(),
            in_flight: Vec::new(),
            cash: Vec::new(),
        };
        let is_old = now.duration_since(statement.as_of) > tolerances.age;
        let is_out_of_order = self
            .state
            .reconciled
            .is_some_and(|last| statement.as_of < last);
        if is_old || is_out_of_order {
            report.breaks.push(Break {
                kind: BreakKind::StaleStatement,
                subject: statement.as_of.to_string().into(),
                ours: Decimal::NAN,
                theirs: Decimal::NAN,
                money: Money::zero(self.currency()),
            });
            self.show_breaks(&report, false);
            return report;
        }
        self.state.reconciled = Some(statement.as_of);
        let mut cash = self.cash_differences(statement);
        report.cash = cash
            .iter()
            .map(|(pocket, difference)| {
                Money::new(*difference, self.state.money.pockets[*pocket].currency)
            })
            .collect();
        let is_fresh = now.duration_since(statement.as_of) <= tolerances.in_flight;
        let at_work = if is_fresh { open } else { &[] };
        let uncertain =
            self.compare_positions(statement, at_work, tolerances, &mut cash, &mut report);
        self.compare_cash(statement, tolerances, &cash, &uncertain, &mut report);
        self.compare_values(statement, tolerances, &mut report);
        self.compare_orders(statement, open, tolerances, &mut report);
        self.show_breaks(&report, true);
        report
    }

    /// Takes the broker's positions and cash over, where the report says that they differ. Units come or go at their last mark, for the
    /// strategy `unallocated`, and what that is worth is part of the residual. Returns the entry's identifier, by which it can be
    /// [reversed](Self::reverse), as long as it is among the last hundred.
    ///
    /// Fails when there is no mark or no instrument for a symbol that the broker holds; nothing is taken over then.
    pub fn adopt(&mut self, at: Timestamp, report: &Reconciled) -> Result<u64, Error> {
        let mut units = Vec::new();
        for found in &report.breaks {
            if found.kind.part() != ReconciledPart::Position {
                continue;
            }
            self.key("unallocated", &found.subject)?;
            let taken = if found.kind == BreakKind::UnbookedSplit {
                let (to, from) = (found.theirs, found.ours);
                Taken::Split { to, from }
            } else {
                let quantity = found.theirs - found.ours;
                let missing = || invalid("a mark", &found.subject, Decimal::NAN);
                let price = self.last_mark(&found.subject).ok_or_else(missing)?;
                Taken::Units { quantity, price }
            };
            units.push((found.subject.clone(), taken));
        }
        self.advance(at);
        self.state.entries += 1;
        let adopted = Adopted {
            entry: self.state.entries,
            units,
            cash: report.cash.clone(),
        };
        self.take_over(at, &adopted, false)?;
        if self.state.adopted.len() == REVERSIBLE {
            self.state.adopted.remove(0);
        }
        self.state.adopted.push(adopted);
        Ok(self.state.entries)
    }

    /// Gives back what was adopted by an entry.
    pub fn reverse(&mut self, at: Timestamp, entry: u64) -> Result<(), Error> {
        let of = |adopted: &Adopted| adopted.entry == entry;
        let Some(place) = self.state.adopted.iter().position(of) else {
            return Err(Error::UnknownEntry { entry });
        };
        self.advance(at);
        let adopted = self.state.adopted.remove(place);
        self.take_over(at, &adopted, true)
    }

    fn take_over(
        &mut self,
        at: Timestamp,
        adopted: &Adopted,
        is_given_back: bool,
    ) -> Result<(), Error> {
        let signed = |amount: Decimal| if is_given_back { -amount } else { amount };
        for (symbol, taken) in &adopted.units {
            match *taken {
                Taken::Split { to, from } if is_given_back => self.split(at, symbol, from, to)?,
                Taken::Split { to, from } => self.split(at, symbol, to, from)?,
                Taken::Units { quantity, price } => {
                    self.adopt_units(at, symbol, signed(quantity), price)?;
                }
            }
        }
        for money in &adopted.cash {
            let pocket = self.pocket(money.currency());
            let amount = signed(money.decimal());
            self.cash(at, pocket, amount);
            let residual = PnlComponent::Residual;
            let money = &mut self.state.money;
            money.made(at, pocket, UNALLOCATED, residual, amount);
        }
        self.export();
        Ok(())
    }

    fn adopt_units(
        &mut self,
        at: Timestamp,
        symbol: &str,
        quantity: Decimal,
        price: Decimal,
    ) -> Result<(), Error> {
        let key = self.key("unallocated", symbol)?;
        let position = self.position_mut(key)?;
        let amount = position.instrument.amount(quantity, price);
        let what = What::Traded(Traded {
            id: None,
            quantity,
            price,
            amount,
            fee: Decimal::ZERO,
            foreign_fee: None,
        });
        let Some(closing) = position.apply(Entry::new(at, what)) else {
            return Err(invalid("an adopted position", symbol, quantity));
        };
        position.mark = position.mark.or(Some(price));
        // Nothing was paid for it: what it is worth comes from nowhere.
        let worth = -position.cash_of(amount, closing.realized());
        let pocket = position.pocket;
        self.settle(key.index as usize, at);
        let residual = PnlComponent::Residual;
        let money = &mut self.state.money;
        money.made(at, pocket, UNALLOCATED, residual, worth);
        Ok(())
    }

    /// Theirs less ours as of the statement, of each currency that it states.
    fn cash_differences(&mut self, statement: &Statement) -> Vec<(usize, Decimal)> {
        let mut differences = Vec::new();
        for cash in &statement.cash {
            let pocket = self.pocket(cash.currency());
            let ours = self.cash_at(pocket, statement.as_of);
            differences.push((pocket, cash.decimal() - ours));
        }
        differences
    }

    fn cash_at(&self, pocket: usize, at: Timestamp) -> Decimal {
        let moves = self.state.cash_moves.iter().rev();
        let since = moves.take_while(|(moved, ..)| *moved > at);
        let of_pocket = since.filter(|(_, of, _)| *of == pocket);
        let later: Decimal = of_pocket.map(|(.., amount)| *amount).sum();
        self.state.money.pockets[pocket].cash - later
    }

    fn compare_positions(
        &self,
        statement: &Statement,
        open: &[OpenOrder],
        tolerances: &Tolerances,
        cash: &mut [(usize, Decimal)],
        report: &mut Reconciled,
    ) -> Vec<(usize, Decimal)> {
        let mut uncertain: Vec<_> = cash
            .iter()
            .map(|(pocket, _)| (*pocket, Decimal::ZERO))
            .collect();
        let Some(theirs) = &statement.positions else {
            return uncertain;
        };
        let symbols: BTreeSet<&str> = theirs
            .keys()
            .chain(self.by_symbol.keys())
            .map(|symbol| &**symbol)
            .collect();
        let mut doubtful = Vec::new();
        for symbol in symbols {
            let theirs = theirs.get(symbol).copied().unwrap_or_default();
            let Some(found) = self.difference(symbol, theirs, statement.as_of, tolerances) else {
                continue;
            };
            let difference = found.theirs - found.ours;
            let at_work = open.iter().filter(|order| {
                *order.symbol == *symbol
                    && order.remaining.is_negative() == difference.is_negative()
            });
            let at_work: Decimal = at_work.map(|order| order.remaining.abs()).sum();
            if at_work >= difference.abs() {
                // At a price that is not known yet: about the mark.
                if let Some(left) = found.slot(cash) {
                    *left += found.paid();
                }
                if let Some(left) = found.slot(&mut uncertain) {
                    *left += found.worth.abs().mul_div(Decimal::ONE, Decimal::from(10));
                }
                report
                    .in_flight
                    .push(found.as_break(BreakKind::MissingFill));
            } else if let Some((kind, paid)) = self.evidence(&found) {
                if let Some(slot) = found.slot(cash) {
                    *slot -= paid;
                }
                report.breaks.push(found.as_break(kind));
            } else {
                doubtful.push(found);
            }
        }
        // The largest first, for it explains the most of what cash is left.
        doubtful.sort_by_key(|found| std::cmp::Reverse(found.worth.abs()));
        for found in doubtful {
            let is_paid = found.explain(cash, -found.paid());
            let may_be_split = !is_paid && !found.is_margined;
            let kind = if may_be_split && is_simple_ratio(found.theirs, found.ours) {
                BreakKind::UnbookedSplit
            } else {
                BreakKind::MissingFill
            };
            report.breaks.push(found.as_break(kind));
        }
        uncertain
    }

    fn difference<'a>(
        &self,
        symbol: &'a str,
        theirs: Decimal,
        as_of: Timestamp,
        tolerances: &Tolerances,
    ) -> Option<Differing<'a>> {
        let of_symbol = self.by_symbol.get(symbol).into_iter().flatten();
        let positions = of_symbol.map(|index| &self.state.positions[*index]);
        let mut ours = Decimal::ZERO;
        for position in positions {
            ours += position.quantity_at(as_of)?;
        }
        let difference = theirs - ours;
        if difference.abs() <= tolerances.quantity {
            return None;
        }
        let instrument = self.state.instruments.get(symbol);
        let pocket = instrument.and_then(|it| self.state.money.find(it.currency));
        let mark = self.last_mark(symbol);
        let worth = instrument
            .zip(mark)
            .map_or(Decimal::ZERO, |(it, mark)| it.amount(difference, mark));
        let in_base = pocket.and_then(|it| self.state.money.convert(self.state.now, it, worth));
        Some(Differing {
            symbol,
            ours,
            theirs,
            pocket,
            worth,
            is_margined: instrument.is_some_and(|it| it.is_margined),
            in_base: Money::new(in_base.unwrap_or(Decimal::NAN), self.currency()),
        })
    }

    /// What executions that were booked say of a difference, and by how much the broker's cash is above ours by it.
    fn evidence(&self, found: &Differing<'_>) -> Option<(BreakKind, Decimal)> {
        let difference = found.theirs - found.ours;
        let of_symbol = self.by_symbol.get(found.symbol)?;
        let booked: Vec<Traded> = of_symbol
            .iter()
            .flat_map(|index| self.state.positions[*index].journal())
            .filter_map(|entry| match entry.what {
                What::Traded(traded) => Some(traded),
                _ => None,
            })
            .collect();
        let is_margined = self
            .state
            .instruments
            .get(found.symbol)
            .is_some_and(|instrument| instrument.is_margined);
        let paid = |amount: Decimal, fee: Decimal| {
            if is_margined { fee } else { amount + fee }
        };
        let twice = booked.iter().enumerate().find(|(place, one)| {
            let same = |other: &Traded| (other.quantity, other.price) == (one.quantity, one.price);
            one.quantity == -difference && booked[place + 1..].iter().any(same)
        });
        if let Some((_, traded)) = twice {
            return Some((BreakKind::DoubleFill, paid(traded.amount, traded.fee)));
        }
        let opposite = booked
            .iter()
            .rev()
            .find(|one| one.quantity + one.quantity == -difference)?;
        let amount = opposite.amount + opposite.amount;
        Some((BreakKind::WrongSide, paid(amount, Decimal::ZERO)))
    }

    fn compare_cash(
        &self,
        statement: &Statement,
        tolerances: &Tolerances,
        left: &[(usize, Decimal)],
        uncertain: &[(usize, Decimal)],
        report: &mut Reconciled,
    ) {
        let left = left.iter().zip(uncertain);
        for (((pocket, left), (_, uncertain)), cash) in left.zip(&statement.cash) {
            if left.abs() <= tolerances.cash + *uncertain {
                continue;
            }
            let in_base = self.state.money.convert(self.state.now, *pocket, *left);
            report.breaks.push(Break {
                kind: BreakKind::Cash,
                subject: cash.currency().as_str().into(),
                ours: cash.decimal() - *left,
                theirs: cash.decimal(),
                money: Money::new(in_base.unwrap_or(Decimal::NAN), self.currency()),
            });
        }
    }

    fn compare_values(
        &self,
        statement: &Statement,
        tolerances: &Tolerances,
        report: &mut Reconciled,
    ) {
        let (now, money) = (self.state.now, &self.state.money);
        let mut by_rates = Decimal::ZERO;
        for (currency, theirs) in &statement.rates {
            let Some(pocket) = money.find(*currency) else {
                continue;
            };
            let ours = money.convert(now, pocket, Decimal::ONE);
            let ours = ours.unwrap_or(Decimal::NAN);
            let most = ours * tolerances.rate;
            if ours.is_number() && (*theirs - ours).abs() <= most {
                continue;
            }
            let worth = money.pockets[pocket].own.value() * (*theirs - ours);
            by_rates += worth;
            report.breaks.push(Break {
                kind: BreakKind::Fx,
                subject: currency.as_str().into(),
                ours,
                theirs: *theirs,
                money: Money::new(worth, self.currency()),
            });
        }
        // A value is compared where nothing explains that it differs.
        let is_explained = report
            .breaks
            .iter()
            .chain(&report.in_flight)
            .any(|found| found.kind != BreakKind::Fx);
        let is_now = self.state.now <= statement.as_of;
        if let (Some(theirs), Some(ours), false, true) =
            (statement.value, self.value(), is_explained, is_now)
        {
            let difference = theirs.decimal() - ours.decimal() - by_rates;
            if !difference.is_number() || difference.abs() > tolerances.value {
                report.breaks.push(Break {
                    kind: BreakKind::Value,
                    subject: self.currency().as_str().into(),
                    ours: ours.decimal(),
                    theirs: theirs.decimal(),
                    money: Money::new(difference, self.currency()),
                });
            }
        }
    }

    fn compare_orders(
        &self,
        statement: &Statement,
        open: &[OpenOrder],
        tolerances: &Tolerances,
        report: &mut Reconciled,
    ) {
        let Some(theirs) = &statement.orders else {
            return;
        };
        // What was executed a moment ago is open here and no longer there.
        let is_in_flight = |symbol: &str| {
            let mut in_flight = report.in_flight.iter();
            in_flight.any(|found| *found.subject == *symbol)
        };
        // One that was sent a moment before the statement may not be in it yet, and one that was sent since cannot be.
        let is_expected = |order: &&OpenOrder| {
            statement.as_of.duration_since(order.since) >= tolerances.in_flight
                && !order.remaining.is_zero()
                && !is_in_flight(&order.symbol)
        };
        let missing: Vec<_> = open
            .iter()
            .filter(is_expected)
            .filter(|order| !theirs.contains(&order.id))
            .collect();
        let mut found = |kind, id: &str, ours: Decimal| {
            report.breaks.push(Break {
                kind,
                subject: id.into(),
                ours,
                theirs: Decimal::ONE - ours,
                money: Money::zero(self.currency()),
            });
        };
        for id in theirs {
            if !open.iter().any(|order| order.id == *id) {
                found(BreakKind::OrphanOrder, id, Decimal::ZERO);
            }
        }
        for order in missing {
            found(BreakKind::MissingOrder, &order.id, Decimal::ONE);
        }
    }

    fn show_breaks(&self, report: &Reconciled, is_compared: bool) {
        let shown = &self.shown.reconciliation;
        for (part, gauge) in shown.counts.open_breaks.iter() {
            let of_part = report.breaks.iter().filter(|it| it.kind.part() == part);
            gauge.set(Decimal::from(of_part.count() as u64));
        }
        if !is_compared {
            return;
        }
        shown.counts.reconciled.set(seconds(report.as_of));
        for (part, gauge) in shown.money.difference.iter() {
            let of_part = |found: &&Break| {
                matches!(
                    (found.kind.part(), part),
                    (ReconciledPart::Position, ReconciledMoney::Position)
                        | (ReconciledPart::Cash, ReconciledMoney::Cash)
                        | (ReconciledPart::Value, ReconciledMoney::Value)
                )
            };
            let of_part = report.breaks.iter().filter(of_part);
            let sum: Decimal = of_part.map(|found| found.money.decimal().abs()).sum();
            gauge.set(sum);
        }
    }
}

/// The gauges of reconciliations.
#[derive(Debug)]
pub(crate) struct ReconciliationGauges {
    counts: ReconciliationMetrics,
    money: ReconciliationMoneyMetrics,
}

impl ReconciliationGauges {
    #[track_caller]
    pub(crate) fn new(account: &str, base: Currency) -> Self {
        let gauges = Self {
            counts: ReconciliationMetrics::new(account),
            money: ReconciliationMoneyMetrics::new(account, base.as_str()),
        };
        gauges.counts.reconciled.begin_undefined();
        for (_, gauge) in gauges.money.difference.iter() {
            gauge.set_undefined();
        }
        gauges
    }

    /// Says again, after a restart, when it was last done.
    pub(crate) fn show(&self, reconciled: Option<Timestamp>) {
        if let Some(reconciled) = reconciled {
            self.counts.reconciled.set(seconds(reconciled));
        }
    }
}

fn seconds(at: Timestamp) -> Decimal {
    Decimal::of_minor(at.as_millisecond(), 3)
}

impl Differing<'_> {
    fn as_break(&self, kind: BreakKind) -> Break {
        Break {
            kind,
            subject: self.symbol.into(),
            ours: self.ours,
            theirs: self.theirs,
            money: self.in_base,
        }
    }

    /// What the difference costs at the mark, in cash.
    const fn paid(&self) -> Decimal {
        if self.is_margined {
            Decimal::ZERO
        } else {
            self.worth
        }
    }

    fn slot<'a>(&self, cash: &'a mut [(usize, Decimal)]) -> Option<&'a mut Decimal> {
        let of_pocket = |(pocket, _): &&mut (usize, Decimal)| Some(*pocket) == self.pocket;
        cash.iter_mut().find(of_pocket).map(|(_, left)| left)
    }

    /// Whether the cash that is left is about what the difference would have cost: within a tenth, since its price is not known. If so,
    /// nothing is left.
    fn explain(&self, cash: &mut [(usize, Decimal)], expected: Decimal) -> bool {
        let Some(left) = self.slot(cash) else {
            return false;
        };
        let is_about = (*left - expected).abs() * Decimal::from(10) <= expected.abs();
        if is_about && !expected.is_zero() {
            *left = Decimal::ZERO;
            return true;
        }
        false
    }
}

/// Whether one is the other times a ratio of small whole numbers.
fn is_simple_ratio(one: Decimal, other: Decimal) -> bool {
    if one.is_zero() || other.is_zero() || one.is_negative() != other.is_negative() {
        return false;
    }
    (1..=SPLIT_TERMS).any(|term| {
        let term = Decimal::from(term);
        let whole = |times: Decimal| {
            times.is_positive() && times <= Decimal::from(SPLIT_TERMS) && times.places() == 0
        };
        let times = one.mul_div(term, other);
        whole(times) && times.mul_div(other, term) == one
    })
}
