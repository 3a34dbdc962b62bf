//! `cargo xtask api`: what each crate shows to others, held to the list in `docs/api`.
//!
//! A public item that is renamed, or whose type changes, breaks the code of its users. The lists show such a change in review.
//!
//! How an item is written depends on the compiler's release, and so do the items that the standard library's traits add. The lists
//! therefore name the release that they were made with, and are compared under that release only.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use public_api::PublicApi;

use crate::error::Error;
use crate::members::{self, Member};
use crate::shell::{cargo, output, run, shown};

/// Where the lists are, from the workspace's directory.
const LISTS: &str = "docs/api";

/// The file beside them that names the compiler's release they were made with.
const RELEASE: &str = "docs/api/RUSTC";

/// Hold the public items of every crate to the lists in docs/api
#[derive(clap::Args, Default)]
pub(crate) struct Api {
    /// Write the lists: what differs is meant.
    #[arg(long)]
    bless: bool,
}

impl Api {
    pub(crate) fn run(&self) -> Result<bool, Error> {
        let release = release()?;
        let path = obs_tests::tools::workspace().join(RELEASE);
        let listed = fs::read_to_string(&path).unwrap_or_default();
        if self.bless {
            write(&path, &format!("{release}\n"))?;
        } else if let Some(notice) = other_release(listed.trim(), &release) {
            eprintln!("{notice}");
            return Ok(true);
        }
        let crates = libraries()?;
        describe(&crates)?;
        let mut same = true;
        for name in &crates {
            let path = obs_tests::tools::workspace()
                .join(LISTS)
                .join(format!("{name}.txt"));
            let now = items(name)?;
            if self.bless {
                write(&path, &now)?;
                continue;
            }
            // A crate that is new has no list.
            let before = fs::read_to_string(&path).unwrap_or_default();
            let difference = difference(&before, &now);
            if !difference.is_empty() {
                same = false;
                eprintln!("{name} shows others than {LISTS}/{name}.txt has:\n{difference}");
            }
        }
        if !same {
            eprintln!(
                "if that is meant, run `cargo xtask api --bless`, and tell of it in CHANGELOG.md"
            );
        }
        Ok(same)
    }
}

/// The crates whose items others can use.
fn libraries() -> Result<Vec<String>, Error> {
    let libraries = members::crates()?.into_iter().filter(Member::is_library);
    Ok(libraries.map(|member| member.name).collect())
}

/// The release of the compiler in use, such as `1.95.0`.
fn release() -> Result<String, Error> {
    let mut rustc = Command::new("rustc");
    rustc.arg("-vV").current_dir(obs_tests::tools::workspace());
    let text = output(&mut rustc)?;
    let release = text.lines().find_map(|line| line.strip_prefix("release: "));
    release.map(str::to_owned).ok_or_else(|| Error::Unreadable {
        file: shown(&rustc),
        reason: "it names no release".to_owned(),
    })
}

/// What to say where the lists were made with another release than the one in use.
fn other_release(listed: &str, used: &str) -> Option<String> {
    (listed != used).then(|| {
        format!(
            "nothing was compared: the lists in {LISTS} were made with Rust {listed}, and this is Rust {used}, which may write the \
             same items differently. Compare with `cargo +{listed} xtask api`, or move the lists to this release with \
             `cargo xtask api --bless`, in a commit that changes no public item."
        )
    })
}

/// Has rustdoc describe the crates, with all their features.
fn describe(crates: &[String]) -> Result<(), Error> {
    let mut doc = cargo([
        "doc",
        "--no-deps",
        "--all-features",
        "--lib",
        "--target-dir",
        "target/api",
    ]);
    doc.args(crates.iter().flat_map(|name| ["--package", name]));
    // The format is unstable, and that of the toolchain which `rust-toolchain.toml` names: `public-api` reads just this one.
    doc.env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTDOCFLAGS", "-Z unstable-options --output-format json");
    eprintln!("{}", shown(&doc));
    run(&mut doc)
}

/// The public items of a crate, one a line.
fn items(name: &str) -> Result<String, Error> {
    let file = format!("target/api/doc/{}.json", name.replace('-', "_"));
    let builder = public_api::Builder::from_rustdoc_json(obs_tests::tools::workspace().join(&file));
    let api: Result<PublicApi, _> = builder
        // What follows from a type's fields, and what every type has.
        .omit_auto_trait_impls(true)
        .omit_blanket_impls(true)
        .build();
    let api = api.map_err(|error| Error::Unreadable {
        file,
        reason: error.to_string(),
    })?;
    let mut text = String::new();
    for item in api.items() {
        let _ = writeln!(text, "{item}");
    }
    Ok(text)
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    let written = folder.and_then(|()| fs::write(path, text));
    written.map_err(|source| Error::File {
        verb: "write",
        path: PathBuf::from(path),
        source,
    })
}

/// The lines that only one side has.
fn difference(before: &str, now: &str) -> String {
    let (before, now): (BTreeSet<_>, BTreeSet<_>) =
        (before.lines().collect(), now.lines().collect());
    let gone = before.difference(&now).map(|line| format!("-{line}\n"));
    let come = now.difference(&before).map(|line| format!("+{line}\n"));
    gone.chain(come).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_another_release_are_not_compared() {
        assert_eq!(other_release("1.95.0", "1.95.0"), None);
        let notice = other_release("1.94.0", "1.95.0").unwrap();
        assert!(notice.contains("nothing was compared"), "{notice}");
        assert!(notice.contains("cargo +1.94.0 xtask api"), "{notice}");
    }

    #[test]
    fn what_is_gone_and_what_has_come_is_told() {
        let before = "pub fn a::b()\npub fn a::c(u8)\n";
        assert_eq!(difference(before, before), "");
        let now = "pub fn a::b()\npub fn a::c(u16)\n";
        assert_eq!(
            difference(before, now),
            "-pub fn a::c(u8)\n+pub fn a::c(u16)\n"
        );
    }
}
