//! The metrics of a quoter: what a team would have in a crate of its own.

use obs_core::{
    Alarm, By, Catalogue, Counter, Each, Figure, Gauge, Histogram, Outcome, Reading, Summary, Unit,
    Worse, objective,
};

obs_core::label! {
    /// A market.
    pub open Venue as "venue" up to 5
}
obs_core::label! {
    /// The currency of an amount.
    pub open Currency as "currency" up to 5
}
obs_core::families! {
    group "Quoting" {
        // What is shown first, on the live page, in the terminal and on the dashboard.
        Figure::rate("Quotes", QuoterMetrics::quotes)
            .facts(&[("failed", Reading::sum(QuoterMetrics::quotes).with(&[("outcome", "error")]))]),
        Figure::value("Being sent", Reading::sum(QuoterMetrics::sending))
            .worse(Worse::Up)
            .alarms(&[Alarm::above(Reading::sum(QuoterMetrics::sending), 100.0)]),
        Figure::quantiles("Reaction", QuoterMetrics::reaction),
    }

    /// What a quoter does on one venue.
    pub struct QuoterMetrics(venue: Venue) {
        /// Quotes sent, by how that ended.
        pub quotes: By<Outcome, Counter> = "quoter_quotes_total" { objective: objective!(99.5 % good over 30 d) },
        /// Time from a tick to the quote that answers it.
        pub reaction: Histogram = "quoter_reaction_seconds" {
            buckets: &[0.1, 0.25, 1.0], objective: objective!(99 % under 0.25)
        },
        /// Whether the venue is connected.
        pub connected: Gauge = "quoter_connected" { unit: Unit::Switch },
        /// Quotes that are being sent.
        pub sending: Gauge = "quoter_quotes_sending",
    }
}
obs_core::families! {
    group "Money";

    /// What a quoter holds.
    pub struct MoneyMetrics {
        /// Money held.
        pub held: Each<Currency, Gauge> = "quoter_money" { unit: Unit::Currency },
        /// The share of the limit that is used up.
        pub used: Gauge = "quoter_limit_used_ratio",
        /// Spread of quotes.
        pub spread: Summary = "quoter_spread_bps" { quantiles: &[0.5, 0.99] },
    }
}

/// Every metric of the quoter.
pub(crate) fn catalogue() -> Catalogue {
    Catalogue::of(&[QuoterMetrics::FAMILIES, MoneyMetrics::FAMILIES])
}
