obs_core::families! {
    /// Orders.
    struct Orders {
        /// Time to the last fill.
        fill: obs_core::Histogram = "desk_fill_ms" { buckets: obs_core::buckets::LATENCY },
    }
}

fn main() {}
