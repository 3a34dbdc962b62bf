//! Every query there is: in rules, in dashboards, and in documents.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use obs_core::Catalogue;
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::error::Error;

/// Where rules and dashboards are, from the workspace's directory.
pub(crate) const RULES: &str = "deploy/prometheus/rules";
pub(crate) const DASHBOARDS: &str = "deploy/grafana/dashboards";
pub(crate) const DOCS: &str = "docs";

/// One query, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    /// The file, from the workspace's directory.
    pub(crate) file: String,
    /// The line it begins at, where the file is one that people write.
    pub(crate) line: Option<u32>,
    /// What it belongs to, such as ``alert `TargetDown` ``.
    pub(crate) place: String,
    /// As Prometheus is asked, with Grafana's variables filled in.
    pub(crate) text: String,
    pub(crate) role: Role,
}

/// What a query is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Recorded under this name.
    Record(String),
    /// An alert, and the labels that its texts name.
    Alert(BTreeSet<String>),
    /// Drawn on an axis of this unit.
    Panel(String),
    /// Anything else: a variable, an annotation, an example.
    Other,
}

#[derive(Deserialize)]
struct RuleFile {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    record: Option<String>,
    alert: Option<String>,
    expr: Spanned<String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// All queries of the workspace in this directory.
pub(crate) fn all(workspace: &Path) -> Result<Vec<Query>, Error> {
    let mut queries = rules(workspace)?;
    for (file, text) in files(workspace, DASHBOARDS, "json")? {
        queries.extend(of_dashboard(&file, &text)?);
    }
    for (file, text) in files(workspace, DOCS, "md")? {
        queries.extend(of_document(&file, &text));
    }
    Ok(queries)
}

/// The queries of all rules.
pub(crate) fn rules(workspace: &Path) -> Result<Vec<Query>, Error> {
    let mut queries = Vec::new();
    for (file, text) in files(workspace, RULES, "yml")? {
        queries.extend(of_rules(&file, &text)?);
    }
    Ok(queries)
}

/// The files of a folder with an extension, by name, and what is in them.
pub(crate) fn files(
    workspace: &Path,
    folder: &str,
    extension: &str,
) -> Result<Vec<(String, String)>, Error> {
    let failed = |path: PathBuf| {
        move |source| Error::File {
            verb: "read",
            path,
            source,
        }
    };
    let path = workspace.join(folder);
    let mut names = Vec::new();
    for entry in fs::read_dir(&path).map_err(failed(path.clone()))? {
        let name = entry.map_err(failed(path.clone()))?.file_name();
        if Path::new(&name)
            .extension()
            .is_some_and(|found| found == extension)
        {
            names.push(format!("{folder}/{}", name.to_string_lossy()));
        }
    }
    names.sort();
    let read = |name: String| {
        let path = workspace.join(&name);
        let text = fs::read_to_string(&path).map_err(failed(path))?;
        Ok((name, text))
    };
    names.into_iter().map(read).collect()
}

pub(crate) fn of_rules(file: &str, text: &str) -> Result<Vec<Query>, Error> {
    let unreadable = |error: serde_saphyr::Error| Error::Unreadable {
        file: file.to_owned(),
        reason: error.to_string(),
    };
    let rules: RuleFile = serde_saphyr::from_str(text).map_err(unreadable)?;
    let query = |rule: Rule| {
        let line = rule.expr.referenced.line();
        let (place, role) = match (rule.record, rule.alert) {
            (Some(name), _) => (format!("record `{name}`"), Role::Record(name)),
            (None, name) => {
                let templates = rule
                    .annotations
                    .values()
                    .flat_map(|text| labels_in(text))
                    .collect();
                (
                    format!("alert `{}`", name.unwrap_or_default()),
                    Role::Alert(templates),
                )
            }
        };
        Query {
            file: file.to_owned(),
            line: u32::try_from(line).ok(),
            place,
            text: rule.expr.value,
            role,
        }
    };
    Ok(rules
        .groups
        .into_iter()
        .flat_map(|group| group.rules)
        .map(query)
        .collect())
}

/// The labels that a text takes from the series, as in `{{ $labels.venue }}`.
fn labels_in(text: &str) -> Vec<String> {
    let named = text.split("$labels.").skip(1);
    named
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        })
        .collect()
}

pub(crate) fn of_dashboard(file: &str, text: &str) -> Result<Vec<Query>, Error> {
    let unreadable = |error: serde_json::Error| Error::Unreadable {
        file: file.to_owned(),
        reason: error.to_string(),
    };
    let dashboard: Value = serde_json::from_str(text).map_err(unreadable)?;
    let mut queries = Vec::new();
    let mut add = |place: String, text: &Value, role| {
        if let Some(text) = text.as_str() {
            let text = substituted(text);
            queries.push(Query {
                file: file.to_owned(),
                line: None,
                place,
                text,
                role,
            });
        }
    };
    for panel in array(&dashboard["panels"]) {
        let title = panel["title"].as_str().unwrap_or_default();
        let unit = panel["fieldConfig"]["defaults"]["unit"]
            .as_str()
            .unwrap_or_default();
        for (i, target) in array(&panel["targets"]).iter().enumerate() {
            let id = target["refId"].as_str().unwrap_or_default();
            // The unit of the panel is that of its first query; those of a table's columns are set apart.
            let role = if i == 0 {
                Role::Panel(unit.to_owned())
            } else {
                Role::Other
            };
            add(
                format!("panel `{title}`, query {id}"),
                &target["expr"],
                role,
            );
        }
    }
    for variable in array(&dashboard["templating"]["list"]) {
        let name = variable["name"].as_str().unwrap_or_default();
        add(
            format!("variable `{name}`"),
            &variable["query"]["query"],
            Role::Other,
        );
    }
    for annotation in array(&dashboard["annotations"]["list"]) {
        let name = annotation["name"].as_str().unwrap_or_default();
        add(
            format!("annotation `{name}`"),
            &annotation["target"]["expr"],
            Role::Other,
        );
    }
    Ok(queries)
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// What stands between the fences of `promql` blocks.
fn of_document(file: &str, text: &str) -> Vec<Query> {
    let mut queries = Vec::new();
    let mut block: Option<(usize, Vec<&str>)> = None;
    for (i, line) in text.lines().enumerate() {
        match &mut block {
            None if line.trim() == "```promql" => block = Some((i + 2, Vec::new())),
            None => {}
            Some((start, lines)) if line.trim() == "```" => {
                let (line, text) = (u32::try_from(*start).ok(), lines.join("\n"));
                queries.push(Query {
                    file: file.to_owned(),
                    line,
                    place: "example".to_owned(),
                    text,
                    role: Role::Other,
                });
                block = None;
            }
            Some((_, lines)) => lines.push(line),
        }
    }
    queries
}

/// A query as it would be with Grafana's variables filled in: every series, and some range.
///
/// What `label_values` asks is a count by that label, which is a query that can be checked and put to Prometheus.
pub(crate) fn substituted(text: &str) -> String {
    let text = text
        .replace("$__rate_interval", "5m")
        .replace("$__interval", "1m")
        .replace("$__range", "1h");
    let mut filled = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, variable)) = rest.split_once("=~\"$") {
        filled.push_str(before);
        filled.push_str("=~\".*\"");
        rest = variable.split_once('"').map_or("", |(_, after)| after);
    }
    filled.push_str(rest);
    let values = filled
        .strip_prefix("label_values(")
        .and_then(|rest| rest.strip_suffix(')'))
        .and_then(|rest| rest.rsplit_once(','));
    match values {
        Some((series, label)) => format!("count by ({}) ({})", label.trim(), series.trim()),
        None => filled,
    }
}

/// The families whose series a query names.
pub(crate) fn families_in<'a>(query: &'a str, catalogue: &Catalogue) -> BTreeSet<&'a str> {
    let words = query.split(|c: char| !c.is_alphanumeric() && c != '_');
    let family = |word: &'a str| {
        let parts = ["_bucket", "_sum", "_count"]
            .into_iter()
            .filter_map(|suffix| word.strip_suffix(suffix));
        std::iter::once(word)
            .chain(parts)
            .find(|name| catalogue.family(name).is_some())
    };
    words.filter_map(family).collect()
}

/// The rules whose recorded series a query names.
pub(crate) fn recorded_in<'a>(query: &str, queries: &'a [Query]) -> Vec<&'a Query> {
    let words: BTreeSet<&str> = query
        .split(|c: char| !c.is_alphanumeric() && !"_:".contains(c))
        .collect();
    let is_named =
        |query: &&Query| matches!(&query.role, Role::Record(name) if words.contains(name.as_str()));
    queries.iter().filter(is_named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in() {
        let text = r#"rate(x{service=~"$service", a="b"}[$__rate_interval])"#;
        assert_eq!(substituted(text), r#"rate(x{service=~".*", a="b"}[5m])"#);
        let text = r#"label_values(x{service=~"$service"}, mode)"#;
        assert_eq!(substituted(text), r#"count by (mode) (x{service=~".*"})"#);
    }

    #[test]
    fn rules_are_read_with_their_lines_and_labels() {
        let text = "groups:\n  - name: a\n    rules:\n      - alert: Down\n        expr: up == 0\n        annotations:\n          summary: \"{{ $labels.job }} at {{ $labels.instance }}\"\n";
        let queries = of_rules("a.yml", text).unwrap();
        let labels = ["instance", "job"].map(str::to_owned).into();
        assert_eq!(
            (queries[0].line, &queries[0].role),
            (Some(5), &Role::Alert(labels))
        );
        assert_eq!(queries[0].place, "alert `Down`");
    }

    #[test]
    fn documents_are_read_between_their_fences() {
        let queries = of_document("a.md", "```sh\nls\n```\n```promql\nup\n  == 0\n```\n");
        assert_eq!(queries.len(), 1);
        assert_eq!(
            (queries[0].line, queries[0].text.as_str()),
            (Some(5), "up\n  == 0")
        );
    }
}
