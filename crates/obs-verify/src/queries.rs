//! Every query there is: in rules, in dashboards, and in documents.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::{Catalog, Error, lint};

/// One query, and where it stands.
#[derive(Clone, Debug)]
pub struct Query {
    /// The file.
    pub file: String,
    /// The line it begins at, where the file is one that people write.
    pub line: Option<u32>,
    /// What it belongs to, such as ``alert `TargetDown` ``.
    pub place: String,
    /// As Prometheus is asked, with Grafana's variables filled in.
    pub text: String,
    /// What it is for.
    pub role: Role,
}

/// What a query is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Recorded under this name.
    Record(String),
    /// What fires an alert.
    Alert(Alert),
    /// Drawn on an axis of this unit.
    Panel(String),
    /// Shown to readers of a document.
    Example,
    /// Anything else: a variable, an annotation, a further query of a panel.
    Other,
}

/// What is known of an alert besides its query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alert {
    /// Its name.
    pub name: String,
    /// The labels that its texts name.
    pub templates: BTreeSet<String>,
    /// The labels that it adds.
    pub labels: BTreeMap<String, String>,
    /// Whether it has to hold for a while before it fires.
    pub is_pending_first: bool,
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
    #[serde(default, rename = "for")]
    pending: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// The queries of files of rules, dashboards and documents, by what their names end in: `.yml` and `.yaml`, `.json`, `.md`.
///
/// A name that ends otherwise is an error, and so is a file that cannot be read.
pub fn of_files(paths: &[PathBuf]) -> Result<Vec<Query>, Error> {
    let mut queries = Vec::new();
    for path in paths {
        let file = path.to_string_lossy();
        queries.extend(of_file(&file, &read(path)?)?);
    }
    Ok(queries)
}

/// The queries of one file, by what its name ends in.
pub fn of_file(file: &str, text: &str) -> Result<Vec<Query>, Error> {
    let extension = Path::new(file).extension().and_then(|e| e.to_str());
    match extension {
        // The routing of alerts asks nothing; the linter reads it.
        Some("yml" | "yaml") if lint::is_configuration(text) => Ok(Vec::new()),
        Some("yml" | "yaml") => of_rules(file, text),
        Some("json") => of_dashboard(file, text),
        Some("md") => Ok(of_document(file, text)),
        _ => Err(Error::Unreadable {
            file: file.to_owned(),
            reason: "rules end in .yml or .yaml, dashboards in .json, documents in .md".to_owned(),
        }),
    }
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::File {
        verb: "read",
        path: path.to_owned(),
        source,
    })
}

/// The files of a folder with an extension, by name, and what is in them.
pub fn files(root: &Path, folder: &str, extension: &str) -> Result<Vec<(String, String)>, Error> {
    let failed = |path: PathBuf| {
        move |source| Error::File {
            verb: "read",
            path,
            source,
        }
    };
    let path = root.join(folder);
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
        let text = read(&root.join(&name))?;
        Ok((name, text))
    };
    names.into_iter().map(read).collect()
}

/// The queries of a file of rules, each with its line.
pub fn of_rules(file: &str, text: &str) -> Result<Vec<Query>, Error> {
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
                let texts = rule.annotations.values();
                let name = name.unwrap_or_default();
                let alert = Alert {
                    templates: texts.flat_map(|text| labels_in(text)).collect(),
                    labels: rule.labels,
                    is_pending_first: rule.pending.is_some_and(|pending| is_some_time(&pending)),
                    name,
                };
                (format!("alert `{}`", alert.name), Role::Alert(alert))
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

/// Whether a duration of Prometheus is more than none.
fn is_some_time(text: &str) -> bool {
    text.chars().any(|c| ('1'..='9').contains(&c))
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

/// The queries of a Grafana dashboard: panels, variables and annotations.
pub fn of_dashboard(file: &str, text: &str) -> Result<Vec<Query>, Error> {
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
    // What is folded is within its row.
    let outer = array(&dashboard["panels"]).iter();
    let panels = outer.flat_map(|panel| std::iter::once(panel).chain(array(&panel["panels"])));
    for panel in panels {
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
#[must_use]
pub fn of_document(file: &str, text: &str) -> Vec<Query> {
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
                    role: Role::Example,
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
#[must_use]
pub fn substituted(text: &str) -> String {
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
#[must_use]
pub fn families_in<'a>(query: &'a str, catalog: &Catalog) -> BTreeSet<&'a str> {
    let words = query.split(|c: char| !c.is_alphanumeric() && c != '_');
    let family = |word: &'a str| {
        let parts = ["_bucket", "_sum", "_count"]
            .into_iter()
            .filter_map(|suffix| word.strip_suffix(suffix));
        std::iter::once(word)
            .chain(parts)
            .find(|name| catalog.family(name).is_some())
    };
    words.filter_map(family).collect()
}

/// The rules whose recorded series a query names.
#[must_use]
pub fn recorded_in<'a>(query: &str, queries: &'a [Query]) -> Vec<&'a Query> {
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
        let alert = Alert {
            name: "Down".to_owned(),
            templates: ["instance", "job"].map(str::to_owned).into(),
            ..Alert::default()
        };
        assert_eq!(
            (queries[0].line, &queries[0].role),
            (Some(5), &Role::Alert(alert))
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
