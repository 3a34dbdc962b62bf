//! What the figures were: the last quarter of an hour by the second, and the last day by the half minute, as `/history`.
//!
//! Everything else is remembered by browsers that look. This is for one that comes late: the lines of declared figures, read from values
//! once a second. No text is rendered for it.

use std::sync::{Mutex, PoisonError};

use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use serde_core::ser::{Serialize, SerializeMap, Serializer};

use crate::answer::{Client, Response, fresh};
use crate::lines::{self, Figure, Line, Source};

/// The spans that are kept: the seconds between two values, and how many values.
const SPANS: [(u64, usize); 2] = [(1, 15 * 60), (30, 24 * 60 * 2)];

/// The most lines that are kept, each of which takes 15 kB: with what quantiles need, less than a megabyte.
const MOST_LINES: usize = 48;

/// What figures showed: the last quarter of an hour by the second, and the last day by the half minute. It keeps 48 lines at most, in
/// less than a megabyte.
///
/// ```
/// use obs_page::{Family, Figure, History, How, Reading, Shows, Source, Value};
///
/// struct Queue(f64);
/// impl Source for Queue {
///     fn each(&self, family: &str, read: &mut dyn FnMut(&str, Value<'_>)) {
///         if family == "queue_depth" {
///             read(r#"queue="orders""#, Value::Number(self.0));
///         }
///     }
/// }
///
/// let family = Family { name: "queue_depth".into(), is_money: false, bounds: (&[]).into() };
/// let reading = Reading { how: How::Sum, families: vec![family], labels: Vec::new() };
/// let history = History::default();
/// history.plan([Figure { title: "Queue".into(), shows: Shows::Value(reading), trend: None }]);
/// history.take(1_790_000_000, &Queue(7.0));
///
/// let client = obs_page::Client { headers: &http::HeaderMap::new(), takes_gzip: false };
/// let answer = history.answer(client);
/// // The last value, of the last span.
/// assert!(answer.body().ends_with(&7.0_f32.to_le_bytes()));
/// ```
#[derive(Debug, Default)]
pub struct History(Mutex<Rings>);

#[derive(Debug, Default)]
struct Rings {
    /// The second at which the first values were taken, and the last.
    first: u64,
    last: u64,
    all: Vec<Ring>,
}

/// One line, and what it showed.
#[derive(Debug)]
struct Ring {
    line: Line,
    spans: [Box<[f32]>; SPANS.len()],
}

struct Header<'a> {
    schema: u32,
    lines: Vec<LineEntry<'a>>,
    spans: Vec<SpanEntry>,
}

struct LineEntry<'a> {
    figure: &'a str,
    needs: &'a str,
    line: usize,
}

struct SpanEntry {
    step: u64,
    first: u64,
    count: usize,
}

impl Serialize for Header<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("schema", &self.schema)?;
        map.serialize_entry("lines", &self.lines)?;
        map.serialize_entry("spans", &self.spans)?;
        map.end()
    }
}

impl Serialize for LineEntry<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("figure", self.figure)?;
        map.serialize_entry("needs", self.needs)?;
        map.serialize_entry("line", &self.line)?;
        map.end()
    }
}

impl Serialize for SpanEntry {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("step", &self.step)?;
        map.serialize_entry("first", &self.first)?;
        map.serialize_entry("count", &self.count)?;
        map.end()
    }
}

impl History {
    /// Says of which figures lines are kept from now on, the first ones first. Lines that are known keep what they have.
    pub fn plan(&self, figures: impl IntoIterator<Item = Figure>) {
        let mut rings = self.lock();
        let mut known = std::mem::take(&mut rings.all);
        rings.all = lines::of(figures)
            .into_iter()
            .take(MOST_LINES)
            .map(|line| {
                let at = known.iter().position(|ring| ring.line.is(&line));
                at.map_or_else(|| Ring::new(line), |at| known.swap_remove(at))
            })
            .collect();
    }

    /// Takes what every line shows at this second since 1970-01-01 UTC. What was missed since the last one stays unknown. A second at or
    /// before the last one is taken in its place.
    pub fn take(&self, second: u64, source: &dyn Source) {
        let mut rings = self.lock();
        let second = second.max(rings.last);
        if rings.first == 0 {
            rings.first = second;
        }
        let since = rings.last;
        for ring in &mut rings.all {
            ring.take(since, second, source);
        }
        rings.last = second;
    }

    /// Everything, as the page reads it under `/history`: one line of JSON, then the values of each line.
    ///
    /// ```json
    /// {
    ///   "schema": 1,
    ///   "lines": [{ "figure": "Quotes", "needs": "quotes_total", "line": 0 }],
    ///   "spans": [{ "step": 1, "first": 1790000000, "count": 900 }, { "step": 30, "first": 1789913600, "count": 2880 }]
    /// }
    /// ```
    ///
    /// The line is filled up with blanks to a multiple of four bytes. Behind it there are, for each span and in that for each line,
    /// `count` floats of 32 bits, the least significant byte first: what the line showed at `first`, `first + step` and so on, in seconds
    /// since 1970-01-01 UTC by the clock of `/live`. What is not known is NaN.
    pub fn answer(&self, client: Client<'_>) -> Response {
        if let Ok(file) = self.file() {
            return fresh("application/octet-stream", file, client);
        }
        let why = "the history cannot be written\n";
        let mut response = fresh("text/plain; charset=utf-8", why, client);
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        let again = HeaderValue::from_static("1");
        response.headers_mut().insert(RETRY_AFTER, again);
        response
    }

    fn file(&self) -> serde_json::Result<Vec<u8>> {
        let rings = self.lock();
        let spans: Vec<_> = SPANS.iter().map(|span| rings.span(*span)).collect();
        let lines = rings.all.iter().map(|Ring { line, .. }| LineEntry {
            figure: &line.figure,
            needs: &line.needs,
            line: line.number,
        });
        let header = Header {
            schema: 1,
            lines: lines.collect(),
            spans,
        };
        let mut file = serde_json::to_vec(&header)?;
        file.resize((file.len() + 1).next_multiple_of(4) - 1, b' ');
        file.push(b'\n');
        for (index, span) in header.spans.iter().enumerate() {
            for ring in &rings.all {
                let values = &ring.spans[index];
                for at in 0..span.count as u64 {
                    let place = place_of(span.first / span.step + at, values.len());
                    file.extend_from_slice(&values[place].to_le_bytes());
                }
            }
        }
        Ok(file)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Rings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rings {
    /// What a span has of the time since the first values were taken.
    fn span(&self, (step, capacity): (u64, usize)) -> SpanEntry {
        let (first, last) = (self.first / step, self.last / step);
        let first = first.max((last + 1).saturating_sub(capacity as u64));
        let count = if self.last == 0 { 0 } else { last + 1 - first };
        SpanEntry {
            step,
            first: first * step,
            count: usize::try_from(count).unwrap_or_default(),
        }
    }
}

impl Ring {
    fn new(line: Line) -> Self {
        Self {
            line,
            spans: SPANS.map(|(_, capacity)| vec![f32::NAN; capacity].into()),
        }
    }

    fn take(&mut self, since: u64, second: u64, source: &dyn Source) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a chart shows no more than seven digits"
        )]
        let value = self.line.read(second, source) as f32;
        for ((step, capacity), values) in SPANS.iter().zip(&mut self.spans) {
            let (before, now) = (since / step, second / step);
            // No more than once round.
            for missed in (before + 1).max(now.saturating_sub(*capacity as u64))..now {
                values[place_of(missed, *capacity)] = f32::NAN;
            }
            // Of a step of many seconds the last value that was one.
            if now > before || value.is_finite() {
                values[place_of(now, *capacity)] = value;
            }
        }
    }
}

fn place_of(number: u64, capacity: usize) -> usize {
    usize::try_from(number % capacity as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::mem::size_of_val;

    use super::*;
    use crate::lines::{Family, How, Reading, Shows, Value};

    fn family(name: &'static str) -> Family {
        Family {
            name: name.into(),
            is_money: false,
            bounds: (&[1.0, 2.0]).into(),
        }
    }

    fn figure(title: &'static str, shows: Shows) -> Figure {
        Figure {
            title: title.into(),
            shows,
            trend: None,
        }
    }

    fn value(title: &'static str, how: How, of: &'static str) -> Figure {
        let reading = Reading {
            how,
            families: vec![family(of)],
            labels: Vec::new(),
        };
        figure(title, Shows::Value(reading))
    }

    fn money() -> Figure {
        value("Money", How::Sum, "person_money")
    }

    impl Rings {
        /// The bytes that lines hold on to.
        fn size(&self) -> usize {
            let of = |ring: &Ring| {
                let spans: usize = ring.spans.iter().map(|span| size_of_val(&**span)).sum();
                spans + ring.line.size()
            };
            self.all.iter().map(of).sum()
        }
    }

    /// A source with one gauge.
    struct Pocket(Cell<f64>);

    impl Source for Pocket {
        fn each(&self, family: &str, read: &mut dyn FnMut(&str, Value<'_>)) {
            if family == "person_money" {
                read("", Value::Number(self.0.get()));
            }
        }
    }

    fn history() -> (History, Pocket) {
        let history = History::default();
        history.plan([money()]);
        (history, Pocket(Cell::new(0.0)))
    }

    /// The header, and the values of each span of the only line.
    fn parse(file: &[u8]) -> (serde_json::Value, Vec<Vec<f32>>) {
        let end = file.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        assert_eq!(end % 4, 0);
        let header: serde_json::Value = serde_json::from_slice(&file[..end]).unwrap();
        let mut values = file[end..]
            .chunks(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
        let counts = header["spans"].as_array().unwrap().iter();
        let counts: Vec<_> = counts
            .map(|span| usize::try_from(span["count"].as_u64().unwrap()).unwrap())
            .collect();
        let spans = counts
            .iter()
            .map(|count| values.by_ref().take(*count).collect())
            .collect();
        assert_eq!(values.next(), None);
        (header, spans)
    }

    #[test]
    fn what_a_figure_showed_is_kept_by_the_second_and_by_the_half_minute() {
        let (history, pocket) = history();
        for second in 1_000_000_000..1_000_000_065 {
            pocket.0.set((second - 1_000_000_000) as f64);
            history.take(second, &pocket);
        }
        let (header, spans) = parse(&history.file().unwrap());
        assert_eq!(header["lines"][0]["figure"], "Money");
        assert_eq!(header["lines"][0]["needs"], "person_money");
        assert_eq!(header["spans"][0]["first"], 1_000_000_000);
        let seconds: Vec<f32> = (0..65_u8).map(f32::from).collect();
        assert_eq!(spans[0], seconds);
        // Half minutes are those of the clock: the first of them was ten seconds old.
        assert_eq!(header["spans"][1]["first"], 999_999_990);
        assert_eq!(spans[1], [19.0, 49.0, 64.0]);
    }

    #[test]
    fn what_was_missed_is_unknown_and_what_is_old_is_forgotten() {
        let (history, pocket) = history();
        pocket.0.set(1.0);
        history.take(1_000_000_000, &pocket);
        history.take(1_000_000_003, &pocket);
        let (_, spans) = parse(&history.file().unwrap());
        let known: Vec<bool> = spans[0].iter().map(|value| value.is_finite()).collect();
        assert_eq!(known, [true, false, false, true]);

        for second in 1_000_000_004..1_000_001_000 {
            history.take(second, &pocket);
        }
        let (header, spans) = parse(&history.file().unwrap());
        assert_eq!(header["spans"][0]["first"], 1_000_000_100);
        assert_eq!(spans[0].len(), 900);
        assert_eq!(spans[0], [1.0; 900]);
        // A machine that slept for a week.
        history.take(1_000_700_000, &pocket);
        let (_, spans) = parse(&history.file().unwrap());
        assert_eq!(spans[0].iter().filter(|value| value.is_finite()).count(), 1);
        assert_eq!(spans[1].iter().filter(|value| value.is_finite()).count(), 1);
    }

    #[test]
    fn all_lines_together_take_less_than_a_megabyte() {
        let rings = (0..MOST_LINES).map(|_| Ring::new(lines::of([money()]).remove(0)));
        let bytes: usize = rings
            .map(|ring| {
                ring.spans
                    .iter()
                    .map(|span| size_of_val(&**span))
                    .sum::<usize>()
            })
            .sum();
        assert!(bytes < 750_000, "{bytes} bytes");
    }

    /// What a book does, of which there is something to be remembered by each kind of line.
    struct Busy(Cell<u64>);

    impl Source for Busy {
        fn each(&self, family: &str, read: &mut dyn FnMut(&str, Value<'_>)) {
            let count = self.0.get();
            match family {
                "person_money" => read("", Value::Number(1.0)),
                "person_steps_total" => read("", Value::Number(count as f64)),
                _ => read("", Value::Buckets(&[count, 2 * count, 1])),
            }
        }
    }

    #[test]
    fn a_day_takes_the_memory_of_an_hour() {
        let steps = || value("Steps", How::Rate, "person_steps_total");
        let naps = || {
            let levels = (&[0.5, 0.95, 0.99]).into();
            figure(
                "Naps",
                Shows::Quantiles(family("person_nap_seconds"), levels),
            )
        };
        let history = History::default();
        let source = Busy(Cell::new(0));
        let mut size_after_an_hour = 0;
        for second in 0..24 * 3600 {
            // As the exporter does it: handles may have been resolved.
            if second % 30 == 0 {
                history.plan([money(), steps(), naps()]);
            }
            source.0.set(source.0.get() + second % 7);
            history.take(1_000_000_000 + second, &source);
            if second == 3600 {
                size_after_an_hour = history.lock().size();
            }
        }
        let rings = history.lock();
        assert_eq!(rings.all.len(), 5);
        assert!(
            rings.size() <= size_after_an_hour,
            "{} bytes, {size_after_an_hour} before",
            rings.size()
        );
        assert!(
            rings.size() * MOST_LINES / 5 < 1_000_000,
            "{} bytes",
            rings.size()
        );
    }

    #[test]
    fn a_line_that_stays_keeps_what_it_has() {
        let (history, pocket) = history();
        pocket.0.set(2.0);
        history.take(1_000_000_000, &pocket);
        history.plan([money()]);
        history.take(1_000_000_001, &pocket);
        let (_, spans) = parse(&history.file().unwrap());
        assert_eq!(spans[0], [2.0, 2.0]);
    }
}
