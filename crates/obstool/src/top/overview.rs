//! The first figures: whether all is well, from the metrics that every trading desk has, or else from what any process has.

use super::format;
use super::history::{History, Together};

/// A figure with a name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tile {
    pub(super) title: &'static str,
    pub(super) figure: String,
    /// A lesser figure beside it.
    pub(super) note: String,
    pub(super) tone: Tone,
    pub(super) trend: Vec<f64>,
}

/// Whether a figure is one to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Bad,
}

/// What a tile shows.
struct Design {
    title: &'static str,
    /// A family; without it there is no tile.
    needs: &'static str,
    /// What is drawn, at a snapshot.
    value: fn(&Look<'_>, usize) -> f64,
    figure: fn(f64) -> String,
    note: fn(&Look<'_>) -> String,
    tone: fn(&Look<'_>, f64) -> Tone,
}

/// In the order in which somebody responsible for a desk asks.
const DESIGNS: [Design; 12] = [
    Design {
        title: "P/L",
        needs: "portfolio_pnl",
        value: |look, index| look.gauge(index, "portfolio_pnl", &[("period", "total")]),
        figure: format::signed,
        note: |look| {
            format!(
                "day {}",
                format::signed(look.total("portfolio_pnl", &[("period", "day")]))
            )
        },
        tone: |_, value| if value < 0.0 { Tone::Bad } else { Tone::Good },
    },
    Design {
        title: "Drawdown",
        needs: "portfolio_drawdown_ratio",
        value: |look, index| look.least(index, "portfolio_drawdown_ratio"),
        figure: |value| format::number(value, "ratio"),
        note: |look| {
            format!(
                "deepest {}",
                format::number(
                    look.least(look.latest(), "portfolio_max_drawdown_ratio"),
                    "ratio"
                )
            )
        },
        tone: plain,
    },
    Design {
        title: "Orders",
        needs: "trading_orders_total",
        value: |look, index| look.rate(index, &["trading_orders_total"]),
        figure: |value| format::rate(value, "count"),
        note: |look| format!("{} open", count(look.total("trading_orders_open", &[]))),
        tone: plain,
    },
    Design {
        title: "Rejections",
        needs: "trading_orders_rejected_total",
        value: |look, index| look.rate(index, &REJECTIONS),
        figure: |value| format::rate(value, "count"),
        note: |look| format!("{} in all", count(look.totals(&REJECTIONS))),
        tone: plain,
    },
    Design {
        title: "Execution p99",
        needs: "trading_execution_duration_seconds",
        value: |look, index| look.quantile(index, "trading_execution_duration_seconds", 0.99),
        figure: |value| format::number(value, "seconds"),
        note: |look| format!("p50 {}", look.median("trading_execution_duration_seconds")),
        tone: plain,
    },
    Design {
        title: "Errors",
        needs: "errors_total",
        value: |look, index| look.rate(index, &ERRORS),
        figure: |value| format::rate(value, "count"),
        note: |look| format!("{} in all", count(look.totals(&ERRORS))),
        tone: |look, _| {
            let critical = look.total("errors_total", &[("severity", "critical")]);
            if critical > 0.0 || look.total("panics_total", &[]) > 0.0 {
                Tone::Bad
            } else {
                Tone::Plain
            }
        },
    },
    Design {
        title: "API requests",
        needs: "http_requests_total",
        value: |look, index| look.rate(index, &["http_requests_total"]),
        figure: |value| format::rate(value, "count"),
        note: |look| {
            format!(
                "{} in flight",
                count(look.total("http_requests_in_flight", &[]))
            )
        },
        tone: plain,
    },
    Design {
        title: "API p99",
        needs: "http_request_duration_seconds",
        value: |look, index| look.quantile(index, "http_request_duration_seconds", 0.99),
        figure: |value| format::number(value, "seconds"),
        note: |look| format!("p50 {}", look.median("http_request_duration_seconds")),
        tone: plain,
    },
    Design {
        title: "Portfolio value",
        needs: "portfolio_value",
        value: |look, index| look.gauge(index, "portfolio_value", &[]),
        figure: |value| format::number(value, "currency"),
        note: |_| String::new(),
        tone: plain,
    },
    Design {
        title: "Processor",
        needs: "process_cpu_seconds_total",
        value: |look, index| look.rate(index, &["process_cpu_seconds_total"]),
        figure: |value| format::rate(value, "seconds"),
        note: |look| format!("{} threads", count(look.total("process_threads", &[]))),
        tone: plain,
    },
    Design {
        title: "Memory",
        needs: "process_resident_memory_bytes",
        value: |look, index| look.gauge(index, "process_resident_memory_bytes", &[]),
        figure: |value| format::number(value, "bytes"),
        note: |_| String::new(),
        tone: plain,
    },
    Design {
        title: "File descriptors",
        needs: "process_open_fds",
        value: |look, index| look.gauge(index, "process_open_fds", &[]),
        figure: count,
        note: |look| format!("of {}", count(look.total("process_max_fds", &[]))),
        tone: plain,
    },
];

const REJECTIONS: [&str; 2] = [
    "trading_trades_rejected_total",
    "trading_orders_rejected_total",
];
const ERRORS: [&str; 2] = ["errors_total", "panics_total"];

/// The first tiles for which there are metrics, with trends of so many points.
pub(super) fn tiles(history: &History, most: usize, points: usize) -> Vec<Tile> {
    let look = Look { history };
    let moments = history.moments(points);
    let designs = DESIGNS
        .iter()
        .filter(|design| look.all(design.needs).is_some());
    let tile = |design: &Design| {
        let at = |index| (design.value)(&look, index);
        let now = at(look.latest());
        let note = (design.note)(&look);
        Tile {
            title: design.title,
            figure: (design.figure)(now),
            // A lesser figure that is undefined is none.
            note: if note.contains(format::UNDEFINED) {
                String::new()
            } else {
                note
            },
            tone: if now.is_nan() {
                Tone::Plain
            } else {
                (design.tone)(&look, now)
            },
            trend: moments
                .iter()
                .map(|index| index.map_or(f64::NAN, at))
                .collect(),
        }
    };
    designs.take(most).map(tile).collect()
}

fn plain(_: &Look<'_>, _: f64) -> Tone {
    Tone::Plain
}

fn count(value: f64) -> String {
    format::number(value, "count")
}

/// Asks by name for what may not be there: what is not is `NaN`.
struct Look<'a> {
    history: &'a History,
}

impl Look<'_> {
    fn latest(&self) -> usize {
        self.history.len().saturating_sub(1)
    }

    /// The series of a family.
    fn all(&self, name: &str) -> Option<(usize, Vec<usize>)> {
        self.with(name, &[])
    }

    /// The series of a family that have these labels, if any.
    fn with(&self, name: &str, labels: &[(&str, &str)]) -> Option<(usize, Vec<usize>)> {
        let layout = self.history.layout()?;
        let family = layout.place(name)?;
        let series = layout.families[family].series.iter().enumerate();
        let is_wanted = |of: &[(String, String)]| {
            let has = |(key, value): &(&str, &str)| of.iter().any(|(k, v)| k == key && v == value);
            labels.iter().all(has)
        };
        let series: Vec<_> = series
            .filter(|(_, series)| is_wanted(&series.labels))
            .map(|(at, _)| at)
            .collect();
        (!series.is_empty()).then_some((family, series))
    }

    fn gauges(&self, index: usize, name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
        let found = self.with(name, labels);
        let values = found.map(|(family, series)| {
            let value = |series| self.history.value(index, family, series);
            series.into_iter().map(value).collect()
        });
        values.unwrap_or_default()
    }

    fn gauge(&self, index: usize, name: &str, labels: &[(&str, &str)]) -> f64 {
        sum(self.gauges(index, name, labels))
    }

    fn least(&self, index: usize, name: &str) -> f64 {
        self.gauges(index, name, &[])
            .into_iter()
            .fold(f64::NAN, f64::min)
    }

    /// The latest values as they are, summed.
    fn total(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let found = self.with(name, labels);
        found.map_or(f64::NAN, |(family, series)| {
            sum(series
                .into_iter()
                .map(|series| self.history.now(family, series)))
        })
    }

    /// The same over those families that there are.
    fn totals(&self, names: &[&str]) -> f64 {
        let totals = names.iter().map(|name| self.total(name, &[]));
        sum(totals.filter(|total| !total.is_nan()))
    }

    fn rate(&self, index: usize, names: &[&str]) -> f64 {
        let found = names.iter().filter_map(|name| self.all(name));
        sum(found.map(|(family, series)| {
            self.history.rate(
                index,
                Together {
                    family,
                    series: &series,
                },
            )
        }))
    }

    fn quantile(&self, index: usize, name: &str, level: f64) -> f64 {
        let found = self.all(name);
        found.map_or(f64::NAN, |(family, series)| {
            let [quantile] = self.history.quantiles(
                index,
                Together {
                    family,
                    series: &series,
                },
                [level],
            );
            quantile
        })
    }

    fn median(&self, name: &str) -> String {
        format::number(self.quantile(self.latest(), name, 0.5), "seconds")
    }
}

/// A sum of nothing is unknown.
fn sum(values: impl IntoIterator<Item = f64>) -> f64 {
    values
        .into_iter()
        .reduce(|sum, value| sum + value)
        .unwrap_or(f64::NAN)
}
