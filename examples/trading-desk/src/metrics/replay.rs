//! What the replay tells of itself: the day that it is at, and how the last one ended.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use obs_core::{By, Closed, Counter, Figure, Gauge, Group, Reading, Unit};

use crate::store::Results;
use crate::strategy::StrategyId;

/// What is simulated is said first.
const REPLAY: Group = Group::new("Replay").rank(Group::LIBRARY + 90).figures(&[
    Figure::value("Replay", Reading::sum(ReplayMetrics::day))
        .facts(&[
            ("days", Reading::rate(ReplayMetrics::sessions)),
            ("ended", Reading::sum(ReplayMetrics::ended)),
        ])
        .trend(Reading::rate(ReplayMetrics::sessions))
        .rank(Group::OWN),
    // Without a column for the currency: the desk has one.
    Figure::table(
        "How the last replay ended",
        "strategy",
        &[
            ("P/L", Reading::sum(ReplayMetrics::last_pnl).signed()),
            ("trades", Reading::sum(ReplayMetrics::last_trades)),
            ("won", Reading::sum(ReplayMetrics::last_wins)),
        ],
    )
    .rank(Group::OWN),
]);

obs_core::families! {
    group REPLAY;

    /// How far the replay is, and how the last one ended.
    pub struct ReplayMetrics {
        /// The day of the bars that were traded last, at noon UTC, which is of the same date nearly everywhere; NaN before the first.
        pub day: Gauge = "desk_replay_day_timestamp_seconds",
        /// Trading days replayed.
        pub sessions: Counter = "desk_replay_sessions_total",
        /// Replays that came to their end.
        pub ended: Counter = "desk_replays_ended_total",
        /// Profit and loss of the trades that were closed in the last replay that ended; NaN until one has.
        pub last_pnl: By<StrategyId, Gauge> = "desk_replay_last_pnl" { unit: Unit::Currency },
        /// Trades closed in the last replay that ended; NaN until one has.
        pub last_trades: By<StrategyId, Gauge> = "desk_replay_last_trades",
        /// Those of them that made money; NaN until a replay has ended.
        pub last_wins: By<StrategyId, Gauge> = "desk_replay_last_wins",
    }
}

impl ReplayMetrics {
    /// Of a replay that has not begun, after none.
    #[must_use]
    pub fn begin() -> Self {
        let metrics = Self::new();
        metrics.day.set(f64::NAN);
        for &strategy in StrategyId::ALL {
            metrics.last_pnl[strategy].set(f64::NAN);
            metrics.last_trades[strategy].set(f64::NAN);
            metrics.last_wins[strategy].set(f64::NAN);
        }
        metrics
    }

    /// The bars of this day were traded.
    pub fn at(&self, date: Date) {
        self.sessions.increment(1);
        let noon = TimeZone::UTC.to_timestamp(date.at(12, 0, 0, 0));
        self.day
            .set(noon.map_or(f64::NAN, |noon| noon.as_second() as f64));
    }

    /// The replay is over; a strategy that is not named has closed no trade.
    pub fn over(&self, results: &[Results]) {
        self.ended.increment(1);
        for &strategy in StrategyId::ALL {
            let of = results.iter().find(|results| results.strategy == strategy);
            self.last_pnl[strategy].set(of.map_or(0.0, |results| results.pnl));
            self.last_trades[strategy].set(of.map_or(0.0, |results| f64::from(results.trades)));
            self.last_wins[strategy].set(of.map_or(0.0, |results| f64::from(results.wins)));
        }
    }
}
