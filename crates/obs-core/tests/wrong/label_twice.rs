obs_core::label! {
    /// Buy or sell.
    enum Side as "side" { Buy = "buy", Sell = "sell" }
}
obs_core::families! {
    /// Orders.
    struct Orders(side: Side) {
        /// Orders handed to the venue.
        submitted: obs_core::By<Side, obs_core::Counter> = "desk_orders_total",
    }
}

fn main() {}
