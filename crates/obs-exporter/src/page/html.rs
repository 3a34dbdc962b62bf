//! The document at `/`. Browsers without scripts find links and a table of families in it.

use std::fmt::Write;

use obs_core::Catalogue;

use super::groups;

const TEMPLATE: &str = include_str!("assets/index.html");

/// The page of this service, which this program is.
pub(super) fn index(service: &str, program: &str, catalogue: &Catalogue) -> String {
    let service = escaped(service);
    TEMPLATE
        .replace("{{families}}", &table(program, catalogue))
        .replace("{{service}}", &service)
}

/// Rows of name, kind and help, a body of them for each group.
fn table(program: &str, catalogue: &Catalogue) -> String {
    let mut rows = String::new();
    for group in groups::of(catalogue.families(), program) {
        let title = escaped(group.title);
        rows.push_str("<tbody>\n");
        // Writing to a string cannot fail.
        let _ = writeln!(
            rows,
            "<tr><th colspan=\"3\" scope=\"rowgroup\">{title}</th></tr>"
        );
        let of_group = |family: &&_| groups::id_of(family) == group.id;
        for family in catalogue.families().filter(of_group) {
            let (name, kind) = (family.name(), family.kind().as_str());
            let help = escaped(&family.help());
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
        let page = index(
            "<script>alert('{{families}}')</script>",
            "",
            &Catalogue::default(),
        );
        assert!(!page.contains("<script>alert"), "{page}");
        assert!(
            page.contains("&lt;script&gt;alert(&#39;&#123;&#123;families}}&#39;)"),
            "{page}"
        );
    }
}
