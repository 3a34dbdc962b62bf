//! The two text formats, written line by line into one buffer.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use obs_core::Kind;

use crate::exemplar::{Exemplar, Exemplars};
use crate::key::{is_plain_name, push_escaped, push_label, push_name};
use crate::point::{At, Encoder, Heading, Point};

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

/// Which lines of a family's series are written in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    All,
    /// One for each bucket or quantile.
    Levels,
    Sum,
    Count,
}

/// The lines of one scrape, in either of the text formats.
pub(crate) struct Lines<'a> {
    out: &'a mut String,
    format: Format,
    globals: &'a str,
    /// Whether it says when series began.
    created: bool,
    /// Of the family that is written.
    edition: Edition,
    pass: Pass,
    split: bool,
    /// Whether a value was written that no sum and no quantile of `OpenMetrics` may have.
    is_odd: bool,
    /// What lines of several levels begin with, where that has to be put together for each series.
    begun: String,
}

/// All that makes lines of a family what they are, but for its series and their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edition {
    format: Format,
    /// Of the lines that have the value, or those of buckets or quantiles.
    values: Start,
    /// Of those with the sum and the count, where there are such.
    totals: Option<[Start; 2]>,
    /// Of those that say when a series began, where there are such.
    created: Option<Start>,
    /// Its bounds or quantiles as labels, with what follows them: `,le="1"} `.
    levels: Vec<String>,
}

impl Edition {
    /// Whether each series has one line, which ends in its value.
    pub(crate) fn has_one_line(&self) -> bool {
        self.totals.is_none() && self.created.is_none()
    }
}

/// What a line begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Start {
    /// `name{service="desk",`, or `name{` without global labels: more follow.
    more: String,
    /// `name{`: all labels follow.
    all: String,
    /// `name{service="desk"} `, or `name `: none follow.
    none: String,
}

impl<'a> Lines<'a> {
    /// `created` says whether to write when series began, where the format has a word for it.
    pub(crate) fn new(
        out: &'a mut String,
        format: Format,
        globals: &'a str,
        created: bool,
    ) -> Self {
        Self {
            out,
            format,
            globals,
            created: created && format == Format::OpenMetrics,
            edition: Edition::default(),
            pass: Pass::All,
            split: false,
            is_odd: false,
            begun: String::new(),
        }
    }

    /// How much is written.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// What is written, to be taken away.
    pub(crate) fn text(&mut self) -> &mut String {
        self.out
    }

    /// What makes the lines of the family what they are.
    pub(crate) fn edition(&self) -> &Edition {
        &self.edition
    }

    /// Whether what is written may have to be taken back.
    pub(crate) fn may_be_odd(&self) -> bool {
        self.format == Format::OpenMetrics && !self.split
    }

    /// Takes back what was written since the text had this length, if `OpenMetrics` does not allow it.
    pub(crate) fn take_back_odd(&mut self, to: usize) -> bool {
        let is_refused = self.may_be_odd() && self.is_odd;
        if is_refused {
            self.out.truncate(to);
        }
        is_refused
    }

    /// Begins a family, and returns in which passes over its series it is written. In one that `is_signed` the sums and quantiles may
    /// be negative.
    pub(crate) fn begin(
        &mut self,
        heading: &Heading<'_>,
        base_is_taken: bool,
        is_signed: bool,
    ) -> &'static [Pass] {
        let Heading { name, kind, .. } = *heading;
        let open = self.format == Format::OpenMetrics;
        let base = name.strip_suffix("_total").filter(|base| !base.is_empty());
        // A counter whose name does not end in `_total` cannot be told as one. It keeps its name: what a series is called must
        // not depend on the client.
        let unknown = open && kind == Kind::Counter && (base.is_none() || base_is_taken);
        let family = if open && kind == Kind::Counter && !unknown {
            base.unwrap_or(name)
        } else {
            name
        };
        self.split = open && is_signed;
        self.is_odd = false;
        self.pass = Pass::All;
        let has_totals = matches!(kind, Kind::Histogram | Kind::Summary);
        let has_created = self.created && !unknown && !self.split && kind != Kind::Gauge;
        let start = |name, suffix| Start::new(name, suffix, self.globals);
        self.edition = Edition {
            format: self.format,
            values: start(name, values_suffix(kind)),
            totals: has_totals.then(|| [start(name, "_sum"), start(name, "_count")]),
            created: has_created.then(|| start(family, "_created")),
            levels: levels(heading, self.format),
        };
        if self.split {
            // What takes both signs may not have a sum there, which is no count any more: its lines go as they are.
            return &[Pass::Levels, Pass::Sum, Pass::Count];
        }
        let kind = if unknown { "unknown" } else { kind.as_str() };
        self.head(family, kind, heading);
        &[Pass::All]
    }

    /// Begins a pass. Where there are several, the lines of each are a family of their own.
    pub(crate) fn begin_pass(&mut self, heading: &Heading<'_>, pass: Pass) {
        self.pass = pass;
        let suffix = match pass {
            Pass::All => return,
            Pass::Levels => values_suffix(heading.kind),
            Pass::Sum => "_sum",
            Pass::Count => "_count",
        };
        let alone = Heading {
            unit: None,
            ..*heading
        };
        self.head(&format!("{}{suffix}", heading.name), "unknown", &alone);
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

    /// Begins the line of a series that has the value, up to that.
    #[inline]
    fn open_value(&mut self, at: &At<'_>) {
        match at.begun() {
            Some(begun) => push(self.out, &[begun, "} "]),
            None => self.edition.values.open(self.out, at),
        }
    }

    /// Ends a line with a whole number whose last digits are decimal places, such as nanoseconds as seconds, to the last digit:
    /// a float would round what a counter adds up.
    fn decimal(&mut self, number: u64, decimals: u8) {
        let one = 10_u64.pow(u32::from(decimals));
        self.out.push_str(itoa::Buffer::new().format(number / one));
        if !number.is_multiple_of(one) {
            let fraction = format!("{:0width$}", number % one, width = usize::from(decimals));
            push(self.out, &[".", fraction.trim_end_matches('0')]);
        }
        self.out.push('\n');
    }

    /// Writes any point. Apart, so that the lines that a service has most of are written without a call.
    fn other(&mut self, at: &At<'_>, point: Point<'_>) {
        match point {
            Point::Counter { number, decimals } => {
                self.open_value(at);
                self.decimal(number, decimals);
            }
            Point::Gauge(value) => {
                self.open_value(at);
                push_float(self.out, value);
                self.out.push('\n');
            }
            Point::Histogram {
                buckets,
                sum,
                exemplars,
                ..
            } => {
                if self.shows(Pass::Levels) {
                    self.buckets(at, buckets, exemplars);
                }
                let count = || buckets.iter().copied().fold(0, u64::wrapping_add);
                self.totals(at, sum, count);
            }
            Point::Summary {
                quantiles,
                count,
                sum,
            } => {
                if self.shows(Pass::Levels) {
                    self.quantiles(at, quantiles);
                }
                self.totals(at, sum, || count);
            }
        }
    }

    /// Writes when a series began.
    fn created(&mut self, at: &At<'_>) {
        if let Some(created) = &self.edition.created {
            created.open(self.out, at);
            push_milliseconds(self.out, at.began());
            self.out.push('\n');
        }
    }

    fn shows(&self, pass: Pass) -> bool {
        self.pass == Pass::All || self.pass == pass
    }

    /// What the lines of all levels of a series begin with, and from where on the levels follow that.
    #[inline]
    fn begin_levels<'b>(
        &'b mut self,
        at: &At<'b>,
    ) -> (&'b mut String, &'b str, &'b [String], usize) {
        let Edition { values, levels, .. } = &self.edition;
        if let Some(begun) = at.begun() {
            return (self.out, begun, levels, 0);
        }
        let labels = at.labels();
        self.begun.clear();
        push(&mut self.begun, &[values.before(at), labels]);
        // Without labels there is nothing to be set apart by a comma.
        let from = usize::from(labels.is_empty());
        (self.out, &self.begun, levels, from)
    }

    /// Writes a line for each bucket.
    fn buckets(&mut self, at: &At<'_>, buckets: &[u64], exemplars: Option<&Exemplars>) {
        let exemplars = exemplars.filter(|_| self.format == Format::OpenMetrics);
        let (out, begun, levels, from) = self.begin_levels(at);
        let mut count = 0_u64;
        for (index, (held, level)) in buckets.iter().zip(levels).enumerate() {
            count = count.wrapping_add(*held);
            push(
                out,
                &[begun, &level[from..], itoa::Buffer::new().format(count)],
            );
            if let Some(exemplar) = exemplars.and_then(|exemplars| exemplars.latest(index)) {
                push_exemplar(out, &exemplar);
            }
            out.push('\n');
        }
    }

    /// Writes a line for each quantile.
    fn quantiles(&mut self, at: &At<'_>, quantiles: &[f64]) {
        self.is_odd |= quantiles.iter().any(|value| *value < 0.0);
        let (out, begun, levels, from) = self.begin_levels(at);
        for (value, level) in quantiles.iter().zip(levels) {
            push(out, &[begun, &level[from..]]);
            push_float(out, *value);
            out.push('\n');
        }
    }

    /// Writes the lines that the buckets or quantiles add up to.
    fn totals(&mut self, at: &At<'_>, sum: f64, count: impl FnOnce() -> u64) {
        let Some([of_sum, of_count]) = &self.edition.totals else {
            return;
        };
        if self.shows(Pass::Sum) {
            self.is_odd |= sum < 0.0 || sum.is_nan();
            of_sum.open(self.out, at);
            push_float(self.out, sum);
            self.out.push('\n');
        }
        if self.shows(Pass::Count) {
            of_count.open(self.out, at);
            push(self.out, &[itoa::Buffer::new().format(count()), "\n"]);
        }
    }
}

impl Encoder for Lines<'_> {
    fn front(&self) -> String {
        self.edition.values.more.clone()
    }

    #[expect(
        clippy::inline_always,
        reason = "the kind is known where it is called, so that one arm is left: a tenth of a counter's line"
    )]
    #[inline(always)]
    fn series(&mut self, at: At<'_>, point: Point<'_>) {
        match point {
            Point::Counter {
                number,
                decimals: 0,
            } => {
                self.open_value(&at);
                push(self.out, &[itoa::Buffer::new().format(number), "\n"]);
            }
            point => self.other(&at, point),
        }
        if self.edition.created.is_some() {
            self.created(&at);
        }
    }
}

impl Start {
    /// Begins a line, up to the value.
    fn open(&self, out: &mut String, at: &At<'_>) {
        let labels = at.labels();
        if labels.is_empty() {
            out.push_str(&self.none);
        } else {
            push(out, &[self.before(at), labels, "} "]);
        }
    }

    /// What stands before labels.
    fn before(&self, at: &At<'_>) -> &str {
        if at.is_whole { &self.all } else { &self.more }
    }

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

/// What is appended to a family's name in the lines of its values.
fn values_suffix(kind: Kind) -> &'static str {
    match kind {
        Kind::Histogram => "_bucket",
        Kind::Counter | Kind::Gauge | Kind::Summary => "",
    }
}

/// The bounds or quantiles of a family as labels, with what follows them.
fn levels(heading: &Heading<'_>, format: Format) -> Vec<String> {
    let (label, values) = match heading.kind {
        Kind::Histogram => ("le", heading.bounds),
        _ => ("quantile", heading.levels),
    };
    let text = |value: &f64| format!(",{label}=\"{}\"}} ", level(*value, format));
    let mut levels: Vec<_> = values.iter().map(text).collect();
    if heading.kind == Kind::Histogram {
        levels.push(",le=\"+Inf\"} ".to_owned());
    }
    levels
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
            Lines::new(&mut out, Format::Classic, "", false).decimal(nanoseconds, 9);
            assert_eq!(out, seconds, "{nanoseconds} ns");
        }
    }
}
