use obs_core::{By, Counter, Figure, Gauge, Histogram, Reading, Unit};

obs_core::label! {
    /// Buy or sell.
    pub enum Side as "side" { Buy = "buy", Sell = "sell" }
}
obs_core::families! {
    group "Quoting" { Figure::value("Sent", Reading::sum(Quotes::sent).with(&[("side", "short")])) }

    /// Quotes.
    pub struct Quotes {
        /// Quotes sent.
        pub sent: By<Side, Counter> = "desk_quotes_total",
        /// Quotes in the book.
        pub open: Gauge = "desk_quotes_open",
        /// Money in the book.
        pub notional: Gauge = "desk_quotes_notional" { unit: Unit::Currency },
        /// Time to a quote.
        pub reaction: Histogram = "desk_reaction_seconds" { buckets: &[0.1, 1.0] },
    }
}

fn main() {}
