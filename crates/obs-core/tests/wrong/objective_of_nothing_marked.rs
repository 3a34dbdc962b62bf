obs_core::families! {
    /// Orders.
    struct Orders {
        /// What there is.
        field: obs_core::Counter = "desk_orders_total" { objective: obs_core::objective!(99 % good) },
    }
}

fn main() {}
