//! What the quoter measures.

use std::time::Duration;

use obs_core::{
    Alarm, By, Counter, Each, Figure, Gauge, Group, Histogram, Late, Reading, Summary, TimeCounter,
    Unit, Worse, objective,
};

obs_core::label! {
    /// Where it quotes.
    pub open Venue as "venue" up to 4
}
obs_core::label! {
    /// The underlying that is quoted.
    pub open Underlying as "underlying" up to 3
}
obs_core::label! {
    /// Buy or sell.
    pub enum Side as "side" {
        /// The bid.
        Bid = "bid",
        /// The offer.
        Offer = "offer",
    }
}
obs_core::label! {
    /// What became of a quote.
    pub enum Fate as "fate" {
        /// It is in the book.
        Accepted = "accepted" is good,
        /// The venue refused it.
        Rejected = "rejected",
        /// It was taken back before anybody traded on it.
        Pulled = "pulled" is good,
    }
}

/// What is shown first: one figure of every sort.
const QUOTING: Group = Group::new("Quoting").figures(&[
    Figure::rate("Quotes", QuoteMetrics::quotes).facts(&[
        (
            "rejected",
            Reading::sum(QuoteMetrics::quotes).with(&[("fate", "rejected")]),
        ),
        ("open", Reading::sum(QuoteMetrics::open)),
    ]),
    Figure::value("Edge", Reading::sum(QuoteMetrics::edge))
        .worse(Worse::Down)
        .headline(),
    Figure::ratio(
        "Rejected share",
        Reading::rate(QuoteMetrics::quotes).with(&[("fate", "rejected")]),
        Reading::rate(QuoteMetrics::quotes),
    )
    .worse(Worse::Up),
    Figure::quantiles("Tick to quote", QuoteMetrics::reaction),
    Figure::bar(
        "Vega",
        Reading::sum(QuoteMetrics::vega),
        Reading::most(QuoteMetrics::vega_limit),
    )
    .worse(Worse::Up)
    .alarms(&[Alarm::at_least(Reading::sum(QuoteMetrics::vega), 900.0)]),
    Figure::table(
        "Venues",
        "venue",
        &[
            ("quotes", Reading::rate(QuoteMetrics::quotes)),
            ("open", Reading::sum(QuoteMetrics::open)),
        ],
    ),
    Figure::log("Fates", QuoteMetrics::quotes, "fate"),
    Figure::curve(
        "Edge over vega",
        Reading::sum(QuoteMetrics::edge),
        Reading::sum(QuoteMetrics::vega),
    )
    .marks(&[("hedges", HedgeMetrics::hedges)]),
    Figure::bars(
        "Vega by venue",
        "venue",
        Reading::sum(QuoteMetrics::vega),
        Reading::sum(QuoteMetrics::vega_limit),
    ),
    Figure::steps("Steps", &[("tick to quote", QuoteMetrics::reaction)]),
    Figure::events("Events", &[("quote", QuoteMetrics::quotes, "fate")]),
    Figure::parts(
        "Vega by underlying",
        Reading::sum(QuoteMetrics::vega),
        "underlying",
    ),
]);

obs_core::families! {
    group QUOTING;

    /// What the quoter does on one venue.
    pub struct QuoteMetrics(venue: Venue) {
        /// Quotes handed to the venue, by side and by what became of them.
        pub quotes: By<Side, By<Fate, Counter>> = "vega_quotes_total" { objective: objective!(80 % good over 7 d) },
        /// Time from the tick to the quote that answers it.
        ///
        /// This paragraph is for readers of the source only.
        pub reaction: Histogram = "vega_quote_reaction_seconds" {
            buckets: &[0.00002, 0.0001, 0.001, 0.01],
            exemplars: true,
            objective: objective!(99 % under 0.001 over 30 d while vega_quoting_active),
        },
        /// Width of the quotes, by side.
        pub width: Late<Side, Histogram> = "vega_quote_width_bps" { buckets: &[-5.0, 1.0, 5.0, 25.0], range: -100.0..=1000.0 },
        /// Lots per quote.
        pub lots: Summary = "vega_quote_lots" { unit: Unit::Number, quantiles: &[0.5, 0.99] },
        /// Time the pricing model was busy.
        pub busy: TimeCounter = "vega_model_busy_seconds_total",
        /// Quotes that are in the book.
        pub open: Gauge = "vega_quotes_open",
        /// Money made by the spread so far.
        pub edge: Gauge = "vega_edge" { unit: Unit::Currency },
        /// Vega of the book, in lots.
        pub vega: Each<Underlying, Gauge> = "vega_position" { unit: Unit::Number, budget: 16 },
        /// The most vega that the book may have, in lots.
        pub vega_limit: Gauge = "vega_position_limit" { unit: Unit::Number },
        /// Price messages by underlying.
        pub ticks: Each<Underlying, Counter> = "vega_ticks_total" { idle: Duration::from_secs(3600) },
        /// Whether it quotes.
        pub active: Gauge = "vega_quoting_active" { unit: Unit::Switch },
        /// When the model was last fitted.
        pub fitted: Gauge = "vega_model_fitted_timestamp_seconds",
    }
}

obs_core::families! {
    group "Hedging";

    /// What the hedger does.
    pub struct HedgeMetrics(venue: Venue) {
        /// Hedges sent.
        pub hedges: By<Side, Counter> = "vega_hedges_total",
    }
}

/// Quotes on one venue.
pub struct Quoter {
    metrics: QuoteMetrics,
    hedges: HedgeMetrics,
}

/// Six underlyings where three keep series of their own.
const UNDERLYINGS: [&str; 6] = ["ES", "NQ", "RTY", "YM", "CL", "GC"];

impl Quoter {
    pub fn new(venue: &str) -> Self {
        let metrics = QuoteMetrics::new(venue);
        metrics.vega_limit.set(1_000.0);
        metrics.active.switch(true);
        metrics.fitted.set(1_795_000_000.0);
        Self {
            metrics,
            hedges: HedgeMetrics::new(venue),
        }
    }

    /// Answers one price message.
    pub fn tick(&self, number: u32) {
        let at = usize::try_from(number).unwrap_or_default();
        let underlying = UNDERLYINGS[at % UNDERLYINGS.len()];
        let side = if number % 2 == 0 {
            Side::Bid
        } else {
            Side::Offer
        };
        let fate = match number % 10 {
            0 => Fate::Rejected,
            1..=3 => Fate::Pulled,
            _ => Fate::Accepted,
        };
        let metrics = &self.metrics;
        metrics.ticks.of(underlying).increment(1);
        metrics.quotes[side][fate].increment(1);
        metrics
            .reaction
            .record(Duration::from_micros(u64::from(10 + number % 200)));
        metrics.width[side].record(f64::from(number % 30));
        metrics.lots.record(f64::from(1 + number % 20));
        metrics.busy.add(Duration::from_micros(250));
        metrics.open.set(number % 50);
        metrics.edge.set(f64::from(number) * 0.25);
        metrics.vega.of(underlying).set(f64::from(number % 100));
        if fate == Fate::Accepted {
            self.hedges.hedges[side].increment(1);
        }
    }
}
