//! What comes out of positions.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;

use super::{ExposureKind, PnlComponent, PositionKey, Positions, TradesOf, money};
use crate::performance::Period;
use crate::seen::Identity;
use crate::{Currency, Decimal, Error, ExecutionId, Fill, Money, Side};

/// What comes out.
impl Positions {
    /// Whose positions these are.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.state.account
    }

    /// The base currency.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.state.money.base
    }

    /// The time of the latest event.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.state.now
    }

    /// The day under way, by the calendar; nothing before the first event.
    #[must_use]
    pub const fn today(&self) -> Option<Date> {
        self.today
    }

    /// To which day a fill belongs, that was booked just now.
    pub(crate) fn day_of(&self, fill: &Fill) -> Date {
        self.day_at(fill.venue_time.unwrap_or(self.state.now))
    }

    /// To which day a moment belongs, by the calendar.
    pub(crate) fn day_at(&self, at: Timestamp) -> Date {
        let today = self.today.filter(|_| at >= self.state.now);
        today.unwrap_or_else(|| self.calendar.day(at))
    }

    /// By what rules recognise an execution; nothing for an unknown position.
    pub(crate) fn identity(
        &self,
        key: PositionKey,
        side: Side,
        id: ExecutionId,
    ) -> Option<Identity> {
        let position = self.position(key).ok()?;
        Some(position.scopes[side as usize].identity(id))
    }

    /// Market value of all strategies' positions in a symbol, in the base currency; nothing while a rate is missing or too old.
    #[must_use]
    pub fn value_of(&self, symbol: &str) -> Option<Money> {
        let money = &self.state.money;
        let mut sum = Decimal::ZERO;
        for index in self.by_symbol.get(symbol).into_iter().flatten() {
            let position = &self.state.positions[*index];
            sum += money.convert(self.state.now, position.pocket, position.valued)?;
        }
        Some(Money::new(sum, money.base))
    }

    /// An amount in the base currency; nothing while its rate is missing or too old.
    pub(crate) fn in_base(&self, amount: Money) -> Option<Money> {
        let money = &self.state.money;
        if amount.currency() == money.base {
            return Some(amount);
        }
        let pocket = money.find(amount.currency())?;
        let amount = money.convert(self.state.now, pocket, amount.decimal())?;
        Some(Money::new(amount, money.base))
    }

    /// A fill's quantity at its price; nothing for an unknown position.
    pub(crate) fn amount(&self, key: PositionKey, fill: &Fill) -> Option<Money> {
        let position = self.position(key).ok()?;
        let amount = position.instrument.amount(fill.quantity, fill.price);
        Some(money(position, amount))
    }

    /// Units of a symbol that all strategies hold together.
    #[must_use]
    pub fn quantity_of(&self, symbol: &str) -> Decimal {
        let of_symbol = self.by_symbol.get(symbol).into_iter().flatten();
        let held = of_symbol.map(|index| self.state.positions[*index].quantity());
        held.sum()
    }

    /// The same at a time; what is held now where that is not remembered.
    pub(crate) fn quantity_of_at(&self, symbol: &str, at: Timestamp) -> Decimal {
        let of_symbol = self.by_symbol.get(symbol).into_iter().flatten();
        let held = of_symbol.map(|index| {
            let position = &self.state.positions[*index];
            position
                .quantity_at(at)
                .unwrap_or_else(|| position.quantity())
        });
        held.sum()
    }

    /// The symbols that were traded.
    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        self.by_symbol.keys().map(|symbol| &**symbol)
    }

    /// Units held; short is negative.
    pub fn quantity(&self, key: PositionKey) -> Result<Decimal, Error> {
        Ok(self.position(key)?.quantity())
    }

    /// What the units cost, before fees; negative for a short position.
    pub fn cost(&self, key: PositionKey) -> Result<Money, Error> {
        let position = self.position(key)?;
        Ok(money(position, position.holding.cost()))
    }

    /// What the units are worth at the last mark; negative for a short position. What was never marked is worth what it cost.
    pub fn market_value(&self, key: PositionKey) -> Result<Money, Error> {
        let position = self.position(key)?;
        Ok(money(position, position.value()))
    }

    /// Market value less cost.
    pub fn open_pnl(&self, key: PositionKey) -> Result<Money, Error> {
        let position = self.position(key)?;
        Ok(money(position, position.open_pnl()))
    }

    /// What closing made so far, before fees.
    pub fn realized_pnl(&self, key: PositionKey) -> Result<Money, Error> {
        let position = self.position(key)?;
        Ok(money(position, position.holding.realized()))
    }

    /// The strategy and the symbol of a position.
    pub fn name(&self, key: PositionKey) -> Result<(&str, &str), Error> {
        let position = self.position(key)?;
        let owner = &self.state.money.owners[position.owner];
        Ok((&owner.name, &position.symbol))
    }

    /// All positions that are not flat.
    pub fn iter(&self) -> impl Iterator<Item = PositionKey> {
        let positions = self.state.positions.iter().enumerate();
        let held = positions.filter(|(_, position)| !position.quantity().is_zero());
        held.map(|(index, _)| self.key_of(index))
    }

    /// The last mark of a symbol.
    #[must_use]
    pub fn last_mark(&self, symbol: &str) -> Option<Decimal> {
        let of_symbol = self.by_symbol.get(symbol)?;
        of_symbol
            .iter()
            .find_map(|index| self.state.positions[*index].mark)
    }

    /// Cash of a currency, by what was traded and paid.
    #[must_use]
    pub fn cash_in(&self, currency: Currency) -> Money {
        let pocket = self.state.money.find(currency);
        let cash = pocket.map_or(Decimal::ZERO, |pocket| {
            self.state.money.pockets[pocket].cash
        });
        Money::new(cash, currency)
    }

    /// What the account is worth by its own events: cash and positions, in the base currency. Nothing while a rate is missing or too
    /// old.
    #[must_use]
    pub fn value(&self) -> Option<Money> {
        let money = &self.state.money;
        let is_whole = money.is_whole(self.state.now);
        is_whole.then(|| Money::new(money.whole.value(), money.base))
    }

    /// Cash and positions at their marks, in the base currency: added up anew from what is held. It is [`value`](Self::value), which comes
    /// from the parts of the bridge instead.
    #[must_use]
    pub fn marked_value(&self) -> Option<Money> {
        let money = &self.state.money;
        let mut worth: Vec<Decimal> = money.pockets.iter().map(|pocket| pocket.cash).collect();
        for position in &self.state.positions {
            worth[position.pocket] += position.worth();
        }
        let mut sum = Decimal::ZERO;
        for (pocket, worth) in worth.into_iter().enumerate() {
            sum += money.convert(self.state.now, pocket, worth)?;
        }
        Some(Money::new(sum, money.base))
    }

    /// What a component made since the beginning, in the base currency; see [`made_in`](Self::made_in).
    #[must_use]
    pub fn made(&self, component: PnlComponent) -> Option<Money> {
        self.made_in(component, self.state.money.base, Period::Total)
    }

    /// What a component made in the period under way: in the base currency that of the whole account, in another that of what is held
    /// in it. Nothing for a residual of which no value was stated, and while a rate is missing or too old.
    #[must_use]
    pub fn made_in(
        &self,
        component: PnlComponent,
        currency: Currency,
        period: Period,
    ) -> Option<Money> {
        let money = &self.state.money;
        let bridge = if currency == money.base {
            let is_whole = money.is_whole(self.state.now);
            is_whole.then_some(&money.whole)?
        } else {
            &money.pockets[money.find(currency)?].own
        };
        let made = bridge.made(component, period)?;
        Some(Money::new(made, currency))
    }

    /// What a component made for a strategy since the beginning, in the base currency; `unallocated` for what belongs to none. All
    /// strategies add up to the account.
    #[must_use]
    pub fn made_by(&self, strategy: &str, component: PnlComponent) -> Option<Money> {
        let money = &self.state.money;
        let owner = money.owners.iter().find(|of| *of.name == *strategy)?;
        let made = if component == PnlComponent::Residual && &*owner.name == "unallocated" {
            money.whole.made(component, Period::Total)?
        } else {
            owner.in_base.of(component)
        };
        money
            .is_whole(self.state.now)
            .then(|| Money::new(made, money.base))
    }

    /// Open P/L of a strategy's positions, in the base currency; nothing while a rate is missing or too old.
    #[must_use]
    pub fn open_pnl_of(&self, strategy: &str) -> Option<Money> {
        let of_strategy = self.keys.get(strategy).into_iter();
        let mut sum = Decimal::ZERO;
        for index in of_strategy.flat_map(HashMap::values) {
            let position = &self.state.positions[*index];
            let money = &self.state.money;
            sum += money.convert(self.state.now, position.pocket, position.open_pnl())?;
        }
        Some(Money::new(sum, self.state.money.base))
    }

    /// What a strategy's positions made and no closed trade has, in the base currency: their open P/L less the fees that were paid to open
    /// them, and with round trips as trades what the trips under way made so far. With the closed trades, it is what its ledger follows.
    #[must_use]
    pub fn outstanding_of(&self, strategy: &str) -> Option<Money> {
        let mut sum = Decimal::ZERO;
        for index in self
            .keys
            .get(strategy)
            .into_iter()
            .flat_map(HashMap::values)
        {
            let position = &self.state.positions[*index];
            let made = match self.trades {
                TradesOf::Closings => -position.holding.fees(),
                TradesOf::RoundTrips => position.holding.trip(),
            };
            let open = position.open_pnl() + made;
            let money = &self.state.money;
            sum += money.convert(self.state.now, position.pocket, open)?;
        }
        Some(Money::new(sum, self.state.money.base))
    }

    /// What was paid to open what is held, in the currency of its price.
    pub fn open_fees(&self, key: PositionKey) -> Result<Money, Error> {
        let position = self.position(key)?;
        Ok(money(position, position.holding.fees()))
    }

    /// How many events had no rate when they came.
    #[must_use]
    pub const fn unconverted(&self) -> u64 {
        self.state.money.unconverted
    }

    /// The strategies that have a part in the account, `unallocated` first.
    pub fn strategies(&self) -> impl Iterator<Item = &str> {
        self.state.money.owners.iter().map(|owner| &*owner.name)
    }

    /// Gross, net, long and short value of all positions in the base currency; nothing while a rate is missing or too old.
    #[must_use]
    pub fn exposure(&self, kind: ExposureKind) -> Option<Money> {
        let mut sides = [Decimal::ZERO; 2];
        for (pocket, of) in self.state.exposure.iter().enumerate() {
            for (sum, amount) in sides.iter_mut().zip(of) {
                *sum += self.state.money.convert(self.state.now, pocket, *amount)?;
            }
        }
        let [long, short] = sides;
        let amount = match kind {
            ExposureKind::Gross => long - short,
            ExposureKind::Net => long + short,
            ExposureKind::Long => long,
            ExposureKind::Short => short,
        };
        Some(Money::new(amount, self.state.money.base))
    }
}
