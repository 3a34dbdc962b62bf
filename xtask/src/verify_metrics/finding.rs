//! What falls short, and how it is told to people and machines.

use std::fmt;

use anstyle::{AnsiColor, Style};
use obs_core::{Catalogue, Family};
use obs_exposition::Exposition;
use serde::Serialize;

use super::declared;

/// One thing that is not as declared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) fault: Fault,
    /// The metric it is about, if it is about one.
    pub(super) metric: Option<String>,
    /// Where to repair it, if that is known.
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) problem: String,
    pub(super) repair: String,
}

/// The kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fault {
    /// Two declarations of one name.
    DeclaredTwice,
    /// A label key that means one thing here and another there.
    Label,
    /// Budgets, or live series, beyond what is allowed.
    Budget,
    /// Bucket bounds or quantiles that are not those declared, or cannot be right.
    Bounds,
    /// The guide is not what the declarations say.
    Guide,
    /// The exposition breaks its format.
    Malformed,
    /// Exported and not declared.
    Undeclared,
    /// Declared and not exported.
    Missing,
    /// Another kind than declared.
    Kind,
    /// Another help text than declared.
    Help,
    /// Another label set than declared.
    LabelSet,
    /// A value that is not in a closed label's set.
    LabelValue,
    /// Nearly all observations in one bucket.
    OneBucket,
    /// A query that asks for what there is not.
    Query,
    /// A query that returns nothing.
    Empty,
    /// A query that returns nothing, for a known reason.
    RightlyEmpty,
    /// A family that no panel and no rule uses.
    Unused,
    /// Series were folded into `other`.
    Folded,
    /// Samples were refused.
    Rejected,
}

impl Fault {
    /// Whether it is worth a word but no reason to fail: it says something of the data, and the code may be right.
    fn is_warning(self) -> bool {
        matches!(
            self,
            Self::OneBucket | Self::Folded | Self::Rejected | Self::RightlyEmpty
        )
    }
}

impl Finding {
    /// A finding about a declared family, which is repaired where it is declared.
    pub(super) fn of(
        family: &Family,
        fault: Fault,
        problem: impl Into<String>,
        repair: impl Into<String>,
    ) -> Self {
        let (file, line) = family.declared_at();
        Self {
            fault,
            metric: Some(family.name().to_owned()),
            file: Some(file.to_owned()),
            line: Some(line),
            problem: problem.into(),
            repair: repair.into(),
        }
    }
}

/// All findings, and what was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Where the exposition came from.
    scraped: String,
    families_declared: usize,
    /// The lines of exposition that all budgets together allow, and the most they may allow.
    lines_allowed: usize,
    lines_at_most: usize,
    families_scraped: usize,
    samples_scraped: usize,
    errors: usize,
    warnings: usize,
    findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(
        catalogue: &Catalogue,
        exposition: &Exposition,
        scraped: String,
        mut findings: Vec<Finding>,
    ) -> Self {
        // What has to be repaired stands last, where a terminal shows it.
        findings.sort_by_key(|finding| !finding.fault.is_warning());
        let warnings = findings
            .iter()
            .filter(|finding| finding.fault.is_warning())
            .count();
        Self {
            scraped,
            families_declared: catalogue.families().len(),
            lines_allowed: declared::lines(catalogue),
            lines_at_most: declared::MOST_LINES,
            families_scraped: exposition.families.len(),
            samples_scraped: exposition.families.iter().map(|f| f.samples.len()).sum(),
            errors: findings.len() - warnings,
            warnings,
            findings,
        }
    }

    /// Whether nothing falls short.
    pub(super) fn passes(&self) -> bool {
        self.errors == 0
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::json!({ "passes": self.passes(), "report": self })
    }
}

/// For people. The colours go where no terminal shows them.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, yellow, green] = [AnsiColor::Red, AnsiColor::Yellow, AnsiColor::Green]
            .map(|colour| Style::new().fg_color(Some(colour.into())).bold());
        for finding in &self.findings {
            let (style, word) = if finding.fault.is_warning() {
                (yellow, "warning")
            } else {
                (red, "error")
            };
            write!(f, "{style}{word}{style:#}: ")?;
            if let Some(metric) = &finding.metric {
                write!(f, "{metric}: ")?;
            }
            writeln!(f, "{}", finding.problem)?;
            match (&finding.file, finding.line) {
                (Some(file), Some(line)) => writeln!(f, "  {file}:{line}: {}", finding.repair)?,
                (Some(file), None) => writeln!(f, "  {file}: {}", finding.repair)?,
                (None, _) => writeln!(f, "  {}", finding.repair)?,
            }
        }
        let Self {
            scraped,
            families_declared,
            lines_allowed,
            lines_at_most,
            families_scraped,
            samples_scraped,
            errors,
            warnings,
            ..
        } = self;
        writeln!(
            f,
            "{families_declared} families declared; their budgets allow {lines_allowed} lines of at most {lines_at_most}"
        )?;
        writeln!(
            f,
            "{families_scraped} families with {samples_scraped} samples at {scraped}"
        )?;
        let (style, word) = if self.passes() {
            (green, "agree")
        } else {
            (red, "disagree")
        };
        writeln!(
            f,
            "code, catalogue, guide, queries and scrape {style}{word}{style:#}: {}, {}",
            counted(*errors, "error"),
            counted(*warnings, "warning"),
        )
    }
}

/// `1 error`, `2 errors`.
fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(faults: &[Fault]) -> Report {
        let finding = |fault: &Fault| Finding {
            fault: *fault,
            metric: Some("desk_orders_total".into()),
            file: Some("desk.rs".into()),
            line: Some(7),
            problem: format!("{fault:?}"),
            repair: "repair it".into(),
        };
        let findings = faults.iter().map(finding).collect();
        let scraped = "http://here".into();
        Report::new(
            &obs_core::catalogue(),
            &Exposition::default(),
            scraped,
            findings,
        )
    }

    #[test]
    fn warnings_alone_pass() {
        assert!(report(&[]).passes());
        assert!(report(&[Fault::OneBucket, Fault::Folded, Fault::Rejected]).passes());
        assert!(!report(&[Fault::OneBucket, Fault::Help]).passes());
    }

    #[test]
    fn people_read_file_line_and_repair_and_the_errors_last() {
        let text = report(&[Fault::Help, Fault::Folded, Fault::OneBucket]).to_string();
        let text = anstream::adapter::strip_str(&text).to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "warning: desk_orders_total: Folded");
        assert_eq!(lines[4], "error: desk_orders_total: Help");
        assert_eq!(lines[5], "  desk.rs:7: repair it");
        assert_eq!(
            lines[8],
            "code, catalogue, guide, queries and scrape disagree: 1 error, 2 warnings"
        );
    }

    #[test]
    fn machines_read_the_same() {
        let json = report(&[Fault::LabelSet]).json();
        assert_eq!(json["passes"], false);
        assert_eq!(json["report"]["findings"][0]["fault"], "label_set");
        assert_eq!(json["report"]["findings"][0]["line"], 7);
        assert_eq!(json["report"]["errors"], 1);
    }
}
