//! What a sample may say, by the kind of its family; what a histogram and a summary must have.

use std::collections::HashMap;

use crate::error::quoted;
use crate::exposition::series;
use crate::line::{SampleLine, float};
use crate::{Family, Kind, ParseError};

/// The rules of one family, and what they have to remember from line to line.
#[derive(Default)]
pub(crate) struct Rules {
    /// The histograms or summaries of the family, by their series without `le` or `quantile`.
    distributions: HashMap<String, Distribution>,
}

/// What is known of one histogram or summary.
struct Distribution {
    /// Its first line.
    line: usize,
    /// The last bucket or quantile: its bound, and its value.
    last: Option<(f64, f64)>,
    sum: bool,
    /// The count, and the error that it is if it does not agree with the `+Inf` bucket.
    count: Option<(f64, ParseError)>,
}

/// What a sample is to its family.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    /// A value of its own.
    Value,
    /// The cumulative count of a bucket, `x_bucket{le="…"}`.
    Bucket,
    /// A quantile of a summary, `x{quantile="…"}`.
    Quantile,
    /// The sum of all observations, `x_sum`.
    Sum,
    /// The number of all observations, `x_count`.
    Count,
}

impl Rules {
    /// Checks a sample against the rules and what came before it.
    pub(crate) fn check(
        &mut self,
        family: &Family,
        line: &SampleLine<'_>,
    ) -> Result<(), ParseError> {
        let role = Role::of(family, line)?;
        let own_label = role.label();
        refuse_reserved_labels(line, own_label)?;
        match role {
            Role::Value if family.kind == Kind::Counter => refuse_below_zero(line, "counter")?,
            Role::Bucket | Role::Count => refuse_uncountable(line)?,
            Role::Value | Role::Quantile | Role::Sum => {}
        }
        if role == Role::Value {
            return Ok(());
        }
        let bound = own_label.map(|label| Bound::of(line, label)).transpose()?;
        let distribution = self
            .distributions
            .entry(series(&family.name, &line.sample.labels, own_label))
            .or_insert_with(|| Distribution::starting_on(line.sample.line));
        if let Some(bound) = bound {
            return distribution.add(line, &bound, role);
        }
        distribution.total(line, role);
        Ok(())
    }

    /// Reports what the family's histograms or summaries lack. That something is missing can only be
    /// said if the family is `whole`: all its lines could be read and obeyed the rules.
    pub(crate) fn finish(&self, kind: Kind, whole: bool, errors: &mut Vec<ParseError>) {
        for (series, distribution) in &self.distributions {
            if whole {
                distribution.report_missing(kind, series, errors);
            }
            if kind == Kind::Histogram {
                errors.extend(distribution.disagreement());
            }
        }
    }
}

impl Distribution {
    fn starting_on(line: usize) -> Self {
        Self {
            line,
            last: None,
            sum: false,
            count: None,
        }
    }

    /// Takes the next bucket or quantile.
    fn add(
        &mut self,
        line: &SampleLine<'_>,
        bound: &Bound<'_>,
        role: Role,
    ) -> Result<(), ParseError> {
        let value = line.sample.value;
        let Some((last_bound, last_value)) = self.last else {
            self.last = Some((bound.number, value));
            return Ok(());
        };
        if bound.number <= last_bound {
            let problem = format!(
                "{} {} comes after {last_bound}",
                quoted(bound.label),
                quoted(bound.text)
            );
            let expected = format!("every {} once, in increasing order", quoted(bound.label));
            return Err(line.label_error(bound.position, problem, expected));
        }
        self.last = Some((bound.number, value));
        if role == Role::Bucket && value < last_value {
            let problem = format!("cumulative count goes down from {last_value} to {value}");
            return Err(line.value_error(problem, "at least the count of the bucket before"));
        }
        Ok(())
    }

    /// Takes the sum or the count.
    fn total(&mut self, line: &SampleLine<'_>, role: Role) {
        if role == Role::Sum {
            self.sum = true;
            return;
        }
        let count = line.sample.value;
        let problem = format!("count of {count} differs from the bucket `le=\"+Inf\"`");
        self.count = Some((count, line.value_error(problem, "the same number in both")));
    }

    /// The count of the `+Inf` bucket, which is the last.
    fn infinite_bucket(&self) -> Option<f64> {
        self.last
            .filter(|(bound, _)| bound.is_infinite())
            .map(|(_, count)| count)
    }

    fn report_missing(&self, kind: Kind, series: &str, errors: &mut Vec<ParseError>) {
        let needs_buckets = kind == Kind::Histogram;
        let parts = [
            (
                "`le=\"+Inf\"` bucket",
                !needs_buckets || self.infinite_bucket().is_some(),
            ),
            ("`_sum`", self.sum),
            ("`_count`", self.count.is_some()),
        ];
        for (part, _) in parts.iter().filter(|(_, present)| !present) {
            let problem = format!("{kind} {} has no {part}", quoted(series));
            errors.push(ParseError::whole_line(
                self.line,
                problem,
                "one with the same labels",
            ));
        }
    }

    #[expect(clippy::float_cmp, reason = "the format asks for identical numbers")]
    fn disagreement(&self) -> Option<ParseError> {
        let (count, disagreement) = self.count.as_ref()?;
        (*count != self.infinite_bucket()?).then(|| disagreement.clone())
    }
}

impl Role {
    fn of(family: &Family, line: &SampleLine<'_>) -> Result<Self, ParseError> {
        let suffix = line
            .name
            .text
            .strip_prefix(family.name.as_str())
            .unwrap_or_default();
        match (family.kind, suffix) {
            (Kind::Histogram, "") => {
                let problem = format!(
                    "histogram {} has a sample of its bare name",
                    quoted(&family.name)
                );
                Err(line
                    .name
                    .error(problem, "`_bucket`, `_sum` or `_count` after the name"))
            }
            (Kind::Histogram, "_bucket") => Ok(Self::Bucket),
            (Kind::Summary, "") => Ok(Self::Quantile),
            (Kind::Histogram | Kind::Summary, "_sum") => Ok(Self::Sum),
            (Kind::Histogram | Kind::Summary, "_count") => Ok(Self::Count),
            _ => Ok(Self::Value),
        }
    }

    /// The label that only samples of this role carry.
    fn label(self) -> Option<&'static str> {
        match self {
            Self::Bucket => Some("le"),
            Self::Quantile => Some("quantile"),
            Self::Value | Self::Sum | Self::Count => None,
        }
    }
}

/// The value of an `le` or `quantile` label.
struct Bound<'a> {
    label: &'a str,
    /// Which of the sample's labels it is.
    position: usize,
    text: &'a str,
    number: f64,
}

impl<'a> Bound<'a> {
    fn of(line: &'a SampleLine<'_>, label: &'a str) -> Result<Self, ParseError> {
        let labels = &line.sample.labels;
        let Some(position) = labels.iter().position(|(name, _)| name == label) else {
            let problem = format!("{} has no label {}", quoted(line.name.text), quoted(label));
            return Err(line
                .name
                .error(problem, format!("a label {}", quoted(label))));
        };
        let text = labels[position].1.as_str();
        let number = float(text);
        let (valid, expected) = if label == "le" {
            // Prometheus compares labels as text: infinity by another spelling is no `+Inf` bucket.
            let valid = number.is_some_and(|bound| bound.is_finite() || text == "+Inf");
            (valid, "a finite number or `+Inf`")
        } else {
            let valid = number.is_some_and(|quantile| (0.0..=1.0).contains(&quantile));
            (valid, "a number from 0 to 1")
        };
        match number {
            Some(number) if valid => Ok(Self {
                label,
                position,
                text,
                number,
            }),
            _ => {
                let problem = format!("{} cannot be {}", quoted(label), quoted(text));
                Err(line.label_error(position, problem, expected))
            }
        }
    }
}

fn refuse_reserved_labels(line: &SampleLine<'_>, allowed: Option<&str>) -> Result<(), ParseError> {
    for (position, (label, _)) in line.sample.labels.iter().enumerate() {
        let expected = match label.as_str() {
            _ if Some(label.as_str()) == allowed => continue,
            "le" => "`le` on the `_bucket` series of a histogram only",
            "quantile" => "`quantile` on the quantiles of a summary only",
            _ => continue,
        };
        let problem = format!("{} has the label {}", quoted(line.name.text), quoted(label));
        return Err(line.label_error(position, problem, expected));
    }
    Ok(())
}

fn refuse_below_zero(line: &SampleLine<'_>, what: &str) -> Result<(), ParseError> {
    if line.sample.value >= 0.0 {
        return Ok(());
    }
    let problem = format!("{what} cannot be {}", line.sample.value);
    Err(line.value_error(problem, "0 or more"))
}

fn refuse_uncountable(line: &SampleLine<'_>) -> Result<(), ParseError> {
    refuse_below_zero(line, "count of observations")?;
    if line.sample.value.is_finite() {
        return Ok(());
    }
    Err(line.value_error(
        "count of observations cannot be infinite",
        "a finite number",
    ))
}
