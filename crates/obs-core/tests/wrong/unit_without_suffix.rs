obs_core::families! {
    /// Orders.
    struct Orders {
        /// Size of a message.
        size: obs_core::Gauge = "desk_message_size" { unit: obs_core::Unit::Bytes },
    }
}

fn main() {}
