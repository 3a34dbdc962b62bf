//! Everything recorded as values, for formats that are no text.

use std::borrow::Cow;

use obs_core::Kind;

use crate::exemplar::{Exemplar, Exemplars};
use crate::key::labels_of;
use crate::point::{At, Heading, Point};
use crate::{TraceId, protobuf};

/// One family with all its series, as [`Engine::snapshot`](crate::Engine::snapshot) found them, or as another source of values has put
/// them together.
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
    pub bounds: Cow<'static, [f64]>,
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

impl FamilySnapshot {
    /// A family without help, bounds, levels and series, for what has its values from elsewhere than an engine.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
            help: String::new(),
            bounds: Cow::Borrowed(&[]),
            levels: &[],
            series: Vec::new(),
        }
    }

    /// Appends the family as a scrape in protobuf has it: a message behind its length, of the type
    /// [`PROTOBUF_MEDIA_TYPE`](crate::PROTOBUF_MEDIA_TYPE). Several of them are a scrape.
    ///
    /// ```
    /// use obs_core::Kind;
    /// use obs_recorder::{FamilySnapshot, SeriesSnapshot, SeriesValue};
    ///
    /// let mut family = FamilySnapshot::new("queue_depth", Kind::Gauge);
    /// let labels = vec![("shard".to_owned(), "2".to_owned())];
    /// family.series.push(SeriesSnapshot::new(labels, 0, SeriesValue::Gauge(7.0)));
    /// let mut scrape = Vec::new();
    /// family.append_protobuf(&mut scrape);
    /// assert_eq!(usize::from(scrape[0]), scrape.len() - 1);
    /// ```
    pub fn append_protobuf(&self, out: &mut Vec<u8>) {
        let of = Heading {
            name: &self.name,
            kind: self.kind,
            help: &self.help,
            unit: None,
            bounds: &self.bounds,
            levels: self.levels,
        };
        protobuf::family(out, &of, "", |family| {
            self.series
                .iter()
                .for_each(|series| family.snapshot(series));
        });
    }
}

impl SeriesSnapshot {
    /// A series that began at a time, in milliseconds since 1970-01-01 UTC. The labels have each key once, and none an empty value.
    #[must_use]
    pub fn new(labels: Vec<(String, String)>, began: u64, value: SeriesValue) -> Self {
        Self {
            labels,
            began,
            value,
        }
    }

    /// A series of an engine with all of its labels; the global ones come first, unless they stand in its text.
    pub(crate) fn at(globals: &[(String, String)], at: At<'_>, point: Point<'_>) -> Self {
        let mut labels = if at.is_whole {
            Vec::new()
        } else {
            globals.to_vec()
        };
        labels.extend(labels_of(at.labels()));
        Self::new(labels, at.began(), point.into())
    }
}

impl NativeBuckets {
    /// Buckets of which none holds anything.
    #[must_use]
    pub fn new(schema: i32, zero_threshold: f64) -> Self {
        Self {
            schema,
            zero_threshold,
            zero_count: 0,
            negative: Vec::new(),
            positive: Vec::new(),
        }
    }
}

impl SeriesValue {
    /// The exemplars of a histogram that has any.
    pub(crate) fn exemplars(&self, bounds: &[f64]) -> Option<Exemplars> {
        match self {
            Self::Histogram { exemplars, .. } if !exemplars.is_empty() => {
                Some(Exemplars::of(bounds, exemplars))
            }
            _ => None,
        }
    }

    /// The same as a format encodes it.
    pub(crate) fn point<'a>(&'a self, exemplars: Option<&'a Exemplars>) -> Point<'a> {
        match self {
            &Self::Counter { number, decimals } => Point::Counter { number, decimals },
            Self::Gauge(value) => Point::Gauge(*value),
            Self::Histogram {
                buckets,
                sum,
                native,
                ..
            } => Point::Histogram {
                buckets,
                sum: *sum,
                exemplars,
                native: native.as_ref(),
            },
            Self::Summary {
                quantiles,
                count,
                sum,
            } => Point::Summary {
                quantiles,
                count: *count,
                sum: *sum,
            },
        }
    }
}

impl From<Point<'_>> for SeriesValue {
    #[inline]
    fn from(point: Point<'_>) -> Self {
        match point {
            Point::Counter { number, decimals } => Self::Counter { number, decimals },
            Point::Gauge(value) => Self::Gauge(value),
            point => Self::of_several(point),
        }
    }
}

impl SeriesValue {
    /// Of a point that has several numbers. Apart, so that the others are made without a call.
    fn of_several(point: Point<'_>) -> Self {
        match point {
            Point::Counter { .. } | Point::Gauge(_) => point.into(),
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
