//! The arrows between the crates, read from their manifests, and what their sources must not know of each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use obs_core::Catalogue;
use serde_json::Value;

/// What each library crate of the workspace uses, without what only its own tests use.
fn libraries() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(obs_tests::tools::workspace())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let uses = |package: &Value| {
        let dependencies = package["dependencies"].as_array().unwrap();
        let used = dependencies
            .iter()
            .filter(|dependency| dependency["kind"] != "dev");
        used.map(|dependency| text(&dependency["name"])).collect()
    };
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .filter(|package| text(&package["manifest_path"]).contains("/crates/"))
        .map(|package| (text(&package["name"]), uses(package)))
        .collect()
}

#[test]
fn domain_crates_know_neither_each_other_nor_prometheus() {
    let libraries = libraries();
    assert!(libraries.contains_key("obs-trading"), "{libraries:?}");
    for (library, uses) in &libraries {
        let allowed: &[&str] = match library.as_str() {
            "obs-macros" | "obs-exposition" | "obs-calendar" | "obs-memory" | "obs-page" => &[],
            "obs-core" => &["obs-macros", "obs-memory"],
            "obs-recorder" => &["obs-core", "obs-memory"],
            "obs-push" => &["obs-core", "obs-recorder"],
            "obs-exporter" => &[
                "obs-core",
                "obs-exposition",
                "obs-page",
                "obs-push",
                "obs-recorder",
                "metrics-exporter-prometheus",
            ],
            "obs-verify" => &["obs-calendar", "obs-core", "obs-exposition"],
            "obstool" => &[
                "obs-core",
                "obs-exposition",
                "obs-memory",
                "obs-page",
                "obs-push",
                "obs-recorder",
                "obs-verify",
            ],
            "obs-trading" | "obs-providers" => &["obs-core", "obs-calendar"],
            _ => &["obs-core"],
        };
        let is_ours = |used: &&String| used.starts_with("obs-") || used.contains("prometheus");
        for used in uses.iter().filter(is_ours) {
            assert!(
                allowed.contains(&used.as_str()),
                "{library} must not use {used}"
            );
        }
    }
}

/// The families of the crates that instrument a domain.
fn domain() -> Catalogue {
    Catalogue::join([
        obs_db::catalogue(),
        obs_health::catalogue(),
        obs_http::catalogue(),
        obs_providers::catalogue(),
        obs_sentiment::catalogue(),
        obs_trading::catalogue(),
    ])
    .unwrap()
}

/// Every file below a folder, but for other people's.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            found.push(path);
        } else if !path.ends_with("vendor") {
            found.extend(files(&path));
        }
    }
    found
}

/// Whether a text has this name, whole.
fn names(text: &str, name: &str) -> bool {
    let is_of_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    text.match_indices(name).any(|(at, _)| {
        !text[..at].ends_with(is_of_name) && !text[at + name.len()..].starts_with(is_of_name)
    })
}

/// What is shown of a family, its declaration says: the exporter, its page and the terminal view treat all programs alike.
#[test]
fn what_shows_metrics_knows_no_domain() {
    let families = domain();
    let packages = families.families().map(obs_core::Family::package);
    let mut words: Vec<_> = packages
        .flat_map(|package| [package.to_owned(), package.replace('-', "_")])
        .collect();
    words.extend(families.families().map(|family| family.name().to_owned()));
    let folders = [
        "crates/obs-exporter/src",
        "crates/obs-page/src",
        "crates/obstool/src/top",
    ];
    let folders = folders.map(|folder| obs_tests::tools::workspace().join(folder));
    let files: Vec<_> = folders.iter().flat_map(|folder| files(folder)).collect();
    for looked_at in ["overview.js", "view.rs"] {
        assert!(files.iter().any(|file| file.ends_with(looked_at)));
    }
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        // Tests may look at services of any domain.
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for word in &words {
            assert!(!names(text, word), "{} names {word}", file.display());
        }
    }
}

/// People know where things are.
#[test]
fn families_are_shown_where_the_first_edition_showed_them() {
    let fixture = obs_tests::tools::workspace().join("tests/fixtures/edition-1/catalog.json");
    let fixture: Value = serde_json::from_str(&std::fs::read_to_string(fixture).unwrap()).unwrap();
    let groups = fixture["groups"].as_array().unwrap();
    let title_of = |id: &Value| {
        let group = groups.iter().find(|group| group["id"] == *id);
        group.unwrap()["title"].as_str().unwrap()
    };
    let catalogue = Catalogue::join([obs_exporter::catalogue().unwrap(), domain()]).unwrap();
    let families = fixture["families"].as_array().unwrap();
    assert!(families.len() > 100, "{}", families.len());
    for family in families {
        let declared = catalogue.family(family["name"].as_str().unwrap()).unwrap();
        let group = declared.group().unwrap_or_else(|| panic!("{declared:?}"));
        assert_eq!(title_of(&family["group"]), group.title, "{family}");
    }
}

#[test]
fn the_task_runner_is_small_and_obstool_light_without_its_terminal_view() {
    let workspace = obs_tests::tools::workspace();
    let lines: usize = ["src", "tests"]
        .iter()
        .map(|folder| workspace.join("xtask").join(folder))
        .filter(|folder| folder.exists())
        .flat_map(|folder| files(&folder))
        .map(|path| std::fs::read_to_string(path).unwrap().lines().count())
        .sum();
    assert!((1_000..=4_000).contains(&lines), "xtask has {lines} lines");

    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--prefix", "none", "--format", "{p}"])
        .args(["--edges", "normal,build", "--package", "obstool"])
        .arg("--no-default-features")
        .current_dir(workspace)
        .output()
        .unwrap();
    let tree = String::from_utf8(output.stdout).unwrap();
    let crates: BTreeSet<&str> = tree
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .filter(|line| !line.is_empty())
        .collect();
    assert!((20..150).contains(&crates.len()), "{} crates", crates.len());
}
