//! Positions and the bridge against exact fractions: random fills, corrections, busts, flows, splits, transfers, rates and restarts.
//!
//! A part of it runs with the other tests. All of it:
//!
//! ```text
//! OBS_ORACLE_OPERATIONS=1000000 cargo test --release -p obs-trading --test positions_oracle
//! ```

use std::collections::{BTreeMap, VecDeque};

use num_bigint::BigInt;
use num_rational::BigRational;
use obs_core::{Closed, TestRecorder};
use obs_trading::jiff::Timestamp;
use obs_trading::{
    Currency, Decimal, Fee, FeeKind, Fill, Flow, Instrument, LotMethod, Money, Period,
    PnlComponent, Positions, Prices, SavedPositions, Side,
};

type Number = BigRational;

const USD: Currency = Currency::USD;
const CURRENCIES: [Currency; 3] = [Currency::USD, Currency::EUR, Currency::JPY];
const STRATEGIES: [&str; 3] = ["crossover", "carry", "basis"];

fn instruments() -> [(&'static str, Instrument); 5] {
    [
        ("AAPL", Instrument::new(USD)),
        ("SAP", Instrument::new(Currency::EUR)),
        ("ES", Instrument::future(USD, 50).with_prices(Prices::Any)),
        (
            "AAPL 260918C200",
            Instrument::new(USD)
                .times(100)
                .with_prices(Prices::NotNegative),
        ),
        ("BTC-PERP", Instrument::future(Currency::JPY, 0.001)),
    ]
}

fn number(decimal: Decimal) -> Number {
    let text = decimal.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let parts: BigInt = format!("{whole}{fraction:0<12}").parse().expect("digits");
    Number::new(parts, BigInt::from(10).pow(12))
}

/// To the twelfth place, halves away from zero.
fn rounded(number: &Number) -> Number {
    let unit = BigInt::from(10).pow(12);
    // `round` of a ratio takes halves away from zero.
    Number::new((number * &unit).round().to_integer(), unit)
}

fn zero() -> Number {
    Number::from_integer(0.into())
}

/// A xorshift: the same operations every time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }

    fn place(&mut self, count: u64) -> usize {
        usize::try_from(self.below(count)).expect("small")
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    fn signed(&mut self, bound: u64, places: u32) -> Decimal {
        let amount = i64::try_from(self.below(2 * bound)).expect("small");
        Decimal::of_minor(amount - i64::try_from(bound).expect("small"), places)
    }
}

/// What is held, in fractions.
#[derive(Clone)]
struct Held {
    lots: VecDeque<[Number; 2]>,
    realized: Number,
}

/// What happened, as the oracle remembers it.
#[derive(Clone)]
enum Happened {
    Traded {
        id: u64,
        side: Side,
        quantity: Number,
        price: Number,
        /// What each currency was worth then.
        rates: Vec<[Number; 2]>,
    },
    Moved {
        quantity: Number,
        cost: Number,
    },
    Split {
        to: Number,
        from: Number,
    },
}

struct Account {
    method: LotMethod,
    multiplier: Number,
    is_margined: bool,
    currency: usize,
    strategy: usize,
    held: Held,
    /// What was held before each of the last events.
    past: VecDeque<(Held, Happened)>,
    mark: Option<Number>,
    is_marked: bool,
    counted: Number,
}

impl Held {
    fn quantity(&self) -> Number {
        self.lots.iter().fold(zero(), |sum, lot| sum + &lot[0])
    }

    fn cost(&self) -> Number {
        self.lots.iter().fold(zero(), |sum, lot| sum + &lot[1])
    }

    fn take(&mut self, method: LotMethod, quantity: &Number) -> Number {
        let (mut left, mut cost) = (quantity.clone(), zero());
        while left != zero() {
            let place = if method == LotMethod::Fifo {
                0
            } else {
                self.lots.len() - 1
            };
            let [units, of] = self.lots[place].clone();
            if abs(&left) >= abs(&units) {
                self.lots.remove(place);
                left -= units;
                cost += of;
            } else {
                let part = rounded(&(&of * &left / &units));
                self.lots[place] = [&units - &left, &of - &part];
                cost += part;
                left = zero();
            }
        }
        cost
    }

    fn open(&mut self, method: LotMethod, quantity: Number, cost: Number) {
        match self.lots.back_mut() {
            Some(lot) if method == LotMethod::AverageCost => {
                lot[0] += quantity;
                lot[1] += cost;
            }
            _ => self.lots.push_back([quantity, cost]),
        }
    }

    fn trade(&mut self, method: LotMethod, quantity: &Number, amount: &Number) {
        let held = self.quantity();
        let is_opposite = (&held * quantity) < zero();
        let closes = if !is_opposite {
            zero()
        } else if abs(quantity) >= abs(&held) {
            held
        } else {
            -quantity.clone()
        };
        let paid = rounded(&(amount * -&closes / quantity));
        if closes != zero() {
            let cost = self.take(method, &closes);
            self.realized += -&paid - cost;
        }
        let rest = quantity + &closes;
        if rest != zero() {
            self.open(method, rest, amount - paid);
        }
    }
}

fn abs(number: &Number) -> Number {
    if *number < zero() {
        -number.clone()
    } else {
        number.clone()
    }
}

impl Account {
    fn amount(&self, quantity: &Number, price: &Number) -> Number {
        let one = Number::from_integer(1.into());
        if self.multiplier == one {
            rounded(&(quantity * price))
        } else {
            rounded(&(rounded(&(quantity * &self.multiplier)) * price))
        }
    }

    fn apply(&mut self, what: &Happened) {
        match what {
            Happened::Traded {
                quantity, price, ..
            } => {
                let amount = self.amount(quantity, price);
                self.held.trade(self.method, quantity, &amount);
            }
            // At their cost: nothing is made, unless an earlier fill was taken back.
            Happened::Moved { quantity, cost } if *quantity != zero() => {
                self.held.trade(self.method, quantity, cost);
            }
            Happened::Moved { .. } => {}
            Happened::Split { to, from } => {
                for lot in &mut self.held.lots {
                    lot[0] = rounded(&(&lot[0] * to / from));
                }
            }
        }
    }

    fn happens(&mut self, what: Happened) {
        let before = self.held.clone();
        self.apply(&what);
        self.past.push_back((before, what));
        if self.past.len() > 64 {
            self.past.pop_front();
        }
    }

    fn replay(&mut self, place: usize, by: Option<Happened>) {
        let later: Vec<_> = self.past.drain(place..).collect();
        if let Some((before, _)) = later.first() {
            self.held = before.clone();
        }
        let later = later.into_iter().map(|(_, what)| what);
        for what in by.into_iter().chain(later.skip(1)) {
            self.happens(what);
        }
    }

    fn value(&self) -> Number {
        let quantity = self.held.quantity();
        match &self.mark {
            _ if quantity == zero() => zero(),
            Some(mark) => self.amount(&quantity, mark),
            None => self.held.cost(),
        }
    }

    fn trading(&self) -> Number {
        &self.held.realized + self.value() - self.held.cost()
    }
}

/// All of it, in fractions.
struct Oracle {
    accounts: Vec<Account>,
    cash: Vec<Number>,
    /// What each currency is worth, and what was counted of it in dollars.
    values: Vec<Number>,
    in_base: Vec<Number>,
    rates: Vec<[Number; 2]>,
    own: Vec<BTreeMap<Place, Number>>,
    base: BTreeMap<Place, Number>,
    by_strategy: BTreeMap<(String, Place), Number>,
    contributed: Number,
}

/// Closed labels have no order; their place has.
type Place = usize;

impl Oracle {
    fn made(&mut self, currency: usize, strategy: &str, component: PnlComponent, amount: &Number) {
        if *amount == zero() {
            return;
        }
        *self.own[currency]
            .entry(component.index())
            .or_insert_with(zero) += amount;
        let difference = self.moved(currency, amount);
        *self.base.entry(component.index()).or_insert_with(zero) += &difference;
        let key = (strategy.to_owned(), component.index());
        *self.by_strategy.entry(key).or_insert_with(zero) += difference;
    }

    /// The same of something that is put right: at the rate of then, and what the rate changed since is fx.
    fn made_then(
        &mut self,
        currency: usize,
        strategy: &str,
        component: PnlComponent,
        amount: &Number,
        rates: &[[Number; 2]],
    ) {
        if *amount == zero() {
            return;
        }
        *self.own[currency]
            .entry(component.index())
            .or_insert_with(zero) += amount;
        let all = self.moved(currency, amount);
        let [base, units] = &rates[currency];
        let then = if currency == 0 {
            all.clone()
        } else {
            rounded(&(amount * base / units))
        };
        for (owner, component, amount) in [
            (strategy, component, &then),
            ("unallocated", PnlComponent::Fx, &(&all - &then)),
        ] {
            *self.base.entry(component.index()).or_insert_with(zero) += amount;
            let key = (owner.to_owned(), component.index());
            *self.by_strategy.entry(key).or_insert_with(zero) += amount;
        }
    }

    fn moved(&mut self, currency: usize, amount: &Number) -> Number {
        self.values[currency] += amount;
        let [base, units] = &self.rates[currency];
        let now = rounded(&(&self.values[currency] * base / units));
        let difference = &now - &self.in_base[currency];
        self.in_base[currency] = now;
        difference
    }

    fn settle(&mut self, account: usize) {
        self.settle_then(account, None);
    }

    fn settle_then(&mut self, account: usize, corrected: Option<&[[Number; 2]]>) {
        let of = &mut self.accounts[account];
        let now = of.trading();
        let difference = &now - &of.counted;
        of.counted = now;
        let (currency, strategy) = (of.currency, STRATEGIES[of.strategy]);
        let trading = PnlComponent::Trading;
        match corrected {
            None => self.made(currency, strategy, trading, &difference),
            Some(rates) => self.made_then(currency, strategy, trading, &difference, rates),
        }
    }

    fn fee(&mut self, currency: usize, strategy: usize, amount: &Number) {
        self.cash[currency] -= amount;
        let amount = -amount.clone();
        self.made(currency, STRATEGIES[strategy], PnlComponent::Fees, &amount);
    }

    /// A fee that comes back with its execution.
    fn refund(&mut self, currency: usize, strategy: usize, amount: &Number, rates: &[[Number; 2]]) {
        self.cash[currency] += amount;
        let strategy = STRATEGIES[strategy];
        self.made_then(currency, strategy, PnlComponent::Fees, amount, rates);
    }

    /// Books a trade's cash: all of it, or the gain.
    fn pay(&mut self, account: usize, amount: &Number, realized: &Number) {
        let of = &self.accounts[account];
        let currency = of.currency;
        if of.is_margined {
            self.cash[currency] += realized;
        } else {
            self.cash[currency] -= amount;
        }
    }
}

struct Run {
    positions: Positions,
    oracle: Oracle,
    random: Random,
    test: TestRecorder,
    method: LotMethod,
    at: Timestamp,
    next: u64,
    checks: u64,
    /// The split of each symbol that was not taken back.
    splits: [Option<(i32, i32)>; 5],
    /// The fees of the last executions.
    fees: BTreeMap<u64, Fee>,
}

fn place(currency: Currency) -> usize {
    CURRENCIES
        .iter()
        .position(|it| *it == currency)
        .expect("one of three")
}

impl Run {
    fn new(method: LotMethod, seed: u64) -> Self {
        let at: Timestamp = "2026-01-05T14:30:00Z".parse().expect("a time");
        let test = TestRecorder::new();
        let start = Money::new(1_000_000, USD);
        let mut positions = test.run(|| Positions::new("main", at, start).with_method(method));
        let mut accounts = Vec::new();
        for (symbol, instrument) in instruments() {
            positions.declare(symbol, instrument);
            for (strategy, name) in STRATEGIES.iter().enumerate() {
                let key = positions.key(name, symbol).expect("declared");
                assert_eq!(positions.name(key).expect("held"), (*name, symbol));
                accounts.push(Account {
                    method,
                    multiplier: number(instrument.multiplier),
                    is_margined: instrument.is_margined,
                    currency: place(instrument.currency),
                    strategy,
                    held: Held {
                        lots: VecDeque::new(),
                        realized: zero(),
                    },
                    past: VecDeque::new(),
                    mark: None,
                    is_marked: false,
                    counted: zero(),
                });
            }
        }
        let one = || {
            [
                Number::from_integer(1.into()),
                Number::from_integer(1.into()),
            ]
        };
        let mut run = Self {
            positions,
            oracle: Oracle {
                accounts,
                cash: vec![number(start.decimal()), zero(), zero()],
                values: vec![number(start.decimal()), zero(), zero()],
                in_base: vec![number(start.decimal()), zero(), zero()],
                rates: vec![one(), one(), one()],
                own: vec![BTreeMap::new(); 3],
                base: BTreeMap::new(),
                by_strategy: BTreeMap::new(),
                contributed: number(start.decimal()),
            },
            random: Random(seed),
            test,
            method,
            at,
            next: 0,
            checks: 0,
            splits: [None; 5],
            fees: BTreeMap::new(),
        };
        run.rate(1, Decimal::of_minor(108, 2), Decimal::ONE);
        run.rate(2, Decimal::ONE, Decimal::of_minor(15_725, 2));
        run
    }

    fn key(&self, account: usize) -> obs_trading::PositionKey {
        let (symbol, _) = instruments()[account / 3];
        self.positions
            .find(STRATEGIES[account % 3], symbol)
            .expect("known")
    }

    fn rate(&mut self, currency: usize, base: Decimal, units: Decimal) {
        self.positions
            .rate_of(self.at, CURRENCIES[currency], units, base);
        self.oracle.rates[currency] = [number(base), number(units)];
        let difference = self.oracle.moved(currency, &zero());
        *self
            .oracle
            .base
            .entry(PnlComponent::Fx.index())
            .or_insert_with(zero) += &difference;
        let key = ("unallocated".to_owned(), PnlComponent::Fx.index());
        *self.oracle.by_strategy.entry(key).or_insert_with(zero) += difference;
    }

    fn price(&mut self, account: usize) -> Decimal {
        let symbol = account / 3;
        let cents = i64::try_from(self.random.below(40_000)).expect("small");
        match symbol {
            // Prices may be below zero, and a whole number of quarters.
            2 => Decimal::of_minor((cents - 10_000) * 25, 2),
            3 => Decimal::of_minor(cents / 50, 2),
            4 => Decimal::of_minor(cents * 1_000 + 7, 4),
            _ => Decimal::of_minor(cents + 1, 2),
        }
    }

    fn quantity(&mut self) -> Decimal {
        let whole = self.random.below(20) + 1;
        match self.random.below(3) {
            0 => Decimal::of_minor(i64::try_from(whole * 12_345_679).expect("small"), 8),
            _ => Decimal::from(whole),
        }
    }

    fn fill(&mut self, account: usize) {
        self.next += 1;
        let id = self.next;
        let side = if self.random.one_in(2) {
            Side::Buy
        } else {
            Side::Sell
        };
        let (quantity, price) = (self.quantity(), self.price(account));
        let mut fill = Fill::new(quantity, price).with_id(id).at(self.at);
        let currency = self.random.place(4) % 3;
        let fee = self.random.signed(300, 3);
        if self.random.one_in(2) {
            fill = fill.with_fee(Fee::new(
                FeeKind::Commission,
                Money::new(fee, CURRENCIES[currency]),
            ));
        }
        let key = self.key(account);
        let booked = self.positions.fill(key, side, &fill).expect("a fill");
        assert!(booked.is_new);
        if self.random.one_in(10) {
            let again = self.positions.fill(key, side, &fill).expect("known");
            assert!(!again.is_new && again.closed.is_none());
        }
        let signed = number(quantity)
            * if side == Side::Buy {
                number(Decimal::ONE)
            } else {
                number(-Decimal::ONE)
            };
        let of = &mut self.oracle.accounts[account];
        let before = of.held.realized.clone();
        let amount = of.amount(&signed, &number(price));
        of.happens(Happened::Traded {
            id,
            side,
            quantity: signed,
            price: number(price),
            rates: self.oracle.rates.clone(),
        });
        if !of.is_marked {
            of.mark = Some(number(price));
        }
        let realized = &of.held.realized - before;
        let strategy = of.strategy;
        self.oracle.pay(account, &amount, &realized);
        if let Some(fee) = fill.fee {
            self.fees.insert(id, fee);
            self.oracle.fee(
                place(fee.amount.currency()),
                strategy,
                &number(fee.amount.decimal()),
            );
        }
        self.oracle.settle(account);
    }

    /// Takes an execution back, or changes its price.
    fn change(&mut self, account: usize) {
        let of = &self.oracle.accounts[account];
        let traded: Vec<usize> = of
            .past
            .iter()
            .enumerate()
            .filter(|(_, (_, what))| matches!(what, Happened::Traded { id, .. } if *id > 0))
            .map(|(place, _)| place)
            .collect();
        // The fee of an execution stays its fee here, so that the oracle need not remember it.
        let Some(place) = traded.last().copied() else {
            return;
        };
        let Happened::Traded {
            id,
            side,
            quantity,
            price,
            rates,
        } = of.past[place].1.clone()
        else {
            return;
        };
        let new_price = self.price(account);
        let of = &mut self.oracle.accounts[account];
        let (old, new) = (
            of.amount(&quantity, &price),
            of.amount(&quantity, &number(new_price)),
        );
        let before = of.held.realized.clone();
        of.replay(
            place,
            Some(Happened::Traded {
                id,
                side,
                quantity: quantity.clone(),
                price: number(new_price),
                rates: rates.clone(),
            }),
        );
        let realized = &of.held.realized - before;
        self.oracle.pay(account, &(new - old), &realized);
        self.oracle.settle_then(account, Some(&rates));
        let units: Decimal = text(&abs(&quantity)).parse().expect("a quantity");
        let fill = Fill::new(units, new_price).with_id(id).at(self.at);
        let fill = match self.fee_of(id) {
            Some(fee) => fill.with_fee(fee),
            None => fill,
        };
        let key = self.key(account);
        let _ = self
            .positions
            .correct(key, side, &fill)
            .expect("remembered");
    }

    fn fee_of(&self, id: u64) -> Option<Fee> {
        self.fees.get(&id).copied()
    }

    fn bust(&mut self, account: usize) {
        let of = &self.oracle.accounts[account];
        let found = of
            .past
            .iter()
            .enumerate()
            .rev()
            .find_map(|(place, (_, what))| match what {
                Happened::Traded {
                    id,
                    side,
                    quantity,
                    price,
                    rates,
                } => Some((
                    place,
                    *id,
                    *side,
                    [quantity.clone(), price.clone()],
                    rates.clone(),
                )),
                _ => None,
            });
        let Some((place, id, side, [quantity, price], rates)) = found.filter(|found| found.1 > 0)
        else {
            return;
        };
        let of = &mut self.oracle.accounts[account];
        let amount = of.amount(&quantity, &price);
        let before = of.held.realized.clone();
        of.replay(place, None);
        let realized = &of.held.realized - before;
        let strategy = of.strategy;
        self.oracle.pay(account, &-amount, &realized);
        if let Some(fee) = self.fee_of(id) {
            self.oracle.refund(
                self::place(fee.amount.currency()),
                strategy,
                &number(fee.amount.decimal()),
                &rates,
            );
        }
        self.oracle.settle_then(account, Some(&rates));
        let key = self.key(account);
        let _ = self.positions.bust(key, side, id).expect("remembered");
        let again = self.positions.bust(key, side, id).expect("known");
        assert!(!again.is_new);
    }

    fn flow(&mut self) {
        let component = [
            PnlComponent::Funding,
            PnlComponent::Borrow,
            PnlComponent::Dividends,
            PnlComponent::Interest,
            PnlComponent::Fees,
        ][self.random.place(5)];
        let currency = self.random.place(3);
        let amount = self.random.signed(100_000, 4);
        let account = self.random.place(15);
        let flow = Flow::new(component, Money::new(amount, CURRENCIES[currency]));
        let (flow, strategy) = if self.random.one_in(2) {
            (flow.of_position(self.key(account)), STRATEGIES[account % 3])
        } else {
            (flow, "unallocated")
        };
        assert!(self.positions.flow(self.at, &flow).expect("a flow"));
        if strategy != "unallocated" && self.oracle.accounts[account].currency == currency {
            // It takes a place among what is remembered.
            self.oracle.accounts[account].happens(Happened::Moved {
                quantity: zero(),
                cost: zero(),
            });
        }
        self.oracle.cash[currency] += number(amount);
        self.oracle
            .made(currency, strategy, component, &number(amount));
    }

    fn mark(&mut self) {
        let symbol = self.random.place(5);
        let price = self.price(3 * symbol);
        self.positions.mark(self.at, instruments()[symbol].0, price);
        for account in 3 * symbol..3 * symbol + 3 {
            let of = &mut self.oracle.accounts[account];
            (of.mark, of.is_marked) = (Some(number(price)), true);
            self.oracle.settle(account);
        }
    }

    fn split(&mut self) {
        let symbol = self.random.place(5);
        let new = [(2, 1), (1, 2), (3, 2), (1, 10), (10, 1), (2, 3)][self.random.place(6)];
        // Each is followed by its opposite, so that a million operations stay within the range of numbers.
        let last = self.splits[symbol].take();
        let (to, from) = last.map_or(new, |(to, from)| (from, to));
        self.splits[symbol] = last.is_none().then_some(new);
        let (to, from) = (Decimal::from(to), Decimal::from(from));
        self.positions
            .split(self.at, instruments()[symbol].0, to, from)
            .expect("a split");
        for account in 3 * symbol..3 * symbol + 3 {
            let of = &mut self.oracle.accounts[account];
            let factor = number(from) / number(to);
            of.mark = of.mark.as_ref().map(|mark| rounded(&(mark * factor)));
            of.happens(Happened::Split {
                to: number(to),
                from: number(from),
            });
            self.oracle.settle(account);
        }
    }

    fn transfer(&mut self) {
        let from = self.random.place(15);
        let to = from / 3 * 3 + (from + 1) % 3;
        let held = self.oracle.accounts[from].held.quantity();
        let half: Decimal = text(&rounded(&(abs(&held) / number(Decimal::from(2)))))
            .parse()
            .expect("half");
        if half.is_zero() {
            return;
        }
        let price = self.random.one_in(2).then(|| self.price(from));
        let key = self.key(from);
        let moved = self
            .positions
            .transfer(self.at, key, STRATEGIES[to % 3], half, price);
        let given = if held < zero() {
            -number(half)
        } else {
            number(half)
        };
        let other = self.oracle.accounts[to].held.quantity();
        let Some(price) = price else {
            if &other * &given < zero() {
                assert!(moved.is_err());
                return;
            }
            let method = self.method;
            let cost = self.oracle.accounts[from].held.clone().take(method, &given);
            let mark = self.oracle.accounts[from].mark.clone();
            let is_marked = self.oracle.accounts[from].is_marked;
            let left = Happened::Moved {
                quantity: -given.clone(),
                cost: -cost.clone(),
            };
            self.oracle.accounts[from].happens(left);
            self.oracle.accounts[to].happens(Happened::Moved {
                quantity: given,
                cost,
            });
            if self.oracle.accounts[to].mark.is_none() {
                (
                    self.oracle.accounts[to].mark,
                    self.oracle.accounts[to].is_marked,
                ) = (mark, is_marked);
            }
            self.oracle.settle(from);
            self.oracle.settle(to);
            return;
        };
        let price = number(price);
        for (account, quantity) in [(from, -given.clone()), (to, given)] {
            let of = &mut self.oracle.accounts[account];
            let before = of.held.realized.clone();
            let amount = of.amount(&quantity, &price);
            of.happens(Happened::Traded {
                id: 0,
                side: Side::Buy,
                quantity,
                price: price.clone(),
                rates: Vec::new(),
            });
            if !of.is_marked {
                of.mark = Some(price.clone());
            }
            let realized = &of.held.realized - before;
            self.oracle.pay(account, &amount, &realized);
            self.oracle.settle(account);
        }
    }

    fn pay_in(&mut self) {
        let currency = self.random.place(3);
        let amount = self.random.signed(10_000_000, 2);
        self.positions
            .transfer_cash(self.at, Money::new(amount, CURRENCIES[currency]))
            .expect("cash");
        self.oracle.cash[currency] += number(amount);
        let difference = self.oracle.moved(currency, &number(amount));
        self.oracle.contributed += difference;
    }

    fn convert(&mut self) {
        let (from, to) = (self.random.place(3), self.random.place(3));
        let amounts = [
            self.random.signed(1_000, 2).abs(),
            self.random.signed(1_000, 3).abs(),
        ];
        let [paid, received] = [(amounts[0], from), (amounts[1], to)]
            .map(|(amount, currency)| Money::new(amount, CURRENCIES[currency]));
        self.positions
            .convert(self.at, paid, received)
            .expect("money");
        for (currency, amount) in [(from, -amounts[0]), (to, amounts[1])] {
            self.oracle.cash[currency] += number(amount);
            self.oracle
                .made(currency, "unallocated", PnlComponent::Fx, &number(amount));
        }
    }

    fn restart(&mut self) {
        let saved = serde_json::to_string(&self.positions.save()).expect("it can be written");
        let saved: SavedPositions = serde_json::from_str(&saved).expect("it can be read");
        let method = self.method;
        self.positions = self
            .test
            .run(|| Positions::restore(saved).with_method(method));
    }

    fn step(&mut self) {
        self.at += obs_trading::jiff::SignedDuration::from_millis(
            i64::try_from(self.random.below(2_000)).expect("small") + 1,
        );
        let account = self.random.place(15);
        match self.random.below(1_000) {
            0..600 => self.fill(account),
            600..650 => self.change(account),
            650..700 => self.bust(account),
            700..800 => self.flow(),
            800..900 => self.mark(),
            900..915 => self.split(),
            915..945 => self.transfer(),
            945..970 => self.pay_in(),
            970..980 => self.convert(),
            980..999 => {
                let eur = Decimal::of_minor(
                    10_000 + i64::try_from(self.random.below(2_000)).expect("small"),
                    4,
                );
                let yen = Decimal::of_minor(
                    14_000 + i64::try_from(self.random.below(2_000)).expect("small"),
                    2,
                );
                self.rate(1, eur, Decimal::ONE);
                self.rate(2, Decimal::ONE, yen);
            }
            _ => self.restart(),
        }
    }

    /// Everything, in the smallest unit.
    fn check(&mut self) {
        self.checks += 1;
        let same = |ours: Decimal, theirs: &Number, what: &str| {
            assert_eq!(number(ours), *theirs, "{what}");
        };
        for (place, of) in self.oracle.accounts.iter().enumerate() {
            let key = self.key(place);
            same(
                self.positions.quantity(key).expect("held"),
                &of.held.quantity(),
                "quantity",
            );
            same(
                self.positions.cost(key).expect("held").decimal(),
                &of.held.cost(),
                "cost",
            );
            let realized = self.positions.realized_pnl(key).expect("held");
            same(realized.decimal(), &of.held.realized, "realised");
            let open = self.positions.open_pnl(key).expect("held");
            same(open.decimal(), &(of.value() - of.held.cost()), "open");
        }
        for (place, currency) in CURRENCIES.into_iter().enumerate() {
            same(
                self.positions.cash_in(currency).decimal(),
                &self.oracle.cash[place],
                "cash",
            );
        }
        let mut total = self.oracle.contributed.clone();
        for component in PnlComponent::ALL
            .iter()
            .copied()
            .filter(|it| *it != PnlComponent::Residual)
        {
            let theirs = self
                .oracle
                .base
                .get(&component.index())
                .cloned()
                .unwrap_or_else(zero);
            let ours = self.positions.made(component).expect("rates are known");
            same(ours.decimal(), &theirs, component.as_str());
            total += theirs;
            let mut of_strategies = Decimal::ZERO;
            for name in self.positions.strategies() {
                let made = self
                    .positions
                    .made_by(name, component)
                    .expect("rates are known")
                    .decimal();
                let key = (name.to_owned(), component.index());
                let theirs = self
                    .oracle
                    .by_strategy
                    .get(&key)
                    .cloned()
                    .unwrap_or_else(zero);
                same(made, &theirs, name);
                of_strategies += made;
            }
            assert_eq!(of_strategies, ours.decimal(), "strategies add up");
            for (place, currency) in CURRENCIES.into_iter().enumerate().skip(1) {
                let theirs = self.oracle.own[place]
                    .get(&component.index())
                    .cloned()
                    .unwrap_or_else(zero);
                let ours = self
                    .positions
                    .made_in(component, currency, Period::Total)
                    .expect("known");
                same(ours.decimal(), &theirs, component.as_str());
            }
        }
        let value = self.positions.value().expect("rates are known");
        same(value.decimal(), &total, "value");
        assert_eq!(
            self.positions.marked_value(),
            Some(value),
            "cash and positions"
        );
        // The broker says what is there: nothing is left.
        self.positions.state_value(self.at, value).expect("a value");
        let residual = self.positions.made(PnlComponent::Residual);
        assert_eq!(residual, Some(Money::zero(USD)));
    }
}

fn text(number: &Number) -> String {
    let unit = BigInt::from(10).pow(12);
    let parts = (number * &unit).to_integer();
    let digits = format!("{:0>13}", parts.to_string());
    let (whole, fraction) = digits.split_at(digits.len() - 12);
    format!("{whole}.{fraction}")
}

fn operations() -> u64 {
    let stated = std::env::var("OBS_ORACLE_OPERATIONS").ok();
    stated.map_or(4_000, |text| text.parse().expect("a number of operations"))
}

#[test]
fn positions_and_bridge_are_what_fractions_say() {
    for (place, method) in [LotMethod::Fifo, LotMethod::Lifo, LotMethod::AverageCost]
        .into_iter()
        .enumerate()
    {
        let mut run = Run::new(method, 0x9e37_79b9 + place as u64);
        for step in 0..=operations() / 3 {
            run.step();
            if step % 25 == 0 {
                run.check();
            }
        }
        run.check();
        assert!(run.next > 100 && run.checks > 10);
    }
}
