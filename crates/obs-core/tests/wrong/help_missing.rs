obs_core::families! {
    /// Orders.
    struct Orders {
        open: obs_core::Gauge = "desk_orders_open",
    }
}

fn main() {}
