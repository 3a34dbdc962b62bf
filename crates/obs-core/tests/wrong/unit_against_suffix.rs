obs_core::families! {
    /// Orders.
    struct Orders {
        /// Money at the venue.
        balance: obs_core::Gauge = "desk_balance_bytes" { unit: obs_core::Unit::Currency },
    }
}

fn main() {}
