obs_core::families! {
    /// Orders.
    struct Orders {
        /// Orders at work.
        open: obs_core::Gauge = "desk.ordersOpen",
    }
}

fn main() {}
