//! What is shown of positions and of the account's bridge, written at each scrape.
//!
//! This is the only place of positions where a number becomes a float.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use obs_core::{By, Closed, Counter, Gauge, Keyed, Unit};

use super::State;
use super::bridge::{Bridge, PnlComponent};
use super::position::Position;
use super::reconcile::ReconciliationGauges;
use crate::performance::{AccountName, CurrencyCode, Period, Sum};
use crate::{Currency, Decimal, StrategyName, Symbol};

obs_core::label! {
    /// How exposure is added up.
    pub enum ExposureKind as "kind" {
        /// Long and short positions, without sign.
        Gross = "gross",
        /// Long less short positions.
        Net = "net",
        /// Long positions.
        Long = "long",
        /// Short positions, below zero.
        Short = "short",
    }
}

obs_core::label! {
    /// Whether cash can be withdrawn.
    pub enum SettledState as "state" {
        /// It is there.
        Settled = "settled",
        /// It comes when a sale settles.
        Unsettled = "unsettled",
    }
}

obs_core::families! {
    group crate::groups::POSITIONS;

    /// A strategy's position in a symbol. The largest have series of their own.
    pub struct PositionMetrics(account: AccountName, strategy: StrategyName, symbol: Symbol) {
        /// Units held; short is negative. NaN for positions that are shown together.
        pub quantity: Gauge = "position_quantity" { unit: Unit::Number },
        /// How far the price is from where the position is liquidated, as a share of the price; NaN where there is no such price.
        pub liquidation_distance: Gauge = "position_liquidation_distance_ratio",
    }
}

obs_core::families! {
    group crate::groups::POSITIONS;

    /// What a strategy's position in a symbol is worth.
    pub struct PositionMoneyMetrics(
        account: AccountName,
        strategy: StrategyName,
        symbol: Symbol,
        currency: CurrencyCode,
    ) {
        /// Market value at the last mark; short is negative.
        pub value: Gauge = "position_value" { unit: Unit::Currency },
        /// Market value less cost, before fees.
        pub unrealized: Gauge = "position_unrealized_pnl" { unit: Unit::Currency },
    }
}

obs_core::families! {
    group crate::groups::POSITIONS;

    /// An account's exposure, cash and bridge. In the base currency they are those of the whole account, in another those of what is
    /// held in it.
    pub struct PortfolioBookMetrics(account: AccountName, currency: CurrencyCode) {
        /// Market value of all positions.
        pub exposure: By<ExposureKind, Gauge> = "portfolio_exposure" { unit: Unit::Currency },
        /// Gross exposure by the account's value.
        pub leverage: Gauge = "portfolio_leverage_ratio",
        /// The largest symbol's share of gross exposure; NaN without positions.
        pub concentration: Gauge = "portfolio_concentration_ratio",
        /// What was bought and sold in the day, week and month under way, and in all, by the account's value.
        pub turnover: By<Period, Gauge> = "portfolio_turnover_ratio",
        /// Cash.
        pub cash: By<SettledState, Gauge> = "portfolio_cash" { unit: Unit::Currency },
        /// Profit and loss of the day, week and month under way, and in all, by what made it. The parts add up to the change of value.
        pub component: By<PnlComponent, By<Period, Gauge>> = "portfolio_pnl_component" { unit: Unit::Currency },
        /// Events in this currency that had no rate to the account's base currency when they came, or one that was too old.
        pub rates_missing: Counter = "portfolio_rates_missing_total",
    }
}

obs_core::families! {
    group crate::groups::POSITIONS;

    /// A strategy's part in the account's bridge.
    pub struct StrategyBookMetrics(account: AccountName, strategy: StrategyName, currency: CurrencyCode) {
        /// Profit and loss by what made it; what belongs to no strategy is `unallocated`, so that all add up to the account.
        pub component: By<PnlComponent, Gauge> = "trading_pnl_component" { unit: Unit::Currency },
    }
}

/// How many positions of an account have series of their own, unless another number is stated.
const NAMED: usize = 200;

/// The strategies that have series of their own in the bridge; the others are shown together.
const STRATEGIES: usize = 90;

/// A position's figures, as the book last wrote them: the book never waits for a scrape.
#[derive(Debug, Default)]
pub(crate) struct Row([AtomicU64; 5]);

/// What a scrape reads of a row.
#[derive(Clone, Copy, Debug)]
struct Figures {
    quantity: f64,
    value: f64,
    unrealized: f64,
    distance: f64,
    /// Market value in the base currency; NaN without a rate.
    in_base: f64,
}

impl Row {
    pub(crate) fn show(
        &self,
        position: &Position,
        value: Decimal,
        open: Decimal,
        in_base: Option<Decimal>,
    ) {
        let distance = position.mark.zip(position.liquidation);
        let distance = distance.map_or(f64::NAN, |(mark, price)| {
            (mark - price).abs().to_f64() / mark.abs().to_f64()
        });
        let numbers = [
            position.quantity().near_f64(),
            value.near_f64(),
            open.near_f64(),
            distance,
            in_base.map_or(f64::NAN, Decimal::near_f64),
        ];
        for (cell, number) in self.0.iter().zip(numbers) {
            cell.store(number.to_bits(), Relaxed);
        }
    }

    fn read(&self) -> Figures {
        let [quantity, value, unrealized, distance, in_base] =
            std::array::from_fn(|n| f64::from_bits(self.0[n].load(Relaxed)));
        Figures {
            quantity,
            value,
            unrealized,
            distance,
            in_base,
        }
    }
}

/// The gauges of [`Positions`](super::Positions), for the exporter's hook: `exporter.on_scrape(move || drop(gauges.observe()))`.
///
/// The largest positions by market value have series of their own; all others are added up in the symbol `other` of their
/// strategy, so that sums over symbols are exact. A quantity of several symbols means nothing, and is NaN there. A position that
/// was closed is shown as 0 once.
#[derive(Clone)]
pub struct PositionGauges(Arc<Inner>);

struct Inner {
    account: Box<str>,
    base: Currency,
    named: usize,
    rows: Mutex<Vec<Followed>>,
    board: Mutex<Board>,
    shown: Mutex<Series>,
    /// Keeps the recorder under which the book was built.
    recorder: Keyed<Symbol, ()>,
}

#[derive(Clone)]
struct Followed {
    strategy: Arc<str>,
    symbol: Arc<str>,
    currency: Currency,
    row: Arc<Row>,
}

/// The account's figures as the book last wrote them. Its lock is held for as long as copying them takes.
#[derive(Clone, Default)]
struct Board {
    accounts: Vec<Line>,
    owners: Vec<(Arc<str>, Vec<[Decimal; 8]>)>,
    unconverted: u64,
    counted: u64,
}

/// One currency: first that of the whole account.
#[derive(Clone, Copy)]
struct Line {
    currency: Currency,
    bridge: Bridge,
    cash: Decimal,
    unsettled: Decimal,
    exposure: [Decimal; 2],
    is_known: bool,
}

/// Strategy, symbol and currency.
type SeriesName = (Arc<str>, Arc<str>, Arc<str>);

#[derive(Default)]
struct Series {
    positions: BTreeMap<SeriesName, PositionSeries>,
    accounts: HashMap<Currency, PortfolioBookMetrics>,
    strategies: HashMap<(Arc<str>, Currency), StrategyBookMetrics>,
}

struct PositionSeries {
    units: PositionMetrics,
    money: PositionMoneyMetrics,
    /// Whether it was shown as ended.
    has_ended: bool,
    is_current: bool,
}

/// The series of a position that has ended, which were shown once more: to be removed where the recorder can,
/// `engine.remove(family, |labels| ended.is(labels))` for each of its [families](Self::FAMILIES).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    account: Box<str>,
    strategy: Arc<str>,
    symbol: Arc<str>,
}

impl Ended {
    /// The families of which each position has a series.
    pub const FAMILIES: [&'static str; 4] = [
        "position_quantity",
        "position_liquidation_distance_ratio",
        "position_value",
        "position_unrealized_pnl",
    ];

    /// Whether labels, as a scrape shows them without braces, are those of this position.
    #[must_use]
    pub fn is(&self, labels: &str) -> bool {
        [
            ("account", &*self.account),
            ("strategy", &self.strategy),
            ("symbol", &self.symbol),
        ]
        .into_iter()
        .all(|(key, value)| {
            let value = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let label = format!("{key}=\"{value}\"");
            labels
                .match_indices(&label)
                .any(|(at, _)| at == 0 || labels.as_bytes()[at - 1] == b',')
        })
    }
}

impl PositionGauges {
    #[track_caller]
    fn new(account: &str, base: Currency) -> Self {
        Self(Arc::new(Inner {
            account: account.into(),
            base,
            named: NAMED,
            rows: Mutex::default(),
            board: Mutex::default(),
            shown: Mutex::default(),
            recorder: Keyed::new(PositionMetrics::FAMILIES),
        }))
    }

    pub(crate) fn follow(&self, strategy: &str, symbol: &str, position: &Position) {
        let mut rows = lock(&self.0.rows);
        rows.retain(|known| !Arc::ptr_eq(&known.row, &position.row));
        rows.push(Followed {
            strategy: strategy.into(),
            symbol: symbol.into(),
            currency: position.instrument.currency,
            row: position.row.clone(),
        });
    }

    pub(crate) fn forget(&self, row: &Arc<Row>) {
        lock(&self.0.rows).retain(|known| !Arc::ptr_eq(&known.row, row));
    }

    /// Writes all gauges; to be called right before each scrape. Returns the positions whose series have ended and were shown as
    /// such at the last call.
    #[must_use = "series that have ended stay unless they are removed"]
    pub fn observe(&self) -> Vec<Ended> {
        let rows = lock(&self.0.rows).clone();
        let board = {
            let mut board = lock(&self.0.board);
            let copy = board.clone();
            board.counted = board.unconverted;
            copy
        };
        let mut series = lock(&self.0.shown);
        let held: Vec<(Followed, Figures)> = rows
            .into_iter()
            .map(|followed| {
                let figures = followed.row.read();
                (followed, figures)
            })
            .filter(|(_, figures)| figures.quantity != 0.0)
            .collect();
        self.0.recorder.resolve(|| {
            self.show_accounts(&mut series, &board, largest_share(&held));
            self.show_strategies(&mut series, &board);
            self.show_positions(&mut series, held)
        })
    }

    fn show_positions(
        &self,
        series: &mut Series,
        mut held: Vec<(Followed, Figures)>,
    ) -> Vec<Ended> {
        held.sort_by(|(_, one), (_, other)| other.size().total_cmp(&one.size()));
        for shown in series.positions.values_mut() {
            shown.is_current = false;
        }
        let rest = held.split_off(held.len().min(self.0.named));
        for (followed, figures) in held {
            self.series(
                series,
                &followed.strategy,
                &followed.symbol,
                followed.currency,
            )
            .show(&figures);
        }
        let mut sums: HashMap<(Arc<str>, Currency), [Sum; 2]> = HashMap::new();
        for (followed, figures) in rest {
            let key = (followed.strategy, followed.currency);
            let [value, unrealized] = sums.entry(key).or_default();
            value.add(figures.value);
            unrealized.add(figures.unrealized);
        }
        let other: Arc<str> = obs_core::OTHER.into();
        for ((strategy, currency), [value, unrealized]) in sums {
            self.series(series, &strategy, &other, currency)
                .show(&Figures {
                    quantity: f64::NAN,
                    value: value.value(),
                    unrealized: unrealized.value(),
                    distance: f64::NAN,
                    in_base: f64::NAN,
                });
        }
        let mut ended = Vec::new();
        series.positions.retain(|(strategy, symbol, _), shown| {
            if !shown.is_current && shown.has_ended {
                ended.push(Ended {
                    account: self.0.account.clone(),
                    strategy: strategy.clone(),
                    symbol: symbol.clone(),
                });
                return false;
            }
            if !shown.is_current {
                shown.end();
            }
            true
        });
        ended
    }

    fn series<'a>(
        &self,
        series: &'a mut Series,
        strategy: &Arc<str>,
        symbol: &Arc<str>,
        currency: Currency,
    ) -> &'a mut PositionSeries {
        let key = (strategy.clone(), symbol.clone(), currency.as_str().into());
        series.positions.entry(key).or_insert_with(|| {
            let (account, currency) = (&*self.0.account, currency.as_str());
            PositionSeries {
                units: PositionMetrics::new(account, &**strategy, &**symbol),
                money: PositionMoneyMetrics::new(account, &**strategy, &**symbol, currency),
                has_ended: false,
                is_current: true,
            }
        })
    }

    fn show_accounts(&self, series: &mut Series, board: &Board, largest: f64) {
        for (number, line) in board.accounts.iter().enumerate() {
            let account = &*self.0.account;
            let new = || PortfolioBookMetrics::new(account, line.currency.as_str());
            let metrics = series.accounts.entry(line.currency).or_insert_with(new);
            line.show(metrics);
            if number == 0 {
                metrics.concentration.set(largest);
                metrics
                    .rates_missing
                    .increment(board.unconverted - board.counted);
            }
        }
    }

    fn show_strategies(&self, series: &mut Series, board: &Board) {
        for (place, line) in board.accounts.iter().enumerate() {
            let mut others = [Decimal::ZERO; 8];
            for (number, (name, parts)) in board.owners.iter().enumerate() {
                let Some(parts) = parts.get(place) else {
                    continue;
                };
                let mut parts = *parts;
                if number == 0 {
                    let residual = line.bridge.made(PnlComponent::Residual, Period::Total);
                    parts[PnlComponent::Residual.index()] = residual.unwrap_or(Decimal::NAN);
                }
                if number < STRATEGIES {
                    self.show_strategy(series, name, line, &parts);
                } else {
                    for (sum, part) in others.iter_mut().zip(parts) {
                        *sum += part;
                    }
                }
            }
            if board.owners.len() > STRATEGIES {
                self.show_strategy(series, &obs_core::OTHER.into(), line, &others);
            }
        }
    }

    fn show_strategy(
        &self,
        series: &mut Series,
        name: &Arc<str>,
        line: &Line,
        parts: &[Decimal; 8],
    ) {
        let account = &*self.0.account;
        let new = || StrategyBookMetrics::new(account, &**name, line.currency.as_str());
        let key = (name.clone(), line.currency);
        let metrics = series.strategies.entry(key).or_insert_with(new);
        for (component, gauge) in metrics.component.iter() {
            gauge.set(line.known(parts[component.index()]));
        }
    }
}

impl Figures {
    /// By what the largest are found.
    fn size(&self) -> f64 {
        if self.in_base.is_nan() {
            self.value.abs()
        } else {
            self.in_base.abs()
        }
    }
}

impl PositionSeries {
    fn show(&mut self, figures: &Figures) {
        (self.is_current, self.has_ended) = (true, false);
        self.units.quantity.set(figures.quantity);
        self.units.liquidation_distance.set(figures.distance);
        self.money.value.set(figures.value);
        self.money.unrealized.set(figures.unrealized);
    }

    fn end(&mut self) {
        self.has_ended = true;
        self.units.quantity.set(0.0);
        self.units.liquidation_distance.set_undefined();
        self.money.value.set(0.0);
        self.money.unrealized.set(0.0);
    }
}

impl Line {
    /// What the account holds by now.
    fn hold(&mut self, state: &State) {
        let (money, at) = (&state.money, state.now);
        self.exposure = [Decimal::ZERO; 2];
        for (pocket, sides) in state.exposure.iter().enumerate() {
            for (sum, amount) in self.exposure.iter_mut().zip(sides) {
                *sum += money.convert(at, pocket, *amount).unwrap_or(Decimal::NAN);
            }
        }
        if let Some(base) = money.find(money.base) {
            (self.cash, self.unsettled) = (money.pockets[base].cash, money.pockets[base].unsettled);
        }
        self.is_known = money.is_whole(at);
    }

    fn show(&self, metrics: &PortfolioBookMetrics) {
        let [long, short] = self.exposure.map(|amount| self.known(amount));
        for (kind, gauge) in metrics.exposure.iter() {
            gauge.set(match kind {
                ExposureKind::Gross => long - short,
                ExposureKind::Net => long + short,
                ExposureKind::Long => long,
                ExposureKind::Short => short,
            });
        }
        let value = self.known(self.bridge.value());
        let by_value = |amount: f64| {
            if value > 0.0 {
                amount / value
            } else {
                f64::NAN
            }
        };
        metrics.leverage.set(by_value(long - short));
        for (period, gauge) in metrics.turnover.iter() {
            gauge.set(by_value(self.bridge.traded(period).to_f64()));
        }
        metrics.cash[SettledState::Settled].set((self.cash - self.unsettled).to_f64());
        metrics.cash[SettledState::Unsettled].set(self.unsettled.to_f64());
        for (component, by_period) in metrics.component.iter() {
            for (period, gauge) in by_period.iter() {
                let made = self.bridge.made(component, period);
                gauge.set(self.known(made.unwrap_or(Decimal::NAN)));
            }
        }
    }

    /// The amount, if all rates that it needs are known.
    fn known(&self, amount: Decimal) -> f64 {
        if self.is_known {
            amount.to_f64()
        } else {
            f64::NAN
        }
    }
}

/// The largest symbol's share of all positions, over all strategies.
fn largest_share(held: &[(Followed, Figures)]) -> f64 {
    let mut by_symbol: HashMap<&str, f64> = HashMap::new();
    for (followed, figures) in held {
        *by_symbol.entry(&followed.symbol).or_default() += figures.in_base;
    }
    let gross: f64 = held.iter().map(|(_, figures)| figures.in_base.abs()).sum();
    let largest = by_symbol.values().fold(0.0, |largest: f64, value| {
        if value.is_nan() || largest.is_nan() {
            f64::NAN
        } else {
            largest.max(value.abs())
        }
    });
    if gross > 0.0 {
        largest / gross
    } else {
        f64::NAN
    }
}

/// The gauges, as the book holds them.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) positions: PositionGauges,
    pub(crate) reconciliation: ReconciliationGauges,
}

impl Shown {
    #[track_caller]
    pub(crate) fn new(account: &str, base: Currency) -> Self {
        Self {
            positions: PositionGauges::new(account, base),
            reconciliation: ReconciliationGauges::new(account, base),
        }
    }

    /// The same, with so many positions that have series of their own.
    pub(crate) fn with_named(self, account: &str, base: Currency, named: usize) -> Self {
        let mut gauges = PositionGauges::new(account, base);
        if let Some(inner) = Arc::get_mut(&mut gauges.0) {
            inner.named = named;
        }
        Self {
            positions: gauges,
            ..self
        }
    }

    /// Writes everything.
    pub(crate) fn all(&self, state: &State) {
        let money = &state.money;
        let foreign = |pocket: usize| money.pockets[pocket].currency != money.base;
        let shown: Vec<usize> = (0..money.pockets.len()).filter(|it| foreign(*it)).collect();
        let mut board = lock(&self.positions.0.board);
        board.unconverted = money.unconverted;
        board.accounts.clear();
        board.accounts.push(whole(state));
        let lines = shown.iter().map(|pocket| line(state, *pocket));
        board.accounts.extend(lines);
        let known = board.owners.len();
        let new = money.owners.iter().skip(known);
        board
            .owners
            .extend(new.map(|owner| (Arc::from(&*owner.name), Vec::new())));
        for (owner, (_, parts)) in money.owners.iter().zip(&mut board.owners) {
            parts.clear();
            parts.push(owner.in_base.by_component());
            parts.extend(shown.iter().map(|it| owner.by_pocket[*it].by_component()));
        }
    }

    /// Writes what a fill of an owner in a currency moves.
    pub(crate) fn fill(&self, state: &State, pocket: usize, owner: usize) {
        let money = &state.money;
        let mut board = lock(&self.positions.0.board);
        let is_foreign = money.pockets[pocket].currency != money.base;
        let is_known = owner < board.owners.len() && board.accounts.len() >= money.pockets.len();
        if is_foreign || !is_known {
            drop(board);
            return self.all(state);
        }
        board.unconverted = money.unconverted;
        // What else a bridge has, the openings of its periods before all, no fill moves: then everything was written.
        board.accounts[0].bridge.parts = money.whole.parts;
        board.accounts[0].hold(state);
        if let Some(base) = board.owners[owner].1.first_mut() {
            *base = money.owners[owner].in_base.by_component();
        }
    }
}

/// The whole account.
fn whole(state: &State) -> Line {
    let mut line = Line {
        currency: state.money.base,
        bridge: state.money.whole,
        cash: Decimal::ZERO,
        unsettled: Decimal::ZERO,
        exposure: [Decimal::ZERO; 2],
        is_known: false,
    };
    line.hold(state);
    line
}

/// One foreign currency, in itself.
fn line(state: &State, pocket: usize) -> Line {
    let of = &state.money.pockets[pocket];
    Line {
        currency: of.currency,
        bridge: of.own,
        cash: of.cash,
        unsettled: of.unsettled,
        exposure: state.exposure[pocket],
        is_known: true,
    }
}

impl fmt::Debug for PositionGauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PositionGauges")
            .field("account", &self.0.account)
            .field("base", &self.0.base)
            .finish_non_exhaustive()
    }
}

/// Nothing behind these locks is left half done by a panic: nothing of a user runs under them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
