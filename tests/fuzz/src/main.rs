//! Gives what comes on standard input to one target.

use std::io::{self, Read};
use std::process::ExitCode;

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let Some((_, target)) = obs_fuzz::TARGETS.iter().find(|(name, _)| *name == wanted) else {
        let names: Vec<_> = obs_fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
        eprintln!(
            "usage: obs-fuzz <target> < input; targets are {}",
            names.join(", ")
        );
        return ExitCode::FAILURE;
    };
    let mut data = Vec::new();
    if let Err(error) = io::stdin().read_to_end(&mut data) {
        eprintln!("cannot read standard input: {error}");
        return ExitCode::FAILURE;
    }
    target(&data);
    ExitCode::SUCCESS
}
