//! Feeds on an injected clock: every fault that is put in is counted, and none that is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::script::{Counts, End, Random};
use jiff::civil::{date, time};
use jiff::{SignedDuration, Timestamp};
use obs_core::TestRecorder;
use obs_providers::{
    Channel, ChannelKind, Clock, DisconnectReason, Feed, FeedBuilder, Moment, Provider,
    ProviderKind, Sequencing, TradingCalendar, jiff,
};

const LABELS: [(&str, &str); 2] = [("provider", "alpaca"), ("feed", "sip")];

const EXPECTED: Duration = Duration::from_mins(2);

/// A clock that goes when a test moves it.
#[derive(Clone, Copy)]
struct Time {
    wall: Timestamp,
    monotonic: Duration,
}

impl Time {
    fn at(wall: &str) -> Self {
        Self {
            wall: wall.parse().unwrap(),
            monotonic: Duration::from_hours(1),
        }
    }

    fn pass(&mut self, time: Duration) -> Moment {
        self.wall += SignedDuration::try_from(time).unwrap();
        self.monotonic += time;
        self.now()
    }

    fn now(&self) -> Moment {
        Moment::at(self.wall, self.monotonic)
    }
}

struct Fed {
    test: TestRecorder,
    provider: Provider,
    feed: Feed,
}

impl Fed {
    fn new(settings: impl FnOnce(FeedBuilder) -> FeedBuilder) -> Self {
        let test = TestRecorder::new();
        let provider = test.run(|| Provider::new("alpaca", ProviderKind::MarketData));
        let feed = settings(provider.feed("sip").expects_within(EXPECTED)).open();
        Self {
            test,
            provider,
            feed,
        }
    }

    fn trades(&self, sequencing: Sequencing) -> Channel {
        self.feed.channel(ChannelKind::Trades, sequencing)
    }

    fn count(&self, name: &str) -> u64 {
        self.test.counter(name, &LABELS).unwrap()
    }

    fn gauge(&self, name: &str) -> f64 {
        self.test.gauge(name, &LABELS).unwrap()
    }

    fn stalled(&self) -> Duration {
        Duration::from_nanos(self.count("feed_stalled_seconds_total"))
    }

    fn disconnects(&self, reason: &str) -> u64 {
        self.test
            .counter_sum("feed_disconnects_total", &[("reason", reason)])
    }

    fn counts(&self) -> Counts {
        Counts {
            messages: self.test.counter_sum("feed_messages_total", &[]),
            gaps: self.count("feed_gaps_total"),
            missed: self.count("feed_missed_messages_total"),
            out_of_order: self.count("feed_out_of_order_total"),
            duplicates: self.count("feed_duplicates_total"),
            stalls: self.count("feed_stalls_total"),
            closed: self.disconnects("closed"),
            broken: self.disconnects("transport"),
        }
    }
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_mins(minutes)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn is(value: f64, expected: f64) -> bool {
    value.to_bits() == expected.to_bits()
}

fn nyse() -> TradingCalendar {
    TradingCalendar::nyse()
        .with_holidays([date(2026, 1, 1), date(2026, 11, 26), date(2026, 12, 25)])
        .with_early_close(date(2026, 11, 27), time(13, 0, 0, 0))
}

/// Connected, answering pings, and mute.
#[test]
fn a_feed_that_answers_pings_and_sends_nothing_is_stalled() {
    let fed = Fed::new(|feed| feed);
    let mut clock = Time::at("2026-11-25T15:00:00Z");
    let mut trades = fed.trades(Sequencing::none());
    assert!(is(fed.gauge("feed_up"), 0.0), "not connected yet");
    fed.feed.connected_at(clock.now());
    trades.message((), None, clock.pass(seconds(1)));
    assert!(is(fed.gauge("feed_up"), 1.0));
    for _ in 0..10 {
        fed.feed.heartbeat_at(clock.pass(seconds(30)));
        fed.feed.observe_at(clock.now());
    }
    assert_eq!(fed.count("feed_stalls_total"), 1);
    assert_eq!(fed.stalled(), minutes(3));
    assert!(is(fed.gauge("feed_up"), 0.0));
    assert!(!fed.provider.is_up());
    assert_eq!(fed.test.gauge("provider_up", &LABELS[..1]), Some(0.0));
    // That it answers calls meanwhile changes nothing.
    fed.provider.call("clock").ok();
    assert!(!fed.provider.is_up());
    // The message that ends it counts what the scrapes have not.
    trades.message((), None, clock.pass(seconds(10)));
    assert_eq!(fed.stalled(), seconds(190));
    assert!(fed.provider.is_up());
    fed.feed.observe_at(clock.now());
    assert_eq!(
        (fed.count("feed_stalls_total"), fed.stalled()),
        (1, seconds(190))
    );
    let last = clock.wall.as_duration().as_secs_f64();
    assert!(is(fed.gauge("feed_last_message_timestamp_seconds"), last));
    assert!(is(
        fed.gauge("feed_last_heartbeat_timestamp_seconds"),
        last - 10.0
    ));
}

#[test]
fn a_silence_between_two_scrapes_is_counted_by_the_message_that_ends_it() {
    let fed = Fed::new(|feed| feed);
    let mut clock = Time::at("2026-11-25T15:00:00Z");
    let mut trades = fed.trades(Sequencing::none());
    fed.feed.connected_at(clock.now());
    fed.feed.observe_at(clock.now());
    trades.message((), None, clock.pass(minutes(1)));
    trades.message((), None, clock.pass(minutes(2)));
    assert_eq!(fed.count("feed_stalls_total"), 0, "just in time");
    trades.message((), None, clock.pass(minutes(5)));
    trades.message((), None, clock.pass(seconds(1)));
    fed.feed.observe_at(clock.pass(seconds(1)));
    assert_eq!(
        (fed.count("feed_stalls_total"), fed.stalled()),
        (1, minutes(3))
    );
    // From the connection to the first message counts as well, and what a loss ends.
    fed.feed.lost_at(DisconnectReason::Closed, clock.now());
    fed.feed.connected_at(clock.pass(minutes(30)));
    fed.feed
        .lost_at(DisconnectReason::Stalled, clock.pass(minutes(4)));
    assert_eq!(
        (fed.count("feed_stalls_total"), fed.stalled()),
        (2, minutes(5))
    );
    fed.feed.connected_at(clock.pass(seconds(1)));
    trades.message((), None, clock.pass(seconds(1)));
    let outages = fed.test.samples("feed_outage_duration_seconds", &LABELS);
    assert_eq!(outages, Some(vec![34.0 * 60.0 + 2.0]));
    assert_eq!(fed.disconnects("stalled"), 1);
}

#[test]
fn nights_weekends_and_holidays_are_no_stall_and_what_spans_them_is_two_silences() {
    let fed = Fed::new(|feed| feed.sessions(nyse()));
    // Wednesday before Thanksgiving, a minute before the close.
    let mut clock = Time::at("2026-11-25T20:59:00Z");
    let mut trades = fed.trades(Sequencing::none());
    fed.feed.connected_at(clock.now());
    trades.message((), None, clock.now());
    for _ in 0..41 {
        fed.feed.observe_at(clock.pass(Duration::from_hours(1)));
        assert!(is(fed.gauge("feed_up"), 1.0), "{}", clock.wall);
    }
    // Friday, 13:59 UTC: the market opens in 31 minutes, and the first trade is a minute late.
    trades.message((), None, clock.pass(minutes(32)));
    assert_eq!(fed.count("feed_stalls_total"), 0);
    // It closes at 13:00 in New York that day; the feed died two hours before, and comes back on Monday, five minutes after the open.
    trades.message((), None, clock.pass(minutes(89)));
    let stalls = fed.count("feed_stalls_total");
    assert_eq!(stalls, 1);
    let before = fed.stalled();
    trades.message(
        (),
        None,
        clock.pass(Duration::from_hours(2 + 68) + minutes(35)),
    );
    // Each session for itself: two hours less two minutes, and five minutes less two.
    assert_eq!(fed.stalled(), before + minutes(118 + 3));
    assert_eq!(fed.count("feed_stalls_total"), 2);
}

#[test]
fn a_feed_that_is_not_connected_is_down_in_the_session_and_undefined_outside() {
    let fed = Fed::new(|feed| feed.sessions(nyse()));
    let mut clock = Time::at("2026-11-25T20:00:00Z");
    fed.feed.observe_at(clock.now());
    assert!(is(fed.gauge("feed_up"), 0.0));
    assert!(fed.provider.is_up(), "it has just begun");
    fed.feed.observe_at(clock.pass(minutes(3)));
    assert!(!fed.provider.is_up());
    fed.feed.observe_at(clock.pass(minutes(60)));
    assert!(fed.gauge("feed_up").is_nan());
    assert!(fed.provider.is_up());
}

#[test]
fn a_stall_calls_back_once() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let fed = Fed::new(|feed| {
        feed.on_stall(move |stall| {
            assert!(stall.silent_for > EXPECTED);
            counted.fetch_add(1, Ordering::Relaxed);
        })
    });
    let mut clock = Time::at("2026-11-25T15:00:00Z");
    fed.feed.connected_at(clock.now());
    for _ in 0..5 {
        fed.feed.observe_at(clock.pass(minutes(1)));
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[test]
fn the_rules_of_numbers() {
    let fed = Fed::new(|feed| feed.sessions(nyse()));
    let mut clock = Time::at("2026-11-25T15:00:00Z");
    let mut book = fed.trades(Sequencing::next().per_symbol(2).continues());
    let mut send = |symbol: &str, numbers: std::ops::RangeInclusive<u64>, clock: &mut Time| {
        book.message_of(symbol, numbers, None, clock.pass(seconds(1)));
    };
    fed.feed.connected_at(clock.now());
    send("A", 1..=4, &mut clock);
    send("B", 100..=100, &mut clock);
    send("A", 5..=9, &mut clock);
    // They go on across connections.
    fed.feed.lost_at(DisconnectReason::Transport, clock.now());
    fed.feed.connected_at(clock.now());
    send("A", 12..=12, &mut clock);
    assert_eq!(fed.count("feed_gaps_total"), 0, "it may still come");
    send("A", 10..=11, &mut clock);
    assert_eq!(fed.count("feed_out_of_order_total"), 1);
    send("B", 103..=103, &mut clock);
    // For a third one, that of `A` is forgotten.
    send("C", 7..=7, &mut clock);
    assert_eq!(fed.count("feed_sequence_evictions_total"), 1);
    fed.feed.observe_at(clock.pass(minutes(1)));
    assert_eq!(
        (
            fed.count("feed_gaps_total"),
            fed.count("feed_missed_messages_total")
        ),
        (1, 2)
    );
    // A snapshot begins anew, and says so.
    book.resync_of("B");
    book.message_of("B", 1, None, clock.pass(seconds(1)));
    book.message_of("B", 2, None, clock.pass(seconds(1)));
    assert_eq!(fed.count("feed_resyncs_total"), 1);
    assert_eq!(fed.count("feed_gaps_total"), 1);
    assert_eq!(fed.count("feed_duplicates_total"), 0);

    // Numbers of FIX begin anew with the session, and heartbeats have some.
    let mut orders = fed.feed.channel(
        ChannelKind::Orders,
        Sequencing::next().continues().restarts_at_open(),
    );
    orders.message(1, None, clock.pass(seconds(1)));
    orders.skip(2, clock.pass(seconds(1)));
    orders.message(3, None, clock.pass(seconds(1)));
    clock.pass(Duration::from_hours(48));
    orders.message(1, None, clock.now());
    orders.message(2, None, clock.now());
    assert_eq!(fed.count("feed_gaps_total"), 1);
    assert_eq!(fed.count("feed_duplicates_total"), 0);
}

#[test]
fn a_late_message_takes_the_loss_back_within_the_window_only() {
    let fed = Fed::new(|feed| feed.gives_up_after(seconds(10)));
    let mut clock = Time::at("2026-11-25T15:00:00Z");
    let mut trades = fed.trades(Sequencing::next());
    fed.feed.connected_at(clock.now());
    for number in [1, 2, 5] {
        trades.message(number, None, clock.pass(seconds(1)));
    }
    trades.message(3, None, clock.pass(seconds(9)));
    fed.feed.observe_at(clock.pass(seconds(2)));
    assert_eq!(
        (
            fed.count("feed_gaps_total"),
            fed.count("feed_missed_messages_total")
        ),
        (1, 1)
    );
    // Too late: it was missed, and is no duplicate.
    trades.message(4, None, clock.pass(seconds(1)));
    assert_eq!(fed.count("feed_out_of_order_total"), 2);
    trades.message(4, None, clock.pass(seconds(1)));
    assert_eq!(fed.count("feed_duplicates_total"), 1);
    // What is missing when the connection goes, or when nobody reads any more, is lost.
    trades.message(9, None, clock.pass(seconds(1)));
    fed.feed.lost_at(DisconnectReason::Closed, clock.now());
    fed.feed.connected_at(clock.now());
    trades.message(1, None, clock.pass(seconds(1)));
    assert_eq!(
        (
            fed.count("feed_gaps_total"),
            fed.count("feed_missed_messages_total")
        ),
        (2, 4)
    );
    trades.message(3, None, clock.pass(seconds(1)));
    drop(trades);
    assert_eq!(
        (
            fed.count("feed_gaps_total"),
            fed.count("feed_missed_messages_total")
        ),
        (3, 5)
    );
}

#[test]
fn lags_are_signed_and_come_by_two_clocks() {
    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("alpaca", ProviderKind::MarketData));
    let theirs = test.run(|| Clock::new("alpaca"));
    let feed = provider.feed("sip").clock(&theirs).open();
    let mut trades = feed.channel(ChannelKind::Trades, Sequencing::none());
    // Our clock is 300 ms behind theirs.
    let mut clock = Time::at("2026-11-25T15:00:00Z");
    let ahead = SignedDuration::from_millis(300);
    let asked = clock.now();
    let answered = clock.pass(Duration::from_millis(20));
    let at_theirs = clock.wall - SignedDuration::from_millis(10) + ahead;
    theirs.answered_at(asked, at_theirs, Duration::from_millis(1), answered);
    // Sent 50 ms ago, by their clock.
    let sent = clock.wall + ahead - SignedDuration::from_millis(50);
    trades.message((), sent, clock.now());
    let lags = |clock| {
        let labels = [LABELS[0], LABELS[1], ("clock", clock)];
        test.samples("feed_lag_seconds", &labels).unwrap()
    };
    assert_eq!(lags("raw"), [-0.25]);
    assert_eq!(lags("corrected"), [0.05]);
    // Years are not clamped either.
    trades.message((), Timestamp::UNIX_EPOCH, clock.now());
    assert!(lags("raw")[1] > 1.7e9);
}

#[test]
fn a_book_is_invalid_while_it_is_crossed_or_one_sided_in_session_time() {
    let fed = Fed::new(|feed| feed.sessions(nyse()));
    let mut clock = Time::at("2026-11-25T20:50:00Z");
    let invalid = || {
        let time = fed.test.counter("feed_book_invalid_seconds_total", &LABELS);
        Duration::from_nanos(time.unwrap())
    };
    let (mut one, mut other) = (fed.feed.book(), fed.feed.book());
    one.top(Some(99.5), Some(100.5), clock.now());
    let spreads = fed.test.samples("feed_book_spread_bps", &LABELS).unwrap();
    assert!((spreads[0] - 100.0).abs() < 1e-9, "{spreads:?}");
    one.top(Some(100.6), Some(100.5), clock.now());
    fed.feed.observe_at(clock.pass(minutes(1)));
    assert_eq!(invalid(), minutes(1));
    other.top(None, Some(1.0), clock.now());
    other.top(Some(f64::NAN), Some(1.0), clock.pass(minutes(1)));
    one.top(Some(100.4), Some(100.5), clock.pass(minutes(1)));
    assert_eq!(invalid(), minutes(5));
    // Eight minutes later the market closes; crossed is what books are at night.
    fed.feed.observe_at(clock.pass(minutes(600)));
    assert_eq!(invalid(), minutes(5 + 7));
    drop((one, other));
}

#[test]
fn subscriptions_are_of_a_connection() {
    let fed = Fed::new(|feed| feed);
    let state = |state| {
        let labels = [LABELS[0], LABELS[1], ("state", state)];
        fed.test.gauge("feed_subscriptions", &labels).unwrap()
    };
    fed.feed.connected();
    fed.feed.subscribing(3);
    fed.feed.subscribed(2);
    fed.feed.unsubscribed(1);
    assert!(is(state("asked"), 2.0) && is(state("confirmed"), 1.0));
    fed.feed.lost(DisconnectReason::Refused);
    assert!(is(state("asked"), 0.0) && is(state("confirmed"), 0.0));
}

#[test]
fn attempts_to_connect_count_by_their_end() {
    let fed = Fed::new(|feed| feed);
    let connects = |outcome| {
        fed.test
            .counter_sum("feed_connects_total", &[("outcome", outcome)])
    };
    fed.feed.connecting().failed();
    drop(fed.feed.connecting());
    let result: Result<u8, ()> = fed.feed.connecting().result(Ok(1));
    assert_eq!(result, Ok(1));
    // Another before the last was told to be gone.
    fed.feed.connected();
    assert_eq!(
        (connects("ok"), connects("error"), connects("cancelled")),
        (2, 1, 1)
    );
    assert_eq!(fed.disconnects("unknown"), 1);
}

#[test]
fn all_handles_of_a_name_are_one_feed_and_beyond_the_budget_nothing_is_said() {
    let fed = Fed::new(|feed| feed);
    fed.feed.connected();
    let again = fed.provider.feed("sip").expects_within(seconds(1)).open();
    again.lost(DisconnectReason::Requested);
    assert_eq!(fed.disconnects("requested"), 1);
    assert!(
        is(fed.gauge("feed_expected_seconds"), 120.0),
        "as it was first made"
    );
    for n in 0..100 {
        fed.provider.feed(&format!("feed {n}")).open().connected();
    }
    fed.provider.observe();
    let other = [("provider", "alpaca"), ("feed", "other")];
    assert!(fed.test.gauge("feed_up", &other).is_some_and(f64::is_nan));
}

/// As it is where a service builds all anew after its connection broke: a silence begins with the last message, not with that.
#[test]
fn what_was_last_heard_stays_when_its_provider_is_made_anew() {
    const OF: [(&str, &str); 1] = [("provider", "alpaca")];
    let test = TestRecorder::new();
    let shown = |name: &str| {
        let of_feed = test.gauge(name, &LABELS);
        let value = of_feed.or_else(|| test.gauge(name, &OF)).unwrap();
        value.to_bits()
    };
    let make = || {
        let provider = test.run(|| Provider::new("alpaca", ProviderKind::MarketData));
        let feed = provider.feed("sip").expects_within(EXPECTED).open();
        (provider, feed)
    };
    let heard = [
        "feed_last_message_timestamp_seconds",
        "provider_last_heard_timestamp_seconds",
    ];
    let (provider, feed) = make();
    assert!(
        heard
            .iter()
            .all(|name| f64::from_bits(shown(name)).is_nan())
    );
    feed.connected();
    let mut trades = feed.channel(ChannelKind::Trades, Sequencing::none());
    trades.message((), None, Moment::now());
    provider.dataset("bars").updated();
    provider.observe();
    let before = heard.map(shown);
    assert!(before.iter().all(|bits| f64::from_bits(*bits) > 0.0));
    drop((trades, feed, provider));

    let (provider, _feed) = make();
    provider.observe();
    assert_eq!(heard.map(shown), before);
}

/// The same script that `tests/websocket.rs` sends over sockets.
#[test]
fn a_script_of_faults_counts_alike_on_an_injected_clock() {
    for seed in 1..=20 {
        let (script, expected) = crate::script::script(seed, 12, 200);
        let fed = Fed::new(|feed| feed);
        let mut clock = Time::at("2026-11-25T15:00:00Z");
        let mut trades = fed.trades(Sequencing::next());
        for connection in script {
            fed.feed.connected_at(clock.pass(seconds(1)));
            for number in connection.numbers {
                trades.message(number, None, clock.pass(Duration::from_millis(7)));
            }
            let reason = match connection.end {
                End::Mute => {
                    fed.feed.observe_at(clock.pass(minutes(3)));
                    DisconnectReason::Stalled
                }
                End::Close => DisconnectReason::Closed,
                End::Reset => DisconnectReason::Transport,
            };
            fed.feed.lost_at(reason, clock.pass(seconds(1)));
        }
        drop(trades);
        assert_eq!(fed.counts(), expected, "seed {seed}");
        assert_eq!(fed.disconnects("stalled"), expected.stalls);
    }
}

/// A year of sessions, nights, weekends and holidays, with scrapes at odd times.
#[test]
fn a_year_of_faults_is_counted_and_none_is_invented() {
    for seed in [7, 42, 1_987] {
        let mut random = Random(seed);
        let fed = Fed::new(|feed| feed.sessions(nyse()));
        let mut trades = fed.trades(Sequencing::next().continues());
        let mut clock = Time::at("2025-12-31T22:00:00Z");
        let (mut number, mut expected, mut stalled) = (1_u64, Counts::default(), Duration::ZERO);
        let mut overtaken = false;
        fed.feed.connected_at(clock.now());
        trades.message(number, None, clock.now());
        expected.messages += 1;
        let end: Timestamp = "2026-12-31T22:00:00Z".parse().unwrap();
        let calendar = nyse();
        while let Some(session) = calendar.next(clock.wall).filter(|of| of.start < end) {
            let until_open = Duration::try_from(session.start.duration_since(clock.wall)).unwrap();
            // Scrapes at night find nothing.
            fed.feed.observe_at(clock.pass(until_open / 2));
            clock.pass(until_open.saturating_sub(until_open / 2));
            let mut step = seconds(random.below(120));
            loop {
                let (before, at) = (clock.wall, clock.pass(step));
                if clock.wall >= session.end {
                    // What is beyond the close is no silence.
                    let last = Duration::try_from(session.end.duration_since(before)).unwrap();
                    if last > EXPECTED {
                        expected.stalls += 1;
                        stalled += last.saturating_sub(EXPECTED);
                    }
                    fed.feed.observe_at(at);
                    break;
                }
                if step > EXPECTED {
                    expected.stalls += 1;
                    stalled += step.saturating_sub(EXPECTED);
                }
                if random.below(3) == 0 {
                    fed.feed.observe_at(at);
                }
                match random.below(30) {
                    0 => {
                        let lost = 1 + random.below(5);
                        expected.gaps += 1;
                        expected.missed += lost;
                        number += lost;
                    }
                    1 => {
                        expected.duplicates += 1;
                        expected.messages += 1;
                        trades.message(number, None, at);
                    }
                    2 => {
                        expected.closed += 1;
                        fed.feed.lost_at(DisconnectReason::Closed, at);
                        fed.feed.connected_at(at);
                    }
                    3 => {
                        expected.broken += 1;
                        fed.feed.lost_at(DisconnectReason::Transport, at);
                        fed.feed.connected_at(at);
                    }
                    4 => {
                        // The next one but one comes first.
                        expected.out_of_order += 1;
                        expected.messages += 1;
                        trades.message(number + 2, None, at);
                        overtaken = true;
                    }
                    _ => {}
                }
                number += 1;
                expected.messages += 1;
                trades.message(number, None, at);
                if std::mem::take(&mut overtaken) {
                    number += 1;
                }
                // One in fifty is a stall.
                step = match random.below(50) {
                    0 => seconds(121 + random.below(600)),
                    _ => seconds(1 + random.below(119)),
                };
            }
            // A message after the close, so that the silence of the night begins there.
            number += 1;
            expected.messages += 1;
            trades.message(number, None, clock.pass(minutes(1)));
        }
        fed.feed.observe_at(clock.pass(minutes(1)));
        drop(trades);
        assert_eq!(fed.counts(), expected, "seed {seed}");
        assert_eq!(fed.stalled(), stalled, "seed {seed}");
        assert!(
            expected.messages > 85_000
                && [
                    expected.stalls,
                    expected.gaps,
                    expected.duplicates,
                    expected.out_of_order,
                    expected.closed,
                    expected.broken,
                ]
                .iter()
                .all(|count| *count > 500),
            "{expected:?}"
        );
    }
}
