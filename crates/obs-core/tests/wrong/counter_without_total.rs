obs_core::families! {
    /// Orders.
    struct Orders {
        /// Orders handed to the venue.
        submitted: obs_core::Counter = "desk_orders",
    }
}

fn main() {}
