obs_core::families! {
    /// Orders.
    struct Orders {
        /// Orders at work.
        open: obs_core::Gauge = "desk_orders_open" { buckets: &[0.1, 1.0] },
    }
}

fn main() {}
