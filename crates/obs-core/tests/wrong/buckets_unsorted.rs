obs_core::families! {
    /// Orders.
    struct Orders {
        /// Time to the last fill.
        fill: obs_core::Histogram = "desk_fill_seconds" { buckets: &[0.1, 1.0, 0.5] },
    }
}

fn main() {}
