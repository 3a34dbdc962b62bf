//! The dashboards of the sample desk: short definitions here, JSON under `deploy/` by `cargo xtask gen`.

mod data_providers;
mod error;
mod main;
mod risk;
mod sentiment;
mod strategy;
mod system_health;
mod trading;

use obs_verify::dashboard::Dashboard;

/// All of them, the main one first.
pub(crate) fn all() -> Vec<Dashboard> {
    vec![
        main::dashboard(),
        trading::dashboard(),
        strategy::dashboard(),
        data_providers::dashboard(),
        system_health::dashboard(),
        sentiment::dashboard(),
        risk::dashboard(),
        error::dashboard(),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use obs_verify::dashboard::{Kind, Thresholds};

    use super::*;

    #[test]
    fn every_dashboard_answers_first_whether_all_is_right() {
        for dashboard in all() {
            let first = &dashboard.rows[0];
            assert_eq!(first.title, "Are we all right?", "{}", dashboard.name);
            for panel in &first.panels {
                assert_eq!(panel.kind, Kind::Stat, "{}", panel.title);
            }
        }
    }

    #[test]
    fn panels_fit_their_row_and_say_what_they_are() {
        for dashboard in all() {
            let mut titles = BTreeSet::new();
            for row in &dashboard.rows {
                assert!(
                    24 % row.panels.len() == 0,
                    "{}: {}",
                    dashboard.name,
                    row.title
                );
                for panel in &row.panels {
                    assert!(
                        titles.insert(panel.title.as_str()),
                        "{}: {} twice",
                        dashboard.name,
                        panel.title
                    );
                    assert!(
                        !panel.description.is_empty() && !panel.queries.is_empty(),
                        "{}",
                        panel.title
                    );
                    assert_eq!(
                        panel.act.is_empty(),
                        panel.thresholds == Thresholds::None,
                        "{}: what turns red has to say what to do",
                        panel.title
                    );
                }
            }
        }
    }

    #[test]
    fn no_drawing_is_out_of_line() {
        let guide = obs_verify::dashboard::guide(&all(), "a command");
        let drawn: Vec<_> = guide.split("```text\n").skip(1).collect();
        assert_eq!(drawn.len(), all().len());
        for drawn in drawn {
            let drawing = drawn.split("```").next().unwrap();
            let is_box = |line: &&str| line.starts_with(['+', '|']);
            // Rows of as many panels are as wide as each other.
            let boxes: Vec<_> = drawing.lines().filter(is_box).collect();
            for pair in boxes.windows(2).filter(|pair| pair[1].starts_with('|')) {
                assert_eq!(pair[0].len(), pair[1].len(), "{drawing}");
            }
        }
    }
}
