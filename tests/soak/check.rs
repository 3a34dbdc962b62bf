//! What a scrape is held to: that it reads, that it agrees with itself, that no counter is less than before, and in the end that
//! nothing is missing.

use obs_exposition::{Exposition, Kind, Sample};
use serde::Serialize;
use std::collections::HashMap;
use std::fmt::Write as _;

use crate::load::Recorded;
use crate::series::Expected;

/// What a scrape is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The Prometheus text format.
    Classic,
    /// `OpenMetrics` text.
    OpenMetrics,
}

/// Reads scrapes, and remembers what was wrong with them.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    lines: Vec<Line>,
    /// How many there were.
    pub(crate) scrapes: usize,
    /// Scrapes that do not read or do not agree with themselves.
    pub(crate) inconsistent: Faults,
    /// Counters that are less than in the scrape before, or not there any more.
    pub(crate) fallen: Faults,
    /// Lines of the last scrape that do not show what was recorded.
    pub(crate) lost: Faults,
}

/// One value of a scrape.
#[derive(Debug)]
struct Line {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
    /// Whether it may only rise.
    is_count: bool,
}

/// How often something was wrong, and how it was wrong at first.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Faults {
    pub(crate) count: usize,
    pub(crate) first: Option<String>,
}

impl Faults {
    pub(crate) fn add(&mut self, what: impl FnOnce() -> String) {
        self.count += 1;
        self.first.get_or_insert_with(what);
    }
}

impl Checker {
    /// Looks at the next scrape.
    pub(crate) fn read(&mut self, text: &str, form: Form) {
        self.scrapes += 1;
        let parsed = match form {
            Form::Classic => obs_exposition::parse(text).map_err(|error| error.to_string()),
            Form::OpenMetrics => as_classic(text)
                .and_then(|text| obs_exposition::parse(&text).map_err(|error| error.to_string())),
        };
        let exposition = match parsed {
            Ok(exposition) => exposition,
            Err(error) => {
                let number = self.scrapes;
                return self
                    .inconsistent
                    .add(|| format!("scrape {number} as {form:?}: {error}"));
            }
        };
        let lines = lines(exposition);
        // Mostly nothing is new, and the lines are in the order of those before.
        let is_same = |(before, now): (&Line, &Line)| before.series() == now.series();
        let in_order =
            self.lines.len() == lines.len() && self.lines.iter().zip(&lines).all(is_same);
        let by_series: HashMap<_, _> = if in_order {
            HashMap::new()
        } else {
            lines.iter().map(|line| (line.series(), line)).collect()
        };
        for (at, before) in self
            .lines
            .iter()
            .enumerate()
            .filter(|(_, before)| before.is_count)
        {
            let now = if in_order {
                lines.get(at)
            } else {
                by_series.get(&before.series()).copied()
            };
            if now.is_none_or(|now| now.value < before.value) {
                let now = now.map(|now| now.value);
                self.fallen
                    .add(|| format!("{:?} was {} and is {now:?}", before.series(), before.value));
            }
        }
        self.lines = lines;
    }

    /// Holds the last scrape against what was recorded.
    pub(crate) fn hold_against(&mut self, recorded: &Recorded) {
        let sorted = |line: &Line| {
            let mut labels = line.labels.clone();
            labels.sort();
            ((line.name.clone(), labels), line.value)
        };
        let shown: Shown = self.lines.iter().map(sorted).collect();
        hold(&shown, recorded, &mut self.lost);
    }
}

/// The values of lines, by name and labels in the order of their keys.
pub(crate) type Shown = HashMap<(String, Vec<(String, String)>), f64>;

/// Notes every line that does not show what was recorded.
pub(crate) fn hold(shown: &Shown, recorded: &Recorded, lost: &mut Faults) {
    for Expected { name, labels, bits } in &recorded.expected {
        let shown = shown.get(&(name.clone(), labels.clone()));
        // What is recorded adds up exactly in whatever order, so that nothing may differ in the last bit.
        if shown.map(|shown| shown.to_bits()) != Some(*bits) {
            let value = f64::from_bits(*bits);
            lost.add(|| format!("{name} {labels:?} shows {shown:?} and not {value}"));
        }
    }
}

impl Line {
    fn series(&self) -> (&str, &[(String, String)]) {
        (&self.name, &self.labels)
    }
}

/// The values of an exposition.
fn lines(exposition: Exposition) -> Vec<Line> {
    let mut lines = Vec::new();
    for family in exposition.families {
        for Sample {
            name,
            mut labels,
            value,
            ..
        } in family.samples
        {
            let is_count = match family.kind {
                Kind::Counter => true,
                Kind::Histogram | Kind::Summary => {
                    name.ends_with("_count") || name.ends_with("_bucket")
                }
                Kind::Gauge | Kind::Untyped => false,
            };
            for (key, value) in &mut labels {
                // `OpenMetrics` writes a bound of 1 as 1.0.
                if key == "le"
                    && let Ok(bound) = value.parse::<f64>()
                {
                    *value = bound.to_string();
                }
            }
            lines.push(Line {
                name,
                labels,
                value,
                is_count,
            });
        }
    }
    lines
}

/// `OpenMetrics` text in the words of the classic format, for the same parser to read as strictly.
fn as_classic(text: &str) -> Result<String, String> {
    let Some(text) = text.strip_suffix("# EOF\n") else {
        return Err("it does not end in `# EOF`".to_owned());
    };
    let mut classic = String::with_capacity(text.len());
    for line in text.lines() {
        let words: Vec<_> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "TYPE", family, "counter"] => {
                let _ = write!(classic, "# TYPE {family}_total counter");
            }
            ["#", "TYPE", family, "unknown"] => {
                let _ = write!(classic, "# TYPE {family} untyped");
            }
            // The name of a counter's family is known from its type only, which comes after.
            ["#", "HELP" | "UNIT", ..] => continue,
            ["#", "TYPE", ..] => {
                classic.push_str(line);
            }
            _ if is_created(line) => continue,
            _ => classic.push_str(line),
        }
        classic.push('\n');
    }
    Ok(classic)
}

/// Whether the line says when a series began.
fn is_created(line: &str) -> bool {
    let name = line.split(['{', ' ']).next();
    name.is_some_and(|name| name.ends_with("_created"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Delays;

    fn scrape(orders: u32, slow: u32) -> String {
        format!(
            "# TYPE orders_total counter\norders_total{{side=\"buy\"}} {orders}\n\
             # TYPE wait_seconds histogram\nwait_seconds_bucket{{le=\"1\"}} 2\nwait_seconds_bucket{{le=\"+Inf\"}} {slow}\n\
             wait_seconds_sum 3.5\nwait_seconds_count {slow}\n"
        )
    }

    fn recorded(value: f64) -> Recorded {
        let nothing = Delays {
            p50: 0,
            p99: 0,
            p999: 0,
            max: 0,
            measured: 0,
        };
        let expected = Expected {
            name: "orders_total".to_owned(),
            labels: vec![("side".to_owned(), "buy".to_owned())],
            bits: value.to_bits(),
        };
        Recorded {
            events: 1,
            series: 1,
            expected: vec![expected],
            kept: nothing,
            looked_up: nothing,
            clock: nothing,
        }
    }

    #[test]
    fn what_rises_and_is_all_there_is_well() {
        let mut checker = Checker::default();
        checker.read(&scrape(1, 4), Form::Classic);
        checker.read(&scrape(7, 4), Form::Classic);
        checker.hold_against(&recorded(7.0));
        let faults = [&checker.inconsistent, &checker.fallen, &checker.lost];
        assert!(faults.iter().all(|faults| faults.count == 0), "{checker:?}");
    }

    #[test]
    fn what_falls_vanishes_or_is_short_of_one_is_seen() {
        let mut checker = Checker::default();
        checker.read(&scrape(7, 4), Form::Classic);
        checker.read(&scrape(6, 3), Form::Classic);
        // The counter, the count and the last bucket.
        assert_eq!(checker.fallen.count, 3, "{checker:?}");
        checker.hold_against(&recorded(7.0));
        assert_eq!(checker.lost.count, 1, "{checker:?}");
        checker.read("up 1\n", Form::Classic);
        assert_eq!(checker.fallen.count, 3 + 4, "{checker:?}");
    }

    #[test]
    fn a_count_that_its_buckets_do_not_hold_is_inconsistent() {
        let mut checker = Checker::default();
        let torn = scrape(1, 4).replace("_count 4", "_count 5");
        checker.read(&torn, Form::Classic);
        checker.read("orders_total 1\n", Form::OpenMetrics);
        assert_eq!(checker.inconsistent.count, 2, "{checker:?}");
    }

    #[test]
    fn both_formats_come_to_the_same() {
        let open = "# HELP orders Orders.\n# TYPE orders counter\norders_total{side=\"buy\"} 7\norders_created{side=\"buy\"} 1.5\n\
            # TYPE wait_seconds histogram\n# UNIT wait_seconds seconds\nwait_seconds_bucket{le=\"1.0\"} 2\n\
            wait_seconds_bucket{le=\"+Inf\"} 4\nwait_seconds_sum 3.5\nwait_seconds_count 4\n# EOF\n";
        let mut checker = Checker::default();
        checker.read(&scrape(7, 4), Form::Classic);
        checker.read(open, Form::OpenMetrics);
        checker.hold_against(&recorded(7.0));
        let faults = [&checker.inconsistent, &checker.fallen, &checker.lost];
        assert!(faults.iter().all(|faults| faults.count == 0), "{checker:?}");
        assert_eq!(checker.lines.len(), 5);
    }
}
