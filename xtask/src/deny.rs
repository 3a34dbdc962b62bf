//! `cargo xtask deny`: what the dependencies may be.

use crate::error::Error;
use crate::shell::{run, shown};
use crate::tool::Tool;

const DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
};

/// What is checked by default. The database of the advisories is a repository that has to be fetched from outside.
const OFFLINE: [&str; 3] = ["licenses", "bans", "sources"];

/// Hold licences, versions and sources of the dependencies to deny.toml
///
/// Builds cargo-deny under target/ where it is not on the PATH.
#[derive(clap::Args, Default)]
pub(crate) struct Deny {
    /// What to check; all but the advisories by default, whose database is fetched from <https://github.com/rustsec/advisory-db>.
    #[arg(value_parser = ["advisories", "bans", "licenses", "sources"])]
    checks: Vec<String>,
}

impl Deny {
    pub(crate) fn run(&self) -> Result<bool, Error> {
        let mut deny = DENY.command(["check", "--hide-inclusion-graph"])?;
        if self.checks.is_empty() {
            deny.args(OFFLINE);
        } else {
            deny.args(&self.checks);
        }
        eprintln!("{}", shown(&deny));
        run(&mut deny).map(|()| true)
    }
}
