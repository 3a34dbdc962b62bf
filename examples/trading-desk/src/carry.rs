//! A stand-in for what positions earn and cost while they are held. The paper broker's account pays commissions and nothing else, so
//! most parts of the bridge of profit and loss would stay at 0. A second account, `carry`, holds a few things from the first day
//! to the last, at the prices of the bars. **Nothing of it happened in a market**: what its positions earn is made by the rules below.
//!
//! | strategy | holds | and moves |
//! |---|---|---|
//! | `holder` | [`UNITS`] of the first symbol | dividends: a quarter of what the S&P 500 paid in the year, at the first close of each quarter |
//! | `short_seller` | as many of the last symbol, sold short | borrow: [`BORROW_BPS`] a year of their value |
//! | `perpetual` | as many of the first symbol's perpetual future | funding: [`FUNDING_BPS`] of their value for each day |
//! | none of them | dollars and [`EUROS`] | interest: [`INTEREST_BPS`] a year on the dollars; fx: the euro by its yearly averages |
//!
//! Its broker keeps books of its own, by which the account is [reconciled](Positions::reconcile) at every close.

use jiff::Timestamp;
use jiff::civil::Date;
use obs_trading::{
    Currency, Decimal, Fee, FeeKind, Fill, Flow, Instrument, Money, PnlComponent, PositionGauges,
    PositionKey, Positions, Reconciled, Side, Statement, Tolerances,
};

use crate::bars::Bar;
use crate::calendar::TradingDays;
use crate::error::Error;
use crate::symbol::Symbol;

/// What each strategy holds, or is short of.
pub const UNITS: u32 = 50;

/// What is exchanged for euros on the first day.
pub const EUROS: u32 = 100_000;

/// Interest on dollars, in basis points a year.
pub const INTEREST_BPS: u32 = 200;

/// What borrowed shares cost, in basis points a year.
pub const BORROW_BPS: u32 = 50;

/// What the holder of a perpetual future pays, in basis points a day.
pub const FUNDING_BPS: u32 = 1;

/// What the account begins with, in US dollars.
const CASH: u32 = 1_000_000;

/// What the broker takes of an exchange of money, in basis points.
const EXCHANGE_BPS: u32 = 2;

/// The perpetual is liquidated when its price has fallen by this share of the entry, in percent.
const LIQUIDATED_PERCENT: u32 = 60;

/// Dividends of the S&P 500 in index points (S&P, as published by R. Shiller, rounded), and dollars for a euro (yearly averages of the
/// ECB's reference rates), from 1999 on. Other years have those of the nearest.
const YEARS: [(u32, u32); 20] = [
    (1_669, 10_658),
    (1_627, 9_236),
    (1_574, 8_956),
    (1_608, 9_456),
    (1_739, 11_312),
    (1_944, 12_439),
    (2_222, 12_441),
    (2_488, 12_556),
    (2_773, 13_705),
    (2_839, 14_708),
    (2_241, 13_948),
    (2_273, 13_257),
    (2_643, 13_920),
    (3_125, 12_848),
    (3_499, 13_281),
    (3_944, 13_285),
    (4_339, 11_095),
    (4_570, 11_069),
    (4_893, 11_297),
    (5_361, 11_810),
];

/// The account, and its broker's side of it.
#[derive(Debug)]
pub struct Carry {
    positions: Positions,
    held: Option<Held>,
    broker: Broker,
    last: Option<Date>,
    /// What the first and the last symbol closed at.
    closes: [Option<Decimal>; 2],
    symbols: [Symbol; 2],
}

/// The positions, once there was a price to open them at.
#[derive(Debug, Clone, Copy)]
struct Held {
    holder: PositionKey,
    short_seller: PositionKey,
    perpetual: PositionKey,
}

/// The account as its broker keeps it: cash, and what the perpetual was bought at.
#[derive(Debug, Default)]
struct Broker {
    dollars: Decimal,
    euros: Decimal,
    entry: Decimal,
}

impl Carry {
    /// The account before its first day; nothing where nothing is traded.
    #[must_use]
    pub fn new<'a>(
        days: &TradingDays,
        first: Date,
        mut symbols: impl Iterator<Item = &'a Symbol>,
    ) -> Option<Self> {
        let one = symbols.next()?.clone();
        let other = symbols.last().unwrap_or(&one).clone();
        let perpetual = Instrument::future(Currency::USD, 1);
        let cash = Money::new(CASH, Currency::USD);
        let positions = Positions::new("carry", days.open(first), cash)
            .with_calendar(days.calendar())
            .with_rate_age(jiff::SignedDuration::from_hours(24 * 30))
            .with_instrument(one.as_str(), Instrument::new(Currency::USD))
            .with_instrument(other.as_str(), Instrument::new(Currency::USD))
            .with_instrument(&perpetual_of(&one), perpetual);
        Some(Self {
            positions,
            held: None,
            broker: Broker {
                dollars: cash.decimal(),
                ..Broker::default()
            },
            last: None,
            closes: [None; 2],
            symbols: [one, other],
        })
    }

    /// A day is over: everything is valued, what it earned and cost is booked, and the broker's statement is compared.
    pub fn close_day(
        &mut self,
        at: Timestamp,
        date: Date,
        bars: &[(Symbol, Bar)],
    ) -> Result<Option<Reconciled>, Error> {
        for (close, symbol) in self.closes.iter_mut().zip(&self.symbols) {
            let bar = bars.iter().find(|(of, _)| of == symbol);
            *close = bar.map(|(_, bar)| Decimal::from(bar.close)).or(*close);
        }
        let [Some(one), Some(other)] = self.closes else {
            return Ok(None);
        };
        let rate = dollars_for_a_euro(date);
        self.positions.rate(at, Currency::EUR, rate);
        let held = match self.held {
            Some(held) => held,
            None => self.open(at, one, other, rate)?,
        };
        let perpetual = perpetual_of(&self.symbols[0]);
        let marks = [
            (self.symbols[0].as_str(), one),
            (self.symbols[1].as_str(), other),
            (&perpetual, one),
        ];
        self.positions.mark_all(at, marks);
        if let Some(last) = self.last.replace(date) {
            self.earn(at, held, last, date, one, other)?;
        }
        self.reconcile(at, one, other, rate).map(Some)
    }

    /// Buys and sells what is held from here on, at the close and for a basis point.
    fn open(
        &mut self,
        at: Timestamp,
        one: Decimal,
        other: Decimal,
        rate: Decimal,
    ) -> Result<Held, Error> {
        let perpetual = perpetual_of(&self.symbols[0]);
        let held = Held {
            holder: self.positions.key("holder", self.symbols[0].as_str())?,
            short_seller: self
                .positions
                .key("short_seller", self.symbols[1].as_str())?,
            perpetual: self.positions.key("perpetual", &perpetual)?,
        };
        for (key, side, price) in [
            (held.holder, Side::Buy, one),
            (held.short_seller, Side::Sell, other),
            (held.perpetual, Side::Buy, one),
        ] {
            let worth = Decimal::from(UNITS) * price;
            let fee = Money::new(bps(worth, 1), Currency::USD);
            let fill = Fill::new(UNITS, price)
                .with_fee(Fee::new(FeeKind::Commission, fee))
                .at(at);
            let _ = self.positions.fill(key, side, &fill)?;
            self.broker.dollars -= fee.decimal();
            match side {
                _ if key == held.perpetual => {}
                Side::Buy => self.broker.dollars -= worth,
                Side::Sell => self.broker.dollars += worth,
            }
        }
        let below = Decimal::from(100 - LIQUIDATED_PERCENT);
        let liquidated = one.mul_div(below, Decimal::from(100_u32));
        self.positions
            .set_liquidation_price(held.perpetual, liquidated)?;
        let paid = Decimal::from(EUROS) * rate;
        let paid = paid + bps(paid, EXCHANGE_BPS);
        self.positions.convert(
            at,
            Money::new(paid, Currency::USD),
            Money::new(EUROS, Currency::EUR),
        )?;
        self.broker.dollars -= paid;
        self.broker.euros += Decimal::from(EUROS);
        self.broker.entry = one;
        self.held = Some(held);
        Ok(held)
    }

    /// What came and went since the last close.
    fn earn(
        &mut self,
        at: Timestamp,
        held: Held,
        last: Date,
        date: Date,
        one: Decimal,
        other: Decimal,
    ) -> Result<(), Error> {
        let days = last.until(date).map_or(0, |span| span.get_days());
        let units = Decimal::from(UNITS);
        let a_year = |amount: Decimal, rate: u32| {
            bps(amount, rate).mul_div(Decimal::from(days), Decimal::from(365_u32))
        };
        let interest = a_year(
            self.positions.cash_in(Currency::USD).decimal(),
            INTEREST_BPS,
        );
        let borrow = -a_year(units * other, BORROW_BPS);
        let funding = -bps(units * one, FUNDING_BPS) * Decimal::from(days);
        self.flow(at, PnlComponent::Interest, interest, None)?;
        self.flow(at, PnlComponent::Borrow, borrow, Some(held.short_seller))?;
        self.flow(at, PnlComponent::Funding, funding, Some(held.perpetual))?;
        if quarter(last) != quarter(date) {
            let a_quarter =
                Decimal::of_minor(year(date).0.into(), 2).mul_div(units, Decimal::from(4_u32));
            self.flow(at, PnlComponent::Dividends, a_quarter, Some(held.holder))?;
        }
        Ok(())
    }

    fn flow(
        &mut self,
        at: Timestamp,
        component: PnlComponent,
        amount: Decimal,
        position: Option<PositionKey>,
    ) -> Result<(), Error> {
        let flow = Flow::new(component, Money::new(amount, Currency::USD));
        let flow = match position {
            Some(key) => flow.of_position(key),
            None => flow,
        };
        self.positions.flow(at, &flow)?;
        self.broker.dollars += amount;
        Ok(())
    }

    fn reconcile(
        &mut self,
        at: Timestamp,
        one: Decimal,
        other: Decimal,
        rate: Decimal,
    ) -> Result<Reconciled, Error> {
        let (broker, units) = (&self.broker, Decimal::from(UNITS));
        let value = broker.dollars + broker.euros * rate + units * one - units * other
            + units * (one - broker.entry);
        let value = Money::new(value, Currency::USD);
        let [long, short] = self.symbols.each_ref().map(Symbol::as_str);
        let perpetual = perpetual_of(&self.symbols[0]);
        let mut theirs = vec![(&*perpetual, units)];
        if long != short {
            theirs.extend([(long, units), (short, -units)]);
        }
        let statement = Statement::new(at)
            .with_positions(theirs)
            .with_cash(Money::new(broker.dollars, Currency::USD))
            .with_cash(Money::new(broker.euros, Currency::EUR))
            .with_rate(Currency::EUR, rate)
            .with_value(value);
        self.positions.state_value(at, value)?;
        let tolerances = Tolerances::default();
        Ok(self.positions.reconcile(at, &statement, &[], &tolerances))
    }

    /// The gauges of the positions.
    #[must_use]
    pub fn gauges(&self) -> PositionGauges {
        self.positions.gauges()
    }

    /// The positions.
    #[must_use]
    pub fn positions(&self) -> &Positions {
        &self.positions
    }
}

fn perpetual_of(symbol: &Symbol) -> String {
    format!("{symbol}-PERP")
}

fn bps(amount: Decimal, bps: u32) -> Decimal {
    amount.mul_div(Decimal::from(bps), Decimal::from(10_000_u32))
}

fn year(date: Date) -> (u32, u32) {
    let years = usize::try_from(date.year() - 1999).unwrap_or_default();
    YEARS[years.min(YEARS.len() - 1)]
}

fn quarter(date: Date) -> (i16, i8) {
    (date.year(), (date.month() - 1) / 3)
}

/// On the way from one year's average to the next one's.
fn dollars_for_a_euro(date: Date) -> Decimal {
    let rate = |date| Decimal::of_minor(year(date).1.into(), 4);
    let next = date
        .first_of_year()
        .saturating_add(jiff::Span::new().years(1));
    let way = (rate(next) - rate(date)).mul_div(
        Decimal::from(date.day_of_year() - 1),
        Decimal::from(date.days_in_year()),
    );
    rate(date) + way
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use obs_core::{Closed, TestRecorder};

    use super::*;
    use crate::bars;

    /// Twenty years: every part of the bridge has moved, the broker always agreed, and the parts add up to the last digit.
    #[test]
    fn every_part_of_the_bridge_moves_and_the_broker_agrees_on_every_day() {
        let test = TestRecorder::new();
        let series = bars::bundled().unwrap();
        let mut by_day: BTreeMap<Date, Vec<(Symbol, Bar)>> = BTreeMap::new();
        for series in &series {
            for bar in &series.bars {
                let of_day = by_day.entry(bar.date).or_default();
                of_day.push((series.symbol.clone(), *bar));
            }
        }
        let dates = by_day.keys().copied().collect();
        let days = TradingDays::of(&dates);
        let symbols: Vec<_> = series.iter().map(|series| series.symbol.clone()).collect();
        let first = *dates.first().unwrap();
        let carry = test.run(|| Carry::new(&days, first, symbols.iter()));
        let mut carry = carry.unwrap();
        for (date, bars) in by_day {
            let report = carry.close_day(days.close(date), date, &bars).unwrap();
            assert!(report.is_some_and(|report| report.is_clean()), "{date}");
            assert_eq!(carry.positions.value(), carry.positions.marked_value());
        }
        let made = |component| carry.positions.made(component).unwrap().decimal();
        for &component in PnlComponent::ALL {
            let is_moved = !made(component).is_zero();
            let is_right = is_moved != (component == PnlComponent::Residual);
            assert!(is_right, "{component}: {}", made(component));
        }
        let sum: Decimal = PnlComponent::ALL.iter().copied().map(made).sum();
        let value = carry.positions.value().unwrap().decimal();
        assert_eq!(Decimal::from(CASH) + sum, value);
        // Two decades of dividends: 50 units, from the second quarter of 1999 to the last of 2018.
        let paid: u32 = YEARS.iter().map(|(dividends, _)| dividends).sum();
        let paid = Decimal::of_minor(i64::from(paid * UNITS), 2);
        let first_quarter = Decimal::of_minor(i64::from(YEARS[0].0 * UNITS), 2);
        let missing = first_quarter.mul_div(Decimal::ONE, Decimal::from(4_u32));
        assert_eq!(made(PnlComponent::Dividends), paid - missing);
    }

    #[test]
    fn one_symbol_is_enough_and_none_is_no_account() {
        let date = jiff::civil::date(2020, 1, 5);
        let days = TradingDays::of(&[date].into());
        assert!(Carry::new(&days, date, std::iter::empty()).is_none());
        let symbol = Symbol::new("BTC").unwrap();
        let mut carry = Carry::new(&days, date, std::iter::once(&symbol)).unwrap();
        let bar = |date| Bar {
            date,
            open: 100.0,
            high: 100.0,
            low: 100.0,
            close: 100.0,
            volume: 1.0,
        };
        for date in [date, date.tomorrow().unwrap()] {
            let bars = [(symbol.clone(), bar(date))];
            let report = carry.close_day(days.close(date), date, &bars).unwrap();
            assert!(report.unwrap().is_clean());
        }
        // Without a bar there is nothing to do on the day.
        assert!(
            carry
                .close_day(days.close(date), date, &[])
                .unwrap()
                .is_some()
        );
    }
}
