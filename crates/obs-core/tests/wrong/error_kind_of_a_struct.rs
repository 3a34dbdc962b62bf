#[derive(obs_core::ErrorKind)]
struct Failed;

fn main() {}
