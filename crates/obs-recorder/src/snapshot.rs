//! Everything recorded as values, for formats that are no text.

use obs_core::Kind;

use crate::TraceId;
use crate::exemplar::Exemplar;
use crate::key::labels_of;
use crate::point::{At, Point};

/// One family with all its series, as [`Engine::snapshot`](crate::Engine::snapshot) found them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FamilySnapshot {
    /// Its name in the text formats.
    pub name: String,
    /// Its kind: of all series the same.
    pub kind: Kind,
    /// Its help text; empty where there is none.
    pub help: String,
    /// The upper bounds of a histogram, ascending and without the infinite one.
    pub bounds: &'static [f64],
    /// The levels of a summary's quantiles, from 0 to 1.
    pub levels: &'static [f64],
    /// Its series, in the order of the text formats.
    pub series: Vec<SeriesSnapshot>,
}

/// One series at one moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SeriesSnapshot {
    /// Its labels with the global ones; each key once, none with an empty value.
    pub labels: Vec<(String, String)>,
    /// When it began, in milliseconds since 1970-01-01 UTC: when it was first resolved, or recorded to again after it was removed.
    /// What it counts, it has counted since.
    pub began: u64,
    /// What it shows.
    pub value: SeriesValue,
}

/// What a series shows.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SeriesValue {
    /// The total of a counter: `number` divided by 10 to the power of `decimals`.
    Counter {
        /// The digits.
        number: u64,
        /// How many of them are decimal places; 0 for what is counted, 9 for seconds.
        decimals: u8,
    },
    /// The value of a gauge, which may be `NaN` or infinite.
    Gauge(f64),
    /// The observations of a histogram since it began.
    Histogram {
        /// How many are in each bucket, not cumulated; one more than there are bounds. Their total is the count.
        buckets: Vec<u64>,
        /// Their sum.
        sum: f64,
        /// The latest observation of each bucket that was made within a trace, if the family keeps such.
        exemplars: Vec<ExemplarSnapshot>,
        /// The same observations in native buckets, where the engine [keeps such](crate::Builder::native_histograms).
        native: Option<NativeBuckets>,
    },
    /// The observations of a summary.
    Summary {
        /// The quantiles of the window, one for each level; `NaN` while it is empty.
        quantiles: Vec<f64>,
        /// How many there are since it began.
        count: u64,
        /// Their sum.
        sum: f64,
    },
}

/// Observations in the native buckets of [Prometheus](https://prometheus.io/docs/specs/native_histograms/). Together they hold as many as
/// the declared buckets of the same moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NativeBuckets {
    /// How fine they are: the upper bound of the bucket of index `i` is 2^(`i` / 2^`schema`), and belongs to it.
    pub schema: i32,
    /// How far from 0 values may be that have the zero bucket, the farthest included.
    pub zero_threshold: f64,
    /// How many are in the zero bucket.
    pub zero_count: u64,
    /// Those of values below the zero bucket that hold anything: index and count, by index. The index is that of the value without
    /// its sign.
    pub negative: Vec<(i32, u64)>,
    /// The same of values above the zero bucket.
    pub positive: Vec<(i32, u64)>,
}

/// One observation, and the trace that it was made in.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ExemplarSnapshot {
    /// The trace.
    pub trace: TraceId,
    /// What was observed.
    pub value: f64,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub at: u64,
}

impl SeriesSnapshot {
    /// A series with all of its labels; the global ones come first, unless they stand in its text.
    pub(crate) fn new(globals: &[(String, String)], at: At<'_>, point: Point<'_>) -> Self {
        let mut labels = if at.is_whole {
            Vec::new()
        } else {
            globals.to_vec()
        };
        labels.extend(labels_of(at.labels()));
        Self {
            labels,
            began: at.began(),
            value: point.into(),
        }
    }
}

impl From<Point<'_>> for SeriesValue {
    fn from(point: Point<'_>) -> Self {
        match point {
            Point::Counter { number, decimals } => Self::Counter { number, decimals },
            Point::Gauge(value) => Self::Gauge(value),
            Point::Histogram {
                buckets,
                sum,
                exemplars,
                native,
            } => Self::Histogram {
                buckets: buckets.to_vec(),
                sum,
                exemplars: exemplars
                    .iter()
                    .flat_map(|exemplars| exemplars.all())
                    .map(|Exemplar { trace, value, at }| ExemplarSnapshot { trace, value, at })
                    .collect(),
                native: native.cloned(),
            },
            Point::Summary {
                quantiles,
                count,
                sum,
            } => Self::Summary {
                quantiles: quantiles.to_vec(),
                count,
                sum,
            },
        }
    }
}
