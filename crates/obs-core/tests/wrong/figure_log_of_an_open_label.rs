use obs_core::{Counter, Each, Figure};

obs_core::label! {
    /// What is quoted.
    pub open Symbol as "symbol" up to 100
}
obs_core::families! {
    group "Quoting" { Figure::log("Halts", Quotes::halts, "symbol") }

    /// Quotes.
    pub struct Quotes {
        /// Halts of trading.
        pub halts: Each<Symbol, Counter> = "desk_halts_total",
    }
}

fn main() {}
