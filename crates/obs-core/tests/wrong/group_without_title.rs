obs_core::families! {
    group "";

    /// Quotes.
    pub struct Quotes {
        /// Quotes sent.
        pub sent: obs_core::Counter = "desk_quotes_total",
    }
}

fn main() {}
