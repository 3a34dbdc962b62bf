//! What a simulated desk says: the exposition of a real one, thinned, with counters that move.

use std::collections::BTreeMap;
use std::fmt::Write;

use obs_exposition::{Exposition, Family, Kind, Sample};

/// In how many milliseconds a counter grows by as much as it was.
const DOUBLING: f64 = 1e6;

/// An exposition in pieces, between which is what differs from desk to desk and from scrape to scrape.
pub(crate) struct Template {
    lines: Vec<Line>,
    /// The families that are counted in totals.
    counters: Vec<String>,
}

/// A sample, with the head of its family before the first.
struct Line {
    /// Up to the desk's service.
    before: String,
    /// From there to the value.
    after: String,
    value: f64,
    moves: Moves,
    /// Where its total is counted.
    counter: Option<usize>,
}

#[derive(Clone, Copy)]
enum Moves {
    /// Stays what it is.
    Stands,
    /// Grows by whole numbers.
    Counts,
    /// Grows.
    Grows,
    /// Goes up and down.
    Wobbles,
}

impl Template {
    /// Of the exposition of a desk, of which at most so many series are kept: the same number of label sets of every family that has
    /// more, so that nothing is missing altogether.
    pub(crate) fn new(desk: &Exposition, most: usize) -> Self {
        let sets = desk.families.iter().map(label_sets).collect::<Vec<_>>();
        let kept = kept(&sets, most);
        let (mut lines, mut counters) = (Vec::new(), Vec::new());
        for ((family, sets), kept) in desk.families.iter().zip(&sets).zip(kept) {
            let mut head = head(family);
            let counter = (family.kind == Kind::Counter).then(|| {
                counters.push(family.name.clone());
                counters.len() - 1
            });
            for sample in sets.iter().take(kept).flatten() {
                lines.push(Line::new(
                    std::mem::take(&mut head),
                    family,
                    sample,
                    counter,
                ));
            }
        }
        Self { lines, counters }
    }

    /// How many series it has.
    pub(crate) fn series(&self) -> usize {
        self.lines.len()
    }

    /// What a desk of this service says at this age, and what its counters add up to.
    pub(crate) fn render(&self, service: &str, milliseconds: f64) -> (String, Vec<f64>) {
        let mut text = String::with_capacity(self.lines.len() * 160);
        let mut totals = vec![0.0; self.counters.len()];
        for line in &self.lines {
            let value = line.at(milliseconds);
            text.push_str(&line.before);
            text.push_str(service);
            text.push_str(&line.after);
            // Writing to a string does not fail.
            let _ = writeln!(text, "{}", Shown(value));
            if let Some(total) = line.counter.and_then(|counter| totals.get_mut(counter)) {
                *total += value;
            }
        }
        (text, totals)
    }

    /// Totals by the name of their family.
    pub(crate) fn named(&self, totals: &[f64]) -> BTreeMap<&str, f64> {
        let names = self.counters.iter().map(String::as_str);
        names.zip(totals.iter().copied()).collect()
    }
}

impl Line {
    fn new(mut before: String, family: &Family, sample: &Sample, counter: Option<usize>) -> Self {
        // First, so that it is where the two parts meet.
        let _ = write!(before, "{}{{service=\"", sample.name);
        let mut after = "\"".to_owned();
        for (key, value) in &sample.labels {
            if key != "service" {
                let value = value
                    .replace('\\', r"\\")
                    .replace('"', "\\\"")
                    .replace('\n', r"\n");
                let _ = write!(after, ",{key}=\"{value}\"");
            }
        }
        after.push_str("} ");
        let is_whole = sample.value.fract() == 0.0;
        let moves = match family.kind {
            Kind::Counter | Kind::Histogram | Kind::Summary if !sample.value.is_finite() => {
                Moves::Stands
            }
            Kind::Counter | Kind::Histogram if is_whole => Moves::Counts,
            Kind::Counter | Kind::Histogram => Moves::Grows,
            Kind::Gauge if sample.value.is_finite() && !is_whole => Moves::Wobbles,
            _ => Moves::Stands,
        };
        let value = sample.value;
        Self {
            before,
            after,
            value,
            moves,
            counter,
        }
    }

    fn at(&self, milliseconds: f64) -> f64 {
        match self.moves {
            Moves::Stands => self.value,
            // The same for all buckets of a histogram, so that they stay in order.
            Moves::Counts => self.value + (self.value * milliseconds / DOUBLING).floor(),
            Moves::Grows => self.value * (1.0 + milliseconds / DOUBLING),
            Moves::Wobbles => self.value * (1.0 + 1e-3 * (milliseconds * 1e-4 + self.value).sin()),
        }
    }
}

/// How many label sets each family keeps: one, and in turn one more as long as there is room.
fn kept(families: &[Vec<Vec<&Sample>>], most: usize) -> Vec<usize> {
    let mut kept = vec![1; families.len()];
    let firsts = families.iter().filter_map(|sets| sets.first());
    let mut series: usize = firsts.map(Vec::len).sum();
    let widest = families.iter().map(Vec::len).max().unwrap_or_default();
    for number in 1..widest {
        for (kept, sets) in kept.iter_mut().zip(families) {
            if let Some(set) = sets.get(number).filter(|set| series + set.len() <= most) {
                series += set.len();
                *kept += 1;
            }
        }
    }
    kept
}

/// The samples of a family by their labels: those of one histogram belong together.
fn label_sets(family: &Family) -> Vec<Vec<&Sample>> {
    let mut sets: Vec<Vec<&Sample>> = Vec::new();
    let mut places: BTreeMap<Vec<&(String, String)>, usize> = BTreeMap::new();
    for sample in &family.samples {
        let labels = sample.labels.iter();
        let labels = labels.filter(|(key, _)| key != "le" && key != "quantile");
        let place = *places.entry(labels.collect()).or_insert(sets.len());
        match sets.get_mut(place) {
            Some(set) => set.push(sample),
            None => sets.push(vec![sample]),
        }
    }
    sets
}

fn head(family: &Family) -> String {
    let mut head = String::new();
    let name = &family.name;
    if let Some(help) = &family.help {
        let _ = writeln!(
            head,
            "# HELP {name} {}",
            help.replace('\\', r"\\").replace('\n', r"\n")
        );
    }
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
        Kind::Summary => "summary",
        Kind::Untyped => "untyped",
    };
    let _ = writeln!(head, "# TYPE {name} {kind}");
    head
}

/// A value as the text format has it.
struct Shown(f64);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            value if value.is_infinite() => f.write_str(if value > 0.0 { "+Inf" } else { "-Inf" }),
            value => write!(f, "{value}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESK: &str = "\
# HELP calls_total Calls.
# TYPE calls_total counter
calls_total{service=\"desk\",kind=\"a\"} 1000
calls_total{service=\"desk\",kind=\"b\"} 2000
calls_total{service=\"desk\",kind=\"c\"} 3000
# TYPE seconds histogram
seconds_bucket{service=\"desk\",le=\"1\"} 10
seconds_bucket{service=\"desk\",le=\"+Inf\"} 4000
seconds_sum{service=\"desk\"} 0.5
seconds_count{service=\"desk\"} 4000
";

    #[test]
    fn a_desk_is_thinned_evenly_and_its_counters_move_together() {
        let desk = obs_exposition::parse(DESK).unwrap();
        assert_eq!(Template::new(&desk, 100).series(), 7);
        // Nothing is missing altogether.
        assert_eq!(Template::new(&desk, 1).series(), 5);
        let template = Template::new(&desk, 6);
        assert_eq!(template.series(), 6);
        let (first, totals) = template.render("other", 0.0);
        assert_eq!(
            template.named(&totals),
            BTreeMap::from([("calls_total", 3000.0)])
        );
        assert!(first.contains("# HELP calls_total Calls.\n# TYPE calls_total counter\ncalls_total{service=\"other\",kind=\"a\"} 1000\n"), "{first}");
        let (later, totals) = template.render("other", 10_000.0);
        assert_eq!(
            template.named(&totals),
            BTreeMap::from([("calls_total", 3030.0)])
        );
        let later = obs_exposition::parse(&later).unwrap();
        let value = |name, bound: &[(&str, &str)]| {
            later.value(name, &[&[("service", "other")], bound].concat())
        };
        assert_eq!(value("seconds_bucket", &[("le", "+Inf")]), Some(4040.0));
        assert_eq!(value("seconds_count", &[]), Some(4040.0));
        assert_eq!(value("seconds_bucket", &[("le", "1")]), Some(10.0));
    }
}
