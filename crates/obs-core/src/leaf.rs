//! The leaves of a family: the handles that record.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::IntoF64;

use crate::cells::{
    BEGIN_UNDEFINED, CounterCell, GaugeCell, HistogramCell, NativeCell, Offered, add_owned, slot,
};
use crate::{Kind, LabelNode, MAX_SECONDS, Series, Site};

/// A [`TimeCounter`] counts nanoseconds.
pub(crate) const TIME_DECIMALS: u8 = 9;

/// A [`MoneyCounter`] counts millionths of the currency's unit.
pub(crate) const MONEY_DECIMALS: u8 = 6;

/// What all counters have: a word of this thread's to add to, where the recorder offers one, and the facade's handle for all else. The
/// latter also keeps the series alive, and with it the word.
#[derive(Clone, Debug)]
struct Count {
    cell: CounterCell,
    handle: metrics::Counter,
}

impl Count {
    fn resolve(site: Site) -> Self {
        let (handle, cell) = site.counter();
        Self { cell, handle }
    }

    #[inline]
    fn increment(&self, n: u64) {
        match self.cell.own() {
            Some(word) => add_owned(word, n),
            None => self.call(n),
        }
    }

    /// Where this thread alone may write; made by a call of the handle, if it has not recorded there before. `None` where no recorder
    /// offers a word, and on threads that have none to themselves.
    fn own(&self) -> Option<&AtomicU64> {
        self.cell.own().or_else(|| {
            if self.cell.is_any() {
                self.call(0);
            }
            self.cell.own()
        })
    }

    /// Apart, so that what adds by itself carries none of it.
    #[inline(never)]
    fn call(&self, n: u64) {
        self.handle.increment(n);
    }

    #[inline]
    fn absolute(&self, total: u64) {
        self.handle.absolute(total);
    }
}

/// A handle to a counter: a whole number that only goes up.
#[derive(Clone, Debug)]
pub struct Counter(Count);

impl Counter {
    /// Adds `n`.
    #[inline]
    pub fn increment(&self, n: u64) {
        self.0.increment(n);
    }

    /// Raises the counter to a total that is counted elsewhere, such as by the kernel. A lower total is ignored.
    #[inline]
    pub fn absolute(&self, total: u64) {
        self.0.absolute(total);
    }

    /// The same counter for a loop that stays on this thread: it has looked up where this thread adds, and need not again.
    ///
    /// Totals are the same as with [`increment`](Self::increment), and are seen by a scrape at once. What it is made of decides
    /// only how fast it is: where the recorder is another than that of `obs-recorder`, or not installed by
    /// [`install`](crate::install), every addition is a call of the facade's handle.
    ///
    /// ```
    /// obs_core::families! {
    ///     /// A feed's reader.
    ///     struct Reader {
    ///         /// Messages read from the feed.
    ///         messages: obs_core::Counter = "reader_messages_total",
    ///     }
    /// }
    ///
    /// let recorder = obs_core::TestRecorder::new();
    /// let reader = recorder.run(Reader::new);
    /// let messages = reader.messages.local();
    /// for _message in ["quote", "trade"] {
    ///     messages.increment(1);
    /// }
    /// assert_eq!(recorder.counter("reader_messages_total", &[]), Some(2));
    /// ```
    ///
    /// It stays on its thread:
    ///
    /// ```compile_fail,E0277
    /// # fn of(counter: &obs_core::Counter) {
    /// let local = counter.local();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(move || local.increment(1));
    /// });
    /// # }
    /// ```
    #[must_use]
    pub fn local(&self) -> LocalCounter<'_> {
        match self.0.own() {
            Some(word) => LocalCounter {
                counter: self,
                word,
                slot: slot::current(),
                on_this_thread: PhantomData,
            },
            None => LocalCounter {
                counter: self,
                word: &NOWHERE,
                slot: slot::NEVER,
                on_this_thread: PhantomData,
            },
        }
    }
}

impl Counter {
    pub(crate) fn cell(&self) -> &CounterCell {
        &self.0.cell
    }
}

/// What a [`LocalCounter`] refers to that has no word of its own. It is never written.
static NOWHERE: AtomicU64 = AtomicU64::new(0);

/// A [`Counter`] for a loop that stays on its thread; made by [`Counter::local`].
#[derive(Clone, Copy, Debug)]
pub struct LocalCounter<'a> {
    counter: &'a Counter,
    word: &'a AtomicU64,
    /// The slot that this thread had: as long as it has it, the word is its own.
    slot: usize,
    on_this_thread: PhantomData<*const ()>,
}

impl LocalCounter<'_> {
    /// Adds `n`.
    #[inline]
    pub fn increment(self, n: u64) {
        // A thread that ends gives its slot back, and its destructors may run afterwards.
        if slot::current() == self.slot {
            add_owned(self.word, n);
        } else {
            self.counter.increment(n);
        }
    }
}

/// A handle to a counter of seconds, kept in nanoseconds so that no part of a second is lost.
///
/// The facade's counters hold whole numbers, so this one counts nanoseconds and the exporter of this workspace shows them as
/// seconds. Durations above ten years are dropped and counted.
#[derive(Clone, Debug)]
pub struct TimeCounter {
    nanoseconds: Count,
    rejected: metrics::Counter,
}

impl TimeCounter {
    /// Adds a duration.
    #[inline]
    pub fn add(&self, time: Duration) {
        match nanoseconds(time) {
            Some(time) => self.nanoseconds.increment(time),
            None => self.rejected.increment(1),
        }
    }

    /// Raises the counter to a total that is measured elsewhere, such as by the kernel. A lower total is ignored.
    #[inline]
    pub fn absolute(&self, total: Duration) {
        // A total over all cores may pass ten years; only what a u64 cannot hold, 584 years, is refused.
        match u64::try_from(total.as_nanos()) {
            Ok(total) => self.nanoseconds.absolute(total),
            Err(_) => self.rejected.increment(1),
        }
    }
}

fn nanoseconds(time: Duration) -> Option<u64> {
    if time.as_secs_f64() <= MAX_SECONDS {
        u64::try_from(time.as_nanos()).ok()
    } else {
        None
    }
}

/// A handle to a counter of money, in units of the currency its labels name, kept in millionths so that sums are exact.
///
/// It only rises: money that may go either way is two counters by a direction. A `u64` of millionths holds 18 trillion units;
/// beyond, the counter begins anew, which `rate` and `increase` take for a restart. What an amount has beyond the sixth decimal
/// is not lost: clones of a handle share the rest and pass it on once it makes a millionth.
#[derive(Clone, Debug)]
pub struct MoneyCounter {
    millionths: Count,
    /// What was added beyond whole millionths, in parts of [`REST`] of one, as a sum.
    rest: Arc<AtomicU64>,
    rejected: metrics::Counter,
}

/// Into how many parts a millionth is divided for what is carried over.
const REST: f64 = 1e6;

impl MoneyCounter {
    /// The largest amount that one addition takes.
    const LARGEST: f64 = 9e12;

    /// Adds an amount of money, in units of the currency. What is negative, not a number or above 9 trillion is dropped and
    /// counted.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to lie in 0..=9e18"
    )]
    pub fn add(&self, amount: f64) {
        if !(0.0..=Self::LARGEST).contains(&amount) {
            return self.rejected.increment(1);
        }
        let millionths = amount * 1e6;
        let whole = millionths.floor();
        let rest = ((millionths - whole) * REST).round() as u64;
        let carried = if rest == 0 {
            0
        } else {
            // The sum of all rests may wrap after 10^13 additions; then one millionth is off.
            let before = self.rest.fetch_add(rest, Ordering::Relaxed);
            before.wrapping_add(rest) / REST as u64 - before / REST as u64
        };
        self.millionths.increment(whole as u64 + carried);
    }
}

impl Series for MoneyCounter {
    const KIND: Kind = Kind::Counter;
    const DECIMALS: u8 = MONEY_DECIMALS;
    const LABELS: Option<&'static LabelNode> = None;

    fn resolve(site: Site) -> Self {
        Self {
            rejected: site.rejected(),
            millionths: Count::resolve(site),
            rest: Arc::default(),
        }
    }
}

/// A handle to a gauge: a number that goes up and down. `NaN` says "undefined"; infinite values are dropped and counted.
#[derive(Clone, Debug)]
pub struct Gauge {
    cell: Option<GaugeCell>,
    value: metrics::Gauge,
    rejected: metrics::Counter,
}

impl Gauge {
    /// Sets the value. `NaN` says that it is undefined.
    #[inline]
    pub fn set(&self, value: impl IntoF64) {
        let value = value.into_f64();
        if value.is_infinite() {
            self.rejected.increment(1);
        } else {
            self.put(value);
        }
    }

    #[inline]
    fn put(&self, value: f64) {
        match &self.cell {
            Some(cell) => cell.set(value),
            None => self.value.set(value),
        }
    }

    /// Says that the value is undefined: exported as `NaN`, never as 0.
    #[inline]
    pub fn set_undefined(&self) {
        self.put(f64::NAN);
    }

    /// Says that the value is undefined until something is said of it, for the handle of a moment that is still to come.
    ///
    /// What another handle of the same series has said stays: a second client of a provider, or the one that replaces it after its
    /// connection broke, does not make a silence unseen. A recorder that knows nothing of it shows `NaN`, as with
    /// [`set_undefined`](Self::set_undefined).
    pub fn begin_undefined(&self) {
        match &self.cell {
            Some(cell) => cell.begin_undefined(),
            None => self.value.set(f64::from_bits(BEGIN_UNDEFINED)),
        }
    }

    /// Sets a switch to 1 or 0.
    #[inline]
    pub fn switch(&self, on: bool) {
        self.put(if on { 1.0 } else { 0.0 });
    }

    /// Adds a finite number; any other is dropped and counted.
    #[inline]
    pub fn increment(&self, by: impl IntoF64) {
        let by = by.into_f64();
        if by.is_finite() {
            match &self.cell {
                Some(cell) => cell.add(by),
                None => self.value.increment(by),
            }
        } else {
            self.rejected.increment(1);
        }
    }

    /// Takes a finite number away; any other is dropped and counted.
    #[inline]
    pub fn decrement(&self, by: impl IntoF64) {
        self.increment(-by.into_f64());
    }

    /// Counts something as under way until the guard is dropped, whatever ends it: return, `?`, panic or cancellation.
    pub fn in_flight(&self) -> InFlight {
        self.value.increment(1.0);
        InFlight(self.value.clone())
    }
}

impl Gauge {
    pub(crate) fn is_direct(&self) -> bool {
        self.cell.is_some()
    }
}

/// Something under way, counted in a gauge until this is dropped.
#[derive(Debug)]
#[must_use = "what is under way ends when the guard is dropped"]
pub struct InFlight(metrics::Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// A handle to a histogram: counts observations in the family's buckets.
#[derive(Clone, Debug)]
pub struct Histogram(Samples);

/// A handle to a summary: computes the family's quantiles over a sliding window.
#[derive(Clone, Debug)]
pub struct Summary(Samples);

/// What a histogram and a summary share: a range check in front of words of this thread's to add to, where the recorder offers them, and
/// of the facade's handle.
#[derive(Clone, Debug)]
struct Samples {
    cell: Option<HistogramCell>,
    /// The same of one with native buckets.
    native: Option<NativeCell>,
    handle: metrics::Histogram,
    rejected: metrics::Counter,
    low: f64,
    high: f64,
}

impl Samples {
    fn resolve(site: Site) -> Self {
        let (low, high) = site.family().bounds();
        let rejected = site.rejected();
        let (handle, offered) = site.histogram();
        let (cell, native) = match offered {
            Some(Offered::Histogram(cell)) => (Some(cell), None),
            Some(Offered::Native(cell)) => (None, Some(cell)),
            _ => (None, None),
        };
        Self {
            cell,
            native,
            handle,
            rejected,
            low,
            high,
        }
    }

    #[inline]
    fn record(&self, value: f64) {
        // One comparison chain refuses what lies outside, what is infinite and what is not a number.
        if self.low <= value && value <= self.high {
            match (&self.cell, &self.native) {
                (Some(cell), _) => self.add(cell, value),
                (None, Some(native)) => self.add_native(native, value),
                (None, None) => self.handle.record(value),
            }
        } else {
            self.rejected.increment(1);
        }
    }

    /// Apart, so that what calls carries none of it.
    #[inline(never)]
    fn add(&self, cell: &HistogramCell, value: f64) {
        if !cell.record(value) {
            self.handle.record(value);
        }
    }

    /// Apart, too.
    #[inline(never)]
    fn add_native(&self, cell: &NativeCell, value: f64) {
        if !cell.record(value) {
            self.handle.record(value);
        }
    }
}

impl Histogram {
    pub(crate) fn is_direct(&self) -> bool {
        self.0.cell.is_some() || self.0.native.is_some()
    }
}

macro_rules! samples {
    ($Leaf:ident) => {
        impl $Leaf {
            /// Records a number, or a `Duration` in seconds. What lies outside the family's range, or is not a finite
            /// number, is dropped and counted.
            #[inline]
            pub fn record(&self, value: impl IntoF64) {
                self.0.record(value.into_f64());
            }
        }

        impl Series for $Leaf {
            const KIND: Kind = Kind::$Leaf;
            const DECIMALS: u8 = 0;
            const LABELS: Option<&'static LabelNode> = None;

            fn resolve(site: Site) -> Self {
                Self(Samples::resolve(site))
            }
        }
    };
}

samples!(Histogram);
samples!(Summary);

impl Series for Counter {
    const KIND: Kind = Kind::Counter;
    const DECIMALS: u8 = 0;
    const LABELS: Option<&'static LabelNode> = None;

    fn resolve(site: Site) -> Self {
        Self(Count::resolve(site))
    }
}

impl Series for TimeCounter {
    const KIND: Kind = Kind::Counter;
    const DECIMALS: u8 = TIME_DECIMALS;
    const LABELS: Option<&'static LabelNode> = None;

    fn resolve(site: Site) -> Self {
        Self {
            rejected: site.rejected(),
            nanoseconds: Count::resolve(site),
        }
    }
}

impl Series for Gauge {
    const KIND: Kind = Kind::Gauge;
    const DECIMALS: u8 = 0;
    const LABELS: Option<&'static LabelNode> = None;

    fn resolve(site: Site) -> Self {
        let rejected = site.rejected();
        let (value, cell) = site.gauge();
        Self {
            cell,
            value,
            rejected,
        }
    }
}
