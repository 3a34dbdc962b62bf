//! What falls short, and how it is reported to people and machines.

use std::cmp::Reverse;
use std::fmt;

use anstyle::{AnsiColor, Style};
use obs_exposition::Exposition;
use serde::Serialize;

use crate::{Catalog, Family, declared};

/// One thing that is not as declared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of finding it is.
    pub fault: Fault,
    /// Whether it fails the check.
    pub severity: Severity,
    /// The metric it is about, if it is about one.
    pub metric: Option<String>,
    /// Where to repair it, if that is known.
    pub file: Option<String>,
    /// The line in it, from 1.
    pub line: Option<u32>,
    /// What is wrong, without the metric's name.
    pub problem: String,
    /// What to do about it.
    pub repair: String,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It has to be repaired.
    Error,
    /// It is worth a look and no reason to fail: it says something of the data, and the code may be right.
    Warning,
    /// It says what could not be looked at, such as a family that has not been seen yet.
    Note,
}

/// The kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// Two declarations of one name.
    DeclaredTwice,
    /// A name that the conventions rule out.
    Declaration,
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
    /// A document that speaks of a metric that there is not.
    Mention,
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
    /// Against Prometheus' conventions, where nobody promised to keep them.
    Convention,
    /// Another unit than declared, or one that the name contradicts.
    Unit,
    /// A value outside of what the family takes.
    Range,
    /// A value that is infinite, or undefined where it must not be.
    Undefined,
    /// Declared and not seen yet: nothing has happened that it measures.
    NotSeen,
    /// Exported by somebody else's code, and declared nowhere.
    ThirdParty,
    /// There is no catalogue to hold anything to.
    NoCatalogue,
    /// What was looked for was somewhere else.
    Elsewhere,
    /// An alert that fires when it should not, or does not when it should.
    Alert,
    /// What the service itself warns of.
    Told,
    /// Two expositions or catalogues differ.
    Differs,
}

impl Fault {
    /// How much a finding of this kind matters unless something else is said.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::OneBucket
            | Self::Folded
            | Self::Rejected
            | Self::RightlyEmpty
            | Self::Told
            | Self::Convention => Severity::Warning,
            Self::NotSeen | Self::ThirdParty | Self::NoCatalogue | Self::Elsewhere => {
                Severity::Note
            }
            _ => Severity::Error,
        }
    }

    /// The word for it in reports, as in JSON.
    #[must_use]
    pub fn word(self) -> String {
        let word = serde_json::to_value(self).ok();
        word.and_then(|word| word.as_str().map(str::to_owned))
            .unwrap_or_default()
    }
}

impl Finding {
    /// A finding about no metric in particular.
    #[must_use]
    pub fn new(fault: Fault, problem: impl Into<String>, repair: impl Into<String>) -> Self {
        Self {
            fault,
            severity: fault.severity(),
            metric: None,
            file: None,
            line: None,
            problem: problem.into(),
            repair: repair.into(),
        }
    }

    /// A finding about a declared family, which is repaired where it is declared.
    #[must_use]
    pub fn of(
        family: &Family,
        fault: Fault,
        problem: impl Into<String>,
        repair: impl Into<String>,
    ) -> Self {
        let finding = Self::new(fault, problem, repair).about(&family.name);
        match &family.declared_at {
            Some((file, line)) => finding.at(file, Some(*line)),
            None => finding,
        }
    }

    /// The same about this metric.
    #[must_use]
    pub fn about(self, metric: &str) -> Self {
        Self {
            metric: Some(metric.to_owned()),
            ..self
        }
    }

    /// The same at a place in a file.
    #[must_use]
    pub fn at(self, file: &str, line: Option<u32>) -> Self {
        Self {
            file: Some(file.to_owned()),
            line,
            ..self
        }
    }
}

/// All findings, and what was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was held together, as people read it.
    #[serde(skip)]
    what: String,
    #[serde(flatten)]
    declared: Option<Declared>,
    #[serde(flatten)]
    exported: Option<Exported>,
    errors: usize,
    warnings: usize,
    notes: usize,
    findings: Vec<Finding>,
}

#[derive(Clone, Debug, Serialize)]
struct Declared {
    #[serde(rename = "families_declared")]
    families: usize,
    /// The lines of exposition that all budgets together allow, and the most they may allow.
    lines_allowed: usize,
    lines_at_most: usize,
}

#[derive(Clone, Debug, Serialize)]
struct Exported {
    /// Where the exposition came from.
    scraped: String,
    #[serde(rename = "families_scraped")]
    families: usize,
    #[serde(rename = "samples_scraped")]
    samples: usize,
}

impl Report {
    /// The findings about what was held together, such as `catalogue and scrape`.
    #[must_use]
    pub fn new(what: impl Into<String>, mut findings: Vec<Finding>) -> Self {
        // What has to be repaired stands last, where a terminal shows it; kinds stay together.
        findings.sort_by_key(|finding| (Reverse(finding.severity), finding.fault));
        let count = |severity| {
            let of = |finding: &&Finding| finding.severity == severity;
            findings.iter().filter(of).count()
        };
        Self {
            what: what.into(),
            declared: None,
            exported: None,
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            notes: count(Severity::Note),
            findings,
        }
    }

    /// Says what is declared.
    #[must_use]
    pub fn declared(self, catalog: &Catalog) -> Self {
        let declared = Declared {
            families: catalog.families.len(),
            lines_allowed: declared::lines(catalog),
            lines_at_most: declared::MOST_LINES,
        };
        Self {
            declared: Some(declared),
            ..self
        }
    }

    /// Says what is exported, and where.
    #[must_use]
    pub fn scraped(self, url: impl Into<String>, exposition: &Exposition) -> Self {
        let exported = Exported {
            scraped: url.into(),
            families: exposition.families.len(),
            samples: exposition.families.iter().map(|f| f.samples.len()).sum(),
        };
        Self {
            exported: Some(exported),
            ..self
        }
    }

    /// The findings, those that matter most last.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether nothing falls short.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.errors == 0
    }

    /// The same for machines.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({ "passes": self.passes(), "report": self })
    }
}

impl Report {
    /// The same as GitHub's workflow commands, which it shows beside the lines they are about.
    #[must_use]
    pub fn github(&self) -> String {
        self.findings.iter().map(annotation).collect()
    }
}

fn annotation(finding: &Finding) -> String {
    let word = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut properties = vec![format!("title=obstool {}", finding.fault.word())];
    properties.extend(finding.file.iter().map(|file| format!("file={file}")));
    properties.extend(finding.line.iter().map(|line| format!("line={line}")));
    let about = finding.metric.iter().map(|metric| format!("{metric}: "));
    let message: String = about
        .chain([format!("{}; {}", finding.problem, finding.repair)])
        .collect();
    let escaped = |text: &str, more: &[(&str, &str)]| {
        let escapes = [("%", "%25"), ("\r", "%0D"), ("\n", "%0A")];
        let all = escapes.iter().chain(more);
        all.fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    };
    let properties: Vec<_> = properties
        .iter()
        .map(|property| escaped(property, &[(",", "%2C"), (":", "%3A")]))
        .collect();
    format!(
        "::{word} {}::{}\n",
        properties.join(","),
        escaped(&message, &[])
    )
}

/// For people. The colours go where no terminal shows them.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        if let Some(Declared {
            families,
            lines_allowed,
            lines_at_most,
        }) = &self.declared
        {
            writeln!(
                f,
                "{families} families declared; their budgets allow {lines_allowed} lines of at most {lines_at_most}"
            )?;
        }
        if let Some(Exported {
            scraped,
            families,
            samples,
        }) = &self.exported
        {
            writeln!(f, "{families} families with {samples} samples at {scraped}")?;
        }
        let (style, word) = if self.passes() {
            (bold(AnsiColor::Green), "agree")
        } else {
            (bold(AnsiColor::Red), "disagree")
        };
        write!(
            f,
            "{} {style}{word}{style:#}: {}, {}",
            self.what,
            counted(self.errors, "error"),
            counted(self.warnings, "warning"),
        )?;
        if self.notes > 0 {
            write!(f, ", {}", counted(self.notes, "note"))?;
        }
        writeln!(f)
    }
}

/// What is wrong in the first line, where and what to do in the second.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (style, word) = match self.severity {
            Severity::Error => (bold(AnsiColor::Red), "error"),
            Severity::Warning => (bold(AnsiColor::Yellow), "warning"),
            Severity::Note => (bold(AnsiColor::Cyan), "note"),
        };
        write!(f, "{style}{word}[{}]{style:#}: ", self.fault.word())?;
        if let Some(metric) = &self.metric {
            write!(f, "{metric}: ")?;
        }
        writeln!(f, "{}", self.problem)?;
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "  {file}:{line}: {}", self.repair),
            (Some(file), None) => write!(f, "  {file}: {}", self.repair),
            (None, _) => write!(f, "  {}", self.repair),
        }
    }
}

fn bold(colour: AnsiColor) -> Style {
    Style::new().fg_color(Some(colour.into())).bold()
}

/// `1 error`, `2 errors`.
fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(faults: &[Fault]) -> Report {
        let finding = |fault: &Fault| {
            let finding = Finding::new(*fault, format!("{fault:?}"), "repair it");
            finding.about("desk_orders_total").at("desk.rs", Some(7))
        };
        let report = Report::new("code and scrape", faults.iter().map(finding).collect());
        let catalog = Catalog::from(&obs_core::catalogue());
        report
            .declared(&catalog)
            .scraped("http://here", &Exposition::default())
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
        assert_eq!(
            lines[0],
            "warning[one_bucket]: desk_orders_total: OneBucket"
        );
        assert_eq!(lines[4], "error[help]: desk_orders_total: Help");
        assert_eq!(lines[5], "  desk.rs:7: repair it");
        assert_eq!(lines[8], "code and scrape disagree: 1 error, 2 warnings");
    }

    #[test]
    fn github_shows_them_beside_the_line() {
        let mut report = report(&[Fault::Help]);
        report.findings[0].problem = "50 % of\nit".to_owned();
        assert_eq!(
            report.github(),
            "::error title=obstool help,file=desk.rs,line=7::desk_orders_total: 50 %25 of%0Ait; repair it\n"
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
