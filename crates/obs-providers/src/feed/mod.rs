//! Feeds: what comes by itself, over a WebSocket, a stream, a socket of FIX or a queue.

mod book;
mod channel;
mod link;
mod metrics;
mod sequence;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use obs_core::{Outcome, PanicWatch, Value};
use tokio::sync::Notify;

use crate::lazy::Lazy;
use crate::moment::LastTime;
use crate::provider::Inner as Owner;
use crate::{Clock, Moment, Provider, TradingCalendar};

pub use book::Book;
pub use channel::Channel;
pub use metrics::{
    BookMetrics, ChannelKind, DisconnectReason, FeedMetrics, FeedName, LagClock, SubscriptionState,
};
pub use sequence::{Numbers, Sequencing};

use channel::Pending;
use link::{Link, Look};

/// How long a hole may stay open before its messages are lost for good.
const GIVE_UP_AFTER: Duration = Duration::from_secs(2);

/// How often a feed is looked at that has nothing to be late with: its market is closed, or it is not connected.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A feed of a provider under measurement, free of what carries it: the program says what happens, whatever library it reads by.
/// Cheap to clone; all handles of one name are one feed.
///
/// ```
/// use std::time::Duration;
/// use obs_providers::{ChannelKind, DisconnectReason, Moment, Provider, ProviderKind, Sequencing, TradingCalendar};
///
/// let provider = Provider::new("alpaca", ProviderKind::MarketData);
/// let feed = provider.feed("sip")
///     .expects_within(Duration::from_secs(5))
///     .sessions(TradingCalendar::nyse())
///     .bears_lag(Duration::from_millis(500))
///     .open();
/// let mut trades = feed.channel(ChannelKind::Trades, Sequencing::next());
///
/// // The task that connects says so, and how that ended.
/// let attempt = feed.connecting();
/// attempt.connected();
/// feed.subscribing(2);
/// feed.subscribed(2);
/// // The task that reads says what came, with one look at the clocks for all that one read of the socket brought.
/// let received = Moment::now();
/// let venue_time = received.timestamp();
/// trades.message(1, venue_time, received);
/// trades.message(2, venue_time, received);
/// feed.heartbeat();
/// feed.lost(DisconnectReason::Transport);
/// // Before every scrape; the exporter has a hook for it.
/// provider.observe();
/// ```
///
/// # What counts as what
///
/// A feed is **stalled** while it is connected and no message has come for longer than [expected](FeedBuilder::expects_within), in
/// session time: that of one session, since a close and an open in between excuse any silence. Heartbeats are no messages: a feed that
/// answers pings and sends no data is what this is to find. Each silence counts once in `feed_stalls_total`, when it is noticed: by a
/// scrape while it lasts, or by the message that ends it, also where all of it lay between two scrapes. `feed_stalled_seconds_total`
/// is what was beyond the expected. While a feed is stalled, or was lost for that long, its provider is not up.
///
/// Numbers of messages are held against the channel's [`Sequencing`]. A hole counts as a gap, and its messages as missed, once it has been
/// open for [two seconds](FeedBuilder::gives_up_after), or when numbers begin anew before; what fills it until then was only
/// `out_of_order`. What is neither new nor missing is a duplicate.
///
/// Nothing here takes a topic or a text of the venue, so none can show up in a label, a log or an error. A feed that is named by its URL
/// has the host as its name: queries hold keys, and paths do, too.
///
/// # Other carriers
///
/// A consumer of Kafka or NATS says `connected` when it has its partitions or its connection, `message` with the offset or the
/// stream's sequence and the record's timestamp, and `lost` when they are taken away:
///
/// ```
/// # use obs_providers::{ChannelKind, Feed, Moment, Sequencing};
/// # struct Record { offset: u64, timestamp_ms: i64 }
/// # fn poll() -> Vec<Record> { vec![Record { offset: 7, timestamp_ms: 1_795_618_800_000 }] }
/// # fn consume(feed: &Feed) -> Result<(), obs_providers::jiff::Error> {
/// // Offsets rise; compacted topics and transactions leave some out.
/// let mut orders = feed.channel(ChannelKind::Orders, Sequencing::rising().continues());
/// feed.connected();
/// let records = poll();
/// let received = Moment::now();
/// for record in records {
///     let at = obs_providers::jiff::Timestamp::from_millisecond(record.timestamp_ms)?;
///     orders.message(record.offset, at, received);
/// }
/// # Ok(())
/// # }
/// ```
///
/// A session of FIX has `MsgSeqNum` (34), `SendingTime` (52), heartbeats of its own, and resend requests that fill holes:
///
/// ```
/// # use obs_providers::{ChannelKind, Feed, Moment, Sequencing};
/// # struct Fix { kind: u8, number: u64, sending_time: obs_providers::jiff::Timestamp }
/// # fn session(feed: &Feed, message: Fix) {
/// let mut executions = feed.channel(ChannelKind::Orders, Sequencing::next().continues().restarts_at_open());
/// feed.connected(); // Logon was answered.
/// match message.kind {
///     b'0' | b'1' => {
///         // Heartbeat and TestRequest have numbers like all others, and are no data.
///         executions.skip(message.number, Moment::now());
///         feed.heartbeat();
///     }
///     _ => executions.message(message.number, message.sending_time, Moment::now()),
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Feed(Arc<Shared>);

pub(crate) struct Shared {
    provider: Weak<Owner>,
    provider_name: String,
    name: Value<FeedName>,
    /// Whether it is what all share that are beyond the budget: then no gauge can say anything of it.
    is_folded: bool,
    metrics: FeedMetrics,
    books: Lazy<BookMetrics>,
    /// Nanoseconds; the most there are where nothing is expected.
    expected: u64,
    give_up_after: u64,
    sessions: Option<TradingCalendar>,
    clock: Option<Clock>,
    on_stall: Option<Box<OnStall>>,
    /// The monotonic time of the last message; 0 where the next one has to be looked at whatever it is.
    last_message: AtomicU64,
    last_heartbeat: AtomicU64,
    /// The same by the time of day.
    message_time: LastTime,
    heartbeat_time: LastTime,
    /// Connections so far.
    connection: AtomicU64,
    link: Mutex<Link>,
    changed: Notify,
    channels: Mutex<Vec<Weak<Pending>>>,
    /// Whether the provider has it brought up to date before every scrape.
    observed: AtomicBool,
}

type OnStall = dyn Fn(Stall) + Send + Sync;

/// A feed that is connected and mute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// For how long it has been mute, in session time.
    pub silent_for: Duration,
}

/// Says more of a feed before it is made.
#[must_use = "nothing is measured before `open`"]
pub struct FeedBuilder {
    provider: Provider,
    name: String,
    expected: Option<Duration>,
    give_up_after: Duration,
    lag_allowed: Option<Duration>,
    sessions: Option<TradingCalendar>,
    clock: Option<Clock>,
    on_stall: Option<Box<OnStall>>,
}

impl fmt::Debug for FeedBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedBuilder")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Provider {
    /// A feed of the provider, such as a WebSocket: see [`Feed`]. Where there is one of that name already, it is that one, as it was
    /// made.
    pub fn feed(&self, name: &str) -> FeedBuilder {
        FeedBuilder {
            provider: self.clone(),
            name: without_secrets(name).to_owned(),
            expected: None,
            give_up_after: GIVE_UP_AFTER,
            lag_allowed: None,
            sessions: None,
            clock: None,
            on_stall: None,
        }
    }
}

impl FeedBuilder {
    /// The longest time between two messages that is nothing to worry about while the market is open. Without it no stall is seen.
    pub fn expects_within(mut self, gap: Duration) -> Self {
        self.expected = Some(gap);
        self
    }

    /// When it is expected to speak; by default always.
    pub fn sessions(mut self, calendar: TradingCalendar) -> Self {
        self.sessions = Some(calendar);
        self
    }

    /// The lag that the program bears; an alert holds `feed_lag_seconds` against it.
    pub fn bears_lag(mut self, lag: Duration) -> Self {
        self.lag_allowed = Some(lag);
        self
    }

    /// How long a hole in a sequence may stay open before its messages are lost for good; by default two seconds.
    pub fn gives_up_after(mut self, window: Duration) -> Self {
        self.give_up_after = window;
        self
    }

    /// The venue's clock, by which lags are measured a second time, corrected.
    pub fn clock(mut self, clock: &Clock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// Called once for each silence that is noticed while it lasts, by whatever notices it, so that something connects anew.
    /// [`Feed::stalled`] does the same for a loop that reads.
    pub fn on_stall(mut self, call: impl Fn(Stall) + Send + Sync + 'static) -> Self {
        self.on_stall = Some(Box::new(call));
        self
    }

    /// Makes the feed; it is not connected yet.
    #[must_use]
    pub fn open(self) -> Feed {
        let owner = Arc::clone(&self.provider.0);
        let settings = Mutex::new(Some(self));
        let build = |value: Value<FeedName>| Feed::build(&owner, value, &settings);
        let name = {
            let settings = settings.lock().unwrap_or_else(PoisonError::into_inner);
            settings.as_ref().map(|of| of.name.clone())
        };
        let feed = owner.feeds.of(&name.unwrap_or_default(), build);
        if !feed.0.observed.swap(true, Ordering::Relaxed) {
            owner.observes_feed(feed);
        }
        feed.clone()
    }
}

impl Feed {
    fn build(
        owner: &Arc<Owner>,
        name: Value<FeedName>,
        settings: &Mutex<Option<FeedBuilder>>,
    ) -> Self {
        let settings = settings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let settings = settings.unwrap_or_else(|| Provider(Arc::clone(owner)).feed(name.as_str()));
        let metrics = FeedMetrics::new(owner.name(), name.clone());
        let is_folded = name.as_str() != settings.name;
        let seconds = |time: Option<Duration>| {
            let time = time.filter(|_| !is_folded);
            time.map_or(f64::NAN, |time| time.as_secs_f64())
        };
        metrics.expected.set(seconds(settings.expected));
        metrics.lag_allowed.set(seconds(settings.lag_allowed));
        metrics.last_message.begin_undefined();
        metrics.last_heartbeat.begin_undefined();
        metrics.up.set(if is_folded { f64::NAN } else { 0.0 });
        Self(Arc::new(Shared {
            provider: Arc::downgrade(owner),
            provider_name: owner.name().to_owned(),
            name,
            is_folded,
            metrics,
            books: Lazy::new(),
            expected: settings.expected.map_or(u64::MAX, nanoseconds),
            give_up_after: nanoseconds(settings.give_up_after),
            sessions: settings.sessions,
            clock: settings.clock,
            on_stall: settings.on_stall,
            last_message: AtomicU64::new(0),
            last_heartbeat: AtomicU64::new(0),
            message_time: LastTime::default(),
            heartbeat_time: LastTime::default(),
            connection: AtomicU64::new(0),
            link: Mutex::new(Link::default()),
            changed: Notify::new(),
            channels: Mutex::default(),
            observed: AtomicBool::new(false),
        }))
    }

    /// Its handles, for what the verbs do not cover.
    #[must_use]
    pub fn metrics(&self) -> &FeedMetrics {
        &self.0.metrics
    }

    /// A channel of it: one kind of message, numbered by one rule, read by one task. Two channels of one kind add up.
    #[must_use]
    pub fn channel(&self, kind: ChannelKind, sequencing: Sequencing) -> Channel {
        Channel::new(&self.0, kind, sequencing)
    }

    /// An order book of it, whose spread and validity are watched.
    #[must_use]
    pub fn book(&self) -> Book {
        Book::new(&self.0)
    }

    /// Begins to connect. The attempt that it returns records how that ended; dropped, it was cancelled.
    pub fn connecting(&self) -> Connecting {
        Connecting {
            feed: self.clone(),
            ended: false,
            panics: PanicWatch::start(),
        }
    }

    /// There is a connection, where nobody has said before that one was coming, as by an SDK that connects by itself.
    pub fn connected(&self) {
        self.connected_at(Moment::now());
    }

    /// There is a connection since that moment, for replays and clocks of one's own.
    pub fn connected_at(&self, at: Moment) {
        self.0.metrics.connects[Outcome::Ok].increment(1);
        self.0.connected(at);
    }

    /// The connection has ended, or is given up. Without one nothing happens.
    pub fn lost(&self, reason: DisconnectReason) {
        self.lost_at(reason, Moment::now());
    }

    /// The connection ended at that moment.
    pub fn lost_at(&self, reason: DisconnectReason, at: Moment) {
        self.0.lost(reason, at);
    }

    /// A heartbeat or a pong came. It is no message, and ends no silence.
    pub fn heartbeat(&self) {
        self.heartbeat_at(Moment::now());
    }

    /// A heartbeat or a pong came at that moment.
    pub fn heartbeat_at(&self, at: Moment) {
        self.0
            .last_heartbeat
            .fetch_max(at.monotonic, Ordering::Relaxed);
    }

    /// So many subscriptions are asked for, beside those before on this connection.
    pub fn subscribing(&self, subscriptions: u32) {
        self.0
            .subscriptions(|asked, confirmed| (asked.saturating_add(subscriptions), confirmed));
    }

    /// So many more are confirmed.
    pub fn subscribed(&self, subscriptions: u32) {
        self.0
            .subscriptions(|asked, confirmed| (asked, confirmed.saturating_add(subscriptions)));
    }

    /// So many have ended.
    pub fn unsubscribed(&self, subscriptions: u32) {
        self.0.subscriptions(|asked, confirmed| {
            (
                asked.saturating_sub(subscriptions),
                confirmed.saturating_sub(subscriptions),
            )
        });
    }

    /// A book or another state is made anew from a snapshot; [`Channel::resync`] begins the numbers anew as well.
    pub fn resync(&self) {
        self.0.metrics.resyncs.increment(1);
    }

    /// Whether it is connected and speaks, as far as it has to.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.0.look(Moment::now()), Look::Up(_))
    }

    /// Waits until the feed is stalled: connected and mute for longer than expected, in session time. For the loop that reads it:
    ///
    /// ```no_run
    /// # use obs_providers::{Channel, DisconnectReason, Feed, Moment};
    /// # struct Socket; impl Socket { async fn next(&mut self) -> Option<u64> { None } }
    /// # async fn read(feed: Feed, mut channel: Channel, mut socket: Socket) {
    /// let mut stalled = std::pin::pin!(feed.stalled());
    /// let reason = loop {
    ///     tokio::select! {
    ///         message = socket.next() => match message {
    ///             Some(number) => channel.message(number, None, Moment::now()),
    ///             None => break DisconnectReason::Closed,
    ///         },
    ///         _ = &mut stalled => break DisconnectReason::Stalled,
    ///     }
    /// };
    /// feed.lost(reason);
    /// // And connect again.
    /// # }
    /// ```
    pub async fn stalled(&self) -> Stall {
        loop {
            let changed = self.0.changed.notified();
            let wait = match self.0.look(Moment::now()) {
                Look::Stalled(silent_for) => return Stall { silent_for },
                Look::Up(Some(left)) => left.max(Duration::from_millis(1)),
                Look::Up(None) | Look::Down => LOOK_AGAIN,
            };
            // Whichever comes first, it is looked again.
            let _ = tokio::time::timeout(wait, changed).await;
        }
    }

    /// Brings up to date what changes by the mere passing of time. [`Provider::observe`] does it for all feeds of a provider.
    pub fn observe(&self) {
        self.observe_at(Moment::now());
    }

    /// The same for that moment, for replays and clocks of one's own.
    pub fn observe_at(&self, at: Moment) {
        self.0.observe(at);
    }
}

// The closure and the calendar say nothing to a reader.
impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("provider", &self.provider_name)
            .field("name", &self.name.as_str())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed")
            .field("provider", &self.0.provider_name)
            .field("name", &self.0.name.as_str())
            .finish_non_exhaustive()
    }
}

/// A connection that is being made.
#[derive(Debug)]
#[must_use = "an attempt that is dropped at once counts as cancelled"]
pub struct Connecting {
    feed: Feed,
    ended: bool,
    panics: PanicWatch,
}

impl Connecting {
    /// There is a connection.
    pub fn connected(mut self) {
        self.ended = true;
        self.feed.connected();
    }

    /// There is none.
    pub fn failed(mut self) {
        self.ended = true;
        self.feed.0.metrics.connects[Outcome::Error].increment(1);
    }

    /// Ends as the result is, and hands it on.
    ///
    /// # Errors
    ///
    /// That of the result.
    pub fn result<T, E>(self, result: Result<T, E>) -> Result<T, E> {
        match &result {
            Ok(_) => self.connected(),
            Err(_) => self.failed(),
        }
        result
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        if !self.ended {
            let panicked = self.panics.has_panicked();
            let outcome = if panicked {
                Outcome::Panicked
            } else {
                Outcome::Cancelled
            };
            self.feed.0.metrics.connects[outcome].increment(1);
        }
    }
}

/// The host, where a name is a URL: its user, path and query may hold keys.
pub(crate) fn without_secrets(name: &str) -> &str {
    let Some((_, rest)) = name.split_once("://") else {
        return name;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
