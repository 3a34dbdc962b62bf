obs_core::label! {
    /// Buy or sell.
    enum Side as "side" { Buy = "buy", Sell = "buy" }
}

fn main() {}
