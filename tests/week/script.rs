//! What ten desks of one service go through in a week, as series for promtool.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::{SignedDuration, Timestamp, ToSpan};
use obs_calendar::Calendar;

/// From one sample to the next, and from one evaluation of the rules to the next.
pub(crate) const STEP: SignedDuration = SignedDuration::from_mins(2);

/// The part of the week that is gone through. Clocks go forward on Sunday, 8 March 2026.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Week {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
}

/// A desk, by its address and labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Desk {
    pub(crate) instance: &'static str,
    pub(crate) environment: &'static str,
    pub(crate) mode: &'static str,
}

const fn desk(instance: &'static str, environment: &'static str, mode: &'static str) -> Desk {
    Desk {
        instance,
        environment,
        mode,
    }
}

/// The desks: four that trade, three on paper, three backtests.
pub(crate) const DESKS: [Desk; 10] = [
    desk("live-1", "production", "live"),
    desk("live-2", "production", "live"),
    desk("live-3", "production", "live"),
    desk("live-4", "production", "live"),
    desk("paper-1", "staging", "paper"),
    desk("paper-2", "staging", "paper"),
    desk("paper-3", "staging", "paper"),
    desk("test-1", "research", "backtest"),
    desk("test-2", "research", "backtest"),
    desk("test-3", "research", "backtest"),
];

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Its process is gone, and is started again.
    Killed,
    /// Its process is there and answers no scrape.
    Hung,
    /// Its process dies after each start.
    CrashLoop,
    /// It was stopped after the close, with its target, and not started again for the open.
    NotStarted,
    /// Its feed is connected and mute.
    DeadFeed,
    /// The broker rejects every order.
    Rejections,
    /// Its strategy gives no signal any more.
    Silent,
    /// A task panics.
    Panic,
}

/// A fault of a desk, and what is to come of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Incident {
    pub(crate) desk: &'static str,
    pub(crate) fault: Fault,
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
    /// The alert that is delivered for it.
    pub(crate) alert: &'static str,
    /// Where to.
    pub(crate) receiver: &'static str,
    /// How long the alert may take to fire, in minutes.
    pub(crate) within: i64,
}

impl Incident {
    fn concerns(&self, desk: Desk, at: Timestamp) -> bool {
        self.desk == desk.instance && self.from <= at && at < self.until
    }
}

/// What a desk remembers from one step to the next.
#[derive(Clone, Default)]
struct Memory {
    born: Option<Timestamp>,
    signals: u32,
    orders: u32,
    rejected: u32,
    panics: u32,
}

/// The series of all desks.
#[derive(Default)]
struct Series {
    values: BTreeMap<String, String>,
    /// How many steps a series has, and whether it is there at the last.
    filled: BTreeMap<String, (usize, bool)>,
}

impl Series {
    fn put(&mut self, step: usize, name: &str, desk: Desk, labels: &str, value: Option<f64>) {
        let Desk {
            instance,
            environment,
            mode,
        } = desk;
        let series = format!(
            "{name}{{job=\"trading-desk\", service=\"desk\", environment=\"{environment}\", mode=\"{mode}\", instance=\"{instance}\"{labels}}}"
        );
        let values = self.values.entry(series.clone()).or_default();
        let (filled, was_there) = self.filled.entry(series).or_default();
        // Writing to a string cannot fail.
        for _ in *filled..step {
            values.push_str(" _");
        }
        let _ = match value {
            Some(value) => write!(values, " {value}"),
            // Prometheus marks what a target no longer has.
            None if *was_there => write!(values, " stale"),
            None => write!(values, " _"),
        };
        (*filled, *was_there) = (step + 1, value.is_some());
    }
}

impl Week {
    pub(crate) fn steps(self) -> impl Iterator<Item = (usize, Timestamp)> {
        let times = std::iter::successors(Some(self.start), |at| Some(*at + STEP));
        times.take_while(move |at| *at < self.end).enumerate()
    }

    /// The series of the week, as `input_series` of a test of promtool, whose time 0 is its start.
    pub(crate) fn series(self, incidents: &[Incident]) -> String {
        let calendar = Calendar::nyse();
        let mut series = Series::default();
        let mut memories = vec![Memory::default(); DESKS.len()];
        for (step, at) in self.steps() {
            let is_open = calendar.is_open(at);
            let moments = [calendar.next_open(at), calendar.next_close(at)];
            let since_start = |moment: Timestamp| moment.duration_since(self.start).as_secs_f64();
            let moments = moments.map(|moment| moment.map_or(f64::NAN, since_start));
            for (desk, memory) in DESKS.into_iter().zip(&mut memories) {
                let faults: Vec<_> = incidents
                    .iter()
                    .filter(|incident| incident.concerns(desk, at))
                    .map(|incident| incident.fault)
                    .collect();
                let now = Now {
                    week: self,
                    step,
                    at,
                    is_open,
                    moments,
                    faults: &faults,
                };
                now.desk(desk, memory, &mut series);
            }
        }
        series
            .values
            .iter()
            .fold(String::new(), |mut all, (series, values)| {
                let _ = writeln!(
                    all,
                    "      - {{ series: '{series}', values: '{}' }}",
                    values.trim_start()
                );
                all
            })
    }
}

/// One moment of one desk.
struct Now<'a> {
    week: Week,
    step: usize,
    at: Timestamp,
    is_open: bool,
    /// The next open and the next close.
    moments: [f64; 2],
    faults: &'a [Fault],
}

impl Now<'_> {
    fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    fn desk(&self, desk: Desk, memory: &mut Memory, series: &mut Series) {
        let is_target = !self.has(Fault::NotStarted);
        let is_between_starts = self.has(Fault::CrashLoop) && self.step.is_multiple_of(2);
        // Every live desk is deployed anew on each evening, which takes one scrape.
        let is_deployed =
            desk.mode == "live" && self.at.as_second().rem_euclid(86_400) == 23 * 3600;
        let is_there = is_target
            && !self.has(Fault::Killed)
            && !self.has(Fault::Hung)
            && !is_between_starts
            && !is_deployed;
        if !is_there && !self.has(Fault::Hung) {
            *memory = Memory::default();
        }
        if is_there && memory.born.is_none() {
            // At the beginning of the week they have been running since the evening before.
            memory.born = Some(if self.step == 0 {
                self.at - 20.hours()
            } else {
                self.at - 10.seconds()
            });
        }
        let up = is_target.then_some(f64::from(u8::from(is_there)));
        series.put(self.step, "up", desk, "", up);
        let Some(born) = memory.born.filter(|_| is_there) else {
            let names: Vec<_> = EXPORTED.to_vec();
            for (name, labels) in names {
                series.put(self.step, name, desk, labels, None);
            }
            return;
        };
        if self.is_open {
            memory.signals += u32::from(!self.has(Fault::Silent));
            memory.orders += 1;
            memory.rejected += u32::from(self.has(Fault::Rejections));
        }
        if self.has(Fault::Panic) {
            memory.panics = 1;
        }
        let is_replay = desk.mode == "backtest";
        let since_start = |moment: Timestamp| moment.duration_since(self.week.start).as_secs_f64();
        for (name, labels) in EXPORTED {
            let value = match name {
                "app_uptime_seconds" => self.at.duration_since(born).as_secs_f64(),
                "process_start_time_seconds" => since_start(born),
                "app_clock_timestamp_seconds" => since_start(self.at) + 0.2,
                "market_session_open" => f64::from(u8::from(self.is_open || is_replay)),
                "market_next_open_timestamp_seconds" => self.moments[0],
                "market_next_close_timestamp_seconds" => self.moments[1],
                "trading_signals_total" => f64::from(memory.signals),
                "trading_orders_total" => f64::from(memory.orders),
                "trading_orders_rejected_total" => f64::from(memory.rejected),
                "panics_total" => f64::from(memory.panics),
                "feed_up" => f64::from(u8::from(!self.has(Fault::DeadFeed) && !is_replay)),
                // Nobody asks it at night; a replay never does.
                "provider_up" => f64::from(u8::from(self.is_open && !is_replay)),
                "risk_limit_headroom_ratio" => 0.8,
                "portfolio_drawdown_ratio" => -0.02,
                "trading_order_oldest_timestamp_seconds" => f64::NAN,
                "trading_order_patience_seconds" => 30.0,
                "system_cpu_usage_ratio" if is_replay => 1.0,
                "system_cpu_usage_ratio" => 0.3,
                _ => 1.0,
            };
            series.put(self.step, name, desk, labels, Some(value));
        }
    }
}

/// What each desk exports, as far as the week is about it.
const EXPORTED: [(&str, &str); 19] = [
    ("app_uptime_seconds", ""),
    ("process_start_time_seconds", ""),
    ("app_clock_timestamp_seconds", ""),
    ("market_session_open", ", venue=\"NYSE\""),
    ("market_next_open_timestamp_seconds", ", venue=\"NYSE\""),
    ("market_next_close_timestamp_seconds", ", venue=\"NYSE\""),
    ("trading_strategy_active", ", strategy=\"momentum\""),
    (
        "trading_signals_total",
        ", strategy=\"momentum\", signal=\"hold\"",
    ),
    (
        "trading_orders_total",
        ", venue=\"broker\", order_type=\"limit\", side=\"buy\"",
    ),
    (
        "trading_orders_rejected_total",
        ", venue=\"broker\", reason=\"other\"",
    ),
    (
        "trading_order_oldest_timestamp_seconds",
        ", venue=\"broker\", state=\"unacknowledged\"",
    ),
    (
        "trading_order_patience_seconds",
        ", venue=\"broker\", state=\"unacknowledged\"",
    ),
    ("panics_total", ", component=\"desk\""),
    ("feed_up", ", provider=\"quotes\", feed=\"stream\""),
    ("provider_up", ", provider=\"bars\""),
    (
        "risk_limit_headroom_ratio",
        ", account=\"main\", limit=\"daily_loss\"",
    ),
    ("portfolio_drawdown_ratio", ", account=\"main\""),
    ("system_cpu_usage_ratio", ""),
    (
        "app_info",
        ", name=\"desk\", version=\"1\", rust_version=\"1\", git_commit=\"1\"",
    ),
];
