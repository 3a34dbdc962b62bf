//! The labels and families of feeds.

use obs_core::{
    Alarm, By, Counter, Figure, Gauge, Group, Histogram, Late, Outcome, Reading, TimeCounter, Unit,
    Worse,
};

use crate::ProviderName;

obs_core::label! {
    /// One feed of a provider, such as `sip`.
    pub open FeedName as "feed" up to 30
}

obs_core::label! {
    /// What kind of messages a channel carries, never a topic or a symbol.
    pub enum ChannelKind as "channel" {
        /// Trades.
        Trades = "trades",
        /// Best bids and offers.
        Quotes = "quotes",
        /// Changes and snapshots of order books.
        Book = "book",
        /// Bars.
        Bars = "bars",
        /// What became of our orders.
        Orders = "orders",
        /// Balances and positions.
        Account = "account",
        /// Open interest, funding rates, statistics of the day.
        Statistics = "statistics",
        /// Halts, auctions, changes of instruments.
        Status = "status",
        /// News and sentiment.
        News = "news",
        /// Anything else.
        Miscellaneous = "miscellaneous",
    }
}

obs_core::label! {
    /// Why a connection ended.
    pub enum DisconnectReason as "reason" {
        /// The venue closed it in order.
        Closed = "closed",
        /// It broke: reset, timed out, or the network is gone.
        Transport = "transport",
        /// The program closed it, because it was mute.
        Stalled = "stalled",
        /// The program closed it, because messages were lost or a book was wrong.
        Desynchronised = "desynchronised",
        /// The venue refused the key or the subscription.
        Refused = "refused",
        /// What came could not be understood.
        Protocol = "protocol",
        /// The program cannot keep up, and the venue gave it up for that.
        TooSlow = "too_slow",
        /// The program closed it because it wanted to.
        Requested = "requested",
        /// Another connection was there before anybody said that this one had ended.
        Unknown = "unknown",
    }
}

obs_core::label! {
    /// By which clock a lag is measured.
    pub enum LagClock as "clock" {
        /// Our clock as it is.
        Raw = "raw",
        /// Our clock corrected by what is known of its offset against the venue's.
        Corrected = "corrected",
    }
}

obs_core::label! {
    /// What is known of subscriptions.
    pub enum SubscriptionState as "state" {
        /// Asked for on this connection.
        Asked = "asked",
        /// Confirmed by the venue.
        Confirmed = "confirmed",
    }
}

/// Seconds without a feed: from a quick reconnect to a lost day.
const OUTAGE_BUCKETS: &[f64] = &[
    0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0,
];

/// Seconds from the venue's time to ours, finest where co-located desks are; below 0 one of the clocks is wrong.
const LAG_BUCKETS: &[f64] = &[
    -60.0, -1.0, -0.1, -0.01, -0.001, -0.000_1, 0.0, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5,
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0,
];

/// A spread in hundredths of a percent.
const SPREAD_BUCKETS: &[f64] = &[
    0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 5_000.0,
];

/// A century either way: a lag is never clamped, however wrong a clock is.
const ANY_LAG: std::ops::RangeInclusive<f64> = -3.2e9..=3.2e9;

/// What comes by itself.
const FEEDS: Group = Group::new("Feeds").rank(Group::LIBRARY + 45).figures(&[
    Figure::bar(
        "Feeds up",
        Reading::sum(FeedMetrics::up),
        Reading::series(FeedMetrics::up),
    )
    .trend(Reading::rate(FeedMetrics::messages))
    .facts(&[
        ("messages", Reading::rate(FeedMetrics::messages)),
        ("missed", Reading::sum(FeedMetrics::missed)),
        ("stalls", Reading::sum(FeedMetrics::stalls)),
    ])
    .worse(Worse::Down)
    .alarms(&[Alarm::below(Reading::least(FeedMetrics::up), 1.0)]),
    Figure::table(
        "Lag and gaps of feeds",
        "feed",
        &[
            ("messages", Reading::rate(FeedMetrics::messages)),
            ("lag p99", Reading::quantile(FeedMetrics::lag, 0.99)),
            ("gaps", Reading::sum(FeedMetrics::gaps)),
            ("missed", Reading::sum(FeedMetrics::missed)),
        ],
    ),
]);

obs_core::families! {
    group FEEDS;

    /// One feed of a provider.
    pub struct FeedMetrics(provider: ProviderName, feed: FeedName) {
        /// Whether the feed is connected and speaks; outside its sessions a mute one counts as speaking, and one that is not
        /// connected is undefined.
        pub up: Gauge = "feed_up" { across: obs_core::Across::Min, unit: Unit::Switch, budget: 300 },
        /// Attempts to connect, by how they ended.
        pub connects: By<Outcome, Counter> = "feed_connects_total" { budget: 1_200 },
        /// Connections that ended, by why.
        pub disconnects: By<DisconnectReason, Counter> = "feed_disconnects_total" { budget: 2_700 },
        /// Time from the loss of a connection to the next message.
        pub outage: Histogram = "feed_outage_duration_seconds" { buckets: OUTAGE_BUCKETS, budget: 300 },
        /// Messages received, without heartbeats and pongs.
        pub messages: Late<ChannelKind, Counter> = "feed_messages_total" { budget: 1_500 },
        /// Time from the venue's time of a message to ours; negative where one of the clocks is wrong.
        pub lag: Late<LagClock, Histogram> = "feed_lag_seconds" { buckets: LAG_BUCKETS, range: ANY_LAG, budget: 300 },
        /// Lag that the program bears; undefined where it does not say.
        pub lag_allowed: Gauge = "feed_lag_allowed_seconds" { budget: 300 },
        /// When the last message came; undefined until one did.
        pub last_message: Gauge = "feed_last_message_timestamp_seconds" { budget: 300 },
        /// When the last heartbeat or pong came; undefined until one did.
        pub last_heartbeat: Gauge = "feed_last_heartbeat_timestamp_seconds" { budget: 300 },
        /// Longest time between two messages that is expected while the market is open; undefined where the program does not say.
        pub expected: Gauge = "feed_expected_seconds" { budget: 300 },
        /// Times the feed was connected and mute for longer than expected, in session time. A silence counts once.
        pub stalls: Counter = "feed_stalls_total" { budget: 300 },
        /// Session time for which a connected feed was mute, beyond what is expected between two messages.
        pub stalled: TimeCounter = "feed_stalled_seconds_total" { budget: 300 },
        /// Holes in the sequence that were not filled in time.
        pub gaps: Counter = "feed_gaps_total" { budget: 300 },
        /// Messages that were lost in them for good.
        pub missed: Counter = "feed_missed_messages_total" { budget: 300 },
        /// Messages that came after later ones.
        pub out_of_order: Counter = "feed_out_of_order_total" { budget: 300 },
        /// Messages that came again.
        pub duplicates: Counter = "feed_duplicates_total" { budget: 300 },
        /// Symbols whose place in their sequence was forgotten to keep that of another.
        pub evictions: Counter = "feed_sequence_evictions_total" { budget: 300 },
        /// Subscriptions on this connection, asked for and confirmed.
        pub subscriptions: By<SubscriptionState, Gauge> = "feed_subscriptions" { budget: 600 },
        /// Books or states made anew from a snapshot.
        pub resyncs: Counter = "feed_resyncs_total" { budget: 300 },
    }
}

obs_core::families! {
    group FEEDS;

    /// The order books of one feed.
    pub struct BookMetrics(provider: ProviderName, feed: FeedName) {
        /// Session time for which books were crossed or one-sided, added up over books.
        pub invalid: TimeCounter = "feed_book_invalid_seconds_total" { budget: 300 },
        /// Spread between the best bid and the best offer, by the price between them.
        pub spread: Histogram = "feed_book_spread_bps" { buckets: SPREAD_BUCKETS, budget: 300 },
    }
}
