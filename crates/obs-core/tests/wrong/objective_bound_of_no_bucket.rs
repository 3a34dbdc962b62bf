obs_core::families! {
    /// Orders.
    struct Orders {
        /// What there is.
        field: obs_core::Histogram = "desk_fill_seconds" { buckets: &[0.5, 1.0], objective: obs_core::objective!(99.9 % under 0.25) },
    }
}

fn main() {}
