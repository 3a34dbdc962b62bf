//! What is held of one instrument, and what it cost: the arithmetic of lots.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::Decimal;

/// Which units a sale sells, and so what it makes.
///
/// A closing fill releases cost. Where it takes a part of a lot, it takes `cost · taken / lot`, rounded to the twelfth place,
/// and what closes the lot takes all that is left of its cost: nothing is lost to rounding, however many parts there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LotMethod {
    /// The oldest first.
    Fifo,
    /// The newest first.
    Lifo,
    /// All units cost the same: the total cost is kept, not the average, which would be rounded with every purchase.
    #[default]
    AverageCost,
}

/// Units that were opened together. Of a short position, quantity and cost are negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lot {
    pub(crate) quantity: Decimal,
    pub(crate) cost: Decimal,
    /// Paid when they were opened.
    pub(crate) fees: Decimal,
}

/// What is held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holding {
    method: LotMethod,
    lots: VecDeque<Lot>,
    /// All lots together.
    total: Lot,
    /// What closing made, before fees.
    realized: Decimal,
    /// Everything that was made net of fees since it was last flat.
    trip: Decimal,
    /// What all closing fills made net of fees, and all round trips.
    closed: Decimal,
    trips: Decimal,
}

/// What a fill closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Closing {
    /// Units, with the sign of the position that they were.
    pub(crate) quantity: Decimal,
    /// What they cost.
    pub(crate) cost: Decimal,
    /// What they were closed for.
    pub(crate) proceeds: Decimal,
    /// What closing made, less fees of opening and closing.
    pub(crate) net: Decimal,
    /// What the whole round trip made, if this ended it.
    pub(crate) trip: Option<Decimal>,
}

/// A number that can be added to one below it, and still is one.
pub(crate) const SMALL: Decimal = Decimal::of_minor(1_000_000_000_000_000_000, 0);

impl Closing {
    pub(crate) fn realized(&self) -> Decimal {
        self.proceeds - self.cost
    }
}

impl Holding {
    pub(crate) fn new(method: LotMethod) -> Self {
        Self {
            method,
            ..Self::default()
        }
    }

    /// Becomes the same as another, in the memory that it has.
    pub(crate) fn copy(&mut self, other: &Self) {
        let mut lots = std::mem::take(&mut self.lots);
        lots.clear();
        lots.extend(&other.lots);
        *self = Self {
            lots,
            method: other.method,
            total: other.total,
            realized: other.realized,
            trip: other.trip,
            closed: other.closed,
            trips: other.trips,
        };
    }

    /// Whether nothing has happened yet.
    pub(crate) fn is_untouched(&self) -> bool {
        self.lots.is_empty()
            && [self.realized, self.closed, self.trips]
                .iter()
                .all(|sum| sum.is_zero())
    }

    pub(crate) const fn quantity(&self) -> Decimal {
        self.total.quantity
    }

    pub(crate) const fn cost(&self) -> Decimal {
        self.total.cost
    }

    /// What was paid to open what is held.
    pub(crate) const fn fees(&self) -> Decimal {
        self.total.fees
    }

    /// What the round trip under way made net of fees, but for what is open.
    pub(crate) const fn trip(&self) -> Decimal {
        self.trip
    }

    pub(crate) const fn realized(&self) -> Decimal {
        self.realized
    }

    /// What all closing fills made, less fees.
    pub(crate) const fn closed(&self) -> Decimal {
        self.closed
    }

    /// What all round trips that are over made, less fees and with flows.
    pub(crate) const fn trips(&self) -> Decimal {
        self.trips
    }

    /// Money that the position earned or cost while it was open.
    pub(crate) fn flow(&mut self, amount: Decimal) {
        if self.total.quantity.is_zero() {
            self.trips += amount;
        } else {
            self.trip += amount;
        }
    }

    /// Whether all sums are so small that a small event cannot make them no numbers.
    pub(crate) fn has_room(&self) -> bool {
        let sums = [
            self.total.quantity,
            self.total.cost,
            self.total.fees,
            self.realized,
            self.trip,
            self.closed,
            self.trips,
        ];
        sums.into_iter().all(|sum| sum.abs() < SMALL)
    }

    /// Whether all of it can still be computed with.
    pub(crate) const fn is_number(&self) -> bool {
        self.total.quantity.is_number()
            && self.total.cost.is_number()
            && self.total.fees.is_number()
            && self.realized.is_number()
            && self.trip.is_number()
    }

    /// Takes a fill: a quantity, negative for a sale; the quantity at its price; and what was paid for it. What closes is its
    /// part by quantity of price and fee, rounded; what opens is the rest.
    pub(crate) fn trade(&mut self, quantity: Decimal, amount: Decimal, fee: Decimal) -> Closing {
        let closes = self.closed_by(quantity);
        if closes.is_zero() {
            self.open(Lot {
                quantity,
                cost: amount,
                fees: fee,
            });
            self.trip -= fee;
            return Closing::default();
        }
        let part = |of: Decimal| {
            if closes == -quantity {
                of
            } else {
                of.mul_div(-closes, quantity)
            }
        };
        let (paid, charged) = (part(amount), part(fee));
        let taken = self.take(closes);
        let mut closing = Closing {
            quantity: closes,
            cost: taken.cost,
            proceeds: -paid,
            net: -paid - taken.cost - charged - taken.fees,
            trip: None,
        };
        self.realized += closing.realized();
        self.trip += closing.realized() - charged;
        self.closed += closing.net;
        if self.total.quantity.is_zero() {
            let trip = std::mem::take(&mut self.trip);
            self.trips += trip;
            closing.trip = Some(trip);
        }
        let rest = Lot {
            quantity: quantity + closes,
            cost: amount - paid,
            fees: fee - charged,
        };
        if !rest.quantity.is_zero() {
            self.open(rest);
            self.trip -= rest.fees;
        }
        closing
    }

    /// How much of the position a fill closes, with the position's sign.
    pub(crate) fn closed_by(&self, quantity: Decimal) -> Decimal {
        let held = self.total.quantity;
        if held.is_zero() || held.is_negative() == quantity.is_negative() {
            Decimal::ZERO
        } else if quantity.abs() >= held.abs() {
            held
        } else {
            -quantity
        }
    }

    /// Units that come or go at their cost, with neither profit nor loss.
    pub(crate) fn open(&mut self, lot: Lot) {
        self.total.add(lot);
        match self.lots.back_mut() {
            Some(all) if self.method == LotMethod::AverageCost => all.add(lot),
            _ => self.lots.push_back(lot),
        }
    }

    /// Takes units out, of the position's sign and no more than there are; returns what they cost.
    pub(crate) fn take(&mut self, quantity: Decimal) -> Lot {
        let mut taken = Lot::default();
        let mut left = quantity;
        while !left.is_zero() {
            let lot = match self.method {
                LotMethod::Fifo => self.lots.front_mut(),
                LotMethod::Lifo | LotMethod::AverageCost => self.lots.back_mut(),
            };
            let Some(lot) = lot else { break };
            let part = if left.abs() >= lot.quantity.abs() {
                let whole = *lot;
                match self.method {
                    LotMethod::Fifo => self.lots.pop_front(),
                    LotMethod::Lifo | LotMethod::AverageCost => self.lots.pop_back(),
                };
                whole
            } else {
                let part = Lot {
                    quantity: left,
                    cost: lot.cost.mul_div(left, lot.quantity),
                    fees: lot.fees.mul_div(left, lot.quantity),
                };
                lot.add(part.negated());
                part
            };
            left -= part.quantity;
            taken.add(part);
        }
        self.total.add(taken.negated());
        taken
    }

    /// For each `from` units there are `to`, at the same cost.
    pub(crate) fn split(&mut self, to: Decimal, from: Decimal) {
        let mut quantity = Decimal::ZERO;
        for lot in &mut self.lots {
            lot.quantity = lot.quantity.mul_div(to, from);
            quantity += lot.quantity;
        }
        self.total.quantity = quantity;
    }
}

impl Lot {
    fn add(&mut self, other: Self) {
        self.quantity += other.quantity;
        self.cost += other.cost;
        self.fees += other.fees;
    }

    pub(crate) fn negated(self) -> Self {
        Self {
            quantity: -self.quantity,
            cost: -self.cost,
            fees: -self.fees,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn trade(holding: &mut Holding, quantity: i64, price: &str) -> Closing {
        let quantity = Decimal::from(quantity);
        holding.trade(quantity, quantity * decimal(price), Decimal::ZERO)
    }

    #[test]
    fn each_method_sells_its_own_units() {
        for (method, expected) in [
            (LotMethod::Fifo, "5"),
            (LotMethod::Lifo, "3"),
            (LotMethod::AverageCost, "4"),
        ] {
            let mut holding = Holding::new(method);
            trade(&mut holding, 1, "10");
            trade(&mut holding, 1, "12");
            assert_eq!(trade(&mut holding, -1, "15").realized(), decimal(expected));
            let rest = trade(&mut holding, -1, "15").realized();
            assert_eq!(rest + decimal(expected), decimal("8"));
            assert!(holding.cost().is_zero() && holding.lots.is_empty());
        }
    }

    #[test]
    fn a_short_position_gains_when_it_is_bought_back_for_less() {
        let mut holding = Holding::new(LotMethod::Fifo);
        trade(&mut holding, -3, "10");
        assert_eq!(holding.cost(), decimal("-30"));
        assert_eq!(trade(&mut holding, 1, "9").realized(), decimal("1"));
        // The rest is closed, and two are bought.
        let flip = trade(&mut holding, 4, "8");
        assert_eq!(
            (flip.quantity, flip.realized()),
            (decimal("-2"), decimal("4"))
        );
        assert_eq!(
            (holding.quantity(), holding.cost()),
            (decimal("2"), decimal("16"))
        );
        assert_eq!(holding.realized(), decimal("5"));
    }

    #[test]
    fn thirds_leave_nothing_behind() {
        for method in [LotMethod::Fifo, LotMethod::Lifo, LotMethod::AverageCost] {
            let mut holding = Holding::new(method);
            holding.trade(decimal("3"), decimal("100"), decimal("1"));
            let nets: Vec<_> = (0..3)
                .map(|_| holding.trade(decimal("-1"), decimal("-33"), decimal("0.1")))
                .collect();
            let net: Decimal = nets.iter().map(|closing| closing.net).sum();
            assert_eq!(net, decimal("-2.3"));
            assert_eq!(nets[2].trip, Some(decimal("-2.3")));
            assert_eq!(nets[1].trip, None);
            let costs = nets.iter().map(|closing| closing.cost);
            assert_eq!(costs.sum::<Decimal>(), decimal("100"));
            assert_eq!(nets[0].cost, decimal("33.333333333333"));
        }
    }

    #[test]
    fn a_split_keeps_the_cost() {
        let mut holding = Holding::new(LotMethod::Fifo);
        trade(&mut holding, 3, "30");
        trade(&mut holding, 1, "40");
        holding.split(Decimal::from(2), Decimal::ONE);
        assert_eq!(
            (holding.quantity(), holding.cost()),
            (decimal("8"), decimal("130"))
        );
        assert_eq!(trade(&mut holding, -6, "16").realized(), decimal("6"));
    }
}
