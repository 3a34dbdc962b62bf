#[obs_core::track_duration(label = "one")]
fn one() -> u32 {
    1
}

fn main() {}
