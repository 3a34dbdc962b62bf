//! What stands of series in a mapped file, so that another process can show them.

use std::sync::OnceLock;

use obs_memory::{Memory, Record};

use crate::cell::Store;
use crate::key::{is_label, labels_of, metric_name};
use crate::metric::Metric;
use crate::registry::Family;

/// The number of a series in its file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number {
    memory: Memory,
    series: u32,
}

/// Enters a new series, and its family with the first; nothing where there is no file, it has no room, or the series cannot be in one.
pub(crate) fn series<M: Metric>(
    metric: &M,
    family: &Family<M>,
    number: &OnceLock<Option<u32>>,
    labels: &str,
    began: u64,
    store: &Store,
) -> Option<Number> {
    let memory = store.memory()?;
    let (block, first) = metric.filed()?.in_file();
    let labels = labels_of(labels);
    // Others have no place in the classic text, which is what readers of a file write.
    if labels.iter().any(|(name, _)| !is_label(name)) {
        return None;
    }
    let enter = || {
        let name = family.name();
        let (decimals, bounds) = M::in_file(&family.shape);
        let record = Record::Family {
            name: name.to_owned(),
            kind: kind_of(M::KIND),
            decimals,
            bounds: bounds.to_vec(),
        };
        (metric_name(name) == name)
            .then(|| memory.append(&record))
            .flatten()
    };
    let family = (*number.get_or_init(enter))?;
    let series = memory.append(&Record::Series {
        family,
        block,
        first,
        began,
        labels,
    })?;
    Some(Number { memory, series })
}

impl Number {
    /// The series is hidden, and its words held this.
    pub(crate) fn hidden(self, words: Vec<u64>) {
        let series = self.series;
        self.memory.append(&Record::Hidden { series, words });
    }

    /// The series is shown again, since then.
    pub(crate) fn shown(self, began: u64) {
        let series = self.series;
        self.memory.append(&Record::Shown { series, began });
    }

    /// The words of the series will be another's.
    pub(crate) fn gone(self) {
        let series = self.series;
        self.memory.append(&Record::Gone { series });
    }
}

fn kind_of(kind: obs_core::Kind) -> obs_memory::Kind {
    match kind {
        obs_core::Kind::Counter => obs_memory::Kind::Counter,
        obs_core::Kind::Gauge => obs_memory::Kind::Gauge,
        obs_core::Kind::Histogram => obs_memory::Kind::Histogram,
        obs_core::Kind::Summary => obs_memory::Kind::Summary,
    }
}
