//! The recorder's text, put in order: sorted, scaled, and in the exposition format's own spelling.
//!
//! It is read here, and not by `obs-exposition`: the recorder's text is none that a strict parser takes, and a counter of nanoseconds
//! has more digits than a float.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use std::sync::Arc;

use obs_core::{Admission, Family, PipelineMetrics};

use super::canonical::decode;

/// Rewrites what the recorder renders into what is served.
#[derive(Debug)]
pub(super) struct Arranger {
    admission: Arc<Admission>,
}

/// A family in the recorder's text.
#[derive(Debug, Default)]
struct Block<'a> {
    /// Whether its labels and its help text are encoded, as those of the recorder are, or written as they are to be.
    is_encoded: bool,
    help: Option<&'a str>,
    kind: &'a str,
    series: Vec<Series<'a>>,
}

/// The lines of one set of labels: one, or those of a histogram or summary.
#[derive(Debug)]
struct Series<'a> {
    labels: &'a str,
    lines: Vec<Line<'a>>,
}

#[derive(Clone, Copy, Debug)]
struct Line<'a> {
    /// What is appended to the family's name.
    suffix: &'static str,
    /// All labels, `le` or `quantile` included, without the braces.
    labels: &'a str,
    value: &'a str,
}

impl Arranger {
    pub(super) fn new(admission: Arc<Admission>) -> Self {
        Self { admission }
    }

    /// The text as it is served: what the recorder has rendered, and the histograms and summaries that the engine has kept.
    pub(super) fn arrange(&self, rendered: &str, kept: &str) -> String {
        let mut out = String::with_capacity(rendered.len() + kept.len());
        let mut families = families(rendered, true);
        // What it has left out, too.
        for line in kept
            .split_inclusive('\n')
            .filter(|line| line.starts_with("# `"))
        {
            out.push_str(line);
        }
        // The rest is what the engine says of itself.
        let kept = self::families(kept, false).into_iter();
        families.extend(kept.filter(|(_, block)| matches!(block.kind, "histogram" | "summary")));
        let kinds = families.iter().map(|(name, block)| (*name, block.kind));
        let kinds: HashMap<&str, &str> = kinds.collect();
        for (name, mut block) in families {
            let declared = self.admission.family(name);
            if is_part(name, &kinds) {
                let kind = block.kind;
                let _ = writeln!(
                    out,
                    "# `{name}` is also recorded as a {kind}, which is left out"
                );
                continue;
            }
            block.series.retain(|series| !self.is_quiet(name, series));
            if block.series.is_empty() {
                continue;
            }
            block.series.sort_by_key(|series| series.labels);
            head(&mut out, name, &block);
            for line in block.series.iter().flat_map(|series| &series.lines) {
                sample(&mut out, name, line, declared, block.is_encoded);
            }
        }
        out
    }
}

impl Arranger {
    /// Whether a series says that nothing was refused of a family that hardly ever gives cause, as the other recorder does not
    /// show it either: one without open labels.
    fn is_quiet(&self, name: &str, series: &Series<'_>) -> bool {
        let mut watching = [PipelineMetrics::rejected, PipelineMetrics::overflow].into_iter();
        let is_zero = matches!(series.lines.as_slice(), [line] if line.value == "0");
        if !is_zero || !watching.any(|family| family.name() == name) {
            return false;
        }
        let watched = series
            .labels
            .rsplit_once("metric=\"")
            .and_then(|(_, rest)| rest.split_once('"'));
        let watched = watched.and_then(|(watched, _)| self.admission.family(watched));
        watched.is_some_and(|family| !family.has_open_labels())
    }
}

/// Whether a histogram or summary of another name has series of this name.
fn is_part(name: &str, kinds: &HashMap<&str, &str>) -> bool {
    let ends = |suffix: &str, of: &[&str]| {
        let kind = name.strip_suffix(suffix).and_then(|base| kinds.get(base));
        kind.is_some_and(|kind| of.contains(kind))
    };
    let both = &["histogram", "summary"];
    ends("_bucket", &["histogram"]) || ends("_sum", both) || ends("_count", both)
}

/// The families of a text by name. A name has one kind: [`Admission`] sees to that.
fn families(rendered: &str, is_encoded: bool) -> BTreeMap<&str, Block<'_>> {
    let mut families: BTreeMap<&str, Block<'_>> = BTreeMap::new();
    let mut help = None;
    let mut at = "";
    // Not `lines`, which would take a carriage return for a part of the line's end.
    for line in rendered.split('\n') {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map(|(_, help)| help);
        } else if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.split_once(' '))
        {
            at = name;
            let block = Block {
                is_encoded,
                help: help.take(),
                kind,
                series: Vec::new(),
            };
            families.insert(at, block);
        } else if !line.starts_with('#')
            && let Some(line) = parse(line)
            && let Some(block) = families.get_mut(at)
        {
            block.add(line);
        }
    }
    families
}

/// Labels and value of a sample. Its name is not read: the recorder leaves a suffix out where the family's name ends in it
/// anyway, and the kind tells which line is which.
fn parse(line: &str) -> Option<Line<'_>> {
    let (series, value) = line.rsplit_once(' ')?;
    let labels = series.split_once('{').map_or("", |(_, labels)| labels);
    let labels = labels.strip_suffix('}').unwrap_or(labels);
    Some(Line {
        suffix: "",
        labels,
        value,
    })
}

impl<'a> Block<'a> {
    /// Takes the next line. Of a histogram come the buckets, the sum and the count; of a summary, quantiles in place of
    /// the buckets.
    fn add(&mut self, mut line: Line<'a>) {
        let (added, suffix) = match self.kind {
            "histogram" => ("le=", "_bucket"),
            "summary" => ("quantile=", ""),
            _ => {
                self.series.push(Series {
                    labels: line.labels,
                    lines: vec![line],
                });
                return;
            }
        };
        let is_whole = |series: &Series| {
            series
                .lines
                .last()
                .is_some_and(|line| line.suffix == "_count")
        };
        let own = without_last(line.labels, added);
        if self.series.last().is_none_or(is_whole) {
            self.series.push(Series {
                labels: own.unwrap_or(line.labels),
                lines: Vec::new(),
            });
        }
        let Some(series) = self.series.last_mut() else {
            return;
        };
        line.suffix = match (own, series.lines.last()) {
            (Some(_), _) => suffix,
            (None, Some(last)) if last.suffix == "_sum" => "_count",
            (None, _) => "_sum",
        };
        series.lines.push(line);
    }
}

/// The labels in front of the last one, if that is the one the recorder adds. Values hold no quote without a backslash before it, so
/// the last two quotes are those of its value.
fn without_last<'a>(labels: &'a str, added: &str) -> Option<&'a str> {
    let (before, _value) = labels.strip_suffix('"')?.rsplit_once('"')?;
    let before = before.strip_suffix(added)?;
    before
        .strip_suffix(',')
        .or_else(|| before.is_empty().then_some(""))
}

fn head(out: &mut String, name: &str, block: &Block<'_>) {
    if let Some(help) = block.help {
        push(out, &["# HELP ", name, " "]);
        if block.is_encoded {
            decode(help, "\"", out);
        } else {
            out.push_str(help);
        }
        out.push('\n');
    }
    push(out, &["# TYPE ", name, " ", block.kind, "\n"]);
}

fn sample(
    out: &mut String,
    name: &str,
    line: &Line<'_>,
    declared: Option<&Family>,
    is_encoded: bool,
) {
    push(out, &[name, line.suffix]);
    if !line.labels.is_empty() {
        out.push('{');
        if is_encoded {
            decode(line.labels, "\\\"", out);
        } else {
            out.push_str(line.labels);
        }
        out.push('}');
    }
    out.push(' ');
    match line.value {
        "inf" => out.push_str("+Inf"),
        "-inf" => out.push_str("-Inf"),
        value => match declared.map_or(0, Family::decimals) {
            0 => out.push_str(value),
            decimals => push_decimal(out, value, decimals),
        },
    }
    out.push('\n');
}

/// Appends a whole number whose last digits are decimal places, such as nanoseconds as seconds, by its digits: a float would
/// round what a counter adds up.
fn push_decimal(out: &mut String, number: &str, decimals: u8) {
    let decimals = usize::from(decimals);
    let padded = format!("{number:0>width$}", width = decimals + 1);
    let (whole, fraction) = padded.split_at(padded.len() - decimals);
    out.push_str(whole);
    let fraction = fraction.trim_end_matches('0');
    if !fraction.is_empty() {
        push(out, &[".", fraction]);
    }
}

fn push(out: &mut String, parts: &[&str]) {
    for part in parts {
        out.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_are_shown_as_seconds_to_the_last_digit() {
        let cases = [
            ("0", "0"),
            ("1", "0.000000001"),
            ("999999999", "0.999999999"),
            ("1000000000", "1"),
            ("1500000000", "1.5"),
            ("9007199254740993000000001", "9007199254740993.000000001"),
            ("18446744073709551615", "18446744073.709551615"),
        ];
        for (nanoseconds, seconds) in cases {
            let mut out = String::new();
            push_decimal(&mut out, nanoseconds, 9);
            assert_eq!(out, seconds, "{nanoseconds} ns");
        }
    }

    fn arrange(rendered: &str) -> String {
        Arranger::new(Arc::default()).arrange(rendered, "")
    }

    #[test]
    fn families_and_series_are_put_in_order() {
        let rendered = "\
# HELP b Second.
# TYPE b counter
b{x=\"2\"} 2
b{x=\"1\"} 1

# TYPE a_count histogram
a_count_bucket{s=\"{z}, le=\",le=\"1\"} 1
a_count_bucket{s=\"{z}, le=\",le=\"+Inf\"} 2
a_count_sum{s=\"{z}, le=\"} inf
a_count{s=\"{z}, le=\"} 2
a_count_bucket{le=\"1\"} 0
a_count_bucket{le=\"+Inf\"} 0
a_count_sum 0
a_count 0

";
        let expected = "\
# TYPE a_count histogram
a_count_bucket{le=\"1\"} 0
a_count_bucket{le=\"+Inf\"} 0
a_count_sum 0
a_count_count 0
a_count_bucket{s=\"{z}, le=\",le=\"1\"} 1
a_count_bucket{s=\"{z}, le=\",le=\"+Inf\"} 2
a_count_sum{s=\"{z}, le=\"} +Inf
a_count_count{s=\"{z}, le=\"} 2
# HELP b Second.
# TYPE b counter
b{x=\"1\"} 1
b{x=\"2\"} 2
";
        assert_eq!(arrange(rendered), expected);
    }
}
