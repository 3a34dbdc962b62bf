//! Whether a feed is connected and speaks.

use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::{DisconnectReason, Shared, Stall, SubscriptionState};
use crate::moment::timestamp;
use crate::{Moment, TradingCalendar};

/// What is known of the connection, and of the silence on it.
#[derive(Debug, Default)]
pub(super) struct Link {
    connected: bool,
    /// Since when a message may be expected, on the monotonic clock: the connection, or the last message that was looked at.
    base: u64,
    /// The last message of all.
    last_message: u64,
    /// When the connection was lost of which nothing has come since; at first, when somebody first looked.
    lost_at: Option<u64>,
    /// Whether there was a connection before.
    was_connected: bool,
    silence: Silence,
    /// Whether the provider was told that the feed is down.
    told_down: bool,
    subscriptions: (u32, u32),
    pub(super) books: Books,
}

/// A silence, by when it began, and what of it is counted.
#[derive(Clone, Copy, Debug, Default)]
struct Silence {
    since: u64,
    counted: bool,
    stalled: Duration,
}

/// Books that are invalid, and until when that is counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Books {
    pub(super) invalid: u32,
    pub(super) counted_to: u64,
}

/// What a look at the feed finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Connected, and nothing is overdue; with the time until something is, where that can be said.
    Up(Option<Duration>),
    /// Connected and mute for so long, in session time.
    Stalled(Duration),
    /// Not connected.
    Down,
}

impl Shared {
    fn link(&self) -> MutexGuard<'_, Link> {
        // Nothing of others' runs while it is held, and each field is whole by itself.
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn connected(&self, at: Moment) {
        let mut link = self.link();
        let replaced = link.connected;
        drop(link);
        if replaced {
            self.lost(DisconnectReason::Unknown, at);
        }
        link = self.link();
        link.connected = true;
        link.was_connected = true;
        link.base = at.monotonic;
        self.connection.fetch_add(1, Ordering::Relaxed);
        self.forget_last(&mut link);
        self.show_subscriptions(&mut link, (0, 0));
        drop(link);
        self.changed.notify_waiters();
    }

    pub(super) fn lost(&self, reason: DisconnectReason, at: Moment) {
        let mut link = self.link();
        if !link.connected {
            return;
        }
        self.settle(&mut link, at);
        link.connected = false;
        link.lost_at.get_or_insert(at.monotonic);
        self.metrics.disconnects[reason].increment(1);
        self.forget_last(&mut link);
        self.show_subscriptions(&mut link, (0, 0));
        if !self.is_folded {
            self.metrics.up.set(0.0);
        }
        drop(link);
        self.changed.notify_waiters();
    }

    /// Has the next message looked at.
    fn forget_last(&self, link: &mut Link) {
        let last = self.last_message.swap(0, Ordering::Relaxed);
        link.last_message = link.last_message.max(last);
    }

    /// A message came after a silence, or as the first of its connection. The message itself is for the caller to note.
    #[cold]
    pub(super) fn spoke(&self, at: Moment) {
        let mut link = self.link();
        if !link.connected {
            // Somebody's SDK has connected without a word.
            link.connected = true;
            link.was_connected = true;
            link.base = at.monotonic;
            self.connection.fetch_add(1, Ordering::Relaxed);
        }
        self.settle(&mut link, at);
        if let Some(lost_at) = link.lost_at.take() {
            let outage = at.monotonic.saturating_sub(lost_at);
            self.metrics.outage.record(Duration::from_nanos(outage));
        }
        link.base = link.base.max(at.monotonic);
        link.last_message = link.last_message.max(at.monotonic);
        if !self.is_folded {
            self.metrics.up.set(1.0);
        }
        self.tell(&mut link, false);
        drop(link);
        if let Some(provider) = self.provider.upgrade() {
            provider.availability.heard(true, Instant::now());
        }
    }

    /// Looks at the feed: what is overdue is counted, and told once.
    pub(super) fn look(&self, at: Moment) -> Look {
        let mut link = self.link();
        if !link.connected {
            return Look::Down;
        }
        let (silent, is_new) = self.settle(&mut link, at);
        let look = match silent {
            Some(silent_for) => Look::Stalled(silent_for),
            None => Look::Up(self.left(&link, at)),
        };
        drop(link);
        if let (Look::Stalled(silent_for), true, Some(on_stall)) = (look, is_new, &self.on_stall) {
            on_stall(Stall { silent_for });
        }
        look
    }

    fn left(&self, link: &Link, at: Moment) -> Option<Duration> {
        let is_closed = |sessions: &TradingCalendar| !sessions.is_open(at.timestamp());
        if self.expected == u64::MAX || self.sessions.as_ref().is_some_and(is_closed) {
            return None;
        }
        let silent = at.monotonic.saturating_sub(self.silent_since(link));
        let left = self.expected.saturating_sub(silent);
        Some(Duration::from_nanos(left.saturating_add(1)))
    }

    fn silent_since(&self, link: &Link) -> u64 {
        self.last_message.load(Ordering::Relaxed).max(link.base)
    }

    /// Counts the silence up to that moment; how long it is in session time if it is a stall, and whether that is news.
    fn settle(&self, link: &mut Link, at: Moment) -> (Option<Duration>, bool) {
        if !link.connected || self.expected == u64::MAX {
            return (None, false);
        }
        let since = self.silent_since(link);
        let silent = at.monotonic.saturating_sub(since);
        // The calendar is looked up only where there is something to ask it.
        if silent <= self.expected {
            return (None, false);
        }
        let expected = Duration::from_nanos(self.expected);
        let Overdue {
            stalled,
            longest,
            now,
        } = overdue(self.sessions.as_ref(), silent, at, expected);
        if stalled.is_zero() {
            return (None, false);
        }
        if link.silence.since != since {
            link.silence = Silence {
                since,
                ..Silence::default()
            };
        }
        let is_new = !link.silence.counted;
        if is_new {
            link.silence.counted = true;
            self.metrics.stalls.increment(1);
        }
        self.metrics
            .stalled
            .add(stalled.saturating_sub(link.silence.stalled));
        link.silence.stalled = link.silence.stalled.max(stalled);
        (now.then_some(longest), is_new)
    }

    /// Brings everything up to that moment.
    pub(super) fn observe(&self, at: Moment) {
        self.expire(at);
        let look = self.look(at);
        let mut link = self.link();
        self.count_books(&mut link, at);
        let in_session = self
            .sessions
            .as_ref()
            .is_none_or(|sessions| sessions.is_open(at.timestamp()));
        let shown = match look {
            Look::Up(_) => 1.0,
            Look::Stalled(_) => 0.0,
            Look::Down if in_session => 0.0,
            Look::Down => f64::NAN,
        };
        let is_down = match look {
            Look::Up(_) => false,
            Look::Stalled(_) => true,
            Look::Down => in_session && self.is_gone_for_long(&mut link, at),
        };
        self.tell(&mut link, is_down);
        let last = link
            .last_message
            .max(self.last_message.load(Ordering::Relaxed));
        drop(link);
        if self.is_folded {
            return;
        }
        self.metrics.up.set(shown);
        let heartbeat = self.last_heartbeat.load(Ordering::Relaxed);
        for (gauge, time, moment) in [
            (&self.metrics.last_message, &self.message_time, last),
            (
                &self.metrics.last_heartbeat,
                &self.heartbeat_time,
                heartbeat,
            ),
        ] {
            if moment > 0 {
                gauge.set(time.seconds(moment, || time_of(moment, at)));
            }
        }
    }

    /// Whether there has been no connection for longer than a connected feed may be mute.
    fn is_gone_for_long(&self, link: &mut Link, at: Moment) -> bool {
        if self.expected == u64::MAX {
            return false;
        }
        if !link.was_connected && link.base == 0 {
            // Nobody has connected yet: it is missed from the first look on.
            link.base = at.monotonic;
        }
        let since = link.lost_at.unwrap_or(link.base);
        at.monotonic.saturating_sub(since) > self.expected
    }

    /// Tells the provider, where it does not know it yet.
    fn tell(&self, link: &mut Link, is_down: bool) {
        if link.told_down == is_down || self.is_folded {
            return;
        }
        if let Some(provider) = self.provider.upgrade() {
            provider.availability.feed(is_down, Instant::now());
        }
        link.told_down = is_down;
    }

    pub(super) fn subscriptions(&self, change: impl FnOnce(u32, u32) -> (u32, u32)) {
        let mut link = self.link();
        let (asked, confirmed) = link.subscriptions;
        let changed = change(asked, confirmed);
        self.show_subscriptions(&mut link, changed);
    }

    fn show_subscriptions(&self, link: &mut Link, subscriptions: (u32, u32)) {
        link.subscriptions = subscriptions;
        let shown = |count: u32| {
            if self.is_folded {
                f64::NAN
            } else {
                f64::from(count)
            }
        };
        let gauges = &self.metrics.subscriptions;
        gauges[SubscriptionState::Asked].set(shown(subscriptions.0));
        gauges[SubscriptionState::Confirmed].set(shown(subscriptions.1));
    }

    /// A book became invalid, or valid again.
    pub(super) fn book_changes(&self, is_invalid: bool, at: Moment) {
        let mut link = self.link();
        self.count_books(&mut link, at);
        let invalid = &mut link.books.invalid;
        *invalid = if is_invalid {
            invalid.saturating_add(1)
        } else {
            invalid.saturating_sub(1)
        };
    }

    fn count_books(&self, link: &mut Link, at: Moment) {
        let books = &mut link.books;
        let passed = at.monotonic.saturating_sub(books.counted_to);
        if books.invalid > 0 {
            let passed = open_time(self.sessions.as_ref(), passed, at);
            self.books().invalid.add(passed * books.invalid);
        }
        books.counted_to = books.counted_to.max(at.monotonic);
    }
}

/// The time of day at another moment of the monotonic clock, as seen from this one.
fn time_of(monotonic: u64, at: Moment) -> Timestamp {
    let ago = i64::try_from(at.monotonic.saturating_sub(monotonic)).unwrap_or(i64::MAX);
    timestamp(at.wall.saturating_sub(ago))
}

/// What of a silence lies in sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Overdue {
    /// Beyond the expected, over all sessions.
    stalled: Duration,
    /// The silence within the session that is on, or the last one.
    longest: Duration,
    /// Whether it is overdue now, in a session that is on.
    now: bool,
}

/// What of the time that has just passed was beyond the expected, in each session for itself.
fn overdue(
    sessions: Option<&TradingCalendar>,
    silent: u64,
    at: Moment,
    expected: Duration,
) -> Overdue {
    let silent = Duration::from_nanos(silent);
    let Some(sessions) = sessions else {
        return Overdue {
            stalled: silent.saturating_sub(expected),
            longest: silent,
            now: true,
        };
    };
    let until = at.timestamp();
    let mut all = Overdue::default();
    let mut moment = before(until, silent);
    while moment < until {
        let Some((start, end)) = span(sessions, moment) else {
            break;
        };
        if start >= until {
            break;
        }
        let within = end.min(until).duration_since(start.max(moment));
        let within = Duration::try_from(within).unwrap_or_default();
        let beyond = within.saturating_sub(expected);
        all.stalled += beyond;
        all.now = end > until && !beyond.is_zero();
        all.longest = within;
        moment = end;
    }
    all
}

fn before(until: Timestamp, time: Duration) -> Timestamp {
    let time = SignedDuration::try_from(time).unwrap_or_default();
    until.checked_sub(time).unwrap_or(Timestamp::MIN)
}

/// The session that this moment lies in, or the next one; sessions that follow one another without a pause are one.
fn span(sessions: &TradingCalendar, moment: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let session = sessions.current(moment).or_else(|| sessions.next(moment))?;
    let mut end = session.end;
    // A market that never closes goes on from day to day; a week of it is as good as all.
    for _ in 0..7 {
        match sessions.current(end) {
            Some(following) => end = following.end,
            None => break,
        }
    }
    Some((session.start, end))
}

/// What of the time that has just passed was in a session.
fn open_time(sessions: Option<&TradingCalendar>, passed: u64, at: Moment) -> Duration {
    let passed = Duration::from_nanos(passed);
    match sessions {
        None => passed,
        Some(sessions) => {
            let until = at.timestamp();
            sessions.open_time(before(until, passed), until)
        }
    }
}
