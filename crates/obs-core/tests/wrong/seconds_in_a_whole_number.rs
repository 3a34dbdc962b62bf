obs_core::families! {
    /// Orders.
    struct Orders {
        /// Time spent at work.
        busy: obs_core::Counter = "desk_busy_seconds_total",
    }
}

fn main() {}
