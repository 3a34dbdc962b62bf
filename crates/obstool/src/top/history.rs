//! The last minutes of everything, and what follows from two moments: rates, quantiles, changes. Undefined is `NaN`, never 0.

use std::collections::VecDeque;
use std::sync::Arc;

use obs_exposition::Histogram;

use super::layout::{Labels, Layout, Numbers};

/// How far back is remembered, in seconds.
const SPAN: f64 = 300.0;
/// How far back trends go at most, in seconds.
const TREND_SPAN: f64 = 180.0;
/// The most numbers that are kept: 32 MB of them. Beyond it every other of the older half goes.
const MOST_NUMBERS: usize = 4_000_000;
/// How far back the rate of a counter looks, in seconds: long enough to be calm, short enough to be now.
pub(super) const RATE_WINDOW: f64 = 15.0;
/// The same for quantiles of histograms, which need more observations to mean something.
pub(super) const QUANTILE_WINDOW: f64 = 60.0;

/// Series of one family of the latest layout, taken together.
#[derive(Clone, Copy)]
pub(super) struct Together<'a> {
    pub(super) family: usize,
    pub(super) series: &'a [usize],
}

/// Snapshots in the order of time.
#[derive(Default)]
pub(super) struct History {
    snapshots: VecDeque<Snapshot>,
    /// The latest numbers as they came.
    raw: Vec<f64>,
    /// What each of them had counted before it was last set back.
    offsets: Vec<f64>,
    /// From when until when nothing was seen.
    gaps: VecDeque<(f64, f64)>,
    /// Since when nothing is seen.
    unseen_since: Option<f64>,
}

struct Snapshot {
    /// In seconds, of a clock that does not jump.
    at: f64,
    layout: Arc<Layout>,
    /// Whether it is the first of another process.
    is_restart: bool,
    /// What only rises goes on rising here when its process starts anew.
    values: Vec<f64>,
}

impl History {
    /// Adds what was scraped. A counter that is lower than it was, or whose process is another, began anew at 0.
    pub(super) fn add(&mut self, at: f64, layout: Layout, raw: Vec<f64>) {
        let layout = match self.layout() {
            Some(before) => layout.sharing(before),
            None => Arc::new(layout),
        };
        let is_restart = self.has_restarted(&layout, &raw);
        self.offsets = self.carried(&layout, &raw, is_restart);
        if let Some(since) = self.unseen_since.take() {
            self.gaps.push_back((since, at));
        }
        let values = raw
            .iter()
            .zip(&self.offsets)
            .map(|(raw, offset)| raw + offset);
        let values = values.collect();
        self.raw = raw;
        self.snapshots.push_back(Snapshot {
            at,
            layout,
            is_restart,
            values,
        });
        self.gaps.retain(|(_, end)| *end >= at - SPAN);
        while self
            .snapshots
            .front()
            .is_some_and(|first| first.at < at - SPAN)
        {
            self.snapshots.pop_front();
        }
        if self.snapshots.len() * self.raw.len() > MOST_NUMBERS {
            self.thin();
        }
    }

    /// Takes that there was nothing at a time.
    pub(super) fn missed(&mut self, at: f64) {
        self.unseen_since.get_or_insert(at);
    }

    pub(super) fn layout(&self) -> Option<&Arc<Layout>> {
        self.snapshots.back().map(|snapshot| &snapshot.layout)
    }

    /// How many snapshots there are.
    pub(super) fn len(&self) -> usize {
        self.snapshots.len()
    }

    /// When the latest was taken.
    pub(super) fn latest_at(&self) -> Option<f64> {
        self.snapshots.back().map(|snapshot| snapshot.at)
    }

    /// How many seconds before the latest a snapshot was taken.
    pub(super) fn age(&self, index: usize) -> f64 {
        let at = self.snapshots.get(index).map(|snapshot| snapshot.at);
        let latest = self.latest_at();
        at.zip(latest).map_or(f64::NAN, |(at, latest)| latest - at)
    }

    /// So many moments at equal distances up to the latest, by the model's clock; nothing before the first scrape.
    pub(super) fn times(&self, count: usize) -> Vec<f64> {
        let Some(last) = self.snapshots.back() else {
            return vec![f64::NAN; count];
        };
        // Whole seconds, counted from 0: a moment stays the same from one scrape to the next.
        let step = self.step(count);
        let newest = (last.at / step).ceil();
        let older = (1..count).rev().map(|back| (newest - back as f64) * step);
        older.chain((count > 0).then_some(last.at)).collect()
    }

    /// The snapshots that stand for as many moments; none where there was no scrape yet, or nothing was seen.
    pub(super) fn moments(&self, count: usize) -> Vec<Option<usize>> {
        let step = self.step(count);
        let moment = |(place, at): (usize, f64)| {
            if place + 1 == count {
                return self.snapshots.len().checked_sub(1);
            }
            if self.is_gap(at, step) {
                return None;
            }
            let index = self.snapshots.partition_point(|snapshot| snapshot.at <= at);
            index.checked_sub(1)
        };
        self.times(count)
            .into_iter()
            .enumerate()
            .map(moment)
            .collect()
    }

    /// Whether another process began since the moment before, for as many moments.
    pub(super) fn restarts(&self, count: usize) -> Vec<bool> {
        let step = self.step(count);
        let began = |at: f64| {
            let mut all = self.snapshots.iter().filter(|snapshot| snapshot.is_restart);
            all.any(|snapshot| snapshot.at <= at && snapshot.at > at - step)
        };
        self.times(count).into_iter().map(began).collect()
    }

    /// The seconds between two of so many moments.
    fn step(&self, count: usize) -> f64 {
        let (first, last) = (self.snapshots.front(), self.snapshots.back());
        let span = first
            .zip(last)
            .map_or(0.0, |(first, last)| last.at - first.at);
        (span.min(TREND_SPAN) / count as f64).ceil().max(1.0)
    }

    /// Whether nothing was seen at a moment, or for the better part of the time since the one before.
    fn is_gap(&self, at: f64, step: f64) -> bool {
        self.gaps.iter().any(|(from, to)| {
            let is_within = *from > at - step && *to <= at;
            (*from..*to).contains(&at) || is_within && to - from >= step / 2.0
        })
    }

    /// The latest number of a series, as it came: a counter's total, a gauge's value, a histogram's count.
    pub(super) fn now(&self, family: usize, series: usize) -> f64 {
        let numbers = self.layout().map(|layout| layout.numbers(family, series));
        numbers.map_or(f64::NAN, |numbers| self.raw[numbers.count()])
    }

    /// The quantiles that a summary tells, by level.
    pub(super) fn told(&self, family: usize, series: usize) -> Vec<(f64, f64)> {
        let Some(layout) = self.layout() else {
            return Vec::new();
        };
        let numbers = layout.numbers(family, series);
        let levels = numbers.bounds.iter().copied();
        levels
            .zip(self.raw[numbers.first..].iter().copied())
            .collect()
    }

    /// What a gauge was in a snapshot; `NaN` where it was not.
    pub(super) fn value(&self, index: usize, family: usize, series: usize) -> f64 {
        let snapshot = &self.snapshots[index];
        let found = self.find(snapshot, family, series);
        found.map_or(f64::NAN, |numbers| snapshot.values[numbers.first])
    }

    /// A second's increase at a snapshot, over the last [`RATE_WINDOW`], summed.
    pub(super) fn rate(&self, index: usize, of: Together<'_>) -> f64 {
        let (from, to) = (self.since(index, RATE_WINDOW), &self.snapshots[index]);
        let passed = to.at - from.at;
        if passed <= 0.0 {
            return f64::NAN;
        }
        let grown = of.series.iter().filter_map(|&series| {
            let now = self.find(to, of.family, series)?;
            let before = self.find(from, of.family, series);
            Some(increase(from, before.map(Numbers::count), to, now.count()))
        });
        grown
            .reduce(|sum, grown| sum + grown)
            .map_or(f64::NAN, |sum| sum / passed)
    }

    /// Quantiles of histograms at a snapshot over the last [`QUANTILE_WINDOW`], as `histogram_quantile` estimates them.
    pub(super) fn quantiles<const N: usize>(
        &self,
        index: usize,
        of: Together<'_>,
        levels: [f64; N],
    ) -> [f64; N] {
        let (from, to) = (self.since(index, QUANTILE_WINDOW), &self.snapshots[index]);
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for &series in of.series {
            let Some(now) = self.find(to, of.family, series) else {
                continue;
            };
            if buckets.is_empty() {
                buckets = now.bounds.iter().map(|bound| (*bound, 0.0)).collect();
            }
            // Buckets with other bounds cannot be added to these.
            if !now.bounds.iter().eq(buckets.iter().map(|(bound, _)| bound)) {
                continue;
            }
            let before = self.find(from, of.family, series);
            for (part, (_, count)) in buckets.iter_mut().enumerate() {
                *count += increase(
                    from,
                    before.map(|series| series.first + part),
                    to,
                    now.first + part,
                );
            }
        }
        let observed = Histogram {
            labels: Labels::new(),
            buckets,
            sum: f64::NAN,
            count: f64::NAN,
        };
        let is_moment = from.at >= to.at;
        levels.map(|level| match observed.quantile(level) {
            Some(quantile) if !is_moment => quantile,
            _ => f64::NAN,
        })
    }

    /// The first snapshot that is not older than so many seconds before another.
    pub(super) fn before(&self, index: usize, seconds: f64) -> usize {
        let at = self
            .snapshots
            .get(index)
            .map_or(f64::NAN, |snapshot| snapshot.at);
        self.snapshots
            .partition_point(|snapshot| snapshot.at < at - seconds)
    }

    fn since(&self, index: usize, seconds: f64) -> &Snapshot {
        &self.snapshots[self.before(index, seconds)]
    }

    /// The numbers that a series of the latest layout has in a snapshot.
    fn find<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        family: usize,
        series: usize,
    ) -> Option<Numbers<'a>> {
        let latest = self.layout()?;
        if Arc::ptr_eq(latest, &snapshot.layout) {
            return Some(latest.numbers(family, series));
        }
        snapshot.layout.find(latest, family, series)
    }

    /// What everything that only rises had counted before it was last set back, if these are the latest numbers.
    fn carried(&self, layout: &Arc<Layout>, raw: &[f64], has_restarted: bool) -> Vec<f64> {
        let mut offsets = vec![0.0; raw.len()];
        let Some(last) = self.layout() else {
            return offsets;
        };
        for (at, family) in layout.families.iter().enumerate() {
            for place in 0..family.series.len() {
                let now = layout.numbers(at, place);
                let before = if Arc::ptr_eq(last, layout) {
                    Some(now)
                } else {
                    last.find(layout, at, place)
                };
                let Some(before) = before else {
                    continue;
                };
                let (old, new) = (before.rising(family.kind), now.rising(family.kind));
                let fell = has_restarted
                    || old
                        .clone()
                        .zip(new.clone())
                        .any(|(old, new)| raw[new] < self.raw[old]);
                for (old, new) in old.zip(new) {
                    offsets[new] = self.offsets[old] + if fell { self.raw[old] } else { 0.0 };
                }
            }
        }
        offsets
    }

    /// Whether another process answers, as far as it says when it began.
    fn has_restarted(&self, layout: &Layout, raw: &[f64]) -> bool {
        let of = |layout: &Layout, numbers: &[f64], name| {
            let series = layout.place(name).map(|place| layout.numbers(place, 0));
            series.map_or(f64::NAN, |series| numbers[series.first])
        };
        let both = |name| {
            let before = self
                .layout()
                .map_or(f64::NAN, |layout| of(layout, &self.raw, name));
            (before, of(layout, raw, name))
        };
        let (started_before, started) = both("process_start_time_seconds");
        let (uptime_before, uptime) = both("app_uptime_seconds");
        // The start is given in whole seconds, from a boot time that may be read a second off.
        started > started_before + 1.5 || uptime < uptime_before
    }

    fn thin(&mut self) {
        let half = self.snapshots.len() / 2;
        let mut index = 0;
        self.snapshots.retain(|_| {
            index += 1;
            index > half || index % 2 == 1
        });
    }
}

/// How much a number rose. One that was not there before began at 0.
fn increase(from: &Snapshot, before: Option<usize>, to: &Snapshot, now: usize) -> f64 {
    let before = before.map_or(0.0, |at| from.values[at]);
    let now = to.values[now];
    // Lower it is only where its series was gone for a while.
    if now < before { now } else { now - before }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these numbers come out exactly")]
mod tests {
    use super::*;

    /// One second after the other.
    fn history(texts: &[&str]) -> History {
        let mut history = History::default();
        for (second, text) in texts.iter().enumerate() {
            let (layout, values) = Layout::of(&obs_exposition::parse(text).unwrap());
            history.add(second as f64, layout, values);
        }
        history
    }

    fn all(history: &History, name: &str) -> (usize, Vec<usize>) {
        let layout = history.layout().unwrap();
        let family = layout.place(name).unwrap();
        (family, (0..layout.families[family].series.len()).collect())
    }

    fn rates(texts: &[String]) -> Vec<f64> {
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        let history = history(&texts);
        let (family, series) = all(&history, "x_total");
        let of = Together {
            family,
            series: &series,
        };
        (0..texts.len())
            .map(|index| history.rate(index, of))
            .collect()
    }

    fn counter(value: f64) -> String {
        format!("# TYPE x_total counter\nx_total {value}\n")
    }

    #[test]
    fn a_rate_is_the_increase_over_its_window() {
        let rates = rates(
            &(0..30)
                .map(|second| counter(f64::from(second * second)))
                .collect::<Vec<_>>(),
        );
        assert!(rates[0].is_nan(), "one scrape says nothing of a rate");
        assert_eq!(rates[4], 16.0 / 4.0);
        assert_eq!(rates[29], (29.0 * 29.0 - 14.0 * 14.0) / RATE_WINDOW);
    }

    #[test]
    fn a_counter_set_back_counts_from_0() {
        // It rose by 10, was set back, and rose by 3 and by 4 more: also beyond what it was.
        let rates = rates(&[0.0, 10.0, 3.0, 7.0, 30.0].map(counter));
        assert_eq!(rates[1..], [10.0, 13.0 / 2.0, 17.0 / 3.0, 40.0 / 4.0]);
    }

    #[test]
    fn another_process_counts_from_0_though_it_counted_more() {
        let with_start = |start, value| {
            format!(
                "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {start}\n{}",
                counter(value)
            )
        };
        let rates = rates(&[
            with_start(100, 5.0),
            with_start(100, 6.0),
            with_start(160, 9.0),
        ]);
        assert_eq!(rates[1..], [1.0, 10.0 / 2.0]);
    }

    #[test]
    fn a_series_that_comes_up_began_at_0_and_totals_are_as_they_came() {
        let history = history(&[
            "# TYPE x_total counter\nx_total{a=\"1\"} 4\n",
            "# TYPE x_total counter\nx_total{a=\"0\"} 3\nx_total{a=\"1\"} 6\n",
            "# TYPE x_total counter\nx_total{a=\"0\"} 1\nx_total{a=\"1\"} 6\n",
        ]);
        let (family, series) = all(&history, "x_total");
        assert_eq!(
            history.rate(
                1,
                Together {
                    family,
                    series: &series
                }
            ),
            5.0
        );
        assert_eq!(
            history.rate(
                2,
                Together {
                    family,
                    series: &series[..1]
                }
            ),
            4.0 / 2.0
        );
        assert_eq!(history.now(family, 0), 1.0);
    }

    fn buckets(low: u32, high: u32, all: u32) -> String {
        format!(
            "# TYPE x_seconds histogram\nx_seconds_bucket{{le=\"1\"}} {low}\nx_seconds_bucket{{le=\"2\"}} {high}\n\
             x_seconds_bucket{{le=\"+Inf\"}} {all}\nx_seconds_sum 1\nx_seconds_count {all}\n"
        )
    }

    #[test]
    fn quantiles_are_those_of_the_window_interpolated() {
        let texts = [
            buckets(100, 100, 100),
            buckets(110, 120, 120),
            buckets(1, 1, 5),
        ];
        let history = history(&texts.each_ref().map(String::as_str));
        let (family, series) = all(&history, "x_seconds");
        let of = Together {
            family,
            series: &series,
        };
        assert!(history.quantiles(0, of, [0.5])[0].is_nan());
        // Ten up to 1, ten up to 2: what was there before does not count.
        assert_eq!(history.quantiles(1, of, [0.25, 0.5, 0.75]), [0.5, 1.0, 1.5]);
        // Then set back, with one up to 1 and four above 2, of which all that is known is that.
        assert_eq!(history.quantiles(2, of, [0.99]), [2.0]);
        assert_eq!(history.now(family, 0), 5.0);
    }

    #[test]
    fn an_outage_is_a_gap_and_a_restart_a_mark() {
        let process = |uptime: f64| {
            let text = format!("# TYPE app_uptime_seconds gauge\napp_uptime_seconds {uptime}\n");
            Layout::of(&obs_exposition::parse(&text).unwrap())
        };
        let mut history = History::default();
        let mut add = |at: f64, uptime: f64| {
            let (layout, values) = process(uptime);
            history.add(at, layout, values);
        };
        add(0.0, 100.0);
        add(1.0, 101.0);
        add(2.0, 102.0);
        for at in [3.0, 4.0] {
            history.missed(at);
        }
        let (layout, values) = process(0.5);
        history.add(5.0, layout, values);
        assert_eq!(
            history.moments(6),
            [Some(0), Some(1), Some(2), None, None, Some(3)]
        );
        let restarts = [false, false, false, false, false, true];
        assert_eq!(history.restarts(6), restarts);
        // Where a point is three seconds, both are in it.
        assert_eq!(history.restarts(2), [false, true]);
        assert_eq!(history.times(3), [2.0, 4.0, 5.0]);
        assert_eq!(history.moments(3), [Some(2), None, Some(3)]);
    }

    #[test]
    fn moments_are_the_same_from_one_scrape_to_the_next() {
        let texts: Vec<_> = (0..100).map(|_| counter(1.0)).collect();
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        let (shorter, longer) = (history(&texts[..98]), history(&texts));
        let (before, after) = (shorter.moments(25), longer.moments(25));
        assert_eq!((before[24], after[24]), (Some(97), Some(99)));
        assert_eq!(before[1..24].len(), after[..23].len());
        assert!(
            after[..23]
                .iter()
                .all(|index| index.is_none_or(|index| index % 4 == 0))
        );
        assert_eq!(
            history(&texts[..2]).moments(4),
            [None, None, Some(0), Some(1)]
        );
        assert_eq!(History::default().moments(2), [None, None]);
    }
}
