//! Data that comes by itself, and what time it is.

use crate::dashboard::{Dashboard, Row, Scope, lines, row, stat, switches, table};

use super::since;

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "feeds".to_owned(),
        title: "Feeds and clocks".to_owned(),
        description: "Whether feeds are connected and speak, what of them was lost, and how far clocks are off.".to_owned(),
        scope: Scope::default(),
        rows: vec![glance(), feeds(), losses(), clocks(), connections().folded(), books().folded()],
    }
}

fn glance() -> Row {
    row("Are we all right?", [
        stat("Feeds up", "The share of feeds that are connected and speak as often as is expected, each as the desk that is worst off has it.")
            .ask("avg(min by (provider, feed) (feed_up{@}))", "")
            .below(1.0, 0.8)
            .act("FeedDown"),
        stat("Messages", "Messages a second, of all feeds.")
            .ask("sum(rate(feed_messages_total{@}[$__rate_interval]))", ""),
        stat("Missed, last hour", "Messages that were lost in gaps for good.")
            .ask("sum(increase(feed_missed_messages_total{@}[1h]))", "")
            .above(1.0, 100.0)
            .act("FeedMessagesMissed"),
        stat("Stalls, last hour", "How often a feed that was connected fell silent while its market was open.")
            .ask("sum(increase(feed_stalls_total{@}[1h]))", "")
            .above(1.0, 4.0)
            .act("FeedStalling"),
        stat("Lag by what is borne", "The lag of 19 of 20 messages over what the desk bears, of the feed where it is highest; by our clock as it is.")
            .ask(r#"max(histogram_quantile(0.95, sum by (provider, feed, le) (rate(feed_lag_seconds_bucket{@, clock="raw"}[5m]))) / on (provider, feed) max by (provider, feed) (feed_lag_allowed_seconds{@}))"#, "")
            .above(0.8, 1.0)
            .act("FeedLagHigh"),
        stat("Clock off by", "How far ours is from the clock that differs most.")
            .ask("max(abs(clock_offset_seconds{@}))", "")
            .above(0.05, 0.5)
            .act("ClockOff"),
    ])
}

fn feeds() -> Row {
    row("Feeds", [
        switches("Connected and speaking", "When each feed was connected and spoke as often as is expected of it.")
            .ask("min by (provider, feed) (feed_up{@})", "{{provider}} {{feed}}"),
        lines("Messages by channel", "Messages a second, by what they carry.")
            .ask("sum by (provider, feed, channel) (rate(feed_messages_total{@}[$__rate_interval]))", "{{provider}} {{feed}} {{channel}}"),
        lines("Lag", "19 of 20 messages come within this time of the venue's own, by our clock as it is and corrected; and what the desk bears. Below 0, a clock is off.")
            .ask("histogram_quantile(0.95, sum by (provider, feed, clock, le) (rate(feed_lag_seconds_bucket{@}[$__rate_interval])))", "{{provider}} {{feed}} {{clock}}")
            .ask("max by (provider, feed) (feed_lag_allowed_seconds{@})", "{{provider}} {{feed}}, borne"),
    ])
}

fn losses() -> Row {
    row("What went wrong", [
        table("Feeds by loss", "Within the time shown: silences and their time, holes, what was lost in them, what came late or twice, and symbols forgotten; and how long ago the last word was.")
            .ask("sum by (provider, feed) (increase(feed_missed_messages_total{@}[$__range]))", "missed")
            .ask("sum by (provider, feed) (increase(feed_gaps_total{@}[$__range]))", "gaps")
            .ask("sum by (provider, feed) (increase(feed_stalls_total{@}[$__range]))", "stalls")
            .ask("sum by (provider, feed) (increase(feed_stalled_seconds_total{@}[$__range]))", "time mute")
            .ask("sum by (provider, feed) (increase(feed_out_of_order_total{@}[$__range]))", "out of order")
            .ask("sum by (provider, feed) (increase(feed_duplicates_total{@}[$__range]))", "duplicates")
            .ask("sum by (provider, feed) (increase(feed_sequence_evictions_total{@}[$__range]))", "forgotten")
            .ask(&since("max by (provider, feed) (feed_last_message_timestamp_seconds{@})"), "last message")
            .ask(&since("max by (provider, feed) (feed_last_heartbeat_timestamp_seconds{@})"), "last heartbeat")
            .ask("max by (provider, feed) (feed_expected_seconds{@})", "expected"),
    ])
}

fn clocks() -> Row {
    row("Clocks", [
        lines("Offset", "Their clock less ours, and the most by which that may be wrong.")
            .ask("max by (#, source) (clock_offset_seconds{@})", "{{source}} {{instance}}")
            .ask("max by (#, source) (clock_offset_error_seconds{@})", "{{source}}, error {{instance}}"),
        table("Our clock", "How far Prometheus' clock is ahead of each desk's, up to a scrape interval, and how often the desk's was set within the time shown.")
            .ask(&since("max by (#) (app_clock_timestamp_seconds{@})"), "behind Prometheus")
            .ask("sum by (#) (increase(clock_jumps_total{@}[$__range]))", "set"),
    ])
}

fn connections() -> Row {
    row("Connections", [
        lines("Made and lost", "Attempts to connect and lost connections a second, and books made anew.")
            .ask("sum by (provider, feed, outcome) (rate(feed_connects_total{@}[$__rate_interval]))", "{{provider}} {{feed}} connect {{outcome}}")
            .ask("sum by (provider, feed, reason) (rate(feed_disconnects_total{@}[$__rate_interval]))", "{{provider}} {{feed}} lost, {{reason}}")
            .ask("sum by (provider, feed) (rate(feed_resyncs_total{@}[$__rate_interval]))", "{{provider}} {{feed}} resync"),
        lines("Outages", "19 of 20 outages ended within this time, from the loss to the next message.")
            .ask("histogram_quantile(0.95, sum by (provider, feed, le) (rate(feed_outage_duration_seconds_bucket{@}[$__rate_interval])))", "{{provider}} {{feed}}"),
        lines("Subscriptions", "Asked for and confirmed.")
            .ask("sum by (provider, feed, state) (feed_subscriptions{@})", "{{provider}} {{feed}} {{state}}"),
    ])
}

fn books() -> Row {
    row("Books", [
        lines("Spread", "Half of the books' changes left a spread below this.")
            .ask("histogram_quantile(0.5, sum by (provider, feed, le) (rate(feed_book_spread_bps_bucket{@}[$__rate_interval])))", "{{provider}} {{feed}}"),
        lines("Books that make no sense", "Books, on average, that were crossed or one-sided.")
            .ask("sum by (provider, feed) (rate(feed_book_invalid_seconds_total{@}[$__rate_interval]))", "{{provider}} {{feed}}"),
        lines("Since the last word", "Time since the last message, and what is expected at most between two.")
            .ask(&since("max by (provider, feed) (feed_last_message_timestamp_seconds{@})"), "{{provider}} {{feed}}")
            .ask("max by (provider, feed) (feed_expected_seconds{@})", "{{provider}} {{feed}}, expected"),
    ])
}
