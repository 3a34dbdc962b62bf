//! The 10,000 series: how each is recorded to, and what a scrape has to show of it.

use std::time::Duration;

use obs_core::{By, Closed, Counter, Each, Gauge, Histogram, Summary, TimeCounter, buckets};
use serde::{Deserialize, Serialize};

obs_core::label! {
    /// Where orders go.
    open Venue as "venue" up to 10
}
obs_core::label! {
    /// What is traded.
    open Symbol as "symbol" up to 500
}
obs_core::label! {
    /// Which way.
    enum Side as "side" {
        /// Bought.
        Buy = "buy",
        /// Sold.
        Sell = "sell",
    }
}
obs_core::families! {
    /// A family of each kind, for each venue.
    pub(crate) struct VenueLoad(venue: Venue) {
        /// Orders.
        orders: Each<Symbol, By<Side, Counter>> = "soak_orders_total",
        /// Time spent.
        busy: Each<Symbol, TimeCounter> = "soak_busy_seconds_total",
        /// Orders that are open.
        open: Each<Symbol, Gauge> = "soak_orders_open",
        /// Time to fill.
        fill: Each<Symbol, Histogram> = "soak_fill_duration_seconds" { buckets: BOUNDS },
        /// Sizes of messages.
        size: Each<Symbol, Histogram> = "soak_message_bytes" { buckets: BOUNDS },
        /// Time to decide.
        decision: Each<Symbol, Summary> = "soak_decision_duration_seconds",
    }
}

/// The label that stands on every series.
pub(crate) const SERVICE: &str = "soak";
/// How many series there are.
pub(crate) const SERIES: usize = 10_000;
const VENUES: usize = 10;
/// Symbols of each venue, and how many of them record to each family. No catalogue declares the last three, which are recorded
/// through the facade's macros.
const ORDERS: usize = 250;
const BUSY: usize = 50;
const OPEN: usize = 100;
const FILL: usize = 50;
const SIZE: usize = 30;
const DECISION: usize = 1;
const EVENTS: usize = 220;
const LEVELS: usize = 40;
const WAITS: usize = 9;
/// From this symbol on a counter of orders is not kept but looked up for each order.
const LOOKED_UP: usize = 200;

/// How many values there are to record.
pub(crate) const VALUES: usize = SAMPLES.len();
/// What histograms and summaries record. Sums of these are exact, in whatever order they are added.
const SAMPLES: [f64; 8] = [
    1.0 / 4096.0,
    1.0 / 1024.0,
    1.0 / 64.0,
    0.125,
    0.5,
    1.0,
    4.0,
    16.0,
];
/// Buckets of what is declared: few, so that what looks at the scrapes keeps up with them.
const BOUNDS: &[f64] = &[0.001, 0.1, 1.0, 10.0];
/// By what gauges change.
const STEPS: [f64; VALUES] = [1.0, -1.0, 2.0, -2.0, 3.0, -2.0, 0.5, -1.5];

/// What counters count for the value of that number.
const fn count(number: usize) -> u64 {
    1 + number as u64
}

/// How often each value was recorded to a series.
pub(crate) type Times = [u64; VALUES];

/// One line that a scrape has to show.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Expected {
    pub(crate) name: String,
    /// By their keys.
    pub(crate) labels: Vec<(String, String)>,
    /// Of the value: what JSON makes of a number with a point may be off by the last one.
    pub(crate) bits: u64,
}

/// One series.
pub(crate) struct Series<'a> {
    handle: Handle<'a>,
    venue: &'a str,
    symbol: String,
}

enum Handle<'a> {
    Orders(Counter, Side),
    /// The same, looked up by its symbol.
    OrdersLookedUp(&'a Each<Symbol, By<Side, Counter>>, Side),
    Busy(TimeCounter),
    Open(Gauge),
    Fill(Histogram),
    Size(Histogram),
    Decision(Summary),
    /// Looked up by name and labels, as other people's code does.
    Event,
    Level,
    Wait,
}

/// The venues, by their names.
pub(crate) fn venues() -> Vec<(String, VenueLoad)> {
    let names = (0..VENUES).map(|number| format!("venue {number}"));
    names
        .map(|name| {
            let load = VenueLoad::new(&name);
            (name, load)
        })
        .collect()
}

/// All series of these venues.
pub(crate) fn all(venues: &[(String, VenueLoad)]) -> Vec<Series<'_>> {
    let mut all = Vec::with_capacity(SERIES);
    for (venue, load) in venues {
        for number in 0..ORDERS {
            let symbol = format!("S{number}");
            let mut add = |handle| {
                let symbol = symbol.clone();
                all.push(Series {
                    handle,
                    venue,
                    symbol,
                });
            };
            for side in [Side::Buy, Side::Sell] {
                add(if number < LOOKED_UP {
                    Handle::Orders(load.orders.of(&symbol)[side].clone(), side)
                } else {
                    Handle::OrdersLookedUp(&load.orders, side)
                });
            }
            if number < BUSY {
                add(Handle::Busy(load.busy.of(&symbol).clone()));
            }
            if number < OPEN {
                add(Handle::Open(load.open.of(&symbol).clone()));
            }
            if number < FILL {
                add(Handle::Fill(load.fill.of(&symbol).clone()));
            }
            if number < SIZE {
                add(Handle::Size(load.size.of(&symbol).clone()));
            }
            if number < DECISION {
                add(Handle::Decision(load.decision.of(&symbol).clone()));
            }
            if number < EVENTS {
                add(Handle::Event);
            }
            if number < LEVELS {
                add(Handle::Level);
            }
            if number < WAITS {
                add(Handle::Wait);
            }
        }
    }
    all
}

impl Series<'_> {
    /// Whether its handle is kept, and not looked up for each record.
    pub(crate) fn is_kept(&self) -> bool {
        !matches!(
            self.handle,
            Handle::OrdersLookedUp(..) | Handle::Event | Handle::Level | Handle::Wait
        )
    }

    /// Records the value of that number, which is less than [`VALUES`].
    #[inline]
    pub(crate) fn record(&self, number: usize) {
        let labels = || {
            let symbol = ("symbol", self.symbol.clone());
            [("venue", self.venue.to_owned()), symbol]
        };
        match &self.handle {
            Handle::Orders(orders, _) => orders.increment(count(number)),
            Handle::OrdersLookedUp(orders, side) => {
                orders.of(&self.symbol)[*side].increment(count(number));
            }
            Handle::Busy(busy) => busy.add(Duration::from_nanos(count(number))),
            Handle::Open(open) => open.increment(STEPS[number]),
            Handle::Fill(samples) | Handle::Size(samples) => samples.record(SAMPLES[number]),
            Handle::Decision(samples) => samples.record(SAMPLES[number]),
            Handle::Event => {
                metrics::counter!("soak_events_total", &labels()).increment(count(number));
            }
            Handle::Level => metrics::gauge!("soak_level", &labels()).increment(STEPS[number]),
            Handle::Wait => {
                metrics::histogram!("soak_wait_seconds", &labels()).record(SAMPLES[number]);
            }
        }
    }

    /// What a scrape has to show of it.
    pub(crate) fn expected(&self, times: &Times) -> Vec<Expected> {
        let total = |of: &dyn Fn(usize) -> f64| -> f64 {
            let each = times.iter().enumerate();
            // From 0, since the sum of nothing would be -0.
            each.fold(0.0, |total, (number, times)| {
                total + *times as f64 * of(number)
            })
        };
        let counted = total(&|number| count(number) as f64);
        let changed = total(&|number| STEPS[number]);
        let one = |name: &str, value| vec![self.line(name, None, value)];
        match &self.handle {
            Handle::Orders(_, side) | Handle::OrdersLookedUp(_, side) => {
                let side = ("side", side.as_str().to_owned());
                vec![self.line("soak_orders_total", Some(side), counted)]
            }
            Handle::Busy(_) => one("soak_busy_seconds_total", counted / 1e9),
            Handle::Open(_) => one("soak_orders_open", changed),
            Handle::Fill(_) => self.samples("soak_fill_duration_seconds", Some(BOUNDS), times),
            Handle::Size(_) => self.samples("soak_message_bytes", Some(BOUNDS), times),
            Handle::Decision(_) => self.samples("soak_decision_duration_seconds", None, times),
            Handle::Event => one("soak_events_total", counted),
            Handle::Level => one("soak_level", changed),
            Handle::Wait => self.samples("soak_wait_seconds", Some(buckets::LATENCY), times),
        }
    }

    /// The count, the sum, and the buckets where there are any.
    fn samples(&self, name: &str, bounds: Option<&[f64]>, times: &Times) -> Vec<Expected> {
        let up_to = |bound: f64| -> f64 {
            let below = SAMPLES
                .iter()
                .zip(times)
                .filter(|(value, _)| **value <= bound);
            below.map(|(_, times)| *times).sum::<u64>() as f64
        };
        let each = SAMPLES.iter().zip(times);
        let sum = each.fold(0.0, |sum, (value, times)| sum + value * *times as f64);
        let mut lines = vec![
            self.line(&format!("{name}_sum"), None, sum),
            self.line(&format!("{name}_count"), None, up_to(f64::INFINITY)),
        ];
        if let Some(bounds) = bounds {
            for bound in bounds.iter().chain([&f64::INFINITY]) {
                let le = ("le", bound.to_string());
                lines.push(self.line(&format!("{name}_bucket"), Some(le), up_to(*bound)));
            }
        }
        lines
    }

    fn line(&self, name: &str, label: Option<(&str, String)>, value: f64) -> Expected {
        let mut labels = vec![
            ("service".to_owned(), SERVICE.to_owned()),
            ("symbol".to_owned(), self.symbol.clone()),
            ("venue".to_owned(), self.venue.to_owned()),
        ];
        labels.extend(label.map(|(key, value)| (key.to_owned(), value)));
        labels.sort();
        Expected {
            name: name.to_owned(),
            labels,
            bits: value.to_bits(),
        }
    }
}
