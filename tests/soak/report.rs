//! Which promises were kept, and the figures that say so.

use std::fmt;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::check::Faults;
use crate::load::{Delays, Recorded, THREADS};
use crate::memory::{Drift, Memory};
use crate::scraper::Seen;
use crate::series::SERIES;

/// By how much memory may grow after the warm-up.
const MOST_DRIFT: f64 = 0.02;
/// By how much the slowest of a thousand records may be slower than reading the clock.
const MOST_DELAY: Duration = Duration::from_micros(5);

/// What was seen.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    seconds: f64,
    threads: usize,
    series: usize,
    events: u64,
    scrapes: usize,
    /// Median, from asking to the last byte.
    scrape_milliseconds: f64,
    scrape_bytes: usize,
    memory: Option<Drift>,
    kept_handle: Delays,
    looked_up: Delays,
    clock_alone: Delays,
    promises: Vec<Promise>,
}

/// One promise.
#[derive(Debug, Serialize)]
pub(crate) struct Promise {
    #[serde(rename = "promise")]
    what: &'static str,
    verdict: Verdict,
    /// What was seen of it.
    seen: String,
}

/// Whether a promise was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Kept,
    Broken,
    /// Recording ended too early to tell.
    Unknown,
}

impl Verdict {
    fn of(is_kept: bool) -> Self {
        if is_kept { Self::Kept } else { Self::Broken }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Broken => "broken",
            Self::Unknown => "unknown",
        }
    }
}

impl Report {
    /// Of this run; `file` is what was missing in the file of the killed process, where it had one.
    pub(crate) fn new(
        took: Duration,
        recorded: &Recorded,
        seen: &Seen,
        memory: &Memory,
        file: Option<&Faults>,
    ) -> Self {
        let mut scrapes = seen.took.clone();
        scrapes.sort_unstable();
        let median = scrapes.get(scrapes.len() / 2).copied().unwrap_or_default();
        let memory = memory.drift();
        let mut promises = vec![
            all_there(recorded, &seen.checker.lost),
            without_fault(
                "no counter falls",
                "counters fell",
                seen,
                &seen.checker.fallen,
            ),
            without_fault(
                "every scrape is consistent",
                "were not",
                seen,
                &seen.checker.inconsistent,
            ),
            flat(memory),
            fast(recorded),
        ];
        promises.extend(file.map(|lost| in_the_file(recorded, lost)));
        Self {
            seconds: took.as_secs_f64(),
            threads: THREADS,
            series: recorded.series,
            events: recorded.events,
            scrapes: seen.took.len(),
            scrape_milliseconds: median.as_secs_f64() * 1e3,
            scrape_bytes: seen.bytes,
            memory,
            kept_handle: recorded.kept,
            looked_up: recorded.looked_up,
            clock_alone: recorded.clock,
            promises,
        }
    }

    /// The promises that were not kept.
    pub(crate) fn broken(&self) -> impl Iterator<Item = &Promise> {
        let broken = |promise: &&Promise| promise.verdict == Verdict::Broken;
        self.promises.iter().filter(broken)
    }

    /// For a terminal.
    pub(crate) fn table(&self) -> String {
        let mut promises = Table::new();
        promises.load_style(presets::UTF8_FULL_CONDENSED);
        promises.set_header(["promise", "", "seen"]);
        for promise in &self.promises {
            promises.add_row([promise.what, promise.verdict.word(), &promise.seen]);
        }
        let mut delays = Table::new();
        delays.load_style(presets::UTF8_FULL_CONDENSED);
        delays.set_header(["ns", "median", "p99", "p99.9", "longest", "measured"]);
        for (what, of) in self.delays() {
            let figures = [of.p50, of.p99, of.p999, of.max, of.measured];
            delays.add_row(std::iter::once(what.to_owned()).chain(figures.map(grouped)));
        }
        for column in delays.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        format!("{}\n\n{promises}\n\n{delays}", self.summary())
    }

    /// For a pipe: a line for each promise and each distribution.
    pub(crate) fn lines(&self) -> String {
        let promises = self.promises.iter();
        let promises = promises.map(|promise| format!("{}: {promise}", promise.verdict.word()));
        let delays = self.delays().map(|(what, of)| {
            let Delays { p50, p99, p999, max, measured } = of;
            format!("{what}: median {p50} ns, p99 {p99} ns, p99.9 {p999} ns, longest {max} ns, of {measured}")
        });
        let lines: Vec<_> = std::iter::once(self.summary())
            .chain(promises)
            .chain(delays)
            .collect();
        lines.join("\n")
    }

    fn delays(&self) -> [(&'static str, Delays); 3] {
        [
            ("a record, handle kept", self.kept_handle),
            ("a record, looked up by labels", self.looked_up),
            ("reading the clock alone", self.clock_alone),
        ]
    }

    fn summary(&self) -> String {
        format!(
            "{:.0} s: {} threads recorded {} events to {} series, {:.1} million a second; {} scrapes of {:.1} MiB, {:.1} a second, \
             {:.0} ms each (median)",
            self.seconds,
            self.threads,
            grouped(self.events),
            grouped(self.series as u64),
            self.events as f64 / self.seconds / 1e6,
            self.scrapes,
            self.scrape_bytes as f64 / 1024.0 / 1024.0,
            self.scrapes as f64 / self.seconds,
            self.scrape_milliseconds,
        )
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.seen)
    }
}

fn all_there(recorded: &Recorded, lost: &Faults) -> Promise {
    let (events, lines) = (grouped(recorded.events), recorded.expected.len());
    Promise {
        what: "every event is in the last scrape",
        verdict: Verdict::of(lost.count == 0 && recorded.series == SERIES),
        seen: format!(
            "{events} events in {} series, {} lines of each format: {} differ{}",
            grouped(recorded.series as u64),
            grouped(lines as u64),
            lost.count,
            first(lost)
        ),
    }
}

fn in_the_file(recorded: &Recorded, lost: &Faults) -> Promise {
    Promise {
        what: "every event is in the file of the killed process",
        verdict: Verdict::of(lost.count == 0),
        seen: format!(
            "{} events, {} lines: {} differ{}",
            grouped(recorded.events),
            grouped(recorded.expected.len() as u64),
            lost.count,
            first(lost)
        ),
    }
}

fn without_fault(what: &'static str, fault: &str, seen: &Seen, faults: &Faults) -> Promise {
    Promise {
        what,
        verdict: Verdict::of(faults.count == 0),
        seen: format!(
            "{} of {} scrapes looked at, {} {fault}{}",
            seen.checker.scrapes,
            seen.took.len(),
            faults.count,
            first(faults)
        ),
    }
}

fn flat(memory: Option<Drift>) -> Promise {
    let what = "memory is flat after the warm-up";
    let Some(Drift {
        first_kib,
        last_kib,
        ratio,
    }) = memory
    else {
        return Promise {
            what,
            verdict: Verdict::Unknown,
            seen: "too short to tell".to_owned(),
        };
    };
    let mib = |kib: u64| kib as f64 / 1024.0;
    Promise {
        what,
        verdict: Verdict::of(ratio <= MOST_DRIFT),
        seen: format!(
            "{:.1} MiB, and {:.1} MiB in the end: {:+.2} % of {:.0} % allowed",
            mib(first_kib),
            mib(last_kib),
            ratio * 100.0,
            MOST_DRIFT * 100.0
        ),
    }
}

fn fast(recorded: &Recorded) -> Promise {
    let beyond =
        |delays: Delays| Duration::from_nanos(delays.p999.saturating_sub(recorded.clock.p999));
    let (kept, looked_up) = (beyond(recorded.kept), beyond(recorded.looked_up));
    Promise {
        what: "p99.9 of a record is no more than 5 µs beyond the clock's",
        verdict: Verdict::of(kept.max(looked_up) <= MOST_DELAY),
        seen: format!("{kept:?} with a handle that is kept, {looked_up:?} by labels"),
    }
}

fn first(faults: &Faults) -> String {
    let first = faults.first.as_ref();
    first.map_or_else(String::new, |first| format!("; the first: {first}"))
}

/// A number with a comma between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_told_apart() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345_678, "12,345,678"),
        ];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn memory_that_grows_breaks_its_promise_and_memory_that_shrinks_does_not() {
        let verdict = |last_kib: u64| {
            let ratio = last_kib as f64 / 1000.0 - 1.0;
            let drift = Drift {
                first_kib: 1000,
                last_kib,
                ratio,
            };
            flat(Some(drift)).verdict
        };
        let verdicts = [1019, 500, 1021].map(verdict);
        assert_eq!(verdicts, [Verdict::Kept, Verdict::Kept, Verdict::Broken]);
        assert_eq!(flat(None).verdict, Verdict::Unknown);
    }
}
