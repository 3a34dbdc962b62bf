//! Rules, dashboards and targets as Kubernetes takes them, with the Prometheus operator and Grafana's sidecar.
//!
//! The texts are those of `deploy/prometheus` and `deploy/grafana`, indented: there is nothing here to keep in step by hand.

use std::fmt::Write;

use crate::deployed::{DASHBOARDS, RULES};

/// Where the manifests go, from the workspace's directory.
pub(crate) const MANIFESTS: &str = "deploy/kubernetes";

const WRITTEN: &str = "# Written by `cargo xtask gen`.\n";

/// One `PrometheusRule` for each file of rules.
pub(crate) fn rules(files: &[(String, String)]) -> String {
    let mut text = WRITTEN.to_owned();
    for (file, rules) in files {
        let name = stem(file, RULES, ".yml");
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "---\napiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: obs-{name}\n  labels: {{ app.kubernetes.io/part-of: obs }}\nspec:\n{}",
            indented(rules, 2)
        );
    }
    text
}

/// One `ConfigMap` for each dashboard, labelled as Grafana's sidecar looks for them.
pub(crate) fn dashboards(files: &[(String, String)]) -> String {
    let mut text = WRITTEN.to_owned();
    for (file, dashboard) in files {
        let name = stem(file, DASHBOARDS, ".json");
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: obs-dashboard-{name}\n  labels: {{ app.kubernetes.io/part-of: obs, grafana_dashboard: \"1\" }}\ndata:\n  {name}.json: |\n{}",
            indented(dashboard, 4)
        );
    }
    text
}

/// The name of a file without its folder and extension.
fn stem<'a>(file: &'a str, folder: &str, extension: &str) -> &'a str {
    let name = file.strip_prefix(folder).unwrap_or(file);
    name.trim_start_matches('/').trim_end_matches(extension)
}

fn indented(text: &str, by: usize) -> String {
    let line = |line: &str| {
        if line.is_empty() {
            "\n".to_owned()
        } else {
            format!("{:by$}{line}\n", "")
        }
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployed;

    #[test]
    fn manifests_hold_the_very_rules_and_dashboards() {
        let files = deployed::files(RULES, "yml").unwrap();
        let manifests: Vec<serde_json::Value> =
            serde_saphyr::from_multiple(&rules(&files)).unwrap();
        assert_eq!(manifests.len(), files.len());
        for ((_, text), manifest) in files.iter().zip(&manifests) {
            let rules: serde_json::Value = serde_saphyr::from_str(text).unwrap();
            assert_eq!(manifest["spec"], rules);
        }
        let files = deployed::files(DASHBOARDS, "json").unwrap();
        let manifests: Vec<serde_json::Value> =
            serde_saphyr::from_multiple(&dashboards(&files)).unwrap();
        for ((file, text), manifest) in files.iter().zip(&manifests) {
            let name = format!("{}.json", stem(file, DASHBOARDS, ".json"));
            assert_eq!(
                manifest["data"][&name].as_str(),
                Some(text.as_str()),
                "{name}"
            );
        }
    }
}
