//! What came of a fleet: which promises were kept, and what each server took.

use std::fmt::Write;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::server::Took;

/// How long a dashboard's query may take.
const MOST_SECONDS: f64 = 1.0;
/// What a storage that is killed may lose of what it has acknowledged: `VictoriaMetrics` writes to disk every five seconds, and takes
/// a while for it.
pub(crate) const UNWRITTEN_SECONDS: f64 = 10.0;
/// How long the series of a desk that is gone may be answered: as far back as Prometheus looks, and a minute for the way.
const MOST_DEAD_SECONDS: f64 = 360.0;
/// How many of the slowest queries are shown.
const SHOWN: usize = 10;

/// What was seen.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) desks: usize,
    pub(crate) desks_ever: usize,
    pub(crate) dead: usize,
    pub(crate) series_a_desk: usize,
    pub(crate) interval_seconds: u64,
    pub(crate) seconds: f64,
    pub(crate) outage_seconds: f64,
    /// How many totals were compared in each storage.
    pub(crate) totals: usize,
    pub(crate) losses: Vec<Losses>,
    pub(crate) ways: Vec<WayReport>,
    pub(crate) took: Vec<Took>,
    /// The slowest first.
    pub(crate) queries: Vec<Query>,
    pub(crate) promises: Vec<Promise>,
}

/// The totals that a storage does not have.
#[derive(Debug, Serialize)]
pub(crate) struct Losses {
    storage: &'static str,
    lost: usize,
    first: Vec<String>,
}

impl Losses {
    pub(crate) fn new(storage: &'static str, lost: Vec<String>) -> Self {
        Self {
            storage,
            lost: lost.len(),
            first: lost.into_iter().take(5).collect(),
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        self.lost == 0
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct WayReport {
    pub(crate) way: &'static str,
    pub(crate) longest_gap_seconds: f64,
    pub(crate) most_gap_seconds: f64,
    /// How long the series of the last of the dead were there; nothing if some still are.
    pub(crate) dead_gone_seconds: Option<f64>,
    pub(crate) disk: Disk,
}

/// What is kept for good.
#[derive(Debug, Serialize)]
pub(crate) struct Disk {
    pub(crate) bytes_a_sample: f64,
    /// Of the index.
    pub(crate) bytes_a_series: f64,
}

/// How long a storage may be without a sample of a desk, in seconds: two intervals by themselves and one that is missed, the restart
/// of an agent, and what a storage had not yet written.
pub(crate) fn most_gap(interval: u64, restart: Duration) -> f64 {
    3.0 * Duration::from_secs(interval).as_secs_f64() + restart.as_secs_f64() + UNWRITTEN_SECONDS
}

#[derive(Debug, Serialize)]
pub(crate) struct Query {
    pub(crate) way: &'static str,
    pub(crate) place: String,
    pub(crate) text: String,
    pub(crate) seconds: f64,
}

/// One promise.
#[derive(Debug, Serialize)]
pub(crate) struct Promise {
    #[serde(rename = "promise")]
    what: &'static str,
    kept: bool,
    /// What was seen of it.
    seen: String,
}

impl Report {
    /// With the promises that these figures keep or break.
    pub(crate) fn judged(mut self) -> Self {
        let lost = self.losses.iter().filter(|losses| !losses.is_none());
        let lost = lost.map(|losses| {
            format!(
                "{}: {} lost, {:?}",
                losses.storage, losses.lost, losses.first
            )
        });
        let lost = lost.collect::<Vec<_>>().join("; ");
        let all = format!(
            "{} totals of {} desks in each of {} storages",
            self.totals,
            self.desks_ever,
            self.losses.len()
        );
        let gaps = self
            .ways
            .iter()
            .map(|way| format!("{}: {:.1} s", way.way, way.longest_gap_seconds));
        let dead = self.ways.iter().map(|way| match way.dead_gone_seconds {
            Some(seconds) => format!("{}: {seconds:.0} s", way.way),
            None => format!("{}: some are still there", way.way),
        });
        let slowest = self.queries.first();
        let slow = self
            .queries
            .iter()
            .filter(|query| query.seconds >= MOST_SECONDS)
            .count();
        let promises = vec![
            Promise {
                what: "no total of a counter is lost",
                kept: lost.is_empty() && self.totals > 0,
                seen: if lost.is_empty() { all } else { lost },
            },
            Promise {
                what: "what was scraped while a storage was away is there",
                kept: self
                    .ways
                    .iter()
                    .all(|way| way.longest_gap_seconds <= way.most_gap_seconds),
                seen: format!(
                    "the longest time between two samples of a desk, {}; away for {:.0} s",
                    gaps.collect::<Vec<_>>().join(", "),
                    self.outage_seconds
                ),
            },
            Promise {
                what: "the series of desks that are gone go as well",
                kept: self.dead > 0
                    && self.ways.iter().all(|way| {
                        way.dead_gone_seconds
                            .is_some_and(|gone| gone <= MOST_DEAD_SECONDS)
                    }),
                seen: format!(
                    "{} desks went; the last series was answered for {}",
                    self.dead,
                    dead.collect::<Vec<_>>().join(", ")
                ),
            },
            Promise {
                what: "every query of a dashboard answers within a second",
                kept: slow == 0 && slowest.is_some(),
                seen: format!(
                    "{slow} of {} took longer; the slowest {:.2} s",
                    self.queries.len(),
                    slowest.map_or(f64::NAN, |query| query.seconds)
                ),
            },
        ];
        self.promises = promises;
        self
    }

    /// The promises that were not kept.
    pub(crate) fn broken(&self) -> impl Iterator<Item = String> {
        let broken = self.promises.iter().filter(|promise| !promise.kept);
        broken.map(|promise| format!("{}: {}", promise.what, promise.seen))
    }

    pub(crate) fn shown(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "\n{} desks of {} series, {} series in all, every {} s: {:.0} samples a second each way, for {:.0} s",
            self.desks,
            self.series_a_desk,
            self.desks * self.series_a_desk,
            self.interval_seconds,
            self.samples_a_second(),
            self.seconds
        );
        let _ = writeln!(text, "{}\n", self.table());
        for way in &self.ways {
            let _ = writeln!(
                text,
                "{}: {:.2} bytes a sample on disk, and {:.0} bytes a series for the index",
                way.way, way.disk.bytes_a_sample, way.disk.bytes_a_series
            );
        }
        let _ = writeln!(
            text,
            "\nthe slowest queries of dashboards, with every desk chosen:"
        );
        for query in self.queries.iter().take(SHOWN) {
            let _ = writeln!(
                text,
                "{:7.3} s  {}: {}\n           {}",
                query.seconds, query.way, query.place, query.text
            );
        }
        text.push('\n');
        for promise in &self.promises {
            let verdict = if promise.kept { "kept" } else { "broken" };
            let _ = writeln!(text, "{verdict}: {} ({})", promise.what, promise.seen);
        }
        text
    }

    #[expect(clippy::cast_precision_loss, reason = "series are far below 2^53")]
    fn samples_a_second(&self) -> f64 {
        (self.desks * self.series_a_desk) as f64 / self.interval_seconds as f64
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header([
            "",
            "CPU, cores",
            "memory, MB",
            "disk, MB",
            "memory a desk, MB",
            "bytes a series",
            "disk a desk, MB",
        ]);
        #[expect(clippy::cast_precision_loss, reason = "desks are far below 2^53")]
        let (desks, series) = (self.desks as f64, (self.desks * self.series_a_desk) as f64);
        for took in &self.took {
            table.add_row([
                took.name.to_owned(),
                format!("{:.3}", took.cpu_seconds / self.seconds),
                format!("{:.0}", took.memory_bytes / 1e6),
                format!("{:.0}", took.disk_bytes / 1e6),
                format!("{:.2}", took.memory_bytes / 1e6 / desks),
                format!("{:.0}", took.memory_bytes / series),
                format!("{:.2}", took.disk_bytes / 1e6 / desks),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}
