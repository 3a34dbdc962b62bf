//! The chart's templates as plain manifests, without Helm.
//!
//! Those that are both keep to a part of its language, which is all that is read here: `{{ .Values.… | toJson }}` within a line, and on
//! lines of their own `{{- if .Values.… }}`, `{{- end }}` and `{{- .Values.… | toYaml | nindent N }}`.

use std::fmt::Write as _;

use serde_json::Value;

use crate::Error;

/// What a line of a template asks for.
enum Line<'a> {
    If(&'a Value),
    End,
    Block(&'a Value, usize),
    Text(String),
}

/// The manifests that a template makes of these values.
pub(super) fn rendered(file: &str, template: &str, values: &Value) -> Result<String, Error> {
    let mut text = String::new();
    // Whether each condition around the line holds.
    let mut conditions = Vec::new();
    for (number, line) in template.lines().enumerate() {
        let unreadable = |reason: String| Error::Unreadable {
            file: format!("{file}, line {}", number + 1),
            reason,
        };
        match read(line, values).map_err(unreadable)? {
            Line::If(value) => conditions.push(holds(value)),
            Line::End => {
                let ended = conditions.pop();
                ended.ok_or_else(|| unreadable("nothing is open that could end".to_owned()))?;
            }
            _ if conditions.contains(&false) => {}
            Line::Block(value, indent) => {
                let yaml = serde_saphyr::to_string(value)
                    .map_err(|error| unreadable(error.to_string()))?;
                for line in yaml.lines() {
                    // Writing to a string cannot fail.
                    let _ = writeln!(text, "{:indent$}{line}", "");
                }
            }
            Line::Text(line) => {
                text.push_str(&line);
                text.push('\n');
            }
        }
    }
    Ok(text)
}

fn read<'a>(line: &str, values: &'a Value) -> Result<Line<'a>, String> {
    let alone = line.trim().strip_prefix("{{- ");
    let Some(action) = alone.and_then(|line| line.strip_suffix(" }}")) else {
        return inline(line, values).map(Line::Text);
    };
    if action == "end" {
        return Ok(Line::End);
    }
    if let Some(path) = action.strip_prefix("if ") {
        return value(path, values).map(Line::If);
    }
    let block = action.split_once(" | toYaml | nindent ");
    let block = block.and_then(|(path, indent)| Some((path, indent.parse().ok()?)));
    let (path, indent) = block.ok_or_else(|| format!("`{action}` is for Helm alone"))?;
    Ok(Line::Block(value(path, values)?, indent))
}

/// A line with its values in place.
fn inline(line: &str, values: &Value) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("{{ ") {
        let (action, after) = after
            .split_once(" }}")
            .ok_or("an action has no end in its line")?;
        let path = action
            .strip_suffix(" | toJson")
            .ok_or_else(|| format!("`{action}` is for Helm alone"))?;
        let _ = write!(text, "{before}{}", value(path, values)?);
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

fn value<'a>(path: &str, values: &'a Value) -> Result<&'a Value, String> {
    let keys = path
        .strip_prefix(".Values.")
        .ok_or_else(|| format!("`{path}` is for Helm alone"))?;
    let mut value = values;
    for key in keys.split('.') {
        value = value
            .get(key)
            .ok_or_else(|| format!("there is no value `{keys}`"))?;
    }
    Ok(value)
}

/// As Helm has it: what is empty does not hold.
fn holds(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(holds) => *holds,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(template: &str) -> Result<String, String> {
        let values = json!({
            "name": "a: b", "off": false, "none": {}, "list": [{ "port": 1 }], "deep": { "on": true },
        });
        rendered("desk.yaml", template, &values).map_err(|error| error.to_string())
    }

    #[test]
    fn values_stand_where_the_template_says() {
        let text = of(
            "name: {{ .Values.name | toJson }}\nports:\n  {{- .Values.list | toYaml | nindent 2 }}\nend: 1\n",
        );
        assert_eq!(
            text.unwrap(),
            "name: \"a: b\"\nports:\n  - port: 1\nend: 1\n"
        );
    }

    #[test]
    fn what_does_not_hold_is_left_out_with_all_within() {
        let text = of(
            "{{- if .Values.off }}\na: 1\n{{- if .Values.deep.on }}\nb: 1\n{{- end }}\n{{- end }}\n{{- if .Values.none }}\nc: 1\n{{- end }}\n{{- if .Values.deep.on }}\nd: 1\n{{- end }}\n",
        );
        assert_eq!(text.unwrap(), "d: 1\n");
    }

    #[test]
    fn what_only_helm_reads_is_refused_with_its_place() {
        for (template, reason) in [
            ("a\n{{ include \"x\" . }}\n", "desk.yaml, line 2"),
            ("{{- range .Values.list }}\n", "Helm alone"),
            ("{{ .Values.nmae | toJson }}\n", "no value `nmae`"),
            ("{{- end }}\n", "nothing is open"),
            ("a: {{ .Values.name\n", "no end"),
        ] {
            let error = of(template).unwrap_err();
            assert!(error.contains(reason), "{template}: {error}");
        }
    }
}
