//! Exemplars: for each bucket of a histogram, one observation and the trace it was made in.

use std::sync::{Mutex, OnceLock, TryLockError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::lock;
use crate::snapshot::ExemplarSnapshot;

/// The 16 bytes of a trace identifier, as W3C and OpenTelemetry have it.
pub type TraceId = [u8; 16];

static SOURCE: OnceLock<fn() -> Option<TraceId>> = OnceLock::new();

/// Says where the identifier of the current trace is found; without this there are no exemplars.
///
/// Histograms whose families say `exemplars: true` ask it for every observation, on the thread that observes, so it is to be
/// fast: a read of a thread-local. `obs-exporter` has one for `OpenTelemetry` (feature `opentelemetry`). An identifier of zeroes
/// means "none", as there.
///
/// The first source of a process stays. Returns whether this one was the first.
pub fn set_trace_id_source(source: fn() -> Option<TraceId>) -> bool {
    SOURCE.set(source).is_ok()
}

/// The latest exemplar of every bucket.
#[derive(Debug)]
pub(crate) struct Exemplars(Box<[Mutex<Option<Exemplar>>]>);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Exemplar {
    pub(crate) trace: TraceId,
    pub(crate) value: f64,
    /// Milliseconds since 1970.
    pub(crate) at: u64,
}

impl Exemplars {
    pub(crate) fn new(buckets: usize) -> Self {
        Self((0..buckets).map(|_| Mutex::default()).collect())
    }

    /// Those of a snapshot, each in the bucket of its value.
    pub(crate) fn of(bounds: &[f64], known: &[ExemplarSnapshot]) -> Self {
        let exemplars = Self::new(bounds.len() + 1);
        for &ExemplarSnapshot { trace, value, at } in known {
            let bucket = bounds.partition_point(|bound| value > *bound);
            *lock(&exemplars.0[bucket]) = Some(Exemplar { trace, value, at });
        }
        exemplars
    }

    /// Keeps the observation if a trace is current. Does not wait: one that comes while the bucket's is read or written is
    /// as good as any other, and is left out.
    pub(crate) fn note(&self, bucket: usize, value: f64) {
        let trace = SOURCE.get().and_then(|source| source());
        let Some(trace) = trace.filter(|trace| *trace != TraceId::default()) else {
            return;
        };
        let exemplar = Exemplar {
            trace,
            value,
            at: now(),
        };
        match self.0[bucket].try_lock() {
            Ok(mut latest) => *latest = Some(exemplar),
            Err(TryLockError::Poisoned(latest)) => *latest.into_inner() = Some(exemplar),
            Err(TryLockError::WouldBlock) => {}
        }
    }

    pub(crate) fn latest(&self, bucket: usize) -> Option<Exemplar> {
        *lock(&self.0[bucket])
    }

    /// Those that there are.
    pub(crate) fn all(&self) -> impl Iterator<Item = Exemplar> {
        (0..self.0.len()).filter_map(|bucket| self.latest(bucket))
    }

    pub(crate) fn clear(&self) {
        self.0.iter().for_each(|latest| *lock(latest) = None);
    }
}

/// Milliseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
