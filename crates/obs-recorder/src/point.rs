//! What lies between kinds and formats. A kind yields the point that each of its series shows, and knows no format; a format encodes
//! points, and knows of the kinds what is in those.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use obs_core::Kind;

use crate::exemplar::Exemplars;
use crate::names::Names;
use crate::slot;
use crate::snapshot::NativeBuckets;

/// What a series shows at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Point<'a> {
    /// The total of a counter: `number` divided by 10 to the power of `decimals`.
    Counter {
        number: u64,
        decimals: u8,
    },
    Gauge(f64),
    /// The observations of a histogram. The count is what all buckets hold.
    Histogram {
        /// How many are in each declared bucket, not cumulated.
        buckets: &'a [u64],
        sum: f64,
        exemplars: Option<&'a Exemplars>,
        /// The same observations, where the [moment](Moment) asks for them and the kind has such.
        native: Option<&'a NativeBuckets>,
    },
    Summary {
        quantiles: &'a [f64],
        count: u64,
        sum: f64,
    },
}

/// Where points keep what they have several of, from one series to the next.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) buckets: Vec<u64>,
    pub(crate) quantiles: Vec<f64>,
    pub(crate) native: Option<NativeBuckets>,
}

/// At which moment everything is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// The highest lane that is read.
    pub(crate) highest: usize,
    pub(crate) now: Instant,
    /// Whether native buckets are read, too.
    pub(crate) native: bool,
}

impl Moment {
    pub(crate) fn now(native: bool) -> Self {
        Self {
            highest: slot::highest(),
            now: Instant::now(),
            native,
        }
    }
}

/// What the series of a family have in common.
#[derive(Clone, Copy)]
pub(crate) struct Heading<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: Kind,
    pub(crate) help: &'a str,
    /// What its values are measured in, where there is a word for it.
    pub(crate) unit: Option<&'static str>,
    /// The upper bounds of a histogram, without the infinite one.
    pub(crate) bounds: &'a [f64],
    /// The levels of a summary's quantiles.
    pub(crate) levels: &'static [f64],
}

/// Which series is encoded.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    /// What the encoder wants in front, and the labels.
    pub(crate) text: &'a str,
    /// Where the labels begin in that.
    pub(crate) front: usize,
    /// Whether global labels stand in them.
    pub(crate) is_whole: bool,
    /// When it began, in milliseconds since 1970. Most encoders do not ask, and it is not in the cache.
    pub(crate) created: &'a AtomicU64,
}

impl<'a> At<'a> {
    pub(crate) fn labels(&self) -> &'a str {
        &self.text[self.front..]
    }

    pub(crate) fn began(&self) -> u64 {
        self.created.load(Relaxed)
    }

    /// The text that the encoder wanted in front with the labels behind it, where that is how the series begins: it has labels, and
    /// all of them stand behind the global ones.
    #[inline]
    pub(crate) fn begun(&self) -> Option<&'a str> {
        (!self.is_whole && self.front > 0 && self.text.len() > self.front).then_some(self.text)
    }
}

/// Writes in some format what the series of a family show, one after another.
pub(crate) trait Encoder {
    /// What stands in front of the labels of most series; may be nothing. It is laid before them once, and not for each series.
    fn front(&self) -> String {
        String::new()
    }

    fn series(&mut self, at: At<'_>, point: Point<'_>);
}

/// An encoder that is a function.
pub(crate) struct Each<F>(pub(crate) F);

impl<F: FnMut(At<'_>, Point<'_>)> Encoder for Each<F> {
    #[inline]
    fn series(&mut self, at: At<'_>, point: Point<'_>) {
        (self.0)(at, point);
    }
}

/// Series under names of labels that are escaped. Of some that become one, the first is shown.
pub(crate) struct Escaped<'a> {
    names: Names,
    written: HashSet<String>,
    to: &'a mut dyn Encoder,
}

impl<'a> Escaped<'a> {
    pub(crate) fn new(names: Names, to: &'a mut dyn Encoder) -> Self {
        Self {
            names,
            written: HashSet::new(),
            to,
        }
    }
}

impl Encoder for Escaped<'_> {
    fn series(&mut self, at: At<'_>, point: Point<'_>) {
        let labels = self.names.labels(at.labels());
        if let Cow::Owned(escaped) = &labels
            && !self.written.insert(escaped.clone())
        {
            return;
        }
        let at = At {
            text: &labels,
            front: 0,
            ..at
        };
        self.to.series(at, point);
    }
}
