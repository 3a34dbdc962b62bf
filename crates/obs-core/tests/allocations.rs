//! Recording on what is resolved allocates nothing, and neither does looking up a known value.

use std::time::Duration;

use obs_core::{
    By, Counter, Each, Gauge, Histogram, Keyed, Late, Outcome, TestRecorder, TimeCounter, Timed,
    buckets,
};

obs_core::label! {
    /// What is traded.
    open Symbol as "symbol" up to 10
}
obs_core::families! {
    /// One of each.
    struct OneOfEach {
        /// Counted.
        counter: Counter = "alloc_things_total",
        /// Timed.
        busy: TimeCounter = "alloc_busy_seconds_total",
        /// Set.
        gauge: Gauge = "alloc_level",
        /// By symbol and outcome.
        each: Each<Symbol, By<Outcome, Counter>> = "alloc_trades_total",
        /// On first use.
        late: Late<Outcome, Counter> = "alloc_late_total",
        /// Refuses all but shares.
        share: Histogram = "alloc_share_ratio" { buckets: buckets::SHARE, range: 0.0..=1.0 },
    }
}
obs_core::families! {
    /// Of one symbol.
    struct OfSymbol(symbol: Symbol) {
        /// Counted.
        quotes: Counter = "alloc_quotes_total",
    }
}

#[test]
fn nothing_is_allocated_on_the_way() {
    let test = TestRecorder::new();
    let (all, keyed) = test.run(|| {
        (
            OneOfEach::new(),
            Keyed::<Symbol, OfSymbol>::new(OfSymbol::FAMILIES),
        )
    });
    // First use makes what is kept from then on.
    let record = || {
        all.counter.increment(1);
        all.busy.add(Duration::from_micros(3));
        all.gauge.set(1.5);
        all.each.of("SPX")[Outcome::Ok].increment(1);
        all.late[Outcome::Error].increment(1);
        keyed.of("SPX", OfSymbol::new).quotes.increment(1);
        // What is refused, and a guard with all it does.
        all.share.record(f64::NAN);
        let timed = (&all.late, &all.busy);
        assert!(timed.start().result(Ok::<_, ()>(())).is_ok());
    };
    record();
    let counted = allocation_counter::measure(|| (0..1_000).for_each(|_| record()));
    assert_eq!(counted.count_total, 0);
    assert_eq!(test.counter("alloc_things_total", &[]), Some(1_001));
    assert_eq!(
        test.counter("alloc_quotes_total", &[("symbol", "SPX")]),
        Some(1_001)
    );

    // What is folded is counted without allocating too.
    for n in 0..20 {
        all.each.of(&n.to_string())[Outcome::Ok].increment(1);
    }
    let counted = allocation_counter::measure(|| all.each.of("beyond")[Outcome::Ok].increment(1));
    assert_eq!(counted.count_total, 0);
}
