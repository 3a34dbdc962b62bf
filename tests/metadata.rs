//! What the crates say of themselves, and what holds for all of them.

use std::process::Command;

use obs_tests::tools::workspace;
use serde_json::Value;

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(workspace())
        .output()
        .unwrap();
    let mut metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    serde_json::from_value(metadata["packages"].take()).unwrap()
}

fn is_crate(package: &Value) -> bool {
    package["manifest_path"]
        .as_str()
        .unwrap()
        .contains("/crates/")
}

/// The names are not settled: some of them belong to other people on crates.io.
#[test]
fn nothing_is_published() {
    for package in packages() {
        assert_eq!(
            package["publish"],
            Value::Array(Vec::new()),
            "{}",
            package["name"]
        );
    }
}

#[test]
fn every_crate_says_what_a_registry_shows() {
    let packages = packages();
    let crates: Vec<_> = packages
        .iter()
        .filter(|package| is_crate(package))
        .collect();
    assert!(!crates.is_empty());
    for package in crates {
        let name = package["name"].as_str().unwrap();
        for field in ["description", "license", "rust_version"] {
            assert!(
                package[field].as_str().is_some_and(|text| !text.is_empty()),
                "{name}: {field}"
            );
        }
        for field in ["keywords", "categories"] {
            let words = package[field].as_array().unwrap();
            // A registry takes five.
            assert!((1..=5).contains(&words.len()), "{name}: {field}");
        }
        let everything = &package["metadata"]["docs"]["rs"]["all-features"];
        assert_eq!(everything, &Value::Bool(true), "{name}: docs.rs");

        let readme = workspace()
            .join("crates")
            .join(name)
            .join(package["readme"].as_str().unwrap());
        let readme = std::fs::read_to_string(readme).unwrap();
        assert!(
            readme.starts_with(&format!("# {name}\n\n")),
            "{name}: README.md"
        );
        // A program is used from a shell.
        let mut targets = package["targets"].as_array().unwrap().iter();
        let is_program = targets.any(|target| target["kind"][0] == "bin");
        let example = if is_program { "```sh" } else { "```rust" };
        assert!(readme.contains(example), "{name}: README.md has no example");
    }
}

/// The compiler denies unsafe code in every crate that inherits the lints; so every crate does, and none allows it again but in the
/// one file that ARCHITECTURE.md argues for.
#[test]
fn nothing_is_unsafe_but_mapped_pages() {
    // In two pieces, so that this file does not hold what it looks for.
    let lint = concat!("unsafe", "_code");
    let manifest = std::fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    assert!(manifest.contains(&format!("\n{lint} = \"deny\"\n")));
    for package in packages() {
        let manifest = std::path::PathBuf::from(package["manifest_path"].as_str().unwrap());
        let text = std::fs::read_to_string(&manifest).unwrap();
        assert!(
            text.contains("\n[lints]\nworkspace = true\n"),
            "{}",
            manifest.display()
        );
        sources(manifest.parent().unwrap(), &mut |path, source| {
            assert!(
                !source.contains(lint) || path.ends_with("crates/obs-memory/src/page.rs"),
                "{} speaks of the lint {lint}",
                path.display()
            );
        });
    }
}

/// Goes through the Rust files of a package.
fn sources(folder: &std::path::Path, look: &mut impl FnMut(&std::path::Path, &str)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name() != Some("target".as_ref()) {
            sources(&path, look);
        } else if path.extension() == Some("rs".as_ref()) {
            look(&path, &std::fs::read_to_string(&path).unwrap());
        }
    }
}
