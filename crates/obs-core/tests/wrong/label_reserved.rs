obs_core::label! {
    /// An upper bound.
    open Bound as "le" up to 10
}

fn main() {}
