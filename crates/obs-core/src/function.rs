//! What `#[track_calls]` and `#[track_duration]` expand to.

use std::sync::OnceLock;
use std::time::Duration;

use crate::recorder::{Target, is_settled};
use crate::{By, Counter, Gauge, Group, Histogram, Late, Outcome, Timed, Timer, buckets};

crate::label! {
    /// A function under an attribute: its path, or the name the attribute gives it.
    pub open FunctionName as "function" up to 500
}

/// Functions are shown with what the program runs on.
const SYSTEM: Group = Group::new("System").rank(Group::SYSTEM);

crate::families! {
    group SYSTEM;

    /// Calls of one function under `#[track_calls]`.
    pub struct FunctionCalls(function: FunctionName) {
        /// Calls that ended, by how they ended.
        pub calls: By<Outcome, Counter> = "function_calls_total",
        /// Calls under way.
        pub in_flight: Gauge = "function_calls_in_flight" { across: crate::Across::Sum },
    }
}

crate::families! {
    group SYSTEM;

    /// Time of one function under `#[track_duration]`.
    pub struct FunctionDuration(function: FunctionName) {
        /// How long calls took, by how they ended.
        pub duration: Late<Outcome, Histogram> = "function_duration_seconds" { buckets: buckets::LATENCY },
    }
}

impl Timed for FunctionCalls {
    fn started(&self) {
        self.in_flight.increment(1);
    }

    fn ended(&self, outcome: Outcome, _: Duration) {
        self.in_flight.decrement(1);
        self.calls[outcome].increment(1);
    }
}

impl Timed for FunctionDuration {
    fn ended(&self, outcome: Outcome, elapsed: Duration) {
        self.duration.ended(outcome, elapsed);
    }
}

/// Handles that belong to a place in the code. They are kept in a static once a recorder was installed for good; before
/// that, and under a test recorder, every call resolves its own, so that a test sees its own calls and no others.
#[derive(Debug)]
pub struct CodeSite<T: 'static> {
    name: &'static str,
    kept: OnceLock<T>,
}

/// What is resolved for a function of a name.
pub trait OfFunction: Timed {
    /// Resolves it.
    fn of_function(name: &'static str) -> Self;
}

impl OfFunction for FunctionCalls {
    fn of_function(name: &'static str) -> Self {
        Self::new(name)
    }
}

impl OfFunction for FunctionDuration {
    fn of_function(name: &'static str) -> Self {
        Self::new(name)
    }
}

/// The handles of one call: those of the static, or its own.
#[derive(Debug)]
pub enum Handles<T: 'static> {
    /// Kept for the rest of the process.
    Kept(&'static T),
    /// Resolved for this call.
    Own(Box<T>),
    /// Nobody records.
    None,
}

impl<T: Timed> Timed for Handles<T> {
    fn started(&self) {
        match self {
            Self::Kept(handles) => handles.started(),
            Self::Own(handles) => handles.started(),
            Self::None => {}
        }
    }

    fn ended(&self, outcome: Outcome, elapsed: Duration) {
        match self {
            Self::Kept(handles) => handles.ended(outcome, elapsed),
            Self::Own(handles) => handles.ended(outcome, elapsed),
            Self::None => {}
        }
    }
}

impl<T: OfFunction> CodeSite<T> {
    /// The place of a function of this name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            kept: OnceLock::new(),
        }
    }

    /// Starts timing one call.
    pub fn start(&'static self) -> Timer<Handles<T>> {
        Timer::new(self.handles(), Outcome::Cancelled)
    }

    fn handles(&'static self) -> Handles<T> {
        if is_settled() {
            Handles::Kept(self.kept.get_or_init(|| T::of_function(self.name)))
        } else if Target::current().is_dead() {
            Handles::None
        } else {
            Handles::Own(Box::new(T::of_function(self.name)))
        }
    }
}

/// Where `#[track_calls]` stands.
pub type CallSite = CodeSite<FunctionCalls>;

/// Where `#[track_duration]` stands.
pub type DurationSite = CodeSite<FunctionDuration>;

/// Judges a returned value: the inherent method answers for a `Result`, [`OutcomeOfAny`] for everything else.
#[derive(Debug)]
pub struct OutcomeOfResult<'a, T>(pub &'a T);

impl<T, E> OutcomeOfResult<'_, Result<T, E>> {
    /// `ok` or `error`.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        Outcome::of(self.0)
    }
}

/// The answer for a value that is not a `Result`.
pub trait OutcomeOfAny {
    /// `ok`.
    fn outcome(&self) -> Outcome;
}

impl<T> OutcomeOfAny for OutcomeOfResult<'_, T> {
    fn outcome(&self) -> Outcome {
        Outcome::Ok
    }
}

/// Calls a closure once. A closure that is called in place would be taken for one that can be called again, and could not
/// return what it borrows through a captured `&mut`.
pub fn call<T>(work: impl FnOnce() -> T) -> T {
    work()
}
