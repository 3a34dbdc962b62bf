obs_core::families! {
    /// Orders.
    struct Orders {
        /// Time to the last fill.
        fill: obs_core::Summary = "desk_fill_seconds" { quantiles: &[0.5, 99.0] },
    }
}

fn main() {}
