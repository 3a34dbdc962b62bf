//! Groups: families that are shown together.

use crate::message::Message;
use crate::{Figure, rules};

/// Families that are shown together, and the figures that are shown of them first.
///
/// A group is named by the `group` clause of [`families!`](crate::families!). Structs that name the same title share a group,
/// also across crates: their figures follow one another, and the lowest rank counts.
///
/// A group that several structs share is a constant of their crate:
///
/// ```
/// use obs_core::{Counter, Figure, Group};
///
/// const QUOTING: Group = Group::new("Quoting").figures(&[
///     Figure::rate("Quotes", QuoterMetrics::quotes),
///     Figure::rate("Hedges", HedgerMetrics::hedges),
/// ]);
///
/// obs_core::families! {
///     group QUOTING;
///     /// What a quoter sends.
///     pub struct QuoterMetrics {
///         /// Quotes sent.
///         pub quotes: Counter = "quoter_quotes_total",
///     }
/// }
/// obs_core::families! {
///     group QUOTING;
///     /// What a hedger sends.
///     pub struct HedgerMetrics {
///         /// Hedges sent.
///         pub hedges: Counter = "hedger_hedges_total",
///     }
/// }
///
/// assert_eq!(QuoterMetrics::quotes.group().map(|group| group.title), Some("Quoting"));
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Group {
    /// Its heading.
    pub title: &'static str,
    /// Its place among the groups: lower ranks come first, equal ones in the order of declaration. See [`rank`](Self::rank).
    pub rank: u16,
    /// What is shown of it first, in this order.
    pub figures: &'static [Figure],
}

impl Group {
    /// The rank of a program's own groups, and of any group that states none: they come first.
    pub const OWN: u16 = 0;
    /// From this rank on: groups of libraries that instrument a part of the program, such as its HTTP server.
    pub const LIBRARY: u16 = 100;
    /// From this rank on: what the program runs on, and what went wrong in it.
    pub const SYSTEM: u16 = 200;
    /// From this rank on: the metrics about the metrics.
    pub const PIPELINE: u16 = 300;

    /// A group of this title, of the rank [`OWN`](Self::OWN) and without figures.
    #[must_use]
    pub const fn new(title: &'static str) -> Self {
        Self {
            title,
            rank: Self::OWN,
            figures: &[],
        }
    }

    /// Puts it in another place: a number at or a little above [`OWN`](Self::OWN), [`LIBRARY`](Self::LIBRARY),
    /// [`SYSTEM`](Self::SYSTEM) or [`PIPELINE`](Self::PIPELINE). The live page shows groups that only the program's own package
    /// declares before all others, whatever their rank.
    #[must_use]
    pub const fn rank(mut self, rank: u16) -> Self {
        self.rank = rank;
        self
    }

    /// Gives it figures.
    #[must_use]
    pub const fn figures(mut self, figures: &'static [Figure]) -> Self {
        self.figures = figures;
        self
    }

    /// What is wrong with the declaration; empty when nothing is.
    #[doc(hidden)]
    #[must_use]
    pub const fn fault(&self) -> Message {
        if self.title.trim_ascii().is_empty() {
            return Message::new("a group needs a title, such as `group \"Quoting\";`");
        }
        let mut i = 0;
        while i < self.figures.len() {
            let fault = rules::figures::fault(&self.figures[i]);
            if !fault.is_empty() {
                return fault;
            }
            let mut j = i + 1;
            while j < self.figures.len() {
                if rules::same(self.figures[i].title, self.figures[j].title) {
                    return rules::figures::about(&self.figures[i])
                        .and("the group has another figure of this title; choose another");
                }
                j += 1;
            }
            i += 1;
        }
        Message::NONE
    }
}
