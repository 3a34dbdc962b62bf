//! From lines to families: what belongs together, what is declared, what is there twice.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::error::quoted;
use crate::exposition::series;
use crate::line::{self, Line, Name, SampleLine};
use crate::rules::Rules;
use crate::{Exposition, Family, Kind, ParseError};

/// Reads an exposition without a mistake, or says where its first mistake is.
///
/// An empty text is an exposition without families.
pub fn parse(text: &str) -> Result<Exposition, ParseError> {
    let (exposition, errors) = parse_all(text);
    match errors.into_iter().next() {
        None => Ok(exposition),
        Some(first) => Err(first),
    }
}

/// Reads as much of an exposition as there is to read, and reports every mistake in the order of lines.
///
/// Every line that could be read is in the exposition, even if it should not be there (the second of two
/// equal series, say); a line that could not be read is in the errors only. Where a line is lost or broke
/// a rule, what its histograms or summaries lack is not reported: it may have stood there.
#[must_use]
pub fn parse_all(text: &str) -> (Exposition, Vec<ParseError>) {
    let mut assembly = Assembly::default();
    let mut last = (0, "");
    for (index, line) in text.split_terminator('\n').enumerate() {
        last = (index + 1, line);
        assembly.read(index + 1, line);
    }
    if !text.is_empty() && !text.ends_with('\n') {
        let problem = "last line does not end with a line feed";
        let expected = "a line feed after every line (is the exposition cut off?)";
        assembly.lose(ParseError::new(last, last.1.len(), problem, expected));
    }
    assembly.finish()
}

/// An exposition in the making.
#[derive(Default)]
struct Assembly {
    groups: Vec<Group>,
    /// The group that a name belongs to: its own, or the histogram or summary whose series it is.
    owners: HashMap<String, usize>,
    /// The group that the last line belonged to.
    current: Option<usize>,
    /// Every series so far, and its first line.
    seen: HashMap<String, usize>,
    errors: Vec<ParseError>,
}

/// A family in the making.
struct Group {
    family: Family,
    /// Whether it has a `TYPE` line.
    typed: bool,
    /// Whether every line of it could be read and obeyed the rules.
    whole: bool,
    rules: Rules,
}

impl Assembly {
    fn read(&mut self, number: usize, text: &str) {
        let outcome = match line::read(number, text) {
            Ok(Line::Nothing) => Ok(()),
            Ok(Line::Help { name, help }) => self.help(name, help),
            Ok(Line::Type { name, kind }) => self.kind(name, kind),
            Ok(Line::Sample(line)) => self.sample(line),
            Err(error) => {
                self.lose(error);
                Ok(())
            }
        };
        self.errors.extend(outcome.err());
    }

    /// Reports a line that could not be read, which most likely belonged to the current group.
    fn lose(&mut self, error: ParseError) {
        if let Some(current) = self.current {
            self.groups[current].whole = false;
        }
        self.errors.push(error);
    }

    fn help(&mut self, name: Name<'_>, help: String) -> Result<(), ParseError> {
        let index = self.declare("HELP", name)?;
        let family = &mut self.groups[index].family;
        if family.help.is_some() {
            let problem = format!("second HELP for {}", quoted(name.text));
            return Err(name.error(problem, "one HELP line for each name"));
        }
        family.help = Some(help);
        Ok(())
    }

    fn kind(&mut self, name: Name<'_>, kind: Kind) -> Result<(), ParseError> {
        let index = self.declare("TYPE", name)?;
        let group = &mut self.groups[index];
        if group.typed {
            let problem = format!("second TYPE for {}", quoted(name.text));
            return Err(name.error(problem, "one TYPE line for each name"));
        }
        group.typed = true;
        group.family.kind = kind;
        self.claim_series(index, name)
    }

    /// Reserves the names of a histogram's or summary's series.
    fn claim_series(&mut self, index: usize, name: Name<'_>) -> Result<(), ParseError> {
        let kind = self.groups[index].family.kind;
        for suffix in kind.suffixes() {
            match self.owners.entry(format!("{}{suffix}", name.text)) {
                Entry::Vacant(free) => {
                    free.insert(index);
                }
                Entry::Occupied(taken) => {
                    let problem = format!(
                        "{kind} {} needs the name {}, which is in use since line {}",
                        quoted(name.text),
                        quoted(taken.key()),
                        self.groups[*taken.get()].family.line,
                    );
                    self.groups[index].whole = false;
                    let expected = "TYPE before the first sample and no other family of that name";
                    return Err(name.error(problem, expected));
                }
            }
        }
        Ok(())
    }

    /// The group that a `HELP` or `TYPE` line is about, which must not have samples yet.
    fn declare(&mut self, what: &str, name: Name<'_>) -> Result<usize, ParseError> {
        if let Some(&owner) = self.owners.get(name.text) {
            let Family {
                name: family,
                kind,
                samples,
                ..
            } = &self.groups[owner].family;
            if family != name.text {
                let problem = format!(
                    "{what} for {}, which is a series of the {kind} {}",
                    quoted(name.text),
                    quoted(family),
                );
                return Err(name.error(problem, format!("{what} for {} only", quoted(family))));
            }
            if let Some(first) = samples.first() {
                let problem = format!(
                    "{what} for {} after its first sample on line {}",
                    quoted(name.text),
                    first.line,
                );
                let expected = format!("{what} before all samples of the family");
                return Err(name.error(problem, expected));
            }
        }
        Ok(self.enter(name))
    }

    fn sample(&mut self, line: SampleLine<'_>) -> Result<(), ParseError> {
        let index = self.enter(line.name);
        let outcome = self.note_series(&line).and_then(|()| {
            let group = &mut self.groups[index];
            let outcome = group.rules.check(&group.family, &line);
            group.whole &= outcome.is_ok();
            outcome
        });
        self.groups[index].family.samples.push(line.sample);
        outcome
    }

    /// Remembers the series, which must be new.
    fn note_series(&mut self, line: &SampleLine<'_>) -> Result<(), ParseError> {
        match self
            .seen
            .entry(series(&line.sample.name, &line.sample.labels, None))
        {
            Entry::Vacant(new) => {
                new.insert(line.sample.line);
                Ok(())
            }
            Entry::Occupied(old) => {
                let problem = format!(
                    "series {} is already on line {}",
                    quoted(old.key()),
                    old.get()
                );
                Err(line
                    .name
                    .error(problem, "each combination of name and labels once"))
            }
        }
    }

    /// Makes the group that the name belongs to the current one, which it may become only once.
    fn enter(&mut self, name: Name<'_>) -> usize {
        let Some(&index) = self.owners.get(name.text) else {
            return self.open(name);
        };
        if self.current != Some(index) {
            let Family {
                name: family, line, ..
            } = &self.groups[index].family;
            let problem = format!("family {} continues after another one", quoted(family));
            let expected = format!("all its lines in one group, which began on line {line}");
            self.errors.push(name.error(problem, expected));
        }
        self.current = Some(index);
        index
    }

    fn open(&mut self, name: Name<'_>) -> usize {
        let index = self.groups.len();
        self.groups.push(Group {
            family: Family {
                name: name.text.to_owned(),
                help: None,
                kind: Kind::Untyped,
                samples: Vec::new(),
                line: name.line(),
            },
            typed: false,
            whole: true,
            rules: Rules::default(),
        });
        self.owners.insert(name.text.to_owned(), index);
        self.current = Some(index);
        index
    }

    fn finish(mut self) -> (Exposition, Vec<ParseError>) {
        for group in &self.groups {
            group
                .rules
                .finish(group.family.kind, group.whole, &mut self.errors);
        }
        self.errors.sort_by_key(|error| (error.line, error.column));
        let families = self.groups.into_iter().map(|group| group.family).collect();
        (Exposition { families }, self.errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the mistakes of each text, one a line and all of them.
    fn check(cases: &[(&str, &str)]) {
        for (text, expected) in cases {
            let (_, errors) = parse_all(text);
            let reported: Vec<_> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(reported.join("\n"), *expected, "in {text:?}");
            assert_eq!(parse(text).err().as_ref(), errors.first(), "in {text:?}");
        }
    }

    #[test]
    fn everything_is_read() {
        let text = r#"
# A comment, and two that only look like more:
# HELPER x
#	TYPES
 #
# HELP fills Fills by \\path\nand more, "quoted".
# TYPE fills counter
fills{path="C:\\DIR\n\"x\"",side="buy",} 1.5e3 -1395066363000
  fills  {  side = "sell"	,path = "ü" }  +Inf	12
fills{}0

#HELP   empty
# TYPE temperature gauge
temperature NaN
free{a=""} -.5
"#;
        let exposition = parse(text).unwrap();
        let families: Vec<_> = exposition
            .families
            .iter()
            .map(|f| {
                (
                    f.name.as_str(),
                    f.help.as_deref(),
                    f.kind,
                    f.samples.len(),
                    f.line,
                )
            })
            .collect();
        let help = "Fills by \\path\nand more, \"quoted\".";
        assert_eq!(
            families,
            [
                ("fills", Some(help), Kind::Counter, 3, 6),
                ("empty", Some(""), Kind::Untyped, 0, 12),
                ("temperature", None, Kind::Gauge, 1, 13),
                ("free", None, Kind::Untyped, 1, 15),
            ]
        );
        let fills = &exposition.families[0].samples;
        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            fills[0].labels,
            [label("path", "C:\\DIR\n\"x\""), label("side", "buy")]
        );
        assert_eq!(fills[0].value.to_string(), "1500");
        assert_eq!(fills[0].timestamp, Some(-1_395_066_363_000));
        assert_eq!(fills[1].labels, [label("side", "sell"), label("path", "ü")]);
        assert_eq!(fills[1].value.to_string(), "inf");
        assert_eq!(fills[1].timestamp, Some(12));
        assert_eq!((fills[2].labels.len(), fills[2].line), (0, 10));
        assert!(exposition.families[2].samples[0].value.is_nan());
        assert_eq!(exposition.value("free", &[]), Some(-0.5));
    }

    #[test]
    fn an_exposition_may_be_empty() {
        assert_eq!(parse(""), Ok(Exposition::default()));
        assert_eq!(parse("\n \t\n# nothing\n"), Ok(Exposition::default()));
    }

    #[test]
    fn values_are_those_of_go() {
        for (text, expected) in [
            ("0", "0"),
            ("+1.", "1"),
            ("-.5E+1", "-5"),
            ("1e-999", "0"),
            ("1.7976931348623157e308", &f64::MAX.to_string()),
            ("nAn", "NaN"),
            ("inf", "inf"),
            ("+Infinity", "inf"),
            ("-Inf", "-inf"),
        ] {
            let exposition = parse(&format!("x {text}\n")).unwrap();
            assert_eq!(
                exposition.families[0].samples[0].value.to_string(),
                expected,
                "{text}"
            );
        }
        for text in [
            "+NaN", "1e999", "0x1p4", "0x10", "1_000", ".", "1e", "1,5", "--1", "12\r", "١",
        ] {
            let error = parse(&format!("x {text}\n")).unwrap_err();
            let found = text.replace('\r', "\\r");
            assert_eq!(error.problem, format!("`{found}` is not a value"));
            assert_eq!((error.line, error.column), (1, 3));
        }
    }

    #[test]
    fn mistakes_in_a_line() {
        check(&[
            (
                "x 1",
                "line 1, column 4: last line does not end with a line feed; \
                 expected a line feed after every line (is the exposition cut off?)",
            ),
            (
                "9x 1\n",
                "line 1, column 1: metric name starts with `9`; expected ASCII letters, `:` or `_`",
            ),
            (
                "ok 1\n {a=\"b\"} 1\n",
                "line 2, column 2: metric name starts with `{`; expected ASCII letters, `:` or `_`",
            ),
            (
                "größe 1\n",
                "line 1, column 3: metric name contains `ö`; \
                 expected ASCII letters, `:`, digits or `_`",
            ),
            (
                "a.b 1\n",
                "line 1, column 2: metric name contains `.`; \
                 expected ASCII letters, `:`, digits or `_`",
            ),
            (
                "x\n",
                "line 1, column 2: sample has no value; expected a decimal number in the range \
                 of a 64-bit float, `NaN`, `+Inf` or `-Inf`",
            ),
            (
                "x{a=\"1\"} one\n",
                "line 1, column 10: `one` is not a value; expected a decimal number in the range \
                 of a 64-bit float, `NaN`, `+Inf` or `-Inf`",
            ),
            (
                "x 1 2.5\n",
                "line 1, column 5: `2.5` is not a timestamp; \
                 expected a whole number of milliseconds or the end of the line",
            ),
            (
                "x 1 9223372036854775808\n",
                "line 1, column 5: `9223372036854775808` is not a timestamp; \
                 expected a whole number of milliseconds or the end of the line",
            ),
            (
                "x 1 2 # why\n",
                "line 1, column 6: the timestamp is followed by `# why`; \
                 expected the end of the line",
            ),
            (
                "x 1 \n",
                "line 1, column 4: the value is followed by a blank; expected the end of the line",
            ),
            (
                "x 1\r\n",
                "line 1, column 3: `1\\r` is not a value; expected a decimal number in the range \
                 of a 64-bit float, `NaN`, `+Inf` or `-Inf`",
            ),
        ]);
    }

    #[test]
    fn mistakes_in_labels() {
        check(&[
            (
                "x{1=\"2\"} 1\n",
                "line 1, column 3: label name starts with `1`; expected ASCII letters or `_`",
            ),
            (
                "x{a:b=\"2\"} 1\n",
                "line 1, column 4: label name contains `:`; expected ASCII letters, digits or `_`",
            ),
            (
                "x{,} 1\n",
                "line 1, column 3: label name starts with `,`; expected ASCII letters or `_`",
            ),
            (
                "x{\n",
                "line 1, column 3: label name is missing; expected ASCII letters or `_`",
            ),
            (
                "x{a} 1\n",
                "line 1, column 4: label `a` has no value; expected `=`",
            ),
            (
                "x{a \"1\"} 1\n",
                "line 1, column 5: label `a` has no value; expected `=`",
            ),
            (
                "x{a=1} 1\n",
                "line 1, column 5: value of label `a` is not quoted; expected `\"`",
            ),
            (
                "x{ö=\"1\"} 1\n",
                "line 1, column 3: label name starts with `ö`; expected ASCII letters or `_`",
            ),
            (
                "x{a=\"ö} 1\n",
                "line 1, column 10: label value is not closed by a quote; expected `\"`",
            ),
            (
                "x{a=\"ö\\t\"} 1\n",
                "line 1, column 7: `\\t` is not an escape; expected one of `\\\\`, `\\n`, `\\\"`",
            ),
            (
                "x{a=\"\\",
                "line 1, column 6: `\\` is not an escape; expected one of `\\\\`, `\\n`, `\\\"`\n\
                 line 1, column 7: last line does not end with a line feed; \
                 expected a line feed after every line (is the exposition cut off?)",
            ),
            (
                "x{a=\"1\" b=\"2\"} 1\n",
                "line 1, column 9: label is followed by `b`; expected `,` or `}`",
            ),
            (
                "x{a=\"1\"\n",
                "line 1, column 8: labels are not closed by a brace; expected `,` or `}`",
            ),
            (
                "x{a=\"1\",b=\"\",a=\"1\"} 1\n",
                "line 1, column 14: label `a` is given twice; expected each label once",
            ),
            (
                "x{__name__=\"y\"} 1\n",
                "line 1, column 3: label name `__name__` is reserved for Prometheus itself; \
                 expected a name that does not start with `__`",
            ),
        ]);
    }

    #[test]
    fn mistakes_in_a_declaration() {
        check(&[
            (
                "# HELP\n# TYPE \n",
                "line 1, column 7: metric name is missing; expected ASCII letters, `:` or `_`\n\
                 line 2, column 8: metric name is missing; expected ASCII letters, `:` or `_`",
            ),
            (
                "# HELP x-y z\n",
                "line 1, column 9: metric name contains `-`; \
                 expected ASCII letters, `:`, digits or `_`",
            ),
            (
                "# HELP x a\\b\n",
                "line 1, column 11: `\\b` is not an escape; expected one of `\\\\`, `\\n`",
            ),
            (
                "# HELP x \\\"\n",
                "line 1, column 10: `\\\"` is not an escape; expected one of `\\\\`, `\\n`",
            ),
            (
                "# TYPE x\n",
                "line 1, column 9: TYPE line has no type; \
                 expected `counter`, `gauge`, `histogram`, `summary` or `untyped`",
            ),
            (
                "# TYPE x Counter\n",
                "line 1, column 10: `Counter` is not a type; \
                 expected `counter`, `gauge`, `histogram`, `summary` or `untyped`",
            ),
            (
                "# TYPE x counter now\n",
                "line 1, column 17: the type is followed by `now`; expected the end of the line",
            ),
            (
                "# HELP x a\n# HELP x a\n",
                "line 2, column 8: second HELP for `x`; expected one HELP line for each name",
            ),
            (
                "# TYPE x gauge\n# TYPE x gauge\nx -1\n",
                "line 2, column 8: second TYPE for `x`; expected one TYPE line for each name",
            ),
            (
                "x 1\n# TYPE x gauge\n# HELP x y\n",
                "line 2, column 8: TYPE for `x` after its first sample on line 1; \
                 expected TYPE before all samples of the family\n\
                 line 3, column 8: HELP for `x` after its first sample on line 1; \
                 expected HELP before all samples of the family",
            ),
            (
                "h_count 1\n# TYPE h histogram\n",
                "line 2, column 8: histogram `h` needs the name `h_count`, \
                 which is in use since line 1; \
                 expected TYPE before the first sample and no other family of that name",
            ),
            (
                "# TYPE s summary\n# TYPE s_sum gauge\n",
                "line 2, column 8: TYPE for `s_sum`, which is a series of the summary `s`; \
                 expected TYPE for `s` only",
            ),
        ]);
    }

    #[test]
    fn mistakes_between_lines() {
        check(&[
            (
                "x 1\ny 1\nx{a=\"b\"} 1\nx{a=\"c\"} 1\n",
                "line 3, column 1: family `x` continues after another one; \
                 expected all its lines in one group, which began on line 1",
            ),
            (
                "# HELP x a\n# HELP y b\n# TYPE x gauge\n",
                "line 3, column 8: family `x` continues after another one; \
                 expected all its lines in one group, which began on line 1",
            ),
            (
                "x{a=\"1\",b=\"2\"} 1\nx{b=\"2\",c=\"\",a=\"1\"} 1 5\n",
                "line 2, column 1: series `x{a=\"1\",b=\"2\"}` is already on line 1; \
                 expected each combination of name and labels once",
            ),
            (
                "x{a=\"1\\\",b=\\\"2\"} 1\nx{a=\"1\",b=\"2\"} 1\n",
                "", // only look alike
            ),
        ]);
    }

    #[test]
    fn mistakes_in_counters_and_reserved_labels() {
        check(&[
            (
                "# TYPE c counter\nc -1\nc{a=\"1\"} NaN\nc{a=\"2\"} +Inf\nc{a=\"3\"} -0\n",
                "line 2, column 3: counter cannot be -1; expected 0 or more\n\
                 line 3, column 10: counter cannot be NaN; expected 0 or more",
            ),
            (
                "x_bucket{a=\"b\",le=\"1\"} 1\n",
                "line 1, column 16: `x_bucket` has the label `le`; \
                 expected `le` on the `_bucket` series of a histogram only",
            ),
            (
                "# TYPE s summary\ns{quantile=\"0.5\",le=\"1\"} 1\ns_sum{quantile=\"0.5\"} 1\n",
                "line 2, column 18: `s` has the label `le`; \
                 expected `le` on the `_bucket` series of a histogram only\n\
                 line 3, column 7: `s_sum` has the label `quantile`; \
                 expected `quantile` on the quantiles of a summary only",
            ),
        ]);
    }

    #[test]
    fn mistakes_in_histograms() {
        let cases = [
            ("h_bucket{le=\"+Inf\"} 0\nh_sum NaN\nh_count 0\n", ""),
            (
                "h_count 3\nh_sum -1\nh_bucket{le=\"-1\"} 3\nh_bucket{le=\"+Inf\"} 3\n",
                "",
            ),
            (
                "h 1\n",
                "line 2, column 1: histogram `h` has a sample of its bare name; \
                 expected `_bucket`, `_sum` or `_count` after the name",
            ),
            (
                "h_bucket{a=\"1\"} 1\n",
                "line 2, column 1: `h_bucket` has no label `le`; expected a label `le`",
            ),
            (
                "h_bucket{le=\"1\"} 2\nh_sum 1\nh_count 2\n",
                "line 2, column 1: histogram `h` has no `le=\"+Inf\"` bucket; \
                 expected one with the same labels",
            ),
            (
                "h_bucket{a=\"b\",le=\"+Inf\"} 2\nh_sum 1\nh_count 2\n",
                "line 2, column 1: histogram `h{a=\"b\"}` has no `_sum`; \
                 expected one with the same labels\n\
                 line 2, column 1: histogram `h{a=\"b\"}` has no `_count`; \
                 expected one with the same labels\n\
                 line 3, column 1: histogram `h` has no `le=\"+Inf\"` bucket; \
                 expected one with the same labels",
            ),
            (
                "h_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count{} 3\n",
                "line 4, column 11: count of 3 differs from the bucket `le=\"+Inf\"`; \
                 expected the same number in both",
            ),
            (
                "h_bucket{le=\"1\"} 5\nh_bucket{le=\"+Inf\"} 3\nh_sum 1\nh_count 3\n",
                "line 3, column 21: cumulative count goes down from 5 to 3; \
                 expected at least the count of the bucket before",
            ),
            (
                "h_bucket{le=\"2\"} 1\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2.0\"} 1\n",
                "line 3, column 10: `le` `1` comes after 2; \
                 expected every `le` once, in increasing order\n\
                 line 4, column 10: `le` `2.0` comes after 2; \
                 expected every `le` once, in increasing order",
            ),
            (
                "h_bucket{le=\"NaN\"} 1\nh_bucket{le=\"Inf\"} 1\nh_bucket{le=\"-Inf\"} 1\n\
                 h_bucket{le=\"\"} 1\n",
                "line 2, column 10: `le` cannot be `NaN`; expected a finite number or `+Inf`\n\
                 line 3, column 10: `le` cannot be `Inf`; expected a finite number or `+Inf`\n\
                 line 4, column 10: `le` cannot be `-Inf`; expected a finite number or `+Inf`\n\
                 line 5, column 10: `le` cannot be ``; expected a finite number or `+Inf`",
            ),
            (
                "h_bucket{le=\"1\"} -1\nh_bucket{le=\"2\"} NaN\nh_count +Inf\n",
                "line 2, column 18: count of observations cannot be -1; expected 0 or more\n\
                 line 3, column 18: count of observations cannot be NaN; expected 0 or more\n\
                 line 4, column 9: count of observations cannot be infinite; \
                 expected a finite number",
            ),
            // What stood on the lost line may have been what seems to be missing.
            (
                "h_bucket{le=\"+Inf\" 2\nh_sum 1\nh_count 2\n",
                "line 2, column 20: label is followed by `2`; expected `,` or `}`",
            ),
        ];
        for (lines, expected) in cases {
            check(&[(&format!("# TYPE h histogram\n{lines}"), expected)]);
        }
    }

    #[test]
    fn mistakes_in_summaries() {
        let cases = [
            ("s_sum 1\ns_count 1\n", ""),
            (
                "s{quantile=\"0\"} NaN\ns{quantile=\"1\"} -1\ns_sum 1\ns_count 1\n",
                "",
            ),
            (
                "s 1\n",
                "line 2, column 1: `s` has no label `quantile`; expected a label `quantile`",
            ),
            (
                "s{a=\"b\",quantile=\"half\"} 1\ns{quantile=\"1.1\"} 1\ns{quantile=\"NaN\"} 1\n",
                "line 2, column 9: `quantile` cannot be `half`; expected a number from 0 to 1\n\
                 line 3, column 3: `quantile` cannot be `1.1`; expected a number from 0 to 1\n\
                 line 4, column 3: `quantile` cannot be `NaN`; expected a number from 0 to 1",
            ),
            (
                "s{quantile=\"0.9\"} 1\ns{quantile=\"0.5\"} 1\n",
                "line 3, column 3: `quantile` `0.5` comes after 0.9; \
                 expected every `quantile` once, in increasing order",
            ),
            (
                "s{quantile=\"0.9\"} 1\n",
                "line 2, column 1: summary `s` has no `_sum`; expected one with the same labels\n\
                 line 2, column 1: summary `s` has no `_count`; expected one with the same labels",
            ),
            (
                "s_sum 1\ns_count -1\n",
                "line 3, column 9: count of observations cannot be -1; expected 0 or more",
            ),
        ];
        for (lines, expected) in cases {
            check(&[(&format!("# TYPE s summary\n{lines}"), expected)]);
        }
    }

    #[test]
    fn what_could_be_read_is_kept() {
        let (exposition, errors) =
            parse_all("# TYPE c counter\nc 1\nc 2\nc{a=\"b\"} -3\nc{a=} 4\nd 5\n");
        assert_eq!(
            errors.iter().map(|error| error.line).collect::<Vec<_>>(),
            [3, 4, 5]
        );
        assert_eq!(exposition.sum("c", &[]), Some(0.0));
        assert_eq!(exposition.value("c", &[]), Some(1.0));
        assert_eq!(exposition.value("d", &[]), Some(5.0));
    }

    #[test]
    fn what_is_quoted_is_printable_and_short() {
        let problem = |text: &str| parse(text).unwrap_err().problem;
        assert_eq!(problem("x \u{1b}[31m\n"), "`\\u{1b}[31m` is not a value");
        let long = problem(&format!("x {}\n", "y".repeat(10_000)));
        assert_eq!(long, format!("`{}…` is not a value", "y".repeat(120)));
    }
}
