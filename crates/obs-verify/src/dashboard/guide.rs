//! The dashboards as the guide to them shows them: a picture, and what each panel answers.

use std::fmt::Write;

use super::{Dashboard, Thresholds};

/// All dashboards, as Markdown. `by` is the command that writes it, `pictures` the folder that has a `NAME.png` of each, from where
/// the guide is.
#[must_use]
pub fn guide(dashboards: &[Dashboard], by: &str, pictures: &str) -> String {
    let mut text = format!("Written by `{by}` from the definitions of the dashboards.\n");
    // Writing to a string cannot fail.
    for dashboard in dashboards {
        let _ = write!(
            text,
            "\n### {}\n\n{} File `{}.json`, address `/d/obs-{}`.\n",
            dashboard.title, dashboard.description, dashboard.name, dashboard.name
        );
        let _ = write!(
            text,
            "\n![{}]({pictures}/{}.png)\n\n| panel | what it shows | look | bad | when it is red |\n| --- | --- | --- | --- | --- |\n",
            dashboard.title, dashboard.name
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

/// A text with each alert in it linked to its runbook.
fn linked(text: &str) -> String {
    let link = |word: &str| {
        let name = word.trim_end_matches([',', '.']);
        if super::alerts_in(word).next().is_some() {
            let anchor = name.to_lowercase();
            word.replace(name, &format!("[{name}](ALERTS.md#{anchor})"))
        } else {
            word.to_owned()
        }
    };
    text.split(' ').map(link).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_linked() {
        assert_eq!(
            linked("See TargetDown, first."),
            "See [TargetDown](ALERTS.md#targetdown), first."
        );
    }
}
