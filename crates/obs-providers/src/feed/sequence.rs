//! What numbers of messages say: what was lost, what came late, what came twice.

use std::collections::HashMap;
use std::ops::RangeInclusive;

/// Holes that are remembered for one channel. Beyond that the oldest is given up.
const HOLES: usize = 64;

/// No number has been seen; no venue counts that far.
const NONE: u64 = u64::MAX;

/// By what rule a channel numbers its messages.
///
/// ```
/// use obs_providers::Sequencing;
///
/// // Every number is the one before and one, on each connection anew.
/// let trades = Sequencing::next();
/// // So for each of up to 5,000 symbols, and across connections.
/// let book = Sequencing::next().per_symbol(5_000).continues();
/// // Numbers rise, by steps that say nothing: only what is older or the same is noticed.
/// let quotes = Sequencing::rising();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequencing {
    rule: Rule,
    symbols: usize,
    continues: bool,
    restarts_at_open: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    None,
    Next,
    Rising,
}

impl Sequencing {
    const fn of(rule: Rule) -> Self {
        Self {
            rule,
            symbols: 0,
            continues: false,
            restarts_at_open: false,
        }
    }

    /// Messages carry no numbers, or none that mean anything.
    #[must_use]
    pub const fn none() -> Self {
        Self::of(Rule::None)
    }

    /// Every number is the one before and one: any other step is a hole. A message may cover a range of numbers.
    #[must_use]
    pub const fn next() -> Self {
        Self::of(Rule::Next)
    }

    /// Numbers rise by any step: no hole can be seen, but what is late or comes twice.
    #[must_use]
    pub const fn rising() -> Self {
        Self::of(Rule::Rising)
    }

    /// Each symbol is numbered apart. The state of so many is kept, at least one; beyond that the one that was silent for longest is
    /// forgotten, which is counted, and its next message begins anew.
    #[must_use]
    pub const fn per_symbol(mut self, most: usize) -> Self {
        self.symbols = if most == 0 { 1 } else { most };
        self
    }

    /// Numbers go on across connections, so that what was sent during an outage is a hole. By default each connection begins anew.
    #[must_use]
    pub const fn continues(mut self) -> Self {
        self.continues = true;
        self
    }

    /// Numbers begin anew with each session of the feed's calendar.
    #[must_use]
    pub const fn restarts_at_open(mut self) -> Self {
        self.restarts_at_open = true;
        self
    }

    pub(crate) const fn goes_on_across_connections(&self) -> bool {
        self.continues
    }

    pub(crate) const fn begins_anew_at_open(&self) -> bool {
        self.restarts_at_open
    }
}

/// The number of a message, or the range of numbers that it covers, or none.
///
/// It is made from a `u64`, from a range such as `first..=last`, from an `Option<u64>`, or from `()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Numbers {
    const UNNUMBERED: Self = Self {
        first: NONE,
        last: NONE,
    };

    const fn are_none(self) -> bool {
        self.first == NONE
    }
}

impl From<u64> for Numbers {
    fn from(number: u64) -> Self {
        let last = number;
        let first = number;
        Self { first, last }
    }
}

impl From<RangeInclusive<u64>> for Numbers {
    fn from(range: RangeInclusive<u64>) -> Self {
        let (first, last) = range.into_inner();
        Self {
            first,
            last: last.max(first),
        }
    }
}

impl From<Option<u64>> for Numbers {
    fn from(number: Option<u64>) -> Self {
        number.map_or(Self::UNNUMBERED, Self::from)
    }
}

impl From<()> for Numbers {
    fn from((): ()) -> Self {
        Self::UNNUMBERED
    }
}

/// Where the numbers of one symbol are, or those of the whole channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Track {
    next: u64,
    /// The monotonic time of its last message.
    used: u64,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Where it should be.
    InOrder,
    /// After a hole: these are not there yet.
    AfterHole { first: u64, last: u64 },
    /// Older than the one before it, or the same.
    Old,
    /// It begins before what was expected and goes beyond: it may fill holes as well.
    Overlapping,
}

/// The places of a channel, owned by who reads it.
#[derive(Debug)]
pub(crate) struct Tracks {
    rule: Rule,
    most: usize,
    places: Vec<Track>,
    by_symbol: HashMap<Box<str>, usize>,
}

impl Tracks {
    pub(crate) fn new(sequencing: Sequencing) -> Self {
        let whole = Track {
            next: NONE,
            used: 0,
        };
        Self {
            rule: sequencing.rule,
            most: sequencing.symbols,
            places: vec![whole],
            by_symbol: HashMap::new(),
        }
    }

    /// The place of a message in the channel's own sequence.
    #[inline]
    pub(crate) fn place(&mut self, numbers: Numbers, now: u64) -> Place {
        self.place_in(0, numbers, now)
    }

    #[inline]
    pub(crate) fn place_in(&mut self, slot: usize, numbers: Numbers, now: u64) -> Place {
        let Some(track) = self.places.get_mut(slot) else {
            return Place::InOrder;
        };
        track.used = now;
        if numbers.first == track.next && numbers.first != NONE {
            track.next = numbers.last.saturating_add(1);
            return Place::InOrder;
        }
        self.place_slow(slot, numbers)
    }

    #[cold]
    fn place_slow(&mut self, slot: usize, numbers: Numbers) -> Place {
        let track = &mut self.places[slot];
        if numbers.are_none() || self.rule == Rule::None {
            return Place::InOrder;
        }
        let (expected, begins) = (track.next, track.next == NONE);
        if !begins && numbers.last < expected {
            return Place::Old;
        }
        track.next = numbers.last.saturating_add(1);
        if begins || self.rule == Rule::Rising {
            return Place::InOrder;
        }
        if numbers.first < expected {
            return Place::Overlapping;
        }
        Place::AfterHole {
            first: expected,
            last: numbers.first - 1,
        }
    }

    /// The place of a symbol; with it, whether another symbol's was given up for it.
    pub(crate) fn slot(&mut self, symbol: &str) -> (usize, bool) {
        if let Some(slot) = self.by_symbol.get(symbol) {
            return (*slot, false);
        }
        let most = self.most.max(1);
        let new = Track {
            next: NONE,
            used: 0,
        };
        // The first is the channel's own.
        if self.places.len() <= most {
            self.places.push(new);
            let slot = self.places.len() - 1;
            self.by_symbol.insert(symbol.into(), slot);
            return (slot, false);
        }
        let oldest = self.places.iter().enumerate().skip(1);
        let oldest = oldest.min_by_key(|(_, track)| track.used);
        let slot = oldest.map_or(1, |(slot, _)| slot);
        self.by_symbol.retain(|_, at| *at != slot);
        self.by_symbol.insert(symbol.into(), slot);
        self.places[slot] = new;
        (slot, true)
    }

    /// Numbers of this place begin anew.
    pub(crate) fn restart(&mut self, slot: usize) {
        if let Some(track) = self.places.get_mut(slot) {
            track.next = NONE;
        }
    }

    /// All numbers begin anew.
    pub(crate) fn restart_all(&mut self) {
        for track in &mut self.places {
            track.next = NONE;
        }
    }

    pub(crate) fn rises(&self) -> bool {
        self.rule == Rule::Rising
    }
}

/// The holes of a channel that may still be filled, and those of late that were not.
#[derive(Debug)]
pub(crate) struct Holes {
    holes: Vec<Hole>,
}

#[derive(Clone, Copy, Debug)]
struct Hole {
    slot: usize,
    first: u64,
    last: u64,
    /// When it was seen.
    at: u64,
    given_up: bool,
}

/// What was lost for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) gaps: u64,
    pub(crate) messages: u64,
}

impl Lost {
    fn add(&mut self, hole: &Hole) {
        self.gaps += 1;
        self.messages += hole.length();
    }
}

impl Hole {
    const fn length(&self) -> u64 {
        self.last - self.first + 1
    }
}

impl Holes {
    pub(crate) fn new() -> Self {
        Self {
            holes: Vec::with_capacity(HOLES),
        }
    }

    /// A hole was seen. Where there is no room for it, the oldest goes.
    pub(crate) fn open(&mut self, slot: usize, first: u64, last: u64, at: u64) -> Lost {
        let given_up = self.make_room();
        self.holes.push(Hole {
            slot,
            first,
            last,
            at,
            given_up: false,
        });
        given_up
    }

    fn make_room(&mut self) -> Lost {
        let mut lost = Lost::default();
        if self.holes.len() < HOLES {
            return lost;
        }
        let given_up = self.holes.iter().position(|hole| hole.given_up);
        let hole = self.holes.remove(given_up.unwrap_or(0));
        if !hole.given_up {
            lost.add(&hole);
        }
        lost
    }

    /// A late message came: whether it fills holes, and what had to be given up to remember what is left of them.
    pub(crate) fn fill(&mut self, slot: usize, numbers: Numbers) -> (bool, Lost) {
        let overlaps = |hole: &Hole| {
            hole.slot == slot && hole.first <= numbers.last && numbers.first <= hole.last
        };
        let (mut fills, mut lost) = (false, Lost::default());
        while let Some(at) = self.holes.iter().position(overlaps) {
            fills = true;
            let hole = self.holes.remove(at);
            let before = Hole {
                last: numbers.first.saturating_sub(1),
                ..hole
            };
            let after = Hole {
                first: numbers.last.saturating_add(1),
                ..hole
            };
            // In the order in which they were seen, so that the oldest goes first.
            if numbers.last < hole.last {
                self.holes.insert(at, after);
            }
            if numbers.first > hole.first {
                if self.holes.len() == HOLES {
                    let given_up = self.make_room();
                    lost.gaps += given_up.gaps;
                    lost.messages += given_up.messages;
                }
                self.holes.insert(at.min(self.holes.len()), before);
            }
        }
        (fills, lost)
    }

    /// Gives up what has been open for longer than `window`.
    pub(crate) fn expire(&mut self, now: u64, window: u64) -> Lost {
        let mut lost = Lost::default();
        for hole in &mut self.holes {
            if !hole.given_up && now.saturating_sub(hole.at) > window {
                hole.given_up = true;
                lost.add(hole);
            }
        }
        lost
    }

    /// Numbers begin anew: what is open stays so for good, and nothing of before is remembered.
    pub(crate) fn close(&mut self, slot: Option<usize>) -> Lost {
        let mut lost = Lost::default();
        self.holes.retain(|hole| {
            let stays = slot.is_some_and(|slot| slot != hole.slot);
            if !stays && !hole.given_up {
                lost.add(hole);
            }
            stays
        });
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(gaps: u64, messages: u64) -> Lost {
        Lost { gaps, messages }
    }

    #[test]
    fn every_number_is_the_one_before_and_one() {
        let mut tracks = Tracks::new(Sequencing::next());
        let mut place = |numbers: Numbers| tracks.place(numbers, 0);
        assert_eq!(
            place(7.into()),
            Place::InOrder,
            "the first says where it begins"
        );
        assert_eq!(place(8.into()), Place::InOrder);
        assert_eq!(place(11.into()), Place::AfterHole { first: 9, last: 10 });
        assert_eq!(place(9.into()), Place::Old);
        assert_eq!(place(11.into()), Place::Old);
        assert_eq!(place((12..=20).into()), Place::InOrder);
        assert_eq!(place((15..=21).into()), Place::Overlapping);
        assert_eq!(place(().into()), Place::InOrder);
        assert_eq!(place(22.into()), Place::InOrder);
        assert_eq!(
            place((u64::MAX - 1).into()),
            Place::AfterHole {
                first: 23,
                last: u64::MAX - 2
            }
        );
    }

    #[test]
    fn numbers_that_rise_have_no_holes() {
        use Place::{InOrder, Old};
        let mut tracks = Tracks::new(Sequencing::rising());
        let places = [5, 9, 9, 7, 100].map(|number: u64| tracks.place(number.into(), 0));
        assert_eq!(places, [InOrder, InOrder, Old, Old, InOrder]);
    }

    #[test]
    fn the_symbol_that_was_silent_for_longest_is_forgotten() {
        let mut tracks = Tracks::new(Sequencing::next().per_symbol(2));
        let mut at = |symbol: &str, number: u64, now: u64| {
            let (slot, evicted) = tracks.slot(symbol);
            (tracks.place_in(slot, number.into(), now), evicted)
        };
        assert_eq!(at("A", 1, 1), (Place::InOrder, false));
        assert_eq!(at("B", 1, 2), (Place::InOrder, false));
        assert_eq!(at("A", 2, 3), (Place::InOrder, false));
        assert_eq!(at("C", 50, 4), (Place::InOrder, true));
        assert_eq!(at("A", 4, 5).0, Place::AfterHole { first: 3, last: 3 });
        // It begins anew, and takes the place of `C`.
        assert_eq!(at("B", 9, 6), (Place::InOrder, true));
    }

    #[test]
    fn a_hole_is_filled_whole_or_in_parts() {
        let mut holes = Holes::new();
        holes.open(0, 10, 20, 100);
        assert_eq!(
            holes.fill(1, 12.into()),
            (false, lost(0, 0)),
            "another symbol's"
        );
        assert!(holes.fill(0, 15.into()).0);
        assert!(!holes.fill(0, 15.into()).0, "twice");
        assert!(holes.fill(0, 10.into()).0);
        assert!(holes.fill(0, (18..=20).into()).0);
        assert_eq!(holes.expire(150, 50), lost(0, 0), "not yet");
        // 11 to 14, 16 and 17.
        assert_eq!(holes.expire(151, 50), lost(2, 6));
        assert_eq!(holes.expire(999, 50), lost(0, 0), "once");
        assert!(holes.fill(0, (11..=14).into()).0, "late, and known to be");
        assert_eq!(holes.close(None), lost(0, 0));
    }

    #[test]
    fn a_range_fills_all_holes_that_it_covers() {
        let mut holes = Holes::new();
        for first in [10, 20, 30, 40] {
            holes.open(0, first, first + 4, 0);
        }
        // A retransmission: the end of the first, all of the second, the beginning of the third.
        assert_eq!(holes.fill(0, (13..=31).into()), (true, lost(0, 0)));
        assert_eq!(holes.close(None), lost(3, 3 + 3 + 5));
    }

    #[test]
    fn a_hole_that_is_split_where_there_is_no_room_costs_the_oldest() {
        let mut holes = Holes::new();
        for n in 0..HOLES as u64 {
            holes.open(0, 10 * n, 10 * n + 2, n);
        }
        assert_eq!(holes.fill(0, 101.into()), (true, lost(1, 3)));
        assert_eq!(holes.close(None), lost(64, 62 * 3 + 2));
    }

    #[test]
    fn what_there_is_no_room_for_is_given_up() {
        let mut holes = Holes::new();
        for n in 0..HOLES as u64 {
            assert_eq!(holes.open(0, 10 * n, 10 * n + 2, n), lost(0, 0));
        }
        assert_eq!(holes.open(0, 10_000, 10_000, 99), lost(1, 3));
        assert_eq!(holes.close(Some(1)), lost(0, 0));
        assert_eq!(holes.close(Some(0)), lost(64, 63 * 3 + 1));
    }
}
