//! The arrows between the crates, read from their manifests.

use std::collections::BTreeMap;
use std::process::Command;

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
            "obs-macros" | "obs-exposition" => &[],
            "obs-core" => &["obs-macros"],
            "obs-exporter" => &[
                "obs-core",
                "obs-exposition",
                "obs-recorder",
                "metrics-exporter-prometheus",
            ],
            "obs-verify" => &["obs-core", "obs-exposition"],
            "obstool" => &["obs-core", "obs-exposition", "obs-verify"],
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
