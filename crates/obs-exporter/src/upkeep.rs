//! Upkeep: taking in recorded samples, which otherwise pile up until a scrape.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::PrometheusHandle;

use crate::ExporterError;
use crate::summary::Summaries;

/// A thread that does upkeep until this is dropped. A thread and not a task, because samples are recorded whether or not
/// an async runtime runs.
#[derive(Debug)]
pub(crate) struct Upkeep {
    /// Dropped, it wakes the thread and ends it.
    _running: Sender<()>,
}

impl Upkeep {
    pub(crate) fn start(
        recorder: PrometheusHandle,
        summaries: Arc<Summaries>,
        interval: Duration,
    ) -> Result<Self, ExporterError> {
        let (running, ended) = mpsc::channel::<()>();
        let run = move || {
            while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                recorder.run_upkeep();
                summaries.take_in(Instant::now());
            }
        };
        thread::Builder::new()
            .name("obs-upkeep".to_owned())
            .spawn(run)
            .map_err(ExporterError::Upkeep)?;
        Ok(Self { _running: running })
    }
}
