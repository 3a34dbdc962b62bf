obs_core::families! {
    /// Orders.
    struct Orders {
        /// What there is.
        field: obs_core::Gauge = "desk_orders" { objective: obs_core::objective!(99 % good) },
    }
}

fn main() {}
