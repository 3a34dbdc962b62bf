use obs_core::{Counter, Family, Figure, Kind};

const PANICS: &Family = &Family::elsewhere("panics_{component}", Kind::Counter);

obs_core::families! {
    group "Quoting" { Figure::rate("Panics", PANICS) }

    /// Quotes.
    pub struct Quotes {
        /// Quotes sent.
        pub sent: Counter = "desk_quotes_total",
    }
}

fn main() {}
