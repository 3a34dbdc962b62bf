//! A backtest engine that somebody else wrote, measured by identifier.
//!
//! ```text
//! cargo run -p obs-trading --example backtest_engine
//! ```
//!
//! The engine ([`engine`]) has types of its own, tells totals and not executions, calls back with a number and no more, and answers
//! a cancellation after it filled the order. [`Measured`] is all it takes to measure it: it holds no order and no state of its own.
//! What is printed comes from what was recorded: that no order is lost, and what the orders cost.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use obs_core::TestRecorder;
use obs_trading::{
    Currency, Desk, Mids, OrderEvent, OrderOutcome, OrderType, RejectReason, ReplayClock, Side,
    Signal, Strategy, Ticket, Venue,
};

use engine::{Bar, Engine, Hooks, Verdict};

/// A loop as backtests have it: bars, an idea now and then, limit orders that fill in part, cancellations that cross fills.
mod engine {
    use std::collections::BTreeMap;

    pub(crate) type Number = u64;

    /// One minute of one market.
    pub(crate) struct Bar {
        pub(crate) minute: u32,
        pub(crate) low: f64,
        pub(crate) high: f64,
        pub(crate) mid: f64,
        pub(crate) volume: u32,
    }

    /// How the engine speaks of an order that is over.
    #[derive(Clone, Copy)]
    pub(crate) enum Verdict {
        Done,
        Gone,
        TooOld,
        Refused,
    }

    /// What one may listen to.
    pub(crate) trait Hooks {
        fn bar(&mut self, bar: &Bar);
        fn wanted(&mut self, number: Number, is_buy: bool);
        fn sent(&mut self, number: Number, is_buy: bool, lots: u32, mid: f64);
        /// So many lots so far, at this average.
        fn progress(&mut self, number: Number, lots: u32, average: f64);
        fn cancelling(&mut self, number: Number);
        fn cancel_failed(&mut self, number: Number);
        fn over(&mut self, number: Number, verdict: Verdict);
    }

    struct Working {
        is_buy: bool,
        limit: f64,
        lots: u32,
        done: u32,
        paid: f64,
        since: u32,
    }

    pub(crate) struct Engine<H> {
        pub(crate) hooks: H,
        working: BTreeMap<Number, Working>,
        numbers: Number,
    }

    impl<H: Hooks> Engine<H> {
        pub(crate) fn new(hooks: H) -> Self {
            Self {
                hooks,
                working: BTreeMap::new(),
                numbers: 0,
            }
        }

        pub(crate) fn run(&mut self, bars: impl IntoIterator<Item = Bar>) {
            let mut before = f64::NAN;
            for bar in bars {
                self.hooks.bar(&bar);
                self.match_orders(&bar);
                if bar.minute % 7 == 0 {
                    self.want(&bar, bar.mid < before);
                }
                before = bar.mid;
            }
        }

        fn want(&mut self, bar: &Bar, is_buy: bool) {
            self.numbers += 1;
            self.hooks.wanted(self.numbers, is_buy);
            let lots = 10 + bar.minute % 40;
            self.hooks.sent(self.numbers, is_buy, lots, bar.mid);
            if lots > 45 {
                return self.hooks.over(self.numbers, Verdict::Refused);
            }
            let order = Working {
                is_buy,
                limit: bar.mid,
                lots,
                done: 0,
                paid: 0.0,
                since: bar.minute,
            };
            self.working.insert(self.numbers, order);
        }

        fn match_orders(&mut self, bar: &Bar) {
            let mut left = bar.volume;
            let mut over = Vec::new();
            for (number, order) in &mut self.working {
                let age = bar.minute - order.since;
                if age == 4 {
                    self.hooks.cancelling(*number);
                }
                let reaches = if order.is_buy {
                    bar.low < order.limit
                } else {
                    bar.high > order.limit
                };
                let lots = if reaches {
                    (order.lots - order.done).min(left)
                } else {
                    0
                };
                if lots > 0 {
                    left -= lots;
                    order.done += lots;
                    order.paid += f64::from(lots) * order.limit;
                    self.hooks
                        .progress(*number, order.done, order.paid / f64::from(order.done));
                }
                let verdict = match (order.done == order.lots, age) {
                    (true, _) => Some(Verdict::Done),
                    (false, 4..) => Some(Verdict::Gone),
                    (false, _) if bar.minute % 390 == 389 => Some(Verdict::TooOld),
                    (false, _) => None,
                };
                over.extend(verdict.map(|verdict| (*number, verdict, age)));
            }
            for (number, verdict, age) in over {
                self.working.remove(&number);
                self.hooks.over(number, verdict);
                // The cancellation is answered after the fill that made it pointless.
                if age == 4 && matches!(verdict, Verdict::Done) {
                    self.hooks.cancel_failed(number);
                }
            }
        }
    }
}

// ---- The adapter, from here...

struct Measured {
    clock: ReplayClock,
    mids: Mids,
    strategy: Strategy,
    desk: Desk<u64>,
}

impl Hooks for Measured {
    fn bar(&mut self, bar: &Bar) {
        let now = Duration::from_secs(60 * u64::from(bar.minute));
        self.clock.advance_to(now);
        self.mids.record("ES", at(now), bar.mid);
    }

    fn wanted(&mut self, number: u64, is_buy: bool) {
        let signal = if is_buy { Signal::Buy } else { Signal::Sell };
        self.desk.signal(number, &self.strategy, signal, None);
    }

    fn sent(&mut self, number: u64, is_buy: bool, lots: u32, mid: f64) {
        let side = if is_buy { Side::Buy } else { Side::Sell };
        let ticket = Ticket::new("ES", side, OrderType::Limit, f64::from(lots), mid)
            .times(50.0)
            .in_currency(Currency::USD);
        self.desk.submit(number, &self.strategy, &ticket);
    }

    fn progress(&mut self, number: u64, lots: u32, average: f64) {
        self.desk.fill_to(&number, f64::from(lots), average);
    }

    fn cancelling(&mut self, number: u64) {
        self.desk.on(&number, OrderEvent::CancelAsked);
    }

    fn cancel_failed(&mut self, number: u64) {
        self.desk.on(&number, OrderEvent::CancelRefused);
    }

    fn over(&mut self, number: u64, verdict: Verdict) {
        match verdict {
            Verdict::Done => self.desk.close(&number, OrderOutcome::Filled),
            Verdict::Gone => self.desk.close(&number, OrderOutcome::Cancelled),
            Verdict::TooOld => self.desk.close(&number, OrderOutcome::Expired),
            Verdict::Refused => self.desk.reject(&number, RejectReason::InvalidQuantity),
        };
    }
}

// ---- ...to here.

fn at(since_1970: Duration) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::try_from(since_1970).unwrap_or_default()
}

/// A price that goes up and down by numbers that anybody can make again.
fn bars() -> impl Iterator<Item = Bar> {
    let mut mid = 4_000.0;
    (0..10 * 390).map(move |minute| {
        let step = f64::from((minute * 7_919 + minute * minute * 31) % 17) - 8.0;
        mid += step / 4.0;
        let reach = 0.5 + f64::from(minute % 5) / 4.0;
        Bar {
            minute,
            low: mid - reach,
            high: mid + reach,
            mid,
            volume: 5 + minute % 20,
        }
    })
}

fn main() {
    let test = TestRecorder::new();
    let clock = ReplayClock::new();
    let minute = Duration::from_secs(60);
    let mids = Mids::new([minute, 10 * minute], 2 * minute);
    let measured = test.run(|| {
        let venue = Venue::with_clock("backtest", &clock).with_mids(&mids);
        Measured {
            clock: clock.clone(),
            mids: mids.clone(),
            strategy: Strategy::with_clock("reversion", &clock),
            desk: Desk::new(&venue),
        }
    });
    let mut engine = Engine::new(measured);
    engine.run(bars());
    mids.advance_to(at(clock.now() + 10 * minute));

    let sum = |name, labels: &[_]| test.counter_sum(name, labels);
    let open = engine.hooks.desk.len() as u64;
    let (submitted, closed) = (
        sum("trading_orders_total", &[]),
        sum("trading_orders_closed_total", &[]),
    );
    println!("submitted {submitted} = closed {closed} + open {open}");
    assert_eq!(submitted, closed + open, "no order is lost");
    for outcome in ["filled", "cancelled", "expired", "rejected"] {
        println!(
            "  {outcome:<10} {:>6}",
            sum("trading_orders_closed_total", &[("outcome", outcome)])
        );
    }
    let refused = sum("trading_order_cancels_total", &[("outcome", "rejected")]);
    println!("cancellations that came too late: {refused}");

    println!(
        "\n{:<14} {:>14} {:>14} {:>14}",
        "shortfall, USD", "adverse", "favourable", "net"
    );
    let money = |name, labels: &[_]| sum(name, labels) as f64 / 1e6;
    for component in ["delay", "execution", "opportunity", "fees"] {
        let way = |direction| {
            let labels = [("component", component), ("direction", direction)];
            money("trading_shortfall_cost_total", &labels)
        };
        let (adverse, favourable) = (way("adverse"), way("favourable"));
        println!(
            "{component:<14} {adverse:>14.2} {favourable:>14.2} {:>14.2}",
            adverse - favourable
        );
    }
    for horizon in ["1m", "10m"] {
        let way = |direction| {
            money(
                "trading_markout_total",
                &[("horizon", horizon), ("direction", direction)],
            )
        };
        println!(
            "markout {horizon:<6} {:>14.2} {:>14.2} {:>14.2}",
            way("adverse"),
            way("favourable"),
            way("adverse") - way("favourable")
        );
    }
}
