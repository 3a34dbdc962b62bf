//! A trading desk.
fn main() {}
