//! The result as a table, and as the page of the documentation.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};
use sysinfo::{CpuRefreshKind, RefreshKind, System};

use crate::contest::{Contender, Effort, OURS, Row, cores, milliseconds, nanoseconds};
use crate::library::{self, Filled, Of, Ours};

/// How cost grows.
#[derive(Default)]
pub(crate) struct Growth {
    /// Series, milliseconds of a scrape, and nanoseconds of creating one.
    series: Vec<(usize, f64, f64)>,
    /// Threads, and nanoseconds of a counter's increment and a histogram's record on each.
    threads: Vec<(usize, f64, f64)>,
}

impl Growth {
    pub(crate) fn measure(effort: Effort) -> Self {
        let mut growth = Self::default();
        for series in [1_000, 10_000, 100_000, 1_000_000 / effort.divisor] {
            let ours = Ours {
                engine: library::engine(),
                of: Of::Counters,
            };
            let start = std::time::Instant::now();
            (0..series).for_each(|number| ours.add(number));
            let created = start.elapsed().as_secs_f64() * 1e9 / series as f64;
            let scrape = [crate::scrape_of(&ours)];
            let figures = milliseconds(&scrape, effort);
            growth.series.push((series, figures[0].min, created));
        }
        growth.series.dedup_by_key(|(series, ..)| *series);
        let only_ours = |contenders: Vec<Contender<'static>>| {
            contenders
                .into_iter()
                .filter(|contender| contender.name == OURS)
                .collect::<Vec<_>>()
        };
        let (counters, histograms) = (
            only_ours(library::counters()),
            only_ours(library::histograms()),
        );
        let cores = cores().len().max(1);
        for threads in (0..)
            .map(|power| 1 << power)
            .take_while(|threads| *threads <= 2 * cores)
        {
            let each =
                |contenders: &[Contender<'_>]| nanoseconds(contenders, threads, effort)[0].min;
            growth
                .threads
                .push((threads, each(&counters), each(&histograms)));
        }
        growth
    }

    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        let mut series = new(&[
            "series",
            "scrape ms",
            "scrape ns a series",
            "creating ns a series",
        ]);
        for (count, scrape, created) in &self.series {
            let each = scrape * 1e6 / *count as f64;
            series.add_row([
                count.to_string(),
                number(*scrape),
                number(each),
                number(*created),
            ]);
        }
        let mut threads = new(&["threads", "counter ns", "histogram ns"]);
        for (count, counter, histogram) in &self.threads {
            threads.add_row([count.to_string(), number(*counter), number(*histogram)]);
        }
        let _ = write!(text, "{series}\n\n{threads}");
        text
    }
}

fn new(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_header(header.to_vec());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Three digits are more than a shared machine repeats.
fn number(value: f64) -> String {
    match value {
        value if value.is_nan() => "–".to_owned(),
        value if value.abs() >= 100.0 || value == 0.0 => format!("{value:.0}"),
        value if value.abs() >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

pub(crate) fn table(rows: &[Row]) -> String {
    let header = [
        "line",
        "unit",
        "obs",
        "(other)",
        "floor",
        "× floor",
        "best peer",
        "",
        "ratio",
        "target",
        "within",
    ];
    let mut table = new(&header);
    for row in rows {
        let floor = row.floor.unwrap_or(f64::NAN);
        table.add_row([
            row.line.clone(),
            row.unit.to_owned(),
            number(row.ours),
            number(row.other),
            number(floor),
            number(row.ours / floor),
            number(row.best_peer),
            row.peer.clone(),
            number(row.ratio),
            number(row.target),
            if row.is_within() { "yes" } else { "no" }.to_owned(),
        ]);
    }
    table.to_string()
}

fn everybody(rows: &[Row]) -> String {
    let mut table = new(&["line", "unit", "min (median) of each"]);
    for row in rows {
        let all = row.all.iter().map(|figure| {
            format!(
                "{} {} ({})",
                figure.name,
                number(figure.min),
                number(figure.median)
            )
        });
        table.add_row([
            row.line.clone(),
            row.unit.to_owned(),
            all.collect::<Vec<_>>().join(", "),
        ]);
    }
    table.to_string()
}

/// The page of the documentation.
pub(crate) fn markdown(rows: &[Row], growth: &Growth, quick: bool) -> String {
    let system =
        System::new_with_specifics(RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing()));
    let brand = system
        .as_ref()
        .ok()
        .and_then(|system| system.cpus().first())
        .map(|cpu| cpu.brand().to_owned());
    let cpu = brand.unwrap_or_else(|| "an unknown processor".to_owned());
    let cores = cores().len().max(1);
    let kernel = System::kernel_version().unwrap_or_default();
    let effort = if quick {
        "a quick run, with a tenth of the series"
    } else {
        "a full run"
    };
    let missed: Vec<_> = rows.iter().filter(|row| !row.is_within()).collect();
    let missed = match missed.as_slice() {
        [] => "Every line is within its target in this run.".to_owned(),
        missed => {
            let lines = missed.iter().map(|row| {
                format!(
                    "- {}: {} where {} is the target",
                    row.line,
                    number(row.ratio),
                    number(row.target)
                )
            });
            format!(
                "Beyond the target in this run:\n\n{}",
                lines.collect::<Vec<_>>().join("\n")
            )
        }
    };
    format!(
        "<!-- Written by `cargo xtask bench`. -->\n\n# Performance\n\n{INTRODUCTION}\n\nMeasured by {effort} on {cpu}, {cores} cores, \
         {} {kernel}, with {VERSIONS}.\n\n## Against the others\n\n{}\n\n{missed}\n\n## Everybody's figures\n\n{}\n\n## How cost grows\n\n{}\n\n{EXPLANATION}\n",
        std::env::consts::OS,
        table(rows),
        everybody(rows),
        growth.table(),
    )
}

const VERSIONS: &str = "metrics-exporter-prometheus 0.18, prometheus 0.14, prometheus-client 0.25, measured 0.0.25, opentelemetry 0.33 \
    and axum-prometheus 0.10";

const INTRODUCTION: &str = "`cargo xtask bench` measures the recorder beside the other libraries: all in one process, in turn, on \
pinned threads, built for release. Times differ from machine to machine and from minute to minute, so targets are ratios: our least \
time divided by the best peer's, or by what the line names; with two threads, whose least time is that of a round in which they \
did not meet, the medians (`other` is the median there where the least is compared, and the other way round). The floor is the same work written by hand with bare atomics, or lines \
that are rendered but for their numbers. `cargo xtask bench --json` prints the figures for programs, `--quick` takes less than \
three minutes.";

const EXPLANATION: &str = "## Where a target can be missed\n\n\
- **A kept handle on one thread.** Behind the facade's dynamic call an increment is 25 instructions, which find the word: the \
thread's slot, the slot's page, the series' place in it. None of them is locked, and that is what the ratio lives on. Where a \
locked addition costs 20 cycles it is about 0.3; where it costs 7, as on the processor above, the dynamic call alone takes \
more than 0.4 of it. With two threads the others pay for a cache line that changes hands; ours costs what it did.\n\
- **Three labels looked up on each call.** Each label is a hash and a probe of a table of its own, about 6 ns; where locked additions \
are cheap, a library that hashes all labels at once behind one read lock is as fast on one thread, and falls behind on two.\n\
- **A scrape of counters beside rendered lines.** Rendered lines lie in memory in order. Series lie where they were made: each costs \
a fetch of itself, its labels and its cells, which takes longer than writing its line once they are beyond the cache.\n\n\
## Reading the tables\n\nThreads are pinned; where there are more than cores, they take turns. A thread beyond the recorder's slots \
(`OBS_RECORDER_SLOTS`) adds to shared cells, at about the cost of the floor.\n\n## What guards it\n\nTimes are no test on a machine \
that others use too. The tests hold what does not depend on one: recording on a handle allocates nothing, 20 million observations \
leave the heap as it was, a known series is found without allocating, and a request through the HTTP layer allocates no more than \
five times.";
