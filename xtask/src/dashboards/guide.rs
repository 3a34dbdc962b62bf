//! The dashboards as the guide to them shows them: a drawing, and what each panel answers.

use std::fmt::Write;

use super::{Dashboard, Kind, Row, Thresholds};

/// A drawing is this wide.
const WIDTH: usize = 120;

/// All dashboards, as Markdown.
pub(crate) fn guide(dashboards: &[Dashboard]) -> String {
    let mut text =
        String::from("Written by `cargo xtask gen` from the definitions of the dashboards.\n");
    // Writing to a string cannot fail.
    for dashboard in dashboards {
        let _ = write!(
            text,
            "\n### {}\n\n{} File `{}.json`, address `/d/obs-{}`.\n",
            dashboard.title, dashboard.description, dashboard.name, dashboard.name
        );
        text.push_str("\n```text\n");
        for row in &dashboard.rows {
            text.push_str(&drawing(row));
        }
        text.push_str("```\n\n| panel | what it shows | look | bad |\n| --- | --- | --- | --- |\n");
        for panel in dashboard.rows.iter().flat_map(|row| &row.panels) {
            let (look, bad) = match panel.thresholds {
                Thresholds::None => (String::new(), String::new()),
                Thresholds::Above(look, bad) => (format!("from {look}"), format!("from {bad}")),
                Thresholds::Below(look, bad) => (format!("below {look}"), format!("below {bad}")),
            };
            let _ = writeln!(
                text,
                "| {} | {} | {look} | {bad} |",
                panel.title, panel.description
            );
        }
    }
    text
}

/// A row of boxes, each with its title and a sign for what is in it.
fn drawing(row: &Row) -> String {
    let count = row.panels.len();
    let inner = (WIDTH - 1) / count - 1;
    let border = format!("+{}\n", format!("{}+", "-".repeat(inner)).repeat(count));
    let line = |cell: &dyn Fn(&super::Panel) -> String| {
        let mut line = "|".to_owned();
        for panel in &row.panels {
            // Writing to a string cannot fail.
            let _ = write!(line, " {:<width$.width$}|", cell(panel), width = inner - 1);
        }
        line + "\n"
    };
    let sign = |panel: &super::Panel| {
        let sign = match panel.kind {
            Kind::Stat => "0.0",
            Kind::Lines => "_/\\__/\\/\\_",
            Kind::Heatmap => ".:oOo:.",
            Kind::Bars => "====---",
            Kind::Table => "a | b | c",
            Kind::Switches => "on on off on",
        };
        sign.to_owned()
    };
    format!(
        "{}\n{border}{}{}{border}",
        row.title,
        line(&|panel| panel.title.to_owned()),
        line(&sign)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboards::{row, stat};

    #[test]
    fn a_row_is_drawn_with_its_titles() {
        let drawn = drawing(&row(
            "Top",
            [
                stat("One", "a"),
                stat("A very long title that does not fit in its box at all", "b"),
            ],
        ));
        let lines: Vec<_> = drawn.lines().collect();
        assert_eq!(lines[0], "Top");
        assert!(
            lines[2].starts_with("| One ") && lines[2].len() == lines[1].len(),
            "{drawn}"
        );
    }
}
