//! What the parts of recording cost by themselves: beside these one sees what a target that is missed is missed by.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use metrics::CounterFn;
use obs_core::Table;

use crate::contest::{Contender, Effort, Figure, OURS, nanoseconds};
use crate::library::{self, Labels};

/// How many cycles a multiplication takes that waits for the one before, on every processor of the last ten years.
const CYCLES: f64 = 3.0;

/// A counter behind the facade that counts nothing.
struct Nothing;

/// One that adds to a word of its own, as one thread may.
struct Word(AtomicU64);

impl CounterFn for Nothing {
    fn increment(&self, n: u64) {
        black_box(n);
    }

    fn absolute(&self, _: u64) {}
}

impl CounterFn for Word {
    fn increment(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    fn absolute(&self, _: u64) {}
}

/// Measures the parts. The first figure is that of the multiplication, of which follows how long a cycle is.
pub(crate) fn measure(effort: Effort) -> Vec<Figure> {
    let labels = Labels::few();
    let mut contenders = vec![Contender::new("a multiplication", |n| {
        // By itself: of equal factors, the compiler takes several steps at once.
        black_box((0..n).fold(black_box(3_u64), |power, _| power.wrapping_mul(power)));
    })];
    contenders.extend(additions());
    contenders.extend(lookups(&labels));
    nanoseconds(&contenders, 1, effort)
}

/// The length of a cycle, in nanoseconds.
pub(crate) fn cycle(parts: &[Figure]) -> f64 {
    parts.first().map_or(f64::NAN, |figure| figure.min / CYCLES)
}

fn additions() -> Vec<Contender<'static>> {
    let (locked, own) = (AtomicU64::new(0), AtomicU64::new(0));
    let nothing = metrics::Counter::from_arc(Arc::new(Nothing));
    let word = metrics::Counter::from_arc(Arc::new(Word(AtomicU64::new(0))));
    let mut contenders = vec![
        Contender::new("a locked addition", move |n| {
            (0..n).for_each(|_| _ = locked.fetch_add(black_box(1), Relaxed));
        }),
        Contender::new("a load, an addition and a store", move |n| {
            (0..n).for_each(|_| own.store(own.load(Relaxed).wrapping_add(black_box(1)), Relaxed));
        }),
        Contender::new(
            "the facade's call to a counter that does nothing",
            move |n| {
                (0..n).for_each(|_| nothing.increment(black_box(1)));
            },
        ),
        Contender::new("the same to one that loads, adds and stores", move |n| {
            (0..n).for_each(|_| word.increment(black_box(1)));
        }),
    ];
    contenders.extend(library::counters().into_iter().filter_map(|contender| {
        (contender.name == OURS).then_some(Contender {
            name: "ours without a call, which finds the thread's word",
            ..contender
        })
    }));
    contenders
}

fn lookups(labels: &Labels) -> Vec<Contender<'_>> {
    let table = Table::new(8);
    for n in 0..64 {
        table.get_or_insert(labels.at(n)[0], || n);
    }
    let mut contenders = vec![
        Contender::new("reading three labels", |n| {
            (0..n).for_each(|n| _ = black_box(labels.at(n).map(str::len)));
        }),
        Contender::new("reading them and looking one up", move |n| {
            (0..n).for_each(|n| _ = black_box(table.get(labels.at(n)[0])));
        }),
    ];
    contenders.extend(
        library::labelled_counters(labels)
            .into_iter()
            .filter_map(|contender| {
                (contender.name == OURS).then_some(Contender {
                    name: "looking all three up, one in what the other found, and counting",
                    ..contender
                })
            }),
    );
    contenders
}
