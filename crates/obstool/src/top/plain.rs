//! The same as a plain table, for pipes.

use std::fmt::Write;

use super::format;
use super::model::{Cell, Model, Row, Shown};

/// Every series with its latest value, in the groups of the screen.
pub(super) fn table(model: &mut Model) -> String {
    let mut lines: Vec<[String; 2]> = Vec::new();
    for (group, families) in model.members() {
        if !lines.is_empty() {
            lines.push([String::new(), String::new()]);
        }
        lines.push([group.title, String::new()]);
        for (family, series) in families {
            let name = model
                .family(family)
                .map(|family| family.name.clone())
                .unwrap_or_default();
            for series in series {
                let cell = model.cell(&Row::Series { family, series }, 0);
                let labels = labels(model, family, series);
                lines.push([
                    format!("  {name}{labels}"),
                    cell.as_ref().map(told).unwrap_or_default(),
                ]);
            }
        }
    }
    // A few very long ones do not push all others aside.
    let width = lines
        .iter()
        .map(|[name, _]| name.chars().count())
        .max()
        .unwrap_or(0)
        .min(100);
    let mut table = String::new();
    for [name, value] in lines {
        let line = format!("{name:<width$}  {value}");
        // Writing into a text cannot fail.
        let _ = writeln!(table, "{}", line.trim_end());
    }
    table
}

/// As in an exposition, without what all series have.
fn labels(model: &Model, family: usize, series: usize) -> String {
    let labels = model.labels(family, series);
    if labels.is_empty() {
        return String::new();
    }
    // Quoted as Rust quotes, which leaves nothing that a terminal would obey.
    let labels: Vec<_> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value:?}"))
        .collect();
    format!("{{{}}}", labels.join(","))
}

fn told(cell: &Cell) -> String {
    let number = |value| format::number(value, &cell.unit);
    match &cell.shown {
        Shown::Rate { total, rate } => format!(
            "{}  {} in all",
            format::rate(*rate, &cell.unit),
            number(*total)
        ),
        Shown::Value(value) => number(*value),
        Shown::Range(low, high) => format!("{} to {}", number(*low), number(*high)),
        Shown::Quantiles(quantiles) => {
            let quantiles = quantiles.iter().map(|(level, value)| {
                format!("p{} {}", (level * 1e6).round() / 1e4, number(*value))
            });
            quantiles.collect::<Vec<_>>().join("  ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::model::tests::{desk, model};

    #[test]
    fn every_series_has_a_line_and_nothing_in_it_is_obeyed() {
        let mut model = model(&[
            desk(0.0, &[("a\u{1b}[2J", 0.0), ("b", 0.0)]),
            desk(1.0, &[("a\u{1b}[2J", 4.0), ("b", 8.0)]),
        ]);
        let expected = r#"Trading
  trading_orders_total{venue="a\u{1b}[2J"}  4/s  4 in all
  trading_orders_total{venue="b"}           8/s  8 in all
  trading_fill_seconds                      p50 50 ms  p95 95 ms  p99 99 ms
  trading_win_ratio                         –

System
  app_uptime_seconds                        1 s

Third-party
  third_party{zone="a"}                     1
  third_party{zone="b"}                     7
"#;
        assert_eq!(table(&mut model), expected);
    }
}
