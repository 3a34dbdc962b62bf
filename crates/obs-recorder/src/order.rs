//! A family's series in order, and what a scrape reads of them.
//!
//! Series lie where they were made, all over the heap, and their labels and words elsewhere: a scrape that goes from one to the
//! next waits for memory more than it writes. So it keeps a sheet on which there stands, in order, what their lines are made of.
//! The sheet is made anew when series come or go.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crc32fast::Hasher;

use crate::cell::{Blocks, Cells, Known, Pages, Tally, WORDS};
use crate::deflate::{Bits, Head, Kept, Line};
use crate::gzip::{Packed, Stream, joined};
use crate::metric::Metric;
use crate::point::{At, Encoder, Moment, Scratch};
use crate::registry::Series;
use crate::text::{Edition, Lines};

/// The series of a family, by text.
#[derive(Debug)]
pub(crate) struct Order<M: Metric> {
    series: Vec<Arc<Series<M>>>,
    /// Of exactly these series; none since some came or went.
    sheet: Option<Sheet>,
    /// The pulses at which series began anew, by [where they lie](place_of): of those that were ever hidden.
    marks: HashMap<usize, u64>,
    /// Since when nothing was recorded to each; of none, unless the family lets idle series go.
    idle: Vec<Idle>,
    /// Of the latest scrape, for the next.
    pub(crate) scratch: Scratch,
}

/// When something was last recorded to a series, as far as it was looked at.
#[derive(Debug, Default)]
struct Idle {
    pulse: u64,
    /// In milliseconds since 1970; 0 where nothing was found.
    since: u64,
}

/// What the lines of series are made of, one series after another.
#[derive(Debug, Default)]
struct Sheet {
    entries: Vec<Entry>,
    /// The texts of all, each without what it shares with the one before: in order, most of two neighbours is the same.
    texts: String,
    blocks: Blocks,
    /// Its lines as they were packed, the latest last.
    packed: Vec<Lasting>,
}

/// The lines of all series, packed, and what they were written from.
#[derive(Debug)]
struct Lasting {
    edition: Edition,
    /// By which table they are packed.
    version: u64,
    /// What the words of each series added up to.
    sums: Vec<u64>,
    /// How the line of each begins, where it has one line and no more.
    heads: Vec<Head>,
    bits: Kept,
    pages: Vec<Packed>,
    /// Of the whole text, with its length.
    sum: Hasher,
    length: u64,
}

/// How many editions are kept packed: two servers may scrape in two formats.
const EDITIONS: usize = 2;

/// How many series a page has at most. The more there are, the better they pack, and the more are written anew for one that changed.
const PAGE: usize = 64;
// Its sums are read from one tally.
const _: () = assert!(PAGE <= WORDS, "a page fits into a tally");

/// Where a page of series lies on the sheet.
#[derive(Clone, Copy)]
struct PageAt {
    first: usize,
    end: usize,
    /// Where its texts begin.
    text: usize,
}

#[derive(Debug)]
struct Entry {
    /// How much of its text stands in the one before, in bytes, and how much on the sheet.
    shared: u16,
    is_whole: bool,
    own: u32,
    /// Where its words are.
    place: u32,
}

/// What a scrape needs of one series.
pub(crate) struct Row<'a, M: Metric> {
    pub(crate) series: &'a Series<M>,
    /// The pulse at which it began anew; 0 where it never did, and where nobody [fetches](Order::read) it.
    pub(crate) mark: u64,
    pub(crate) at: At<'a>,
    pub(crate) cells: Cells<'a>,
}

/// Puts the label texts of a sheet together again, one after another.
struct Texts<'a> {
    /// What is left of the sheet.
    rest: &'a str,
    /// The latest one, behind what is to stand in front of all.
    text: String,
    front: usize,
}

impl<'a> Texts<'a> {
    /// All of a sheet, behind this text.
    fn behind(front: String, sheet: &'a str) -> Self {
        Self {
            rest: sheet,
            front: front.len(),
            text: front,
        }
    }

    /// Goes on with these, the first of which shares what it does not have with `before`.
    fn go_on(&mut self, rest: &'a str, before: &str) {
        self.text.truncate(self.front);
        self.text.push_str(before);
        self.rest = rest;
    }

    /// The next, which is the one of this entry.
    #[inline]
    fn next(&mut self, entry: &Entry) -> &str {
        let (own, rest) = self.rest.split_at(entry.own as usize);
        self.text.truncate(self.front + usize::from(entry.shared));
        self.text.push_str(own);
        self.rest = rest;
        &self.text
    }
}

impl<'a, M: Metric> Row<'a, M> {
    #[inline]
    fn new(
        series: &'a Series<M>,
        entry: &Entry,
        (text, front): (&'a str, usize),
        cells: Cells<'a>,
    ) -> Self {
        let at = At {
            text,
            front,
            is_whole: entry.is_whole,
            created: series.created(),
        };
        Self {
            series,
            mark: 0,
            at,
            cells,
        }
    }
}

impl<M: Metric> Default for Order<M> {
    fn default() -> Self {
        Self {
            series: Vec::new(),
            sheet: None,
            marks: HashMap::new(),
            idle: Vec::new(),
            scratch: Scratch::default(),
        }
    }
}

impl Idle {
    /// Whether nothing was recorded to the series for so long.
    fn is_over<M: Metric>(
        &mut self,
        series: &Series<M>,
        highest: usize,
        limit: Duration,
        now: u64,
    ) -> bool {
        let pulse = series.metric.pulse(highest);
        if std::mem::replace(&mut self.pulse, pulse) != pulse {
            self.since = now;
        }
        let since = self.since.max(series.created().load(Relaxed));
        u128::from(now.saturating_sub(since)) >= limit.as_millis()
    }
}

/// Where a series lies. As long as it is in order, no other does.
fn place_of<M: Metric>(series: &Arc<Series<M>>) -> usize {
    Arc::as_ptr(series).addr()
}

/// Hides those that are shown and wanted, of which each is known by its number, too.
fn hide_each<'a, M: Metric>(
    all: &'a [Arc<Series<M>>],
    marks: &mut HashMap<usize, u64>,
    highest: usize,
    mut wanted: impl FnMut(usize, &'a Series<M>) -> bool,
) -> usize {
    let mut hidden = 0;
    for (number, series) in all.iter().enumerate() {
        if !series.is_gone(mark_of(marks, series), highest) && wanted(number, series) {
            marks.insert(place_of(series), series.hide(highest));
            hidden += 1;
        }
    }
    hidden
}

#[inline]
fn mark_of<M: Metric>(marks: &HashMap<usize, u64>, series: &Arc<Series<M>>) -> u64 {
    let mark = || marks.get(&place_of(series)).copied();
    if series.was_hidden() {
        mark().unwrap_or(0)
    } else {
        0
    }
}

impl<M: Metric> Order<M> {
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Series<M>>> {
        self.series.iter()
    }

    /// Takes in series that are new.
    pub(crate) fn add(&mut self, fresh: &[Arc<Series<M>>]) {
        if !fresh.is_empty() {
            self.sheet = None;
            let order = in_order(fresh.len(), &|a, b| fresh[a].compare_labels(&fresh[b]));
            let sorted = order.iter().map(|at| Arc::clone(&fresh[*at]));
            let idle = std::mem::take(&mut self.idle);
            let known: Vec<_> = self.series.iter().map(place_of).zip(idle).collect();
            merge(&mut self.series, sorted.collect());
            if !known.is_empty() {
                let mut known = known.into_iter().peekable();
                let idle = |series| {
                    let known = known.next_if(|(place, _)| *place == place_of(series));
                    known.map_or_else(Idle::default, |(_, idle)| idle)
                };
                self.idle = self.series.iter().map(idle).collect();
            }
        }
    }

    /// Keeps what `keep` gives back, and returns how many it did not. It is given the mark of each, too.
    pub(crate) fn retain(
        &mut self,
        mut keep: impl FnMut(Arc<Series<M>>, u64) -> Option<Arc<Series<M>>>,
    ) -> usize {
        let before = self.series.len();
        let all = std::mem::take(&mut self.series);
        let mut idle = std::mem::take(&mut self.idle).into_iter();
        let keep = |series: Arc<Series<M>>| {
            let (place, mark, idle) = (place_of(&series), self.mark_of(&series), idle.next());
            let kept = keep(series, mark);
            if kept.is_some() {
                self.idle.extend(idle);
            } else {
                // Another series may lie there.
                self.marks.remove(&place);
            }
            kept
        };
        self.series = all.into_iter().filter_map(keep).collect();
        let gone = before - self.series.len();
        if gone > 0 {
            self.sheet = None;
        }
        gone
    }

    /// The pulse at which a series began anew; 0 where it never did.
    #[inline]
    pub(crate) fn mark_of(&self, series: &Arc<Series<M>>) -> u64 {
        mark_of(&self.marks, series)
    }

    /// Hides those that are shown and whose labels are wanted, and returns how many these are.
    pub(crate) fn hide(&mut self, highest: usize, mut wanted: impl FnMut(&str) -> bool) -> usize {
        let (mut labels, mut beyond) = (String::new(), String::new());
        let mut before = None::<&Series<M>>;
        hide_each(&self.series, &mut self.marks, highest, |_, series| {
            beyond.clear();
            let same = series.push_beyond(before.replace(series), &mut beyond);
            labels.truncate(same);
            labels.push_str(&beyond);
            wanted(&labels)
        })
    }

    /// Hides those to which nothing was recorded for so long.
    pub(crate) fn hide_idle(&mut self, highest: usize, limit: Duration, now: u64) {
        let mut idle = std::mem::take(&mut self.idle);
        idle.resize_with(self.series.len(), Idle::default);
        hide_each(&self.series, &mut self.marks, highest, |number, series| {
            idle[number].is_over(series, highest, limit, now)
        });
        self.idle = idle;
    }

    /// Shows all series in order, their labels behind `front`. `fetches` says that they themselves are looked at, and not their rows
    /// alone.
    pub(crate) fn read(
        &mut self,
        highest: usize,
        fetches: bool,
        front: String,
        mut show: impl FnMut(Row<'_, M>),
    ) {
        /// How many series are fetched from memory at once.
        const AHEAD: usize = 32;
        let sheet = self.sheet.get_or_insert_with(|| Sheet::of(&self.series));
        let pages = sheet.blocks.pages(highest);
        let mut texts = Texts::behind(front, &sheet.texts);
        for (some, entries) in self.series.chunks(AHEAD).zip(sheet.entries.chunks(AHEAD)) {
            if fetches || M::IS_READ {
                std::hint::black_box(some.iter().map(|series| series.touch()).max());
            }
            for (series, entry) in some.iter().zip(entries) {
                let front = texts.front;
                let text = (texts.next(entry), front);
                let mut row = Row::new(&**series, entry, text, pages.at(entry.place));
                if fetches {
                    row.mark = mark_of(&self.marks, series);
                }
                show(row);
            }
        }
    }
}

impl<M: Metric> Order<M> {
    /// Packs the lines of all series, most of which may be packed already. Each has one word.
    pub(crate) fn pack(
        &mut self,
        moment: Moment,
        lines: &mut Lines<'_>,
        stream: &mut Stream,
        mut show: impl FnMut(Row<'_, M>, &mut Lines<'_>),
    ) {
        let series = &self.series;
        let sheet = self.sheet.get_or_insert_with(|| Sheet::of(series));
        let mut lasting = sheet.take_packed(lines.edition(), stream.version());
        let cells = sheet.blocks.pages(moment.highest);
        let mut tally = Tally::new();
        let mut texts = Texts::behind(lines.front(), &sheet.texts);
        lasting.sums.resize(series.len(), 0);
        let has_one_line = lasting.edition.has_one_line();
        lasting
            .heads
            .resize(if has_one_line { series.len() } else { 0 }, Head::default());
        let (mut starts, mut labels) = (Vec::new(), String::new());
        let pages_before = lasting.pages.len();
        lasting
            .pages
            .resize(series.len().div_ceil(PAGE), Packed::default());
        // The bits anew, as far as they are; none while all is as it was.
        let mut anew: Option<Bits> = None;
        let (mut taken, mut at, mut text) = (0, 0, 0);
        for (number, entries) in sheet.entries.chunks(PAGE).enumerate() {
            let page = PageAt {
                first: number * PAGE,
                end: number * PAGE + entries.len(),
                text,
            };
            text += entries
                .iter()
                .map(|entry| entry.own as usize)
                .sum::<usize>();
            let sums = &mut lasting.sums[page.first..page.end];
            let has_changed = read_sums(entries, &cells, sums);
            let before = lasting.pages[number].bits as usize;
            if has_changed || number >= pages_before {
                tally.set(sums);
                let bits = anew.get_or_insert_default();
                bits.append(&lasting.bits, taken, at);
                starts.clear();
                labels.clear();
                series[page.first].push_beyond(None, &mut labels);
                texts.go_on(&sheet.texts[page.text..], &labels);
                sheet.show_page(series, page, &mut texts, &tally, |row| {
                    let start = lines.text().len();
                    show(row, lines);
                    if has_one_line {
                        starts.push(line(lines.text(), start));
                    }
                });
                let heads = lasting.heads.get_mut(page.first..page.end);
                let heads = heads.unwrap_or_default();
                lasting.pages[number] = stream.pack_page(lines.text(), &starts, heads, bits);
                taken = at + before;
            }
            at += before;
        }
        if let Some(mut bits) = anew {
            bits.append(&lasting.bits, taken, at);
            lasting.bits = bits.keep();
            (lasting.sum, lasting.length) = joined(lasting.pages.iter());
        }
        stream.append(&lasting.bits, &lasting.sum, lasting.length);
        sheet.packed.push(lasting);
    }
}

/// The line that begins here and ends the text: its number stands behind the last space.
#[inline]
fn line(text: &str, start: usize) -> Line {
    let number = memchr::memrchr(b' ', &text.as_bytes()[start..]);
    Line {
        start,
        number: number.map_or(start, |space| start + space + 1),
    }
}

/// Reads what the words of some series add up to now, and returns whether any sum is another than before.
#[inline]
fn read_sums(entries: &[Entry], cells: &Pages<'_>, sums: &mut [u64]) -> bool {
    let mut differs = 0;
    for (entry, sum) in entries.iter().zip(sums) {
        let now = cells.sum_at(entry.place);
        differs |= now ^ *sum;
        *sum = now;
    }
    differs != 0
}

impl Sheet {
    /// What is packed of an edition, or place for it. It is to be put back.
    fn take_packed(&mut self, edition: &Edition, version: u64) -> Lasting {
        self.packed.retain(|packed| packed.version == version);
        let found = self
            .packed
            .iter()
            .position(|packed| packed.edition == *edition);
        if let Some(found) = found {
            return self.packed.remove(found);
        }
        if self.packed.len() == EDITIONS {
            self.packed.remove(0);
        }
        Lasting {
            edition: edition.clone(),
            version,
            sums: Vec::new(),
            heads: Vec::new(),
            bits: Kept::default(),
            pages: Vec::new(),
            sum: Hasher::new(),
            length: 0,
        }
    }

    /// Shows the series of a page with sums that were read before.
    fn show_page<M: Metric>(
        &self,
        series: &[Arc<Series<M>>],
        page: PageAt,
        texts: &mut Texts<'_>,
        tally: &Tally,
        mut show: impl FnMut(Row<'_, M>),
    ) {
        let cells = tally.page();
        for (row, entry) in self.entries[page.first..page.end].iter().enumerate() {
            let front = texts.front;
            let text = (texts.next(entry), front);
            let cells = Cells::of(&cells, row);
            show(Row::new(&series[page.first + row], entry, text, cells));
        }
    }

    fn of<M: Metric>(all: &[Arc<Series<M>>]) -> Self {
        let mut sheet = Self {
            entries: Vec::with_capacity(all.len()),
            ..Self::default()
        };
        let (mut before, mut known) = (None::<&Series<M>>, Known::new());
        for series in all {
            let start = sheet.texts.len();
            let same = series.push_beyond(before.replace(series), &mut sheet.texts);
            let shared = u16::try_from(same).unwrap_or_else(|_| {
                sheet.texts.truncate(start);
                series.push_beyond(None, &mut sheet.texts);
                0
            });
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a series has no 4 GiB of labels"
            )]
            sheet.entries.push(Entry {
                shared,
                is_whole: series.is_whole(),
                own: (sheet.texts.len() - start) as u32,
                place: series
                    .metric
                    .words()
                    .map_or(0, |words| sheet.blocks.place_of(words, &mut known)),
            });
        }
        sheet.texts.shrink_to_fit();
        sheet
    }
}

/// So many places, in an order. By a call, so that sorting is compiled once and not for each kind.
fn in_order(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut places: Vec<_> = (0..count).collect();
    places.sort_unstable_by(|a, b| compare(*a, *b));
    places
}

/// Merges sorted series into sorted ones, comparing only where one of the new comes in.
fn merge<M: Metric>(ordered: &mut Vec<Arc<Series<M>>>, fresh: Vec<Arc<Series<M>>>) {
    let before = |a: &Series<M>, b: &Series<M>| a.compare_labels(b).is_le();
    if ordered
        .last()
        .is_none_or(|last| fresh.first().is_some_and(|first| before(last, first)))
    {
        ordered.extend(fresh);
        return;
    }
    let mut merged = Vec::with_capacity(ordered.len() + fresh.len());
    let mut known = std::mem::take(ordered).into_iter();
    for series in fresh {
        let run = known
            .as_slice()
            .partition_point(|known| before(known, &series));
        merged.extend(known.by_ref().take(run));
        merged.push(series);
    }
    merged.extend(known);
    *ordered = merged;
}
