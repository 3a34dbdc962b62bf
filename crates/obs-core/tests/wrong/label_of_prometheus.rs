obs_core::label! {
    /// The metric's own name.
    open Name as "__name__" up to 10
}

fn main() {}
