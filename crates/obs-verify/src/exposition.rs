//! Expositions in every dialect that services speak, as one.
//!
//! The strict parser of `obs-exposition` reads the classic text format. What else services serve is put into that first, line
//! by line, so that places stay what they are: `OpenMetrics`, quoted names of UTF-8, lines that end as on Windows.

use std::collections::HashMap;
use std::fmt::Write;

use obs_exposition::{Exposition, Family, Kind, ParseError, parse_all};

/// Marks a name that the classic format has no letters for.
const QUOTED: &str = "U__obs_";

/// What was scraped, and how it was written.
#[derive(Clone, Debug, Default)]
pub struct Scraped {
    /// Everything that could be read.
    pub exposition: Exposition,
    /// What breaks the format, with its place.
    pub mistakes: Vec<ParseError>,
    /// Whether it is `OpenMetrics`, which has no word for some kinds.
    pub is_open_metrics: bool,
    /// Whether no family says its kind, as in what a Prometheus hands on from others.
    pub is_federated: bool,
    /// Whether lines end in CR LF, which no scraper reads.
    pub has_carriage_returns: bool,
    /// What `# UNIT` says, by family.
    pub units: HashMap<String, String>,
}

impl Scraped {
    /// Reads an exposition in the classic format or in `OpenMetrics`.
    ///
    /// ```
    /// use obs_verify::exposition::Scraped;
    ///
    /// let text = "# TYPE orders counter\norders_total 3 # {trace_id=\"a\"} 1\n# EOF\n";
    /// let scraped = Scraped::read(text);
    /// assert!(scraped.is_open_metrics && scraped.mistakes.is_empty());
    /// assert_eq!(scraped.exposition.value("orders_total", &[]), Some(3.0));
    /// ```
    #[must_use]
    pub fn read(text: &str) -> Self {
        let has_carriage_returns = text.contains("\r\n");
        let is_open_metrics = text.trim_end().ends_with("# EOF");
        let plain = if has_carriage_returns {
            text.replace("\r\n", "\n")
        } else {
            text.to_owned()
        };
        let (plain, units) = if is_open_metrics {
            classic(&plain)
        } else {
            (plain, HashMap::new())
        };
        let has_quoted_names =
            plain.contains("{\"") || plain.contains(",\"") || plain.contains(" \"");
        let (mut exposition, mut mistakes) = if has_quoted_names {
            parse_all(
                &plain
                    .lines()
                    .map(|l| unquoted(l) + "\n")
                    .collect::<String>(),
            )
        } else {
            parse_all(&plain)
        };
        if has_quoted_names {
            restore(&mut exposition);
        }
        let is_federated = is_federated(&exposition);
        if is_federated {
            // It takes histograms to pieces, whose buckets and quantiles then are families of their own.
            mistakes.retain(|mistake| !mistake.problem.contains("has the label `le`"));
            mistakes.retain(|mistake| !mistake.problem.contains("has the label `quantile`"));
        }
        Self {
            exposition,
            mistakes,
            is_open_metrics,
            is_federated,
            has_carriage_returns,
            units,
        }
    }

    /// Whether it is nothing of the kind: not one line of it could be read.
    #[must_use]
    pub fn is_no_exposition(&self) -> bool {
        self.exposition.families.is_empty() && !self.mistakes.is_empty()
    }
}

impl From<Exposition> for Scraped {
    fn from(exposition: Exposition) -> Self {
        Self {
            exposition,
            ..Self::default()
        }
    }
}

fn is_federated(exposition: &Exposition) -> bool {
    let says_nothing = |family: &Family| family.kind == Kind::Untyped && family.help.is_none();
    exposition.families.iter().all(says_nothing)
}

/// `OpenMetrics` as the classic format has it, and the units it says.
fn classic(text: &str) -> (String, HashMap<String, String>) {
    let words = |line: &str| -> Option<(String, String, String)> {
        let rest = line.strip_prefix("# ")?;
        let mut words = rest.splitn(3, ' ').map(str::to_owned);
        Some((
            words.next()?,
            words.next()?,
            words.next().unwrap_or_default(),
        ))
    };
    let kinds: HashMap<String, String> = text
        .lines()
        .filter_map(words)
        .filter(|(keyword, ..)| keyword == "TYPE")
        .map(|(_, name, kind)| (name, kind))
        .collect();
    let mut units = HashMap::new();
    let mut plain = String::with_capacity(text.len());
    for line in text.lines() {
        let Some((keyword, name, rest)) = words(line) else {
            if line.starts_with('#') {
                plain.push_str("#\n");
            } else {
                plain.push_str(&sample(line, &kinds));
                plain.push('\n');
            }
            continue;
        };
        // Families are called after their samples.
        let kind = kinds.get(&name).map(String::as_str);
        let suffix = match kind {
            Some("counter") if !name.ends_with("_total") => "_total",
            Some("info") if !name.ends_with("_info") => "_info",
            _ => "",
        };
        let name = name + suffix;
        // Writing to a string cannot fail.
        match keyword.as_str() {
            "TYPE" => {
                let kind = match rest.as_str() {
                    "info" | "stateset" => "gauge",
                    "unknown" | "gaugehistogram" => "untyped",
                    kind => kind,
                };
                let _ = writeln!(plain, "# TYPE {name} {kind}");
            }
            "HELP" => {
                let _ = writeln!(plain, "# HELP {name} {}", rest.replace("\\\"", "\""));
            }
            _ => {
                if keyword == "UNIT" {
                    units.insert(name, rest);
                }
                plain.push_str("#\n");
            }
        }
    }
    (plain, units)
}

/// A sample without its exemplar and time. When a series was created is not one of its own.
fn sample(line: &str, kinds: &HashMap<String, String>) -> String {
    let name = line.split(['{', ' ']).next().unwrap_or_default();
    let is_created = name
        .strip_suffix("_created")
        .and_then(|family| kinds.get(family))
        .is_some_and(|kind| {
            ["counter", "histogram", "summary", "gaugehistogram"].contains(&kind.as_str())
        });
    if is_created {
        return "#".to_owned();
    }
    let end = end_of_labels(line);
    let (series, rest) = line.split_at(end);
    let value = rest.split(" # ").next().unwrap_or_default();
    let value = value.split_whitespace().next().unwrap_or_default();
    format!("{series} {value}")
}

/// Where the value of a sample begins: behind the closing brace, or the name.
fn end_of_labels(line: &str) -> usize {
    let Some(open) = line.find('{') else {
        return line.find(' ').unwrap_or(line.len());
    };
    if line.find(' ').is_some_and(|blank| blank < open) && !line[..open].trim_end().contains(' ') {
        // A blank between name and brace.
    } else if line[..open].contains(' ') {
        // The brace is an exemplar's.
        return line.find(' ').unwrap_or(line.len());
    }
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (at, c) in line.char_indices().skip_while(|(at, _)| *at <= open) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '}' if !is_quoted => return at + 1,
            _ => {}
        }
    }
    line.len()
}

/// A line with the names that stand in quotes written in letters that the classic format has: `{"a.b",c="d"}`, `# TYPE "a.b"`.
fn unquoted(line: &str) -> String {
    if let Some(rest) = line.strip_prefix("# ") {
        let mut words = rest.splitn(2, ' ');
        let keyword = words.next().unwrap_or_default();
        let rest = words.next().unwrap_or_default();
        if let ("HELP" | "TYPE", Some(quoted)) = (keyword, rest.strip_prefix('"'))
            && let Some((name, after)) = text_and_rest(quoted)
        {
            return format!("# {keyword} {}{after}", escaped(&name));
        }
        return line.to_owned();
    }
    let Some((before, mut rest)) = line.split_once('{') else {
        return line.to_owned();
    };
    let mut name = before.to_owned();
    let mut labels: Vec<String> = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(after) = rest.strip_prefix('}') {
            return format!("{name}{{{}}}{after}", labels.join(","));
        }
        let key = if let Some(quoted) = rest.strip_prefix('"') {
            let Some((text, after)) = text_and_rest(quoted) else {
                return line.to_owned();
            };
            rest = after;
            escaped(&text)
        } else {
            let end = rest.find(['=', '}', ',']).unwrap_or(rest.len());
            let (key, after) = rest.split_at(end);
            rest = after;
            key.trim().to_owned()
        };
        match rest.trim_start().strip_prefix("=") {
            Some(value) => {
                let Some((_, after)) = value.trim_start().strip_prefix('"').and_then(text_and_rest)
                else {
                    return line.to_owned();
                };
                let value = &value.trim_start()[..value.trim_start().len() - after.len()];
                labels.push(format!("{key}={value}"));
                rest = after;
            }
            // The name of the metric, which has no value.
            None if name.is_empty() && !key.is_empty() => name = key,
            None => return line.to_owned(),
        }
    }
}

/// What is in quotes, and what comes after them.
fn text_and_rest(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((text, &quoted[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => text.push('\n'),
                c => text.push(c),
            },
            c => text.push(c),
        }
    }
    None
}

fn escaped(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    if name.chars().all(is_plain) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        return name.to_owned();
    }
    let hex = name
        .bytes()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    // A histogram's series still begin like its family.
    for suffix in ["_bucket", "_sum", "_count", "_total"] {
        if let Some(base) = name.strip_suffix(suffix)
            && !base.is_empty()
        {
            return escaped(base) + suffix;
        }
    }
    format!("{QUOTED}{hex}")
}

fn original(name: &str) -> Option<String> {
    let hex = name.strip_prefix(QUOTED)?;
    let (hex, suffix) = hex.split_at(hex.find('_').unwrap_or(hex.len()));
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = hex.as_bytes().chunks(2).map(byte).collect();
    Some(String::from_utf8(bytes?).ok()? + suffix)
}

fn restore(exposition: &mut Exposition) {
    let put = |name: &mut String| {
        if let Some(original) = original(name) {
            *name = original;
        }
    };
    for family in &mut exposition.families {
        put(&mut family.name);
        for sample in &mut family.samples {
            put(&mut sample.name);
            sample.labels.iter_mut().for_each(|(key, _)| put(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_read_as_the_classic_format_has_it() {
        let text = "\
# TYPE orders counter
# UNIT orders orders
# HELP orders Orders \\\"sent\\\".
orders_total{side=\"a # b\"} 3.0 1700000000.5 # {trace_id=\"x\"} 1 1700000000.1
orders_created{side=\"a # b\"} 1700000000.0
# TYPE fill_seconds histogram
fill_seconds_bucket{le=\"1.0\"} 2 # {trace_id=\"y\"} 0.5
fill_seconds_bucket{le=\"+Inf\"} 2
fill_seconds_sum 1.5
fill_seconds_count 2
fill_seconds_created 1700000000.0
# TYPE build info
build_info{version=\"1\"} 1
# TYPE depth unknown
depth 7 # {a=\"b\"} 1
# EOF
";
        let scraped = Scraped::read(text);
        assert_eq!(scraped.mistakes, []);
        let exposition = &scraped.exposition;
        let names: Vec<_> = exposition
            .families
            .iter()
            .map(|f| f.name.as_str())
            .collect();
        assert_eq!(
            names,
            ["orders_total", "fill_seconds", "build_info", "depth"]
        );
        assert_eq!(
            exposition.value("orders_total", &[("side", "a # b")]),
            Some(3.0)
        );
        assert_eq!(
            exposition.families[0].help.as_deref(),
            Some("Orders \"sent\".")
        );
        assert_eq!(exposition.value("depth", &[]), Some(7.0));
        assert_eq!(scraped.units["orders_total"], "orders");
        // Lines are where they were.
        assert_eq!(exposition.families[1].line, 6);
    }

    #[test]
    fn quoted_names_are_what_they_say() {
        let text = "# TYPE \"desk.orders\" counter\n{\"desk.orders\",\"user.name\"=\"a\\\"}\",side=\"buy\"} 2\n\
            # HELP \"fill.time\" How long.\n# TYPE \"fill.time\" summary\n{\"fill.time\",quantile=\"0.5\"} 1\n\
            {\"fill.time_sum\"} 1\n{\"fill.time_count\"} 1\nplain{a=\"b\"} 1\n";
        let scraped = Scraped::read(text);
        assert_eq!(scraped.mistakes, []);
        let exposition = scraped.exposition;
        let labels = [("user.name", "a\"}"), ("side", "buy")];
        assert_eq!(exposition.value("desk.orders", &labels), Some(2.0));
        assert_eq!(exposition.families[1].name, "fill.time");
        assert_eq!(exposition.value("fill.time_count", &[]), Some(1.0));
        assert_eq!(exposition.value("plain", &[("a", "b")]), Some(1.0));
    }

    #[test]
    fn lines_that_end_as_on_windows_are_read() {
        let scraped = Scraped::read("# TYPE a gauge\r\na 1\r\n");
        assert!(scraped.has_carriage_returns && scraped.mistakes.is_empty());
        assert_eq!(scraped.exposition.value("a", &[]), Some(1.0));
    }

    #[test]
    fn what_is_no_exposition_is_known_as_such() {
        assert!(Scraped::read("<!doctype html>\n<p>hello</p>\n").is_no_exposition());
        assert!(!Scraped::read("").is_no_exposition());
    }
}
