//! What stands of series in a mapped file, so that another process can show them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use obs_memory::{Across, Cell, Memory, Record, Side, fork_depth};

use crate::cell::{InFile, Store};
use crate::key::{is_label, labels_of, metric_name};
use crate::metric::Metric;
use crate::registry::Family;

/// The number of a series in its file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number {
    memory: Memory,
    series: u32,
    /// Which process' file that is. One that is forked from it says nothing of the series: what it adds is in its parent's words, but for
    /// those that it makes itself.
    depth: u16,
}

/// The number of a series in the file of a process that is forked from the one that made it.
#[derive(Debug, Default)]
pub(crate) struct Beside(AtomicU64);

impl Beside {
    /// The number in the file of this process; `enter` enters the series there. One caller at a time.
    pub(crate) fn number(&self, enter: impl FnOnce() -> Option<u32>) -> Option<u32> {
        let depth = u64::from(fork_depth()) << 32;
        let known = self.0.load(Relaxed);
        if known >> 32 == depth >> 32 && depth != 0 {
            #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
            return Some(known as u32);
        }
        let number = enter()?;
        // What is known in this process' parent is of another file.
        self.0.store(depth | u64::from(number), Relaxed);
        Some(number)
    }
}

/// What is said of a family, beside its name and kind.
#[derive(Debug, Default)]
pub(crate) struct Description<'a> {
    /// How many digits of a counter are decimal places.
    pub(crate) decimals: u8,
    /// The bounds of a histogram's buckets.
    pub(crate) bounds: &'a [f64],
    /// What its gauges make together with those of other processes.
    pub(crate) across: Across,
    /// The schema of its native buckets and the reach of their zero bucket, if it has such.
    pub(crate) native: Option<(i32, f64)>,
}

/// Enters a new series, and its family with the first; nothing where there is no file, it has no room, or the series cannot be in one.
pub(crate) fn series<M: Metric>(
    metric: &M,
    family: &Family<M>,
    number: &OnceLock<Option<u32>>,
    labels: impl FnOnce() -> String,
    began: u64,
    store: &Store,
) -> Option<Number> {
    let memory = store.memory()?;
    let InFile { block, first } = metric.filed()?;
    let labels = labels_of(&labels());
    // Others have no place in the classic text, which is what readers of a file write.
    if labels.iter().any(|(name, _)| !is_label(name)) {
        return None;
    }
    let enter = || {
        let name = family.name();
        if metric_name(name) != name {
            return None;
        }
        let described = M::described(&family.shape);
        let number = memory.append(&Record::Family {
            name: name.to_owned(),
            kind: kind_of(M::KIND),
            decimals: described.decimals,
            bounds: described.bounds.to_vec(),
        })?;
        if described.across != Across::Last {
            let across = described.across;
            memory.append(&Record::Across {
                family: number,
                across,
            });
        }
        if let Some((schema, zero_threshold)) = described.native {
            memory.append(&Record::Native {
                family: number,
                schema,
                zero_threshold,
            })?;
        }
        Some(number)
    };
    let family = (*number.get_or_init(enter))?;
    let series = memory.append(&Record::Series {
        family,
        block,
        first,
        began,
        labels,
    })?;
    Some(Number {
        memory,
        series,
        depth: fork_depth(),
    })
}

impl Number {
    /// The series is hidden, and its words held this.
    pub(crate) fn hidden(self, words: Vec<u64>) {
        let series = self.series;
        self.say(&Record::Hidden { series, words });
    }

    /// Words of a native histogram, before anybody records to them. In a forked process they are in a file of its own, in which the series
    /// has the number that `beside` gives.
    pub(crate) fn chunk(
        self,
        at: InFile,
        side: Side,
        cells: Vec<Cell>,
        beside: impl FnOnce() -> Option<u32>,
    ) {
        let own = self.is_own().then_some(self.series);
        let Some(series) = own.or_else(beside) else {
            return;
        };
        self.memory.append(&Record::Chunk {
            series,
            block: at.block,
            first: at.first,
            side,
            cells,
        });
    }

    /// Enters the series again, in the file of a forked process: of which family, with which labels, and when it began.
    pub(crate) fn enter_again(self, family: u32, labels: &str, began: u64) -> Option<u32> {
        self.memory.append(&Record::Series {
            family,
            block: 0,
            first: 0,
            began,
            labels: labels_of(labels),
        })
    }

    /// Words of a native histogram held this, which will be [`hidden`](Self::hidden).
    pub(crate) fn held(self, at: InFile, words: Vec<u64>) {
        self.say(&Record::Held {
            series: self.series,
            block: at.block,
            first: at.first,
            words,
        });
    }

    /// The series is shown again, since then.
    pub(crate) fn shown(self, began: u64) {
        let series = self.series;
        self.say(&Record::Shown { series, began });
    }

    /// The words of the series will be another's.
    pub(crate) fn gone(self) {
        let series = self.series;
        self.say(&Record::Gone { series });
    }

    fn is_own(self) -> bool {
        self.depth == fork_depth()
    }

    /// Appends a record of the series, where it is in the file of this process.
    fn say(self, record: &Record) {
        if self.is_own() {
            self.memory.append(record);
        }
    }
}

pub(crate) fn across_of(across: obs_core::Across) -> Across {
    match across {
        obs_core::Across::Sum => Across::Sum,
        obs_core::Across::Max => Across::Max,
        obs_core::Across::Min => Across::Min,
        _ => Across::Last,
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
