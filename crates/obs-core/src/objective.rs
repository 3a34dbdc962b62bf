//! Objectives: how much of what happens has to be good, over what time.

/// What a service promises of a family: the share of events that are good, over a number of days.
///
/// It is written by [`objective!`](crate::objective!) in the option `objective` of a family. From it `obstool gen rules` makes
/// alerts on how fast the error budget is being spent, their tests, and a panel of what is left of it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Objective {
    /// The share of events that have to be good, in percent: above 0 and below 100.
    pub percent: f64,
    /// Which events are good.
    pub good: Good,
    /// The days over which that has to hold, `1..=90`.
    pub days: u32,
    /// A switch, such as `market_session_open`: while it is 0, or not there, nothing is spent.
    pub during: Option<&'static str>,
}

/// Which events are good.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Good {
    /// Observations of a histogram up to this bound of its buckets.
    Under(f64),
    /// Those of a counter whose closed label has a value that is marked `is good`.
    Marked,
}

impl Objective {
    /// That this share of observations lies at or below a bound of the histogram's buckets, over 30 days.
    #[must_use]
    pub const fn under(percent: f64, bound: f64) -> Self {
        Self {
            percent,
            good: Good::Under(bound),
            days: 30,
            during: None,
        }
    }

    /// That this share of events has a label value that is marked `is good`, over 30 days.
    #[must_use]
    pub const fn good(percent: f64) -> Self {
        Self {
            percent,
            good: Good::Marked,
            days: 30,
            during: None,
        }
    }

    /// The same over so many days.
    #[must_use]
    pub const fn over(mut self, days: u32) -> Self {
        self.days = days;
        self
    }

    /// The same for the time in which the switch of this name is on: weekends and closed markets spend nothing.
    #[must_use]
    pub const fn during(mut self, switch: &'static str) -> Self {
        self.during = Some(switch);
        self
    }
}

/// An [`Objective`] as one would say it.
///
/// ```
/// use obs_core::{By, Counter, Histogram, Objective, buckets, objective};
///
/// obs_core::label! {
///     /// How a quote request ended.
///     pub enum Answer as "answer" { Quoted = "quoted" is good, Late = "late", Failed = "failed" }
/// }
/// obs_core::families! {
///     /// What a quoter does.
///     pub struct QuoterMetrics {
///         /// Requests, by how they ended.
///         pub requests: By<Answer, Counter> = "quoter_requests_total" { objective: objective!(99.5 % good) },
///         /// Time to a quote.
///         pub time: Histogram = "quoter_quote_seconds" {
///             buckets: &[0.1, 0.25, 1.0],
///             objective: objective!(99.9 % under 0.25 over 30 d while market_session_open),
///         },
///     }
/// }
/// let objective = QuoterMetrics::time.objective_of().unwrap();
/// assert_eq!(objective, Objective::under(99.9, 0.25).over(30).during("market_session_open"));
/// assert_eq!(QuoterMetrics::requests.labels().next().unwrap().good, ["quoted"]);
/// ```
///
/// An objective that cannot be kept count of does not compile: a bound that no bucket has, a counter of which no value is marked,
/// 100 %.
#[macro_export]
macro_rules! objective {
    ($percent:literal % under $bound:literal $($rest:tt)*) => {
        $crate::__objective! { ($crate::Objective::under($percent as f64, $bound as f64)) $($rest)* }
    };
    ($percent:literal % good $($rest:tt)*) => {
        $crate::__objective! { ($crate::Objective::good($percent as f64)) $($rest)* }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __objective {
    (($objective:expr)) => { $objective };
    (($objective:expr) over $days:literal d $($rest:tt)*) => {
        $crate::__objective! { ($objective.over($days)) $($rest)* }
    };
    (($objective:expr) while $switch:ident) => { $objective.during(stringify!($switch)) };
}
