//! Samples that are kept here and not by the recorder: summaries, and histograms whose declaration comes with their first handle.
//!
//! The recorder is given buckets when it is built and never again; a histogram that it learns of later would become a summary.
//! Its summaries lose most of a burst that follows a quiet time (it takes
//! samples in from the newest to the oldest, and drops what is older than the window's first), show 0 while nothing is in
//! the window, blur everything below a seven-hundredth of the largest sample, and have one list of quantiles for all.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use metrics::{Histogram, HistogramFn, Key};
use metrics_util::storage::{AtomicBucket, Summary};
use obs_core::{Admission, Catalogue, Family, Kind, nearest_rank};
use obs_recorder::{BUCKETS_BY_SUFFIX, metric_name};

use super::has_bounds;
use crate::exporter::lock;

/// The quantiles of a summary that nobody declares.
const DEFAULT_QUANTILES: &[f64] = &[0.5, 0.9, 0.99];

/// Every family of samples that the recorder itself cannot keep.
#[derive(Debug)]
pub(super) struct Samples {
    admission: Arc<Admission>,
    /// The histograms whose buckets the recorder knows.
    known: HashSet<String>,
    /// On every series, encoded.
    global_labels: BTreeMap<String, String>,
    window: Duration,
    help: Mutex<HashMap<String, String>>,
    cells: Mutex<HashMap<Key, Arc<Cell>>>,
}

/// One series. Recording takes no lock; taking samples in and reading do.
#[derive(Debug)]
struct Cell {
    recorded: AtomicBucket<f64>,
    kept: Mutex<Kept>,
}

/// What is kept of the samples.
#[derive(Debug)]
enum Kept {
    Summary(Window),
    Histogram(Counts),
}

impl HistogramFn for Cell {
    fn record(&self, value: f64) {
        // Families of our own check this; those of other code would leave a sum that is no number for ever.
        if value.is_finite() {
            self.recorded.push(value);
        }
    }
}

impl Samples {
    /// `catalogue` is what the recorder was built with.
    pub(super) fn new(
        catalogue: &Catalogue,
        admission: Arc<Admission>,
        global_labels: BTreeMap<String, String>,
        window: Duration,
        foreign: &BTreeMap<&'static str, &'static [f64]>,
    ) -> Self {
        let histograms = catalogue.families().filter(|family| has_bounds(family));
        Self {
            admission,
            known: histograms
                .map(|family| family.name().to_owned())
                .chain(foreign.keys().map(|name| metric_name(name).into_owned()))
                .collect(),
            global_labels,
            window,
            help: Mutex::default(),
            cells: Mutex::default(),
        }
    }

    /// Whether a family of samples is kept here: it is declared as a summary or nothing says what its buckets are, or it is a
    /// histogram of which the recorder knows nothing.
    pub(super) fn takes(&self, name: &str) -> bool {
        match self.admission.family(name).map(Family::kind) {
            Some(Kind::Histogram) => !self.known.contains(name),
            Some(_) => true,
            None => {
                let tells = |(suffix, _): &(&str, _)| name.ends_with(suffix);
                !self.known.contains(name) && !BUCKETS_BY_SUFFIX.iter().any(tells)
            }
        }
    }

    /// Notes an encoded help text; the first stays.
    pub(super) fn describe(&self, name: &str, help: String) {
        lock(&self.help).entry(name.to_owned()).or_insert(help);
    }

    /// The handle of a series, whose key is canonical.
    pub(super) fn register(&self, key: &Key) -> Histogram {
        let mut cells = lock(&self.cells);
        if let Some(cell) = cells.get(key) {
            return Histogram::from_arc(Arc::clone(cell));
        }
        let cell = Arc::new(Cell {
            recorded: AtomicBucket::new(),
            kept: Mutex::new(self.kept(key.name())),
        });
        cells.insert(key.to_retained(), Arc::clone(&cell));
        Histogram::from_arc(cell)
    }

    fn kept(&self, name: &str) -> Kept {
        let declared = self.admission.family(name);
        match declared.filter(|family| family.kind() == Kind::Histogram) {
            Some(family) => Kept::Histogram(Counts::new(family.bucket_bounds())),
            None => Kept::Summary(Window::new(self.window)),
        }
    }

    /// Takes in what was recorded, so that it does not pile up.
    pub(super) fn take_in(&self, now: Instant) {
        for (_, cell) in self.cells() {
            drop(cell.take_in(now));
        }
    }

    /// Appends every family in the form in which the recorder renders its own.
    pub(super) fn render(&self, out: &mut String, now: Instant) {
        let help = lock(&self.help).clone();
        let mut at = None;
        for (key, cell) in self.cells() {
            let name = key.name();
            let mut kept = cell.take_in(now);
            if at.as_deref() != Some(name) {
                if let Some(help) = help.get(name) {
                    let _ = writeln!(out, "# HELP {name} {help}");
                }
                let _ = writeln!(out, "# TYPE {name} {}", kept.kind().as_str());
                at = Some(name.to_owned());
            }
            let labels = self.labels(&key);
            match &mut *kept {
                Kept::Histogram(counts) => counts.render(out, name, &labels),
                Kept::Summary(window) => {
                    let declared = self.admission.family(name);
                    let levels = declared.map_or(DEFAULT_QUANTILES, Family::quantile_levels);
                    window.render(out, name, &labels, levels, now);
                }
            }
        }
    }

    /// The series, those of one family side by side.
    fn cells(&self) -> Vec<(Key, Arc<Cell>)> {
        let mut cells: Vec<_> = lock(&self.cells)
            .iter()
            .map(|(key, cell)| (key.clone(), Arc::clone(cell)))
            .collect();
        cells.sort_by(|(a, _), (b, _)| a.name().cmp(b.name()));
        cells
    }

    /// The labels of a series as text. Its own stand in front of global ones of the same key.
    fn labels(&self, key: &Key) -> String {
        let is_own = |global: &str| key.labels().any(|label| label.key() == global);
        let global = self.global_labels.iter().filter(|(key, _)| !is_own(key));
        let global = global.map(|(key, value)| (key.as_str(), value.as_str()));
        let labels = global.chain(key.labels().map(|label| (label.key(), label.value())));
        let labels: Vec<_> = labels
            .map(|(key, value)| format!("{key}=\"{value}\""))
            .collect();
        labels.join(",")
    }
}

impl Cell {
    fn take_in(&self, now: Instant) -> std::sync::MutexGuard<'_, Kept> {
        let mut kept = lock(&self.kept);
        self.recorded.clear_with(|samples| match &mut *kept {
            Kept::Summary(window) => window.add(samples, now),
            Kept::Histogram(counts) => counts.add(samples),
        });
        kept
    }
}

impl Kept {
    fn kind(&self) -> Kind {
        match self {
            Self::Summary(_) => Kind::Summary,
            Self::Histogram(_) => Kind::Histogram,
        }
    }
}

/// Samples counted in buckets.
#[derive(Debug)]
struct Counts {
    bounds: &'static [f64],
    /// One for each bound, and one for what lies above them all; not cumulated.
    buckets: Vec<u64>,
    sum: f64,
}

impl Counts {
    fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            buckets: vec![0; bounds.len() + 1],
            sum: 0.0,
        }
    }

    fn add(&mut self, samples: &[f64]) {
        for sample in samples {
            let bucket = self.bounds.partition_point(|bound| sample > bound);
            self.buckets[bucket] += 1;
            self.sum += sample;
        }
    }

    fn render(&self, out: &mut String, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut count = 0;
        for (number, bucket) in self.buckets.iter().enumerate() {
            count += bucket;
            let bound = self.bounds.get(number).map(f64::to_string);
            let bound = bound.as_deref().unwrap_or("+Inf");
            let _ = writeln!(
                out,
                "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}"
            );
        }
        let _ = writeln!(out, "{name}_sum{{{labels}}} {}", self.sum);
        let _ = writeln!(out, "{name}_count{{{labels}}} {count}");
    }
}

/// Samples of the recent past, in chunks of which the oldest is dropped as a whole.
#[derive(Debug)]
struct Window {
    length: Duration,
    /// Since when each runs, from the oldest to the newest.
    chunks: VecDeque<(Instant, Summary)>,
    /// Of all samples ever.
    sum: f64,
    count: u64,
}

/// Into how many chunks a window is cut: a sample is seen for at least five sixths of its length.
const CHUNKS: u32 = 6;

/// A sketch whose quantiles are within half a percent of the true ones, over seventeen orders of magnitude.
fn sketch() -> Summary {
    Summary::new(0.005, 4096, 1e-9)
}

/// The quantile by the nearest rank. The sketch takes the rank ⌊level · (count − 1)⌋, so it is asked for a level that leads to the
/// wanted one.
fn nearest(sketch: &Summary, level: f64) -> Option<f64> {
    let count = sketch.count() as u64;
    let (rank, last) = (nearest_rank(level, count)?, count - 1);
    let level = if rank == last {
        1.0
    } else {
        (rank as f64 + 0.5) / last as f64
    };
    sketch.quantile(level)
}

impl Window {
    fn new(length: Duration) -> Self {
        Self {
            length,
            chunks: VecDeque::new(),
            sum: 0.0,
            count: 0,
        }
    }

    fn add(&mut self, samples: &[f64], now: Instant) {
        self.forget(now);
        let runs = |since: Instant| now.duration_since(since) < self.length / CHUNKS;
        if !self.chunks.back().is_some_and(|(since, _)| runs(*since)) {
            self.chunks.push_back((now, sketch()));
        }
        let Some((_, newest)) = self.chunks.back_mut() else {
            return;
        };
        for sample in samples {
            newest.add(*sample);
            self.sum += sample;
            self.count += 1;
        }
    }

    fn forget(&mut self, now: Instant) {
        let length = self.length;
        self.chunks
            .retain(|(since, _)| now.duration_since(*since) < length);
    }

    fn render(&mut self, out: &mut String, name: &str, labels: &str, levels: &[f64], now: Instant) {
        self.forget(now);
        let mut all = sketch();
        for (_, chunk) in &self.chunks {
            // Sketches of the same settings merge.
            let _ = all.merge(chunk);
        }
        let comma = if labels.is_empty() { "" } else { "," };
        for level in levels {
            // Of no samples, a quantile is undefined.
            let value = nearest(&all, *level).unwrap_or(f64::NAN);
            let _ = writeln!(out, "{name}{{{labels}{comma}quantile=\"{level}\"}} {value}");
        }
        let _ = writeln!(out, "{name}_sum{{{labels}}} {}", self.sum);
        let _ = writeln!(out, "{name}_count{{{labels}}} {}", self.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summaries() -> Samples {
        Samples::new(
            &Catalogue::default(),
            Arc::default(),
            BTreeMap::new(),
            Duration::from_mins(1),
            &BTreeMap::new(),
        )
    }

    /// Quantiles, sum and count, in this order.
    fn values(summaries: &Samples, now: Instant) -> Vec<f64> {
        let mut out = String::new();
        summaries.render(&mut out, now);
        let value = |line: &str| {
            line.rsplit_once(' ')
                .and_then(|(_, value)| value.parse().ok())
        };
        out.lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(value)
            .collect()
    }

    fn assert_near(found: &[f64], expected: &[f64]) {
        let near = |(found, expected): (&f64, &f64)| {
            (found - expected).abs() <= 0.005 * expected.abs() + 1e-9
        };
        assert_eq!(found.len(), expected.len());
        assert!(
            found.iter().zip(expected).all(near),
            "{found:?} is not {expected:?}"
        );
    }

    #[test]
    fn quantiles_are_those_of_all_samples_of_a_burst() {
        let summaries = summaries();
        let handle = summaries.register(&Key::from_name("x"));
        for sample in 0..=1000_u32 {
            handle.record(f64::from(sample));
        }
        assert_near(
            &values(&summaries, Instant::now()),
            &[500.0, 900.0, 990.0, 500_500.0, 1001.0],
        );
    }

    #[test]
    fn one_great_sample_does_not_blur_the_small_ones() {
        let summaries = summaries();
        let handle = summaries.register(&Key::from_name("x"));
        for _ in 0..99 {
            handle.record(1e-6);
        }
        handle.record(1e6);
        assert_near(
            &values(&summaries, Instant::now())[..3],
            &[1e-6, 1e-6, 1e-6],
        );
    }

    #[test]
    fn samples_leave_the_window_and_stay_in_the_sum() {
        let (summaries, start) = (summaries(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let handle = summaries.register(&Key::from_name("x"));
        let undefined = |found: &[f64]| found[..3].iter().all(|quantile| quantile.is_nan());

        assert!(
            undefined(&values(&summaries, at(0))),
            "nothing was recorded yet"
        );
        handle.record(1.0);
        summaries.take_in(at(0));
        handle.record(0.0);
        summaries.take_in(at(30));
        assert_near(&values(&summaries, at(59)), &[0.0, 1.0, 1.0, 1.0, 2.0]);
        assert_near(&values(&summaries, at(60)), &[0.0, 0.0, 0.0, 1.0, 2.0]);
        assert!(undefined(&values(&summaries, at(90))));
        assert_near(&values(&summaries, at(90))[3..], &[1.0, 2.0]);
        handle.record(4.0);
        assert_near(&values(&summaries, at(1000)), &[4.0, 4.0, 4.0, 5.0, 3.0]);
    }

    #[test]
    fn what_is_no_finite_number_is_dropped() {
        let summaries = summaries();
        let handle = summaries.register(&Key::from_name("x"));
        for sample in [f64::NAN, f64::INFINITY, 2.0, f64::NEG_INFINITY] {
            handle.record(sample);
        }
        assert_near(
            &values(&summaries, Instant::now()),
            &[2.0, 2.0, 2.0, 2.0, 1.0],
        );
    }
}
