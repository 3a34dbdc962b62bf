//! One line of an exposition: its tokens, and the mistakes that can be seen without the other lines.

use std::collections::HashSet;
use std::fmt;

use crate::error::quoted;
use crate::{Kind, ParseError, Sample};

/// What a line says.
pub(crate) enum Line<'a> {
    /// Nothing: the line is blank or a comment.
    Nothing,
    /// The help text of a family.
    Help { name: Name<'a>, help: String },
    /// The kind of a family.
    Type { name: Name<'a>, kind: Kind },
    /// A value.
    Sample(SampleLine<'a>),
}

/// A metric name and where in its line it stands.
#[derive(Clone, Copy)]
pub(crate) struct Name<'a> {
    pub(crate) text: &'a str,
    source: Source<'a>,
    offset: usize,
}

impl Name<'_> {
    pub(crate) fn line(self) -> usize {
        self.source.0
    }

    pub(crate) fn error(
        self,
        problem: impl Into<String>,
        expected: impl Into<String>,
    ) -> ParseError {
        ParseError::new(self.source, self.offset, problem, expected)
    }
}

/// A sample and where in its line the parts of it stand.
pub(crate) struct SampleLine<'a> {
    pub(crate) sample: Sample,
    pub(crate) name: Name<'a>,
    label_offsets: Vec<usize>,
    value_offset: usize,
}

impl SampleLine<'_> {
    /// A mistake in the label at `position`.
    pub(crate) fn label_error(
        &self,
        position: usize,
        problem: impl Into<String>,
        expected: impl Into<String>,
    ) -> ParseError {
        ParseError::new(
            self.name.source,
            self.label_offsets[position],
            problem,
            expected,
        )
    }

    /// A mistake in the value.
    pub(crate) fn value_error(
        &self,
        problem: impl Into<String>,
        expected: impl Into<String>,
    ) -> ParseError {
        ParseError::new(self.name.source, self.value_offset, problem, expected)
    }
}

/// Reads line `number`, whose text is without its line feed.
pub(crate) fn read(number: usize, text: &str) -> Result<Line<'_>, ParseError> {
    let mut cursor = Cursor {
        source: (number, text),
        at: 0,
    };
    cursor.skip_blanks();
    match cursor.peek() {
        None => Ok(Line::Nothing),
        Some('#') => cursor.comment(),
        Some(_) => cursor.sample().map(Line::Sample),
    }
}

/// A number as Go's `ParseFloat` reads it, hexadecimal ones excepted as they are by Prometheus.
pub(crate) fn float(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    let signed_nan = value.is_nan() && text.starts_with(['+', '-']);
    let out_of_range = value.is_infinite() && text.contains(|c: char| c.is_ascii_digit());
    (!signed_nan && !out_of_range).then_some(value)
}

/// A line's number and text.
type Source<'a> = (usize, &'a str);

/// A place in a line, from which the rest is read.
struct Cursor<'a> {
    source: Source<'a>,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Reads a line that starts with `#`.
    fn comment(mut self) -> Result<Line<'a>, ParseError> {
        self.eat('#');
        self.skip_blanks();
        let keyword = self.token();
        if keyword != "HELP" && keyword != "TYPE" {
            return Ok(Line::Nothing);
        }
        self.skip_blanks();
        let name = self.metric_name(&[])?;
        self.skip_blanks();
        if keyword == "HELP" {
            self.help().map(|help| Line::Help { name, help })
        } else {
            self.kind().map(|kind| Line::Type { name, kind })
        }
    }

    fn help(&mut self) -> Result<String, ParseError> {
        let mut help = String::new();
        while let Some(c) = self.next_unescaped(&['\\', 'n'])? {
            help.push(c.character);
        }
        Ok(help)
    }

    fn kind(&mut self) -> Result<Kind, ParseError> {
        const KINDS: &str = "`counter`, `gauge`, `histogram`, `summary` or `untyped`";
        let start = self.at;
        let word = self.token();
        if word.is_empty() {
            return Err(self.error("TYPE line has no type", KINDS));
        }
        let kind = Kind::of(word).ok_or_else(|| {
            self.error_at(start, format!("{} is not a type", quoted(word)), KINDS)
        })?;
        self.end("the type")?;
        Ok(kind)
    }

    fn sample(mut self) -> Result<SampleLine<'a>, ParseError> {
        let name = self.metric_name(&['{'])?;
        self.skip_blanks();
        let labels = if self.eat('{') {
            self.labels()?
        } else {
            Labels::default()
        };
        self.skip_blanks();
        let value_offset = self.at;
        let value = self.value()?;
        let timestamp = self.timestamp()?;
        let sample = Sample {
            name: name.text.to_owned(),
            labels: labels.pairs,
            value,
            timestamp,
            line: self.source.0,
        };
        Ok(SampleLine {
            sample,
            name,
            label_offsets: labels.offsets,
            value_offset,
        })
    }

    fn metric_name(&mut self, ends: &[char]) -> Result<Name<'a>, ParseError> {
        let offset = self.at;
        let text = self.name(Naming::Metric, ends)?;
        Ok(Name {
            text,
            source: self.source,
            offset,
        })
    }

    /// Reads labels up to and with the closing brace.
    fn labels(&mut self) -> Result<Labels, ParseError> {
        let mut labels = Labels::default();
        let mut names = HashSet::new();
        loop {
            self.skip_blanks();
            if self.eat('}') {
                return Ok(labels);
            }
            labels.offsets.push(self.at);
            let name = self.label_name(&mut names)?;
            let value = self.label_value(name)?;
            labels.pairs.push((name.to_owned(), value));

            self.skip_blanks();
            if !self.eat(',') && self.peek() != Some('}') {
                let problem = self.peek().map_or_else(
                    || "labels are not closed by a brace".to_owned(),
                    |c| format!("label is followed by {}", quoted_char(c)),
                );
                return Err(self.error(problem, "`,` or `}`"));
            }
        }
    }

    fn label_name(&mut self, taken: &mut HashSet<&'a str>) -> Result<&'a str, ParseError> {
        let start = self.at;
        let name = self.name(Naming::Label, &['=', ',', '}'])?;
        if name.starts_with("__") {
            let problem = format!(
                "label name {} is reserved for Prometheus itself",
                quoted(name)
            );
            return Err(self.error_at(start, problem, "a name that does not start with `__`"));
        }
        if !taken.insert(name) {
            let problem = format!("label {} is given twice", quoted(name));
            return Err(self.error_at(start, problem, "each label once"));
        }
        Ok(name)
    }

    /// Reads from behind the label's name to behind the closing quote of its value.
    fn label_value(&mut self, name: &str) -> Result<String, ParseError> {
        self.skip_blanks();
        if !self.eat('=') {
            return Err(self.error(format!("label {} has no value", quoted(name)), "`=`"));
        }
        self.skip_blanks();
        if !self.eat('"') {
            let problem = format!("value of label {} is not quoted", quoted(name));
            return Err(self.error(problem, "`\"`"));
        }
        let mut value = String::new();
        while let Some(c) = self.next_unescaped(&['\\', 'n', '"'])? {
            if c.character == '"' && !c.escaped {
                return Ok(value);
            }
            value.push(c.character);
        }
        Err(self.error("label value is not closed by a quote", "`\"`"))
    }

    fn value(&mut self) -> Result<f64, ParseError> {
        const VALUE: &str =
            "a decimal number in the range of a 64-bit float, `NaN`, `+Inf` or `-Inf`";
        let start = self.at;
        let token = self.token();
        if token.is_empty() {
            return Err(self.error("sample has no value", VALUE));
        }
        float(token)
            .ok_or_else(|| self.error_at(start, format!("{} is not a value", quoted(token)), VALUE))
    }

    fn timestamp(&mut self) -> Result<Option<i64>, ParseError> {
        let end_of_value = self.at;
        self.skip_blanks();
        let start = self.at;
        let token = self.token();
        if token.is_empty() {
            self.at = end_of_value;
            self.end("the value")?;
            return Ok(None);
        }
        let timestamp = token.parse().map_err(|_| {
            let problem = format!("{} is not a timestamp", quoted(token));
            self.error_at(
                start,
                problem,
                "a whole number of milliseconds or the end of the line",
            )
        })?;
        self.end("the timestamp")?;
        Ok(Some(timestamp))
    }

    /// Makes sure that the line ends here. `promtool` refuses even blanks.
    fn end(&self, what: &str) -> Result<(), ParseError> {
        let rest = self.rest();
        if rest.is_empty() {
            return Ok(());
        }
        let stray = rest.trim_start_matches(is_blank);
        let problem = if stray.is_empty() {
            format!("{what} is followed by a blank")
        } else {
            format!("{what} is followed by {}", quoted(stray))
        };
        Err(self.error(problem, "the end of the line"))
    }

    /// Reads a name that is followed by a blank, one of `ends` or the end of the line.
    fn name(&mut self, naming: Naming, ends: &[char]) -> Result<&'a str, ParseError> {
        let start = self.at;
        let name = self.take_while(|c| naming.allows(c));
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            self.at = start;
            let problem = self.peek().map_or_else(
                || format!("{naming} name is missing"),
                |c| format!("{naming} name starts with {}", quoted_char(c)),
            );
            return Err(self.error(problem, format!("{} or `_`", naming.letters())));
        }
        match self.peek() {
            Some(c) if !is_blank(c) && !ends.contains(&c) => {
                let problem = format!("{naming} name contains {}", quoted_char(c));
                Err(self.error(problem, format!("{}, digits or `_`", naming.letters())))
            }
            _ => Ok(name),
        }
    }

    /// The next character with its escape decoded, `None` at the end of the line.
    fn next_unescaped(&mut self, escapes: &[char]) -> Result<Option<Unescaped>, ParseError> {
        let mut chars = self.rest().chars();
        let Some(character) = chars.next() else {
            return Ok(None);
        };
        if character != '\\' {
            self.at += character.len_utf8();
            return Ok(Some(Unescaped {
                character,
                escaped: false,
            }));
        }
        match chars.next() {
            Some(escape) if escapes.contains(&escape) => {
                self.at += '\\'.len_utf8() + escape.len_utf8();
                let character = if escape == 'n' { '\n' } else { escape };
                Ok(Some(Unescaped {
                    character,
                    escaped: true,
                }))
            }
            other => {
                let found: String = ['\\'].into_iter().chain(other).collect();
                let known: Vec<_> = escapes
                    .iter()
                    .map(|escape| format!("`\\{escape}`"))
                    .collect();
                let problem = format!("{} is not an escape", quoted(&found));
                Err(self.error(problem, format!("one of {}", known.join(", "))))
            }
        }
    }

    /// Reads up to the next blank or the end of the line.
    fn token(&mut self) -> &'a str {
        self.take_while(|c| !is_blank(c))
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn skip_blanks(&mut self) {
        self.take_while(is_blank);
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn rest(&self) -> &'a str {
        &self.source.1[self.at..]
    }

    fn error(&self, problem: impl Into<String>, expected: impl Into<String>) -> ParseError {
        self.error_at(self.at, problem, expected)
    }

    fn error_at(
        &self,
        offset: usize,
        problem: impl Into<String>,
        expected: impl Into<String>,
    ) -> ParseError {
        ParseError::new(self.source, offset, problem, expected)
    }
}

/// A character of a help text or label value.
struct Unescaped {
    character: char,
    escaped: bool,
}

/// What a name is the name of, which decides about its characters.
#[derive(Clone, Copy)]
enum Naming {
    Metric,
    Label,
}

impl Naming {
    fn allows(self, c: char) -> bool {
        c.is_ascii_alphanumeric() || c == '_' || (c == ':' && matches!(self, Self::Metric))
    }

    fn letters(self) -> &'static str {
        match self {
            Self::Metric => "ASCII letters, `:`",
            Self::Label => "ASCII letters",
        }
    }
}

impl fmt::Display for Naming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metric => "metric",
            Self::Label => "label",
        })
    }
}

/// The labels of a sample and where each of them starts.
#[derive(Default)]
struct Labels {
    pairs: Vec<(String, String)>,
    offsets: Vec<usize>,
}

fn quoted_char(c: char) -> String {
    quoted(c.encode_utf8(&mut [0; 4]))
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}
