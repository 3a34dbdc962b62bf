//! Upkeep: what is done now and then, whether or not anybody scrapes.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use crate::ExporterError;

/// A thread that does upkeep until this is dropped. A thread and not a task, because samples are recorded whether or not
/// an async runtime runs.
#[derive(Debug)]
pub(crate) struct Upkeep {
    /// Dropped, it wakes the thread and ends it.
    _running: Sender<()>,
}

impl Upkeep {
    pub(crate) fn start(
        name: &str,
        interval: Duration,
        mut upkeep: impl FnMut() + Send + 'static,
    ) -> Result<Self, ExporterError> {
        let (running, ended) = mpsc::channel::<()>();
        let run = move || {
            while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                upkeep();
            }
        };
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(run)
            .map_err(ExporterError::Upkeep)?;
        Ok(Self { _running: running })
    }
}
