//! Measuring contenders in turn, and what came out of it.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use core_affinity::CoreId;
use serde::Serialize;

/// How much work is put into a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// How long one contender runs in one round.
    pub(crate) batch: Duration,
    /// Divides the great numbers of series and observations.
    pub(crate) divisor: usize,
}

impl Effort {
    pub(crate) const FULL: Self = Self {
        rounds: 15,
        batch: Duration::from_millis(40),
        divisor: 1,
    };
    pub(crate) const QUICK: Self = Self {
        rounds: 5,
        batch: Duration::from_millis(10),
        divisor: 10,
    };
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
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let run = |contender: &Contender<'_>, n: u64| run_on_threads(contender, n, threads, &cores);
    let sizes: Vec<u64> = contenders
        .iter()
        .map(|contender| size(|n| run(contender, n), effort.batch))
        .collect();
    let mut taken: Vec<Vec<f64>> = vec![Vec::new(); contenders.len()];
    for round in 0..effort.rounds {
        // Nobody always comes first.
        for step in 0..contenders.len() {
            let at = (step + round) % contenders.len();
            let n = sizes[at];
            taken[at].push(run(&contenders[at], n).as_secs_f64() * 1e9 / n as f64);
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

/// How many operations fill a batch.
fn size(run: impl Fn(u64) -> Duration, batch: Duration) -> u64 {
    let mut n = 1;
    loop {
        let took = run(n);
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

fn run_on_threads(contender: &Contender<'_>, n: u64, threads: usize, cores: &[CoreId]) -> Duration {
    if threads == 1 {
        let start = Instant::now();
        (contender.work)(black_box(n));
        return start.elapsed();
    }
    let ready = Barrier::new(threads);
    let longest = |times: Vec<Duration>| times.into_iter().max().unwrap_or_default();
    std::thread::scope(|scope| {
        let started: Vec<_> = (0..threads)
            .map(|number| {
                let ready = &ready;
                scope.spawn(move || {
                    if let Some(core) = cores.get(number % cores.len().max(1)) {
                        core_affinity::set_for_current(*core);
                    }
                    ready.wait();
                    let start = Instant::now();
                    (contender.work)(black_box(n));
                    start.elapsed()
                })
            })
            .collect();
        longest(
            started
                .into_iter()
                .filter_map(|thread| thread.join().ok())
                .collect(),
        )
    })
}

/// One line of the result.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) line: String,
    pub(crate) ours: f64,
    pub(crate) median: f64,
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
            median: ours.median,
            unit,
            peer: best.map_or(String::new(), |best| best.name.to_owned()),
            best_peer: best.map_or(f64::NAN, |best| best.min),
            floor: find(FLOOR).map(|floor| floor.min),
            ratio: best.map_or(f64::NAN, |best| ours.min / best.min),
            target,
            all: figures,
        }
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
