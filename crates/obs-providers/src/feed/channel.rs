//! One channel of a feed: where messages are counted.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use obs_core::{Counter, Histogram};

use super::sequence::{Holes, Lost, Place, Tracks};
use super::{ChannelKind, LagClock, Numbers, Sequencing, Shared};
use crate::moment::nanoseconds;
use crate::{Clock, Moment};

/// One kind of message of a feed, read by one task; made by [`Feed::channel`](super::Feed::channel).
///
/// A message in its place costs no lock and no allocation.
#[derive(Debug)]
pub struct Channel {
    feed: Arc<Shared>,
    messages: Counter,
    lag: Lags,
    sequencing: Sequencing,
    tracks: Tracks,
    pending: Arc<Pending>,
    /// The connection that the numbers are of.
    connection: u64,
    expected: u64,
    /// When the next session begins, where numbers begin anew with it.
    anew_at: i64,
}

/// Lags of a channel, by one clock or by two; resolved when there is the first to record.
#[derive(Debug)]
struct Lags {
    raw: Option<Histogram>,
    corrected: Option<(Histogram, Clock)>,
}

/// What of a channel scrapes have to look at.
#[derive(Debug)]
pub(super) struct Pending(Mutex<Holes>);

impl Pending {
    fn holes(&self) -> MutexGuard<'_, Holes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Gives up what has been missing for too long.
    pub(super) fn expire(&self, at: Moment) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.retain(|channel| {
            let Some(pending) = channel.upgrade() else {
                return false;
            };
            let lost = pending.holes().expire(at.monotonic, self.give_up_after);
            self.lose(lost);
            true
        });
    }

    fn lose(&self, lost: Lost) {
        if lost.gaps > 0 {
            self.metrics.gaps.increment(lost.gaps);
            self.metrics.missed.increment(lost.messages);
        }
    }
}

impl Channel {
    pub(super) fn new(feed: &Arc<Shared>, kind: ChannelKind, sequencing: Sequencing) -> Self {
        let pending = Arc::new(Pending(Mutex::new(Holes::new())));
        let mut channels = feed.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.retain(|channel| channel.strong_count() > 0);
        channels.push(Arc::downgrade(&pending));
        drop(channels);
        Self {
            messages: feed.metrics.messages[kind].clone(),
            lag: Lags {
                raw: None,
                corrected: None,
            },
            sequencing,
            tracks: Tracks::new(sequencing),
            pending,
            connection: feed.connection.load(Ordering::Relaxed),
            expected: feed.expected,
            anew_at: if sequencing.begins_anew_at_open() {
                i64::MIN
            } else {
                i64::MAX
            },
            feed: Arc::clone(feed),
        }
    }

    /// A message came: its number or range of numbers (or `()`), the venue's time of it (or `None`), and when it was received, which is
    /// looked up once for all that one read of a socket brought.
    #[inline]
    pub fn message(
        &mut self,
        numbers: impl Into<Numbers>,
        venue_time: impl Into<Option<Timestamp>>,
        received: Moment,
    ) {
        self.count(venue_time.into(), received);
        let numbers = numbers.into();
        let place = self.tracks.place(numbers, received.monotonic);
        if place != Place::InOrder {
            self.out_of_place(0, numbers, place, received);
        }
    }

    /// The same where each symbol is numbered apart.
    pub fn message_of(
        &mut self,
        symbol: &str,
        numbers: impl Into<Numbers>,
        venue_time: impl Into<Option<Timestamp>>,
        received: Moment,
    ) {
        self.count(venue_time.into(), received);
        let (slot, evicted) = self.tracks.slot(symbol);
        if evicted {
            self.feed.metrics.evictions.increment(1);
            let lost = self.pending.holes().close(Some(slot));
            self.feed.lose(lost);
        }
        let numbers = numbers.into();
        let place = self.tracks.place_in(slot, numbers, received.monotonic);
        if place != Place::InOrder {
            self.out_of_place(slot, numbers, place, received);
        }
    }

    /// Something came that has a number and is no message, such as a heartbeat of FIX.
    pub fn skip(&mut self, numbers: impl Into<Numbers>, received: Moment) {
        self.same_connection();
        let numbers = numbers.into();
        let place = self.tracks.place(numbers, received.monotonic);
        if place != Place::InOrder {
            self.out_of_place(0, numbers, place, received);
        }
    }

    /// What the channel carries is made anew from a snapshot, and its numbers begin anew with the next message. What is missing until
    /// now stays so.
    pub fn resync(&mut self) {
        self.feed.metrics.resyncs.increment(1);
        self.begin_anew();
    }

    /// What a snapshot of one symbol makes anew, where each is numbered apart.
    pub fn resync_of(&mut self, symbol: &str) {
        self.feed.metrics.resyncs.increment(1);
        let (slot, _) = self.tracks.slot(symbol);
        self.tracks.restart(slot);
        let lost = self.pending.holes().close(Some(slot));
        self.feed.lose(lost);
    }

    #[inline]
    fn count(&mut self, venue_time: Option<Timestamp>, received: Moment) {
        self.messages.increment(1);
        let last = self.feed.last_message.load(Ordering::Relaxed);
        let silent = received.monotonic.saturating_sub(last);
        if last == 0 || silent > self.expected {
            self.feed.spoke(received);
        }
        if received.monotonic > last {
            self.feed
                .last_message
                .store(received.monotonic, Ordering::Relaxed);
        }
        self.same_connection();
        if received.wall >= self.anew_at {
            self.session_begins(received);
        }
        if let Some(venue_time) = venue_time {
            self.lag(venue_time, received);
        }
    }

    /// A session may have begun since the last message; then all numbers begin anew.
    #[cold]
    fn session_begins(&mut self, received: Moment) {
        let Some(sessions) = &self.feed.sessions else {
            self.anew_at = i64::MAX;
            return;
        };
        let next = sessions.next(received.timestamp());
        let is_first = self.anew_at == i64::MIN;
        self.anew_at = next.map_or(i64::MAX, |session| nanoseconds(session.start));
        if !is_first {
            self.begin_anew();
        }
    }

    #[inline]
    fn same_connection(&mut self) {
        let connection = self.feed.connection.load(Ordering::Relaxed);
        if connection != self.connection {
            self.connection = connection;
            if !self.sequencing.goes_on_across_connections() {
                self.begin_anew();
            }
        }
    }

    #[cold]
    fn begin_anew(&mut self) {
        self.tracks.restart_all();
        let lost = self.pending.holes().close(None);
        self.feed.lose(lost);
    }

    #[cold]
    fn out_of_place(&self, slot: usize, numbers: Numbers, place: Place, received: Moment) {
        let metrics = &self.feed.metrics;
        let mut holes = self.pending.holes();
        let given_up = holes.expire(received.monotonic, self.feed.give_up_after);
        self.feed.lose(given_up);
        match place {
            Place::InOrder => {}
            Place::AfterHole { first, last } => {
                let lost = holes.open(slot, first, last, received.monotonic);
                self.feed.lose(lost);
            }
            Place::Old if self.tracks.rises() => metrics.out_of_order.increment(1),
            Place::Old | Place::Overlapping => {
                let (filled, lost) = holes.fill(slot, numbers);
                self.feed.lose(lost);
                if filled {
                    metrics.out_of_order.increment(1);
                } else if place == Place::Old {
                    metrics.duplicates.increment(1);
                }
            }
        }
    }

    #[inline]
    fn lag(&mut self, venue_time: Timestamp, received: Moment) {
        let venue = nanoseconds(venue_time);
        match &self.lag.raw {
            Some(raw) => raw.record(seconds(received.wall.saturating_sub(venue))),
            None => self.resolve_lag(venue, received),
        }
        if let Some((corrected, clock)) = &self.lag.corrected
            && let Some(theirs) = clock.theirs_at(received)
        {
            corrected.record(seconds(theirs.saturating_sub(venue)));
        }
    }

    #[cold]
    fn resolve_lag(&mut self, venue: i64, received: Moment) {
        let lag = &self.feed.metrics.lag;
        let raw = lag[LagClock::Raw].clone();
        raw.record(seconds(received.wall.saturating_sub(venue)));
        self.lag.raw = Some(raw);
        if let Some(clock) = &self.feed.clock {
            self.lag.corrected = Some((lag[LagClock::Corrected].clone(), clock.clone()));
        }
    }
}

/// What is missing when nobody reads any more stays so.
impl Drop for Channel {
    fn drop(&mut self) {
        let lost = self.pending.holes().close(None);
        self.feed.lose(lost);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a lag of more than a hundred days may lose a nanosecond"
)]
fn seconds(nanoseconds: i64) -> f64 {
    nanoseconds as f64 / 1e9
}
