//! A service for Kubernetes: a Helm chart, and the same as plain manifests.
//!
//! Both come from the templates of the chart. [`Chart::files`] are its files, filled with what is known of the installation;
//! [`desk`](Chart::desk), [`rules`] and [`dashboards`] make of it what `kubectl apply` takes. The process is a `StatefulSet`, because two
//! of them would trade twice.

mod template;

use std::fmt::Write as _;

use serde_json::Value;

use crate::alerts::{self, Settings, THRESHOLDS, routing};
use crate::{Catalog, Error};

/// The files of the chart that do not depend on the service, but for the parameters in some of them.
const FILES: [(&str, &str); 13] = [
    (".helmignore", include_str!("../chart/.helmignore")),
    ("Chart.yaml", include_str!("../chart/Chart.yaml")),
    (VALUES, include_str!("../chart/values.yaml")),
    (
        "values.schema.json",
        include_str!("../chart/values.schema.json"),
    ),
    (
        "templates/NOTES.txt",
        include_str!("../chart/templates/NOTES.txt"),
    ),
    (
        "templates/_rules.tpl",
        include_str!("../chart/templates/_rules.tpl"),
    ),
    (
        "templates/alertmanager.yaml",
        include_str!("../chart/templates/alertmanager.yaml"),
    ),
    (
        "templates/dashboards.yaml",
        include_str!("../chart/templates/dashboards.yaml"),
    ),
    (
        "templates/rules.yaml",
        include_str!("../chart/templates/rules.yaml"),
    ),
    PLAIN[0],
    PLAIN[1],
    PLAIN[2],
    PLAIN[3],
];

/// Those that make manifests without Helm.
const PLAIN: [(&str, &str); 4] = [
    (
        "templates/desk.yaml",
        include_str!("../chart/templates/desk.yaml"),
    ),
    (
        "templates/service.yaml",
        include_str!("../chart/templates/service.yaml"),
    ),
    (
        "templates/monitors.yaml",
        include_str!("../chart/templates/monitors.yaml"),
    ),
    (
        "templates/network.yaml",
        include_str!("../chart/templates/network.yaml"),
    ),
];

/// The values, as far as the settings say what they are.
const VALUES: &str = "values.yaml";
/// Where the chart has its rules and its dashboards.
const RULES: &str = "files/rules";
/// Where the chart looks for its dashboards, which the caller puts there.
pub const DASHBOARDS: &str = "files/dashboards";

/// A Helm chart for one service.
#[derive(Clone, Copy, Debug)]
pub struct Chart<'a> {
    /// The installation. Its job is the name of the service.
    pub settings: &'a Settings,
    /// Only rules whose every series the service has, if it is said what it has.
    pub catalog: Option<&'a Catalog>,
    /// The service's arguments.
    pub args: &'a [&'a str],
    /// What writes it, as the files say.
    pub by: &'a str,
}

impl Chart<'_> {
    /// Its files, by their paths within it, but for its dashboards.
    ///
    /// It fails where the job is no name for a Service: letters in lower case, digits and `-`.
    pub fn files(&self) -> Result<Vec<(String, String)>, Error> {
        self.check_name()?;
        let mut files: Vec<_> = FILES
            .iter()
            .map(|(name, text)| ((*name).to_owned(), self.filled(text)))
            .collect();
        for (name, text) in alerts::templates(self.settings, self.catalog)? {
            files.push((
                format!("{RULES}/{name}"),
                self.written(&self.settings.scoped(&text)),
            ));
        }
        let routing = routing::configuration(self.settings, 1, self.by);
        files.push(("files/alertmanager.yml".to_owned(), routing));
        Ok(files)
    }

    /// Where the chart has a further file of rules, such as that of the objectives.
    #[must_use]
    pub fn rules(name: &str) -> String {
        format!("{RULES}/{name}")
    }

    /// The settings for such a file: job and addresses of runbooks are those that the chart is given.
    #[must_use]
    pub fn open(settings: &Settings) -> Settings {
        Settings {
            job: "${job}".to_owned(),
            runbooks: "${runbooks}".to_owned(),
            ..settings.clone()
        }
    }

    /// The service as plain manifests, with the values of the chart or others: what `values` has wins, key by key.
    pub fn desk(&self, values: Option<&Value>) -> Result<String, Error> {
        self.check_name()?;
        let mut all = self.values()?;
        if let Some(values) = values {
            merge(&mut all, values);
        }
        let mut text = format!("# Written by `{}`.\n", self.by);
        for (name, template) in PLAIN {
            let manifests = template::rendered(name, template, &all)?;
            if !manifests.is_empty() {
                let separator = if manifests.starts_with("---\n") {
                    ""
                } else {
                    "---\n"
                };
                text.push_str(separator);
                text.push_str(&manifests);
            }
        }
        Ok(text)
    }

    /// The values that it comes with.
    fn values(&self) -> Result<Value, Error> {
        let template = FILES.iter().find(|(name, _)| *name == VALUES);
        let text = template.map_or_else(String::new, |(_, text)| self.filled(text));
        values(VALUES, &text)
    }

    fn check_name(&self) -> Result<(), Error> {
        let name = &self.settings.job;
        let is_known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_name = name.chars().all(is_known)
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.ends_with(|c: char| c.is_ascii_alphanumeric());
        if is_name && name.len() <= 52 {
            return Ok(());
        }
        Err(Error::Unreadable {
            file: "the settings".to_owned(),
            reason: format!(
                "the job `{name}` cannot be the name of a Service in Kubernetes: use at most 52 of a to z, 0 to 9 and -"
            ),
        })
    }

    /// A file with the parameters of the installation filled in, and those of the values left.
    fn filled(&self, text: &str) -> String {
        let Settings {
            desks,
            job,
            runbooks,
            ..
        } = self.settings;
        let first = desks.first();
        let environment = first.map_or("production", |desk| &desk.environment);
        let mode = first.map_or("live", |desk| &desk.mode);
        // JSON is YAML.
        let listed =
            serde_json::json!(desks.iter().map(alerts::Desk::as_value).collect::<Vec<_>>());
        let text = text
            .replace("${name}", job)
            .replace("${environment}", environment)
            .replace("${mode}", mode)
            .replace("${args}", &serde_json::json!(self.args).to_string())
            .replace(
                "${runbooks}\n",
                &format!("{}\n", serde_json::json!(runbooks)),
            )
            .replace("${desks}", &listed.to_string());
        self.settings.scoped(&self.with_thresholds(&text))
    }

    /// The list of thresholds, in the values as YAML and in their schema as JSON.
    fn with_thresholds(&self, text: &str) -> String {
        if text.starts_with('{') {
            let names =
                THRESHOLDS.map(|known| format!("\"{}\": {{ \"type\": \"number\" }}", known.name));
            return text.replace("${thresholds}", &names.join(", "));
        }
        let mut values = String::new();
        for known in THRESHOLDS {
            let value = self.settings.threshold(&known);
            // Writing to a string cannot fail.
            let _ = writeln!(
                values,
                "    # {}.\n    {}: {value}",
                capitalised(known.what),
                known.name
            );
        }
        text.replace("${thresholds}\n", &values)
    }

    fn written(&self, text: &str) -> String {
        format!("# Written by `{}`.\n#\n{text}", self.by)
    }
}

/// Reads values, of the chart or over those of the chart.
pub fn values(file: &str, text: &str) -> Result<Value, Error> {
    let values: Value = serde_saphyr::from_str(text).map_err(|error| Error::Unreadable {
        file: file.to_owned(),
        reason: error.to_string(),
    })?;
    if values.is_object() {
        return Ok(values);
    }
    Err(Error::Unreadable {
        file: file.to_owned(),
        reason: "values are keys with what they are, such as `image: quoter:1.2.0`".to_owned(),
    })
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().collect::<String>());
    first.unwrap_or_default() + chars.as_str()
}

/// Puts values over others, key by key; lists are replaced whole, as Helm does.
fn merge(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                merge(under.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}

/// One `PrometheusRule` for each file of rules, by its name.
#[must_use]
pub fn rules(files: &[(String, String)], service: &str, by: &str) -> String {
    let mut text = format!("# Written by `{by}`.\n");
    for (file, rules) in files {
        let name = stem(file);
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "---\napiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: {service}-{name}\n  labels: {{ app.kubernetes.io/part-of: obs }}\nspec:\n{}",
            indented(rules, 2)
        );
    }
    text
}

/// One `ConfigMap` for each dashboard, by the name of its file, labelled as Grafana's sidecar looks for them.
#[must_use]
pub fn dashboards(files: &[(String, String)], service: &str, by: &str) -> String {
    let mut text = format!("# Written by `{by}`.\n");
    for (file, dashboard) in files {
        let name = stem(file);
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {service}-dashboard-{name}\n  labels: {{ app.kubernetes.io/part-of: obs, grafana_dashboard: \"1\" }}\ndata:\n  {name}.json: |\n{}",
            indented(dashboard, 4)
        );
    }
    text
}

/// The name of a file without its folder and extension.
fn stem(file: &str) -> &str {
    let name = file.rsplit_once('/').map_or(file, |(_, name)| name);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
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
    use serde_json::json;

    use super::*;

    fn file(name: &str, text: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), text.to_owned())]
    }

    #[test]
    fn manifests_hold_the_very_rules_and_dashboards() {
        let text = "groups:\n  - name: a\n\n    rules:\n      - record: a:b\n        expr: a\n";
        let manifest: Value =
            serde_saphyr::from_str(&rules(&file("deploy/rules/a.yml", text), "quoter", "gen"))
                .unwrap();
        let expected: Value = serde_saphyr::from_str(text).unwrap();
        assert_eq!(manifest["spec"], expected);
        assert_eq!(manifest["metadata"]["name"], "quoter-a");
        let text = "{\n  \"title\": \"{{name}}\"\n}\n";
        let manifests = dashboards(&file("main.json", text), "quoter", "gen");
        let manifest: Value = serde_saphyr::from_str(&manifests).unwrap();
        assert_eq!(manifest["data"]["main.json"], text);
    }

    fn chart(settings: &Settings) -> Chart<'_> {
        Chart {
            settings,
            catalog: None,
            args: &["--live"],
            by: "obstool gen",
        }
    }

    #[test]
    fn the_settings_are_the_first_values() {
        let settings = "job: quoter\nthresholds: { drawdown: 0.1 }\ndesks: [{ service: quoter, environment: production, mode: live }]\n";
        let settings = Settings::read("alerts.yml", settings).unwrap();
        let values = chart(&settings).values().unwrap();
        assert_eq!(values["name"], "quoter");
        assert_eq!(values["args"], json!(["--live"]));
        assert_eq!(values["mode"], "live");
        assert_eq!(values["rules"]["thresholds"]["drawdown"], json!(0.1));
        let thresholds = values["rules"]["thresholds"].as_object().unwrap();
        assert_eq!(thresholds.len(), THRESHOLDS.len());
        assert_eq!(values["rules"]["desks"][0]["service"], "quoter");
        let files = chart(&settings).files().unwrap();
        let (_, schema) = files
            .iter()
            .find(|(name, _)| name == "values.schema.json")
            .unwrap();
        let schema: Value = serde_json::from_str(schema).unwrap();
        let known =
            schema["properties"]["rules"]["properties"]["thresholds"]["properties"].as_object();
        assert!(known.unwrap().contains_key("drawdown"));
        // The values have thresholds and no windows: those are filled in before.
        for window in alerts::WINDOWS {
            let is_left = |text: &str| text.contains(&format!("${{{}", window.name));
            let left = files.iter().find(|(_, text)| is_left(text));
            assert_eq!(left, None, "{}", window.name);
        }
    }

    #[test]
    fn other_values_win_key_by_key() {
        let settings = Settings::default();
        let other = json!({ "environment": "staging", "storage": { "enabled": false }, "podMonitor": { "enabled": true } });
        let text = chart(&settings).desk(Some(&other)).unwrap();
        let manifests: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        let kinds: Vec<_> = manifests
            .iter()
            .map(|it| it["kind"].as_str().unwrap())
            .collect();
        assert_eq!(
            kinds,
            [
                "StatefulSet",
                "Service",
                "ServiceMonitor",
                "PodMonitor",
                "NetworkPolicy"
            ]
        );
        assert_eq!(
            manifests[0].pointer("/spec/template/metadata/labels/environment"),
            Some(&json!("staging"))
        );
        assert_eq!(manifests[0]["spec"].get("volumeClaimTemplates"), None);
    }

    #[test]
    fn a_job_that_names_no_service_is_refused() {
        for job in ["Trading Desk", "-a", ""] {
            let settings = Settings {
                job: job.to_owned(),
                ..Settings::default()
            };
            let error = chart(&settings).files().unwrap_err().to_string();
            assert!(error.contains("0 to 9 and -"), "{error}");
        }
    }
}
