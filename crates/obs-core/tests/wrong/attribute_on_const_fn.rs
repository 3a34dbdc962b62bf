#[obs_core::track_calls]
const fn one() -> u32 {
    1
}

fn main() {}
