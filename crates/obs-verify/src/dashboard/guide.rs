//! The dashboards as the guide to them shows them: a drawing, and what each panel answers.

use std::fmt::Write;

use super::{Dashboard, Kind, Row, Thresholds};

/// A drawing is this wide.
const WIDTH: usize = 120;

/// All dashboards, as Markdown. `by` is the command that writes it.
#[must_use]
pub fn guide(dashboards: &[Dashboard], by: &str) -> String {
    let mut text = format!("Written by `{by}` from the definitions of the dashboards.\n");
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
        text.push_str(
            "```\n\n| panel | what it shows | look | bad | when it is red |\n| --- | --- | --- | --- | --- |\n",
        );
        for panel in dashboard.rows.iter().flat_map(|row| &row.panels) {
            let (look, bad) = match panel.thresholds {
                Thresholds::None => (String::new(), String::new()),
                Thresholds::Above(look, bad) => (format!("from {look}"), format!("from {bad}")),
                Thresholds::Below(look, bad) => (format!("below {look}"), format!("below {bad}")),
            };
            let _ = writeln!(
                text,
                "| {} | {} | {look} | {bad} | {} |",
                panel.title,
                panel.description,
                linked(&panel.act)
            );
        }
    }
    text
}

/// A text with each alert in it linked to its runbook. A word with a capital inside is an alert.
fn linked(text: &str) -> String {
    let link = |word: &str| {
        let name = word.trim_end_matches([',', '.']);
        if name.chars().skip(1).any(char::is_uppercase) {
            let anchor = name.to_lowercase();
            word.replace(name, &format!("[{name}](ALERTS.md#{anchor})"))
        } else {
            word.to_owned()
        }
    };
    text.split(' ').map(link).collect::<Vec<_>>().join(" ")
}

/// A row of boxes, each with its title and a sign for what is in it.
fn drawing(row: &Row) -> String {
    let count = row.panels.len();
    let inner = (WIDTH - 1) / count - 1;
    let border = format!("+{}\n", format!("{}+", "-".repeat(inner)).repeat(count));
    let mut cells: Vec<Vec<String>> = row
        .panels
        .iter()
        .map(|panel| wrapped(&panel.title, inner - 2))
        .collect();
    let titles = cells.iter().map(Vec::len).max().unwrap_or(0);
    for (cell, panel) in cells.iter_mut().zip(&row.panels) {
        cell.resize(titles, String::new());
        cell.push(sign(panel.kind).to_owned());
    }
    let mut drawn = format!("{}\n{border}", row.title);
    for i in 0..=titles {
        drawn.push('|');
        for cell in &cells {
            // Writing to a string cannot fail.
            let _ = write!(drawn, " {:<width$} |", cell[i], width = inner - 2);
        }
        drawn.push('\n');
    }
    drawn + &border
}

/// A title in as many lines as it takes; a word that is too long for one stays whole.
fn wrapped(title: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in title.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn sign(kind: Kind) -> &'static str {
    match kind {
        Kind::Stat => "0.0",
        Kind::Lines => "_/\\__/\\/\\_",
        Kind::Heatmap => ".:oOo:.",
        Kind::Bars => "====---",
        Kind::Table => "a | b | c",
        Kind::Switches => "on on off on",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::{row, stat};

    #[test]
    fn a_row_is_drawn_with_its_titles_whole() {
        let title =
            "A very long title that does not fit in one line of its box at all, or so it seems";
        let drawn = drawing(&row("Top", [stat("One", "a"), stat(title, "b")]));
        let lines: Vec<_> = drawn.lines().collect();
        assert_eq!(lines[0], "Top");
        assert!(lines[2].starts_with("| One "), "{drawn}");
        assert!(
            lines[1..].iter().all(|line| line.len() == lines[1].len()),
            "{drawn}"
        );
        assert!(
            lines[3].ends_with("| box at all, or so it seems                               |"),
            "{drawn}"
        );
        assert!(lines[4].starts_with("| 0.0 "), "{drawn}");
    }

    #[test]
    fn alerts_are_linked() {
        assert_eq!(
            linked("See TargetDown, first."),
            "See [TargetDown](ALERTS.md#targetdown), first."
        );
    }
}
