//! The two text formats, written line by line into one buffer.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use obs_core::Kind;

use crate::cell::Cells;
use crate::exemplar::{Exemplar, Exemplars};
use crate::key::{is_plain_name, push_escaped, push_label, push_name};
use crate::names::Names;

/// Which text a scrape is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// The Prometheus text format, version 0.0.4.
    #[default]
    Classic,
    /// `OpenMetrics`, version 1.0.0: with units, exemplars, the time each series began, and an end that shows that nothing is
    /// missing.
    OpenMetrics,
}

impl Format {
    /// The media type, for the `Content-Type` of a response.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// One sort of a family's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Value,
    Quantile,
    Bucket,
    Sum,
    Count,
    /// When the series began; in `OpenMetrics` only, and only if the settings say so.
    Created,
}

impl Part {
    fn suffix(self) -> &'static str {
        match self {
            Self::Value | Self::Quantile => "",
            Self::Bucket => "_bucket",
            Self::Sum => "_sum",
            Self::Count => "_count",
            Self::Created => "_created",
        }
    }
}

/// What stands at the top of a family.
pub(crate) struct Heading<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: Kind,
    pub(crate) help: &'a str,
    /// What its values are measured in, if the format has a word for it.
    pub(crate) unit: Option<&'static str>,
    /// What its series are made of.
    pub(crate) parts: &'static [Part],
    pub(crate) bounds: &'static [f64],
    pub(crate) levels: &'static [f64],
}

/// The lines of one scrape.
pub(crate) struct Lines<'a> {
    out: &'a mut String,
    format: Format,
    globals: &'a str,
    highest: usize,
    now: Instant,
    /// Whether it says when series began.
    created: bool,
    /// What names of labels are called.
    label_names: Names,
    /// Of the family: for each part what its lines begin with.
    starts: Vec<Start>,
    /// Of the family: its bounds or quantiles as labels, with what follows them: `,le="1"} `.
    extras: Vec<String>,
    split: bool,
    /// Of the family: whether a value was written that no sum and no quantile of `OpenMetrics` may have.
    is_odd: bool,
    // Of the histogram: set by itself.
    buckets: Vec<u64>,
    sum: f64,
}

/// All that makes lines of a family what they are, but for its series and their numbers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Edition {
    format: Format,
    parts: Vec<usize>,
    starts: Vec<Start>,
    extras: Vec<String>,
}

impl Edition {
    /// Whether each series has one line, which ends in its value.
    pub(crate) fn has_one_line(&self) -> bool {
        self.parts.len() == 1 && self.extras.is_empty()
    }
}

/// Which series is written.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) labels: &'a str,
    /// Whether global labels stand in them.
    pub(crate) is_whole: bool,
    pub(crate) cells: Cells<'a>,
    /// The pulse at which it began anew.
    pub(crate) mark: u64,
    /// When that was, in milliseconds since 1970. Most scrapes do not ask, and it is not in the cache.
    pub(crate) created: &'a AtomicU64,
}

/// What a line begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Start {
    /// `name{service="desk",`, or `name{` without global labels: more follow.
    more: String,
    /// `name{`: all labels follow.
    all: String,
    /// `name{service="desk"} `, or `name `: none follow.
    none: String,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(
        out: &'a mut String,
        format: Format,
        globals: &'a str,
        highest: usize,
        now: Instant,
    ) -> Self {
        Self {
            out,
            format,
            globals,
            highest,
            now,
            created: false,
            label_names: Names::default(),
            starts: Vec::new(),
            extras: Vec::new(),
            split: false,
            is_odd: false,
            buckets: Vec::new(),
            sum: 0.0,
        }
    }

    /// The same, and whether it says when series began, where the format has a word for it.
    pub(crate) fn with_created(mut self, created: bool) -> Self {
        self.created = created;
        self
    }

    /// The same, and what names of labels are called.
    pub(crate) fn with_label_names(mut self, names: Names) -> Self {
        self.label_names = names;
        self
    }

    /// What names of labels are called.
    pub(crate) fn label_names(&self) -> Names {
        self.label_names
    }

    /// How much is written.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// What is written, to be taken away.
    pub(crate) fn text(&mut self) -> &mut String {
        self.out
    }

    /// What makes the lines of these parts of the family what they are.
    pub(crate) fn edition(&self, parts: &[usize]) -> Edition {
        Edition {
            format: self.format,
            parts: parts.to_vec(),
            starts: self.starts.clone(),
            extras: self.extras.clone(),
        }
    }

    /// Whether what is written may have to be taken back.
    pub(crate) fn may_be_odd(&self) -> bool {
        self.format == Format::OpenMetrics && !self.split
    }

    /// Takes back what was written since the text had this length, if `OpenMetrics` does not allow it.
    pub(crate) fn take_back_odd(&mut self, to: usize) -> bool {
        let is_refused = self.format == Format::OpenMetrics && self.is_odd && !self.split;
        if is_refused {
            self.out.truncate(to);
        }
        is_refused
    }

    /// The highest lane that is read.
    pub(crate) fn highest(&self) -> usize {
        self.highest
    }

    /// When the scrape began.
    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// Begins a family, and returns which parts of its series are written together, one list after another. In one that
    /// `is_signed` the sums and quantiles may be negative.
    pub(crate) fn begin(
        &mut self,
        heading: &Heading<'_>,
        base_is_taken: bool,
        is_signed: bool,
    ) -> Vec<Vec<usize>> {
        let Heading {
            name, kind, parts, ..
        } = heading;
        let open = self.format == Format::OpenMetrics;
        let base = name.strip_suffix("_total").filter(|base| !base.is_empty());
        // A counter whose name does not end in `_total` cannot be told as one. It keeps its name: what a series is called must
        // not depend on the client.
        let unknown = open && *kind == Kind::Counter && (base.is_none() || base_is_taken);
        let family = if open && *kind == Kind::Counter && !unknown {
            base.unwrap_or(name)
        } else {
            name
        };
        self.split = open && is_signed;
        self.is_odd = false;
        self.starts.clear();
        for part in *parts {
            let of = if *part == Part::Created { family } else { name };
            self.starts
                .push(Start::new(of, part.suffix(), self.globals));
        }
        let (label, values) = match kind {
            Kind::Histogram => ("le", heading.bounds),
            _ => ("quantile", heading.levels),
        };
        self.extras.clear();
        for value in values {
            let value = level(*value, self.format);
            self.extras.push(format!(",{label}=\"{value}\"}} "));
        }
        if *kind == Kind::Histogram {
            self.extras.push(",le=\"+Inf\"} ".to_owned());
        }
        if self.split {
            // What takes both signs may not have a sum there, which is no count any more: its lines go as they are.
            return (0..3).map(|part| vec![part]).collect();
        }
        self.head(
            family,
            if unknown { "unknown" } else { kind.as_str() },
            heading,
        );
        let has_created = self.created && open && !unknown;
        let written = |part: &usize| parts[*part] != Part::Created || has_created;
        vec![(0..parts.len()).filter(written).collect()]
    }

    /// Begins the lines of one part, where each has a family of its own.
    pub(crate) fn begin_part(&mut self, heading: &Heading<'_>, part: usize) {
        if self.split {
            let name = format!("{}{}", heading.name, heading.parts[part].suffix());
            let alone = Heading {
                unit: None,
                ..*heading
            };
            self.head(&name, "unknown", &alone);
        }
    }

    fn head(&mut self, family: &str, kind: &str, heading: &Heading<'_>) {
        let open = self.format == Format::OpenMetrics;
        let unit = heading.unit.filter(|unit| open && ends_in(family, unit));
        let mut quoted = String::new();
        let family = if is_plain_name(family) {
            family
        } else {
            push_name(&mut quoted, family, false);
            &quoted
        };
        if !heading.help.is_empty() {
            push(self.out, &["# HELP ", family, " "]);
            push_escaped(self.out, heading.help, open);
            self.out.push('\n');
        }
        push(self.out, &["# TYPE ", family, " ", kind, "\n"]);
        if let Some(unit) = unit {
            push(self.out, &["# UNIT ", family, " ", unit, "\n"]);
        }
    }

    /// Says that a name is another's once it is escaped. `OpenMetrics` knows no comments.
    pub(crate) fn left_out_name(&mut self, name: &str, escaped: &str) {
        if self.format == Format::Classic {
            // On one line, whatever is in it.
            let _ = writeln!(
                self.out,
                "# {name:?} is `{escaped}` here, as another metric is, and is left out"
            );
        }
    }

    /// Says that a name is recorded as a second kind. `OpenMetrics` knows no comments.
    pub(crate) fn left_out(&mut self, name: &str, kind: Kind) {
        if self.format == Format::Classic {
            let _ = writeln!(
                self.out,
                "# `{name}` is also recorded as a {}, which is left out",
                kind.as_str()
            );
        }
    }

    /// Ends the text.
    pub(crate) fn end(self) {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
    }

    /// Whether each part is written for itself, so that none can rely on what another has read.
    pub(crate) fn is_split(&self) -> bool {
        self.split
    }

    /// Begins a line of a part, up to the value.
    #[inline]
    pub(crate) fn open(&mut self, at: At<'_>, part: usize) {
        let (start, labels) = (&self.starts[part], at.labels);
        if labels.is_empty() {
            self.out.push_str(&start.none);
        } else {
            let start = if at.is_whole { &start.all } else { &start.more };
            push(self.out, &[start, labels, "} "]);
        }
    }

    /// The same with the bound or quantile of that index.
    #[inline]
    fn open_extra(&mut self, at: At<'_>, part: usize, extra: usize) {
        let (start, extra, labels) = (&self.starts[part], &self.extras[extra], at.labels);
        if labels.is_empty() {
            push(self.out, &[&start.more, &extra[1..]]);
        } else {
            let start = if at.is_whole { &start.all } else { &start.more };
            push(self.out, &[start, labels, extra]);
        }
    }

    #[inline]
    fn push_whole(&mut self, value: u64) {
        self.out.push_str(itoa::Buffer::new().format(value));
    }

    /// Ends a line with a whole number.
    #[inline]
    pub(crate) fn whole(&mut self, value: u64) {
        self.push_whole(value);
        self.out.push('\n');
    }

    /// Ends a line with a float.
    pub(crate) fn float(&mut self, value: f64) {
        push_float(self.out, value);
        self.out.push('\n');
    }

    /// Ends a line with a whole number whose last digits are decimal places, such as nanoseconds as seconds, to the last digit:
    /// a float would round what a counter adds up.
    pub(crate) fn decimal(&mut self, number: u64, decimals: u8) {
        let one = 10_u64.pow(u32::from(decimals));
        self.push_whole(number / one);
        if !number.is_multiple_of(one) {
            let fraction = format!("{:0width$}", number % one, width = usize::from(decimals));
            push(self.out, &[".", fraction.trim_end_matches('0')]);
        }
        self.out.push('\n');
    }

    /// Writes when the series began, as the last of its lines.
    pub(crate) fn created(&mut self, at: At<'_>) {
        self.open(at, self.starts.len() - 1);
        push_milliseconds(self.out, at.created.load(Relaxed));
        self.out.push('\n');
    }

    /// The buckets of the histogram that is written, not cumulated.
    pub(crate) fn buckets(&mut self) -> &mut Vec<u64> {
        &mut self.buckets
    }

    /// Keeps the sum of the histogram or summary that is written.
    pub(crate) fn set_sum(&mut self, sum: f64) {
        self.sum = sum;
    }

    /// Ends a line with the sum.
    pub(crate) fn sum(&mut self) {
        self.is_odd |= self.sum < 0.0 || self.sum.is_nan();
        self.float(self.sum);
    }

    /// Ends a line with the count, which is what all buckets hold together.
    pub(crate) fn count(&mut self) {
        let count = self.buckets.iter().copied().fold(0, u64::wrapping_add);
        self.whole(count);
    }

    /// Writes a line for each bucket.
    pub(crate) fn bucket_lines(&mut self, at: At<'_>, part: usize, exemplars: Option<&Exemplars>) {
        let exemplars = exemplars.filter(|_| self.format == Format::OpenMetrics);
        let mut count = 0_u64;
        for bucket in 0..self.buckets.len() {
            count = count.wrapping_add(self.buckets[bucket]);
            self.open_extra(at, part, bucket);
            self.push_whole(count);
            if let Some(exemplar) = exemplars.and_then(|exemplars| exemplars.latest(bucket)) {
                push_exemplar(self.out, &exemplar);
            }
            self.out.push('\n');
        }
    }

    /// Writes a line for each quantile.
    pub(crate) fn quantile_lines(&mut self, at: At<'_>, part: usize, values: &[f64]) {
        for (index, value) in values.iter().enumerate() {
            self.is_odd |= *value < 0.0;
            self.open_extra(at, part, index);
            self.float(*value);
        }
    }
}

impl Start {
    fn new(name: &str, suffix: &str, globals: &str) -> Self {
        // A suffix is plain.
        if !is_plain_name(name) {
            return Self::quoted(&format!("{name}{suffix}"), globals);
        }
        let all = format!("{name}{suffix}{{");
        if globals.is_empty() {
            return Self {
                more: all.clone(),
                all,
                none: format!("{name}{suffix} "),
            };
        }
        Self {
            more: format!("{all}{globals},"),
            none: format!("{all}{globals}}} "),
            all,
        }
    }

    /// With the name as the first thing in the braces: `{"http.requests",`.
    fn quoted(name: &str, globals: &str) -> Self {
        let mut first = String::from("{");
        push_name(&mut first, name, false);
        let all = format!("{first},");
        if globals.is_empty() {
            return Self {
                more: all.clone(),
                all,
                none: format!("{first}}} "),
            };
        }
        Self {
            more: format!("{all}{globals},"),
            none: format!("{all}{globals}}} "),
            all,
        }
    }
}

/// The global labels as text.
pub(crate) fn globals(labels: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (key, value) in labels {
        push_label(&mut text, key, value);
    }
    text
}

#[inline]
fn push(out: &mut String, parts: &[&str]) {
    for part in parts {
        out.push_str(part);
    }
}

/// Appends a number in the fewest digits that read back as the same.
pub(crate) fn push_float(out: &mut String, value: f64) {
    /// Up to here whole numbers have all their digits.
    const WHOLE: f64 = 1e15;
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else if value.abs() < WHOLE && value.trunc().to_bits() == value.to_bits() && value != 0.0 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a whole number in the range of an i64"
        )]
        let whole = value as i64;
        out.push_str(itoa::Buffer::new().format(whole));
    } else if value.to_bits() == 0 {
        out.push('0');
    } else {
        out.push_str(ryu::Buffer::new().format_finite(value));
    }
}

/// A bound or quantile. `OpenMetrics` wants to see that it is no whole number's type.
fn level(value: f64, format: Format) -> String {
    let text = value.to_string();
    if format == Format::OpenMetrics && !text.contains('.') {
        return text + ".0";
    }
    text
}

/// Appends milliseconds as seconds.
fn push_milliseconds(out: &mut String, milliseconds: u64) {
    let _ = write!(out, "{}.{:03}", milliseconds / 1000, milliseconds % 1000);
}

fn push_exemplar(out: &mut String, exemplar: &Exemplar) {
    out.push_str(" # {trace_id=\"");
    for byte in exemplar.trace {
        let _ = write!(out, "{byte:02x}");
    }
    out.push_str("\"} ");
    push_float(out, exemplar.value);
    out.push(' ');
    push_milliseconds(out, exemplar.at);
}

/// Whether the name says the unit, as `OpenMetrics` asks of a family that names one.
fn ends_in(name: &str, unit: &str) -> bool {
    name.strip_suffix(unit)
        .is_some_and(|rest| rest.ends_with('_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_short_and_read_back() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (0.1, "0.1"),
            (1e16, "1e16"),
            (999_999_999_999_999.0, "999999999999999"),
            (-3.0, "-3"),
            (1e300, "1e300"),
            (5e-324, "5e-324"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            let mut out = String::new();
            push_float(&mut out, value);
            assert_eq!(out, text);
            assert!(value.is_nan() || out.parse() == Ok(value));
        }
    }

    #[test]
    fn nanoseconds_are_shown_as_seconds_to_the_last_digit() {
        for (nanoseconds, seconds) in [
            (0, "0\n"),
            (1, "0.000000001\n"),
            (999_999_999, "0.999999999\n"),
            (1_000_000_000, "1\n"),
            (1_500_000_000, "1.5\n"),
            (u64::MAX, "18446744073.709551615\n"),
        ] {
            let mut out = String::new();
            Lines::new(&mut out, Format::Classic, "", 0, Instant::now()).decimal(nanoseconds, 9);
            assert_eq!(out, seconds, "{nanoseconds} ns");
        }
    }
}
