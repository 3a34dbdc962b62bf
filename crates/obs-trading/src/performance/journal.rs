//! The events of the last days, in the order of their times, so that they can come late and be taken back.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::standing::Standing;
use crate::seen::Identity;

/// For how long a ledger can put late events in their place, and void and correct what it counted.
///
/// Both bounds hold: events are kept for so many days, and at most so many of them, the last ones. An event takes some 60 bytes
/// of memory, and 100 in a state file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CorrectionWindow {
    span: SignedDuration,
    events: usize,
}

impl CorrectionWindow {
    /// Five days, and at most 10,000 events: what ledgers have.
    pub const DEFAULT: Self = Self::days(5);

    /// So many days of 24 hours, and at most 10,000 events. A window of 0 days corrects what is not a day old.
    #[must_use]
    pub const fn days(days: u16) -> Self {
        Self {
            span: SignedDuration::from_hours(24 * if days == 0 { 1 } else { days as i64 }),
            events: 10_000,
        }
    }

    /// The same with at most so many events, at least 16.
    #[must_use]
    pub const fn up_to(mut self, events: usize) -> Self {
        self.events = if events < 16 { 16 } else { events };
        self
    }

    /// For how long events are kept.
    #[must_use]
    pub fn span(self) -> Duration {
        self.span.unsigned_abs()
    }

    /// How many are kept at most.
    #[must_use]
    pub const fn events(self) -> usize {
        self.events
    }
}

impl Default for CorrectionWindow {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// An event as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) at: Timestamp,
    pub(crate) day: Date,
    pub(crate) what: What,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<Identity>,
    /// It was corrected: what is reported again is not what counts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_corrected: bool,
    /// It was taken back, and is kept so that taking it back again finds it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_void: bool,
}

/// What happened. Amounts are in the ledger's currency.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum What {
    Trade {
        pnl: f64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        notional: Option<f64>,
    },
    /// Older than the window: counted when it came, and for the day it was of.
    LateTrade {
        pnl: f64,
        notional: Option<f64>,
        of: Date,
    },
    Equity(f64),
    OpenPnl(f64),
    Flow(f64),
    /// Marks that were corrected: what they said first is known when it is reported again.
    CorrectedEquity {
        is: f64,
        was: f64,
    },
    CorrectedOpenPnl {
        is: f64,
        was: f64,
    },
}

impl What {
    pub(crate) const fn is_mark(&self) -> bool {
        match self {
            Self::Trade { .. } | Self::LateTrade { .. } | Self::Flow(_) => false,
            Self::Equity(_)
            | Self::OpenPnl(_)
            | Self::CorrectedEquity { .. }
            | Self::CorrectedOpenPnl { .. } => true,
        }
    }

    /// The same mark with another figure.
    pub(crate) fn corrected(self, is: f64) -> Self {
        match self {
            Self::Equity(was) | Self::CorrectedEquity { was, .. } => {
                Self::CorrectedEquity { is, was }
            }
            Self::OpenPnl(was) | Self::CorrectedOpenPnl { was, .. } => {
                Self::CorrectedOpenPnl { is, was }
            }
            other => other,
        }
    }
}

impl Entry {
    /// Whether a mark says, or said before it was corrected, what is reported now.
    pub(crate) fn has_said(&self, what: &What) -> bool {
        let (figures, said) = match (self.what, *what) {
            (What::Equity(is), What::Equity(said)) | (What::OpenPnl(is), What::OpenPnl(said)) => {
                // Earlier editions did not keep what a corrected mark had said.
                (
                    if self.is_corrected {
                        [said; 2]
                    } else {
                        [is; 2]
                    },
                    said,
                )
            }
            (What::CorrectedEquity { is, was }, What::Equity(said))
            | (What::CorrectedOpenPnl { is, was }, What::OpenPnl(said)) => ([is, was], said),
            _ => return false,
        };
        figures.contains(&said)
    }
}

/// Events in segments, each with what stood before its first. A segment has events of one day, and a sixteenth of all at most: it is
/// replayed from its start, and dropped whole.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    segments: VecDeque<Segment>,
    count: usize,
    window: CorrectionWindow,
    /// The memory of a segment that was forgotten, for the next.
    spare: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Segment {
    start: Standing,
    entries: Vec<Entry>,
}

/// Where an entry is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) segment: usize,
    entry: usize,
}

impl Journal {
    pub(crate) fn new(start: &Standing, window: CorrectionWindow) -> Self {
        let first = Segment {
            start: *start,
            entries: Vec::new(),
        };
        Self {
            segments: [first].into(),
            count: 0,
            window,
            spare: Vec::new(),
        }
    }

    /// What stood before the first event that is kept.
    pub(crate) fn base(&self) -> Standing {
        self.segments[0].start
    }

    pub(crate) const fn set_window(&mut self, window: CorrectionWindow) {
        self.window = window;
    }

    pub(crate) fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.segments.iter().flat_map(|segment| &segment.entries)
    }

    pub(crate) fn last(&self) -> Option<&Entry> {
        self.segments.back()?.entries.last()
    }

    /// How many events a segment has at most.
    const fn full(&self) -> usize {
        self.window.events / 16
    }

    /// Appends an event to those it is not earlier than; `before` is what stands until then. Returns whether it began a segment, so
    /// that others may be forgotten.
    pub(crate) fn push(&mut self, entry: Entry, before: &Standing) -> bool {
        let full = self.full();
        let needs_new = self.last().is_some_and(|last| last.day != entry.day)
            || self
                .segments
                .back()
                .is_some_and(|last| last.entries.len() >= full);
        if needs_new {
            let entries = self.memory();
            self.segments.push_back(Segment {
                start: *before,
                entries,
            });
        }
        if let Some(last) = self.segments.back_mut() {
            last.entries.push(entry);
            self.count += 1;
        }
        needs_new
    }

    /// Room for a segment as long as the one before, in memory that was used already where there is some.
    fn memory(&mut self) -> Vec<Entry> {
        let mut entries = std::mem::take(&mut self.spare);
        entries.reserve(self.segments.back().map_or(0, |last| last.entries.len()));
        entries
    }

    /// Forgets what the window does not hold. Returns whether anything was.
    pub(crate) fn forget(&mut self, now: Timestamp) -> bool {
        let horizon = now
            .saturating_sub(self.window.span)
            .unwrap_or(Timestamp::MIN);
        let before = self.segments.len();
        while self.segments.len() > 1 {
            let oldest = &self.segments[0].entries;
            let is_old = oldest.last().is_none_or(|last| last.at < horizon);
            // Until the next segment begins, this one grows.
            if !is_old && self.count + self.full() <= self.window.events {
                break;
            }
            self.count -= oldest.len();
            if let Some(mut oldest) = self.segments.pop_front() {
                oldest.entries.clear();
                self.spare = oldest.entries;
            }
        }
        self.segments.len() < before
    }

    /// Puts an event where its time belongs, after others of the same; nothing where that is before the first kept.
    pub(crate) fn insert(&mut self, entry: Entry) -> Option<Place> {
        let segment = (0..self.segments.len())
            .rev()
            .find(|segment| self.segments[*segment].start.can_take(entry.at, entry.day))?;
        let entries = &mut self.segments[segment].entries;
        let place = entries.partition_point(|kept| kept.at <= entry.at);
        entries.insert(place, entry);
        self.count += 1;
        Some(Place {
            segment,
            entry: place,
        })
    }

    pub(crate) fn remove(&mut self, place: Place) {
        self.segments[place.segment].entries.remove(place.entry);
        self.count -= 1;
    }

    /// The entries of this moment.
    pub(crate) fn entries_at(&self, at: Timestamp) -> impl Iterator<Item = &Entry> {
        let not_later = self.entries().rev().skip_while(move |kept| kept.at > at);
        not_later.take_while(move |kept| kept.at == at)
    }

    /// The last entry of which this is true.
    pub(crate) fn find(&self, is_it: impl Fn(&Entry) -> bool) -> Option<Place> {
        let segments = self.segments.iter().enumerate().rev();
        segments.into_iter().find_map(|(segment, held)| {
            let entry = held.entries.iter().rposition(&is_it)?;
            Some(Place { segment, entry })
        })
    }

    pub(crate) fn get_mut(&mut self, place: Place) -> &mut Entry {
        &mut self.segments[place.segment].entries[place.entry]
    }

    /// The entries after one.
    pub(crate) fn after_mut(&mut self, place: Place) -> impl Iterator<Item = &mut Entry> {
        let segments = self.segments.iter_mut().skip(place.segment);
        let entries = segments.flat_map(|segment| &mut segment.entries);
        entries.skip(place.entry + 1)
    }

    /// Takes out the entries from a segment on, for them to be pushed again: after what stood before them.
    pub(crate) fn take_from(&mut self, segment: usize) -> (Standing, Vec<Entry>) {
        let taken = self.segments.split_off(segment);
        let start = taken[0].start;
        let entries: Vec<_> = taken
            .into_iter()
            .flat_map(|segment| segment.entries)
            .collect();
        self.count -= entries.len();
        self.segments.push_back(Segment {
            start,
            entries: Vec::new(),
        });
        (start, entries)
    }
}
