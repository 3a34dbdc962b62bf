//! Measuring contenders in turn, and what came out of it.

use std::hint::black_box;
use std::sync::{Barrier, OnceLock};
use std::time::{Duration, Instant};

use core_affinity::CoreId;
use serde::Serialize;

/// How much work is put into a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// How long one contender runs in one round: short, so that on a machine with other work some rounds are undisturbed.
    pub(crate) batch: Duration,
    /// Divides the great numbers of series and observations.
    pub(crate) divisor: usize,
}

impl Effort {
    pub(crate) const FULL: Self = Self {
        rounds: 60,
        batch: Duration::from_millis(4),
        divisor: 1,
    };
    pub(crate) const QUICK: Self = Self {
        rounds: 25,
        batch: Duration::from_millis(2),
        divisor: 10,
    };
}

/// The cores of this machine. To be asked for before the first thread is pinned: a pinned one sees its own core only.
pub(crate) fn cores() -> &'static [CoreId] {
    static CORES: OnceLock<Vec<CoreId>> = OnceLock::new();
    CORES.get_or_init(|| core_affinity::get_core_ids().unwrap_or_default())
}

/// Something that does an operation `n` times.
pub(crate) type Work<'a> = Box<dyn Fn(u64) + Sync + 'a>;

/// One that is measured.
pub(crate) struct Contender<'a> {
    pub(crate) name: &'static str,
    pub(crate) work: Work<'a>,
}

impl<'a> Contender<'a> {
    pub(crate) fn new(name: &'static str, work: impl Fn(u64) + Sync + 'a) -> Self {
        Self {
            name,
            work: Box::new(work),
        }
    }
}

/// The name of what is written by hand and can hardly be beaten.
pub(crate) const FLOOR: &str = "floor";
/// The name of what this workspace offers.
pub(crate) const OURS: &str = "obs";

/// What one contender took for one operation.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) min: f64,
    pub(crate) median: f64,
}

impl Figure {
    pub(crate) fn exact(name: &'static str, value: f64) -> Self {
        Self {
            name,
            min: value,
            median: value,
        }
    }

    pub(crate) fn of(name: &'static str, mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        Self {
            name,
            min: at(0),
            median: at(values.len() / 2),
        }
    }

    /// The same but for what another took, which was part of it.
    pub(crate) fn without(mut self, other: &Self) -> Self {
        self.min -= other.min;
        self.median -= other.median;
        self
    }

    fn scaled(mut self, by: f64) -> Self {
        self.min *= by;
        self.median *= by;
        self
    }
}

/// Nanoseconds an operation, on so many threads at once, each on a core of its own.
pub(crate) fn nanoseconds(
    contenders: &[Contender<'_>],
    threads: usize,
    effort: Effort,
) -> Vec<Figure> {
    let sizes = contenders
        .iter()
        .map(|contender| size(contender, effort.batch));
    let sizes: Vec<u64> = sizes.collect();
    let mut taken: Vec<Vec<f64>> = vec![Vec::new(); contenders.len()];
    for round in 0..effort.rounds {
        // Nobody always comes first.
        for step in 0..contenders.len() {
            let at = (step + round) % contenders.len();
            let n = sizes[at];
            let tries = std::iter::repeat_with(|| run_on_threads(&contenders[at], n, threads));
            if let Some(time) = tries.take(5).flatten().next() {
                taken[at].push(time.as_secs_f64() * 1e9 / n as f64);
            }
        }
    }
    let figures = contenders.iter().zip(taken);
    figures
        .map(|(contender, taken)| Figure::of(contender.name, taken))
        .collect()
}

/// Milliseconds of one operation each.
pub(crate) fn milliseconds(contenders: &[Contender<'_>], effort: Effort) -> Vec<Figure> {
    let long = Effort {
        batch: Duration::from_nanos(1),
        ..effort
    };
    nanoseconds(contenders, 1, long)
        .into_iter()
        .map(|figure| figure.scaled(1e-6))
        .collect()
}

/// How many operations fill a batch, on one thread.
fn size(contender: &Contender<'_>, batch: Duration) -> u64 {
    let mut n = 1;
    loop {
        let took = run_on_threads(contender, n, 1).unwrap_or_default();
        if took >= batch {
            return n;
        }
        let grow = batch.as_secs_f64() / took.as_secs_f64().max(1e-9) * 1.1;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate"
        )]
        let next = (n as f64 * grow.clamp(1.5, 100.0)) as u64;
        n = next.max(n + 1);
    }
}

/// The time of the slower one of so many threads at once; nothing where another program kept them from running side by side.
fn run_on_threads(contender: &Contender<'_>, n: u64, threads: usize) -> Option<Duration> {
    let work = || {
        let start = Instant::now();
        (contender.work)(black_box(n));
        (start, Instant::now())
    };
    if threads == 1 {
        let (start, end) = work();
        return Some(end - start);
    }
    let (ready, cores) = (Barrier::new(threads), cores());
    let times: Vec<(Instant, Instant)> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..threads)
            .map(|number| {
                let ready = &ready;
                scope.spawn(move || {
                    if let Some(core) = cores.get(number % cores.len().max(1)) {
                        core_affinity::set_for_current(*core);
                    }
                    ready.wait();
                    work()
                })
            })
            .collect();
        started
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .collect()
    });
    let from = (
        times.iter().map(|time| time.0).min()?,
        times.iter().map(|time| time.0).max()?,
    );
    let to = (
        times.iter().map(|time| time.1).min()?,
        times.iter().map(|time| time.1).max()?,
    );
    let together = to.0.saturating_duration_since(from.1).as_secs_f64();
    let all = (to.1 - from.0).as_secs_f64();
    // More threads than cores never do.
    let is_side_by_side = together >= 0.8 * all || threads > cores.len();
    is_side_by_side.then(|| times.iter().map(|(start, end)| *end - *start).max())?
}

/// One line of the result.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) line: String,
    /// What is compared: the least, or the median where threads meet.
    pub(crate) ours: f64,
    /// The other of the two.
    pub(crate) other: f64,
    pub(crate) unit: &'static str,
    pub(crate) peer: String,
    pub(crate) best_peer: f64,
    pub(crate) floor: Option<f64>,
    pub(crate) ratio: f64,
    pub(crate) target: f64,
    pub(crate) all: Vec<Figure>,
}

impl Row {
    /// Compares with the best peer.
    pub(crate) fn new(
        line: impl Into<String>,
        unit: &'static str,
        target: f64,
        figures: Vec<Figure>,
    ) -> Self {
        let find = |name: &str| figures.iter().find(|figure| figure.name == name);
        let ours = find(OURS)
            .cloned()
            .unwrap_or_else(|| Figure::exact(OURS, f64::NAN));
        let peers = figures
            .iter()
            .filter(|figure| figure.name != OURS && figure.name != FLOOR);
        let best = peers.min_by(|a, b| a.min.total_cmp(&b.min));
        Self {
            line: line.into(),
            ours: ours.min,
            other: ours.median,
            unit,
            peer: best.map_or(String::new(), |best| best.name.to_owned()),
            best_peer: best.map_or(f64::NAN, |best| best.min),
            floor: find(FLOOR).map(|floor| floor.min),
            ratio: best.map_or(f64::NAN, |best| ours.min / best.min),
            target,
            all: figures,
        }
    }

    /// Compares medians: of threads that are to meet in one place, the least time is that of a round in which they did not.
    pub(crate) fn of_medians(
        line: impl Into<String>,
        unit: &'static str,
        target: f64,
        mut figures: Vec<Figure>,
    ) -> Self {
        for figure in &mut figures {
            std::mem::swap(&mut figure.min, &mut figure.median);
        }
        let mut row = Self::new(line, unit, target, figures);
        for figure in &mut row.all {
            std::mem::swap(&mut figure.min, &mut figure.median);
        }
        row
    }

    /// Compares with something else than the best peer.
    pub(crate) fn against(mut self, line: impl Into<String>, value: f64, target: f64) -> Self {
        self.line = line.into();
        self.ratio = self.ours / value;
        self.target = target;
        self
    }

    pub(crate) fn is_within(&self) -> bool {
        self.ratio <= self.target
    }
}
