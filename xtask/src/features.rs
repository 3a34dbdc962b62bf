//! `cargo xtask features`: every crate builds alone, with any three of its features.

use crate::error::Error;
use crate::shell::{run, shown};
use crate::tool::Tool;

/// Goes through the combinations of features. `cargo check --workspace` builds one of them: all that anybody asks for, at once.
const HACK: Tool = Tool {
    name: "cargo-hack",
    version: "0.6.46",
};

/// Where crates are checked alone. Its own, for flags that would have everything compiled anew in the usual one, and back.
pub(crate) const TARGET: &str = "target/features";

/// The compiler's flags there.
pub(crate) const FLAGS: &str = "-D warnings";

/// Build every crate alone with every combination of up to three of its features, without a warning
#[derive(clap::Args)]
pub(crate) struct Features {}

impl Features {
    #[expect(clippy::unused_self, reason = "every command is run alike")]
    pub(crate) fn run(&self) -> Result<bool, Error> {
        let mut check = HACK.command([
            "check",
            "--workspace",
            "--feature-powerset",
            // Two crates have nine features each, whose combinations would take ten minutes. What does not build for want of a feature, or
            // because of one, shows with two of them; all of them together are what the workspace builds.
            "--depth",
            "3",
            // A name for others of its crate, whose combinations are there without it.
            "--exclude-features",
            "default",
            "--keep-going",
            "--target-dir",
            TARGET,
        ])?;
        check.env("RUSTFLAGS", FLAGS);
        eprintln!("{}", shown(&check));
        run(&mut check)?;
        Ok(true)
    }
}
