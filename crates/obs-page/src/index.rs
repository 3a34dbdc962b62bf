//! The document at `/`. Browsers without scripts find links and a table of families in it.

use std::fmt::Write;

use crate::answer::{Client, Response, fresh};

const TEMPLATE: &str = include_str!("assets/index.html");

/// Families that are shown together.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// What people call them.
    pub title: String,
    /// The families, in their order.
    pub families: Vec<Row>,
}

/// A family, for a browser without scripts.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Counter, gauge, histogram or summary.
    pub kind: &'static str,
    /// Its help text.
    pub help: String,
}

/// The document of a service of this name. Browsers without scripts show the notes, such as what makes numbers wrong, and the families.
/// All texts are escaped.
#[must_use]
pub fn index(
    service: &str,
    notes: &[String],
    sections: &[Section],
    client: Client<'_>,
) -> Response {
    let document = document(service, notes, sections);
    fresh("text/html; charset=utf-8", document, client)
}

fn document(service: &str, notes: &[String], sections: &[Section]) -> String {
    let service = escaped(service);
    TEMPLATE
        .replace("{{notes}}", &list(notes))
        .replace("{{families}}", &table(sections))
        .replace("{{service}}", &service)
}

/// An item for each note; nothing where there is none.
fn list(notes: &[String]) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let items = notes
        .iter()
        .map(|note| format!("<li>{}</li>\n", escaped(note)));
    format!("<ul>\n{}</ul>\n", items.collect::<String>())
}

/// Rows of name, kind and help, a body of them for each section.
fn table(sections: &[Section]) -> String {
    let mut rows = String::new();
    for section in sections {
        let title = escaped(&section.title);
        rows.push_str("<tbody>\n");
        // Writing to a string cannot fail.
        let _ = writeln!(
            rows,
            "<tr><th colspan=\"3\" scope=\"rowgroup\">{title}</th></tr>"
        );
        for Row { name, kind, help } in &section.families {
            let (name, help) = (escaped(name), escaped(help));
            let _ = writeln!(
                rows,
                "<tr><td><code>{name}</code></td><td>{kind}</td><td>{help}</td></tr>"
            );
        }
        rows.push_str("</tbody>\n");
    }
    rows
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // So that no text becomes a place of the template.
            '{' => out.push_str("&#123;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_shown_as_it_is_called() {
        let page = document("<script>alert('{{families}}')</script>", &[], &[]);
        assert!(!page.contains("<script>alert"), "{page}");
        assert!(
            page.contains("&lt;script&gt;alert(&#39;&#123;&#123;families}}&#39;)"),
            "{page}"
        );
    }
}
