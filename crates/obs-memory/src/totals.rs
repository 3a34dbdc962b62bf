//! What the files of several processes make together, and the file that keeps it of processes whose own files are gone.
//!
//! A service whose processes are many and short-lived, as `worker@17.obs` and `worker@18.obs`, would leave a file for each. A process that
//! starts removes the oldest, and first adds what they counted to `worker@totals.obs`: a file of the same layout that nobody records to.
//! It is written beside itself and renamed, so that a reader has it whole, before or after. It names the files that it counts
//! ([`Folded`]), since a process that is killed before it removes them leaves both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::record::{Across, Kind, Labels};
use crate::{FileId, NativeBuckets, Reading, SeriesReading, Value};

/// What ends the name of the file that keeps totals, behind the name of the service.
const NAME: &str = "@totals.obs";
/// The note that names the files whose numbers are in the totals.
pub(crate) const NOTE: &str = "obs_memory_folded";
/// How many of them are named: those that were added last.
pub(crate) const MOST_NAMED: usize = 1_000;

/// What a file of totals says of the files whose numbers it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Folded {
    /// How many there have been. It never falls in the successors of a file.
    pub count: u64,
    /// Those that were added last, 1,000 at most: any of them may still be there, and is then to be left out.
    pub files: Vec<FileId>,
}

/// Families of several processes, by name.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Totals {
    /// The families, of which each name has one.
    pub families: BTreeMap<String, FamilyTotals>,
}

/// A family of [`Totals`].
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "anybody can put together what was kept elsewhere"
)]
pub struct FamilyTotals {
    /// Its kind.
    pub kind: Kind,
    /// Its help text; empty where there is none.
    pub help: String,
    /// The upper bounds of a histogram, ascending and without the infinite one.
    pub bounds: Vec<f64>,
    /// What its gauges make together.
    pub across: Across,
    /// Its series, by their labels in order of name.
    pub series: BTreeMap<Labels, SeriesTotals>,
}

/// What processes show together under the same labels.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "anybody can put together what was kept elsewhere"
)]
pub struct SeriesTotals {
    /// When the first of them began it, in milliseconds since 1970-01-01 UTC: what it counts, it has counted since.
    pub began: u64,
    /// What they show.
    pub value: Value,
    /// The observations of a histogram in native buckets as well, where all of them keep such, and of one sort.
    pub native: Option<NativeBuckets>,
}

impl Totals {
    /// Adds what a process counted and observed, and with `gauges` what it shows of the moment. Each series has its own labels, the global
    /// ones that it lacks, and `labels`, which overrule both.
    ///
    /// Two programs may give different things one name; then the first stays, since a sum of both would be neither.
    pub fn add(&mut self, reading: &Reading, labels: &[(&str, &str)], gauges: bool) {
        for family in &reading.families {
            if family.kind == Kind::Gauge && !gauges {
                continue;
            }
            let to = self.families.entry(family.name.clone());
            let to = to.or_insert_with(|| FamilyTotals {
                kind: family.kind,
                help: family.help.clone(),
                bounds: family.bounds.clone(),
                across: family.across,
                series: BTreeMap::new(),
            });
            if to.kind != family.kind || to.bounds != family.bounds {
                continue;
            }
            for series in &family.series {
                let mut all = reading.globals.clone();
                all.extend(series.labels.iter().cloned());
                let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
                all.extend(labels.iter().map(own));
                to.add(all.into_iter().collect(), SeriesTotals::from(series));
            }
        }
    }

    /// Adds what others make together.
    pub fn merge(&mut self, others: &Self) {
        for (name, family) in &others.families {
            let Some(to) = self.families.get_mut(name) else {
                self.families.insert(name.clone(), family.clone());
                continue;
            };
            if to.kind != family.kind || to.bounds != family.bounds {
                continue;
            }
            for (labels, series) in &family.series {
                to.add(labels.clone(), series.clone());
            }
        }
    }
}

impl FamilyTotals {
    fn add(&mut self, labels: Labels, series: SeriesTotals) {
        match self.series.get_mut(&labels) {
            Some(shown) => shown.add(series, self.across),
            None => {
                self.series.insert(labels, series);
            }
        }
    }
}

impl SeriesTotals {
    /// Adds what one more process shows.
    fn add(&mut self, more: Self, across: Across) {
        self.began = self.began.min(more.began);
        self.value.add(&more.value, across);
        let native = self.native.take().zip(more.native);
        self.native = native.and_then(|(native, more)| native.with(&more));
    }
}

impl From<&SeriesReading> for SeriesTotals {
    fn from(series: &SeriesReading) -> Self {
        Self {
            began: series.began,
            value: series.value.clone(),
            native: series.native.clone(),
        }
    }
}

impl NativeBuckets {
    /// Buckets of this sort that hold nothing: `schema` is -4 to 8, `zero_threshold` finite and not negative.
    #[must_use]
    pub const fn new(schema: i32, zero_threshold: f64) -> Self {
        Self {
            schema,
            zero_threshold,
            zero_count: 0,
            negative: BTreeMap::new(),
            positive: BTreeMap::new(),
        }
    }

    /// Whether others count values by the same bounds.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let is_near = self.zero_threshold.total_cmp(&other.zero_threshold).is_eq();
        self.schema == other.schema && is_near
    }

    /// These together with those of another process; none where they are not of one sort.
    fn with(mut self, more: &Self) -> Option<Self> {
        if !self.is_like(more) {
            return None;
        }
        self.zero_count = self.zero_count.wrapping_add(more.zero_count);
        for (to, more) in [
            (&mut self.positive, &more.positive),
            (&mut self.negative, &more.negative),
        ] {
            for (index, count) in more {
                let held = to.entry(*index).or_default();
                *held = held.wrapping_add(*count);
            }
        }
        Some(self)
    }
}

impl Value {
    /// Adds one process' value to that of others; of gauges `across` says what they make. Values of two kinds are not added.
    fn add(&mut self, more: &Self, across: Across) {
        match (self, more) {
            (
                Self::Counter { number, decimals },
                Self::Counter {
                    number: more,
                    decimals: alike,
                },
            ) if decimals == alike => *number = number.wrapping_add(*more),
            (Self::Gauge(to), Self::Gauge(value)) => *to = across.together(*to, *value),
            (
                Self::Histogram { buckets, sum },
                Self::Histogram {
                    buckets: more,
                    sum: by,
                },
            ) => {
                for (bucket, more) in buckets.iter_mut().zip(more) {
                    *bucket = bucket.wrapping_add(*more);
                }
                *sum += by;
            }
            (
                Self::Summary { count, sum },
                Self::Summary {
                    count: more,
                    sum: by,
                },
            ) => {
                *count = count.wrapping_add(*more);
                *sum += by;
            }
            _ => {}
        }
    }
}

impl Across {
    /// What two gauges make together, of which one may be undefined.
    fn together(self, older: f64, younger: f64) -> f64 {
        match self {
            Self::Last => younger,
            _ if older.is_nan() => younger,
            _ if younger.is_nan() => older,
            Self::Sum => older + younger,
            Self::Max => older.max(younger),
            Self::Min => older.min(younger),
        }
    }
}

impl Folded {
    /// The file that keeps the totals of processes whose files are called as this one is, up to an `@`: `worker@totals.obs` beside
    /// `worker@17.obs`.
    #[must_use]
    pub fn path(file: &Path) -> PathBuf {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        file.with_file_name(format!("{}{NAME}", service(&name)))
    }

    /// Whether a file is one that keeps totals, by its name.
    #[must_use]
    pub fn is_path(file: &Path) -> bool {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.strip_suffix(NAME).is_some_and(|name| !name.is_empty())
    }

    /// What a note says, if it is of this.
    pub(crate) fn of_note(key: &str, text: &str) -> Option<Result<Self, &'static str>> {
        let read = || {
            let mut words = text.split(' ');
            let hex = |word: Option<&str>| u64::from_str_radix(word?, 16).ok();
            let count = hex(words.next())?;
            let file = |word: &str| {
                let mut parts = word.split('-');
                let (inode, began) = (hex(parts.next())?, hex(parts.next())?);
                let pid = u32::try_from(hex(parts.next())?).ok()?;
                parts
                    .next()
                    .is_none()
                    .then_some(FileId { inode, began, pid })
            };
            let files: Vec<_> = words.map(file).collect::<Option<_>>()?;
            (files.len() <= MOST_NAMED).then_some(Self { count, files })
        };
        (key == NOTE).then(|| read().ok_or("the files that are part of totals are not named"))
    }
}

/// What the files of one service have in common: what is before an `@` and before `.obs`.
pub(crate) fn service(name: &str) -> &str {
    let name = name.split_once(".obs").map_or(name, |(name, _)| name);
    name.split_once('@').map_or(name, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_make_together_what_their_family_says() {
        for (across, of) in [
            (Across::Last, 2.0),
            (Across::Sum, 5.0),
            (Across::Max, 3.0),
            (Across::Min, 2.0),
        ] {
            let made = across.together(3.0, 2.0);
            assert!(made.total_cmp(&of).is_eq(), "{across:?}");
        }
        // What is undefined in one process is what the others say, unless the last one counts.
        for across in [Across::Sum, Across::Max, Across::Min] {
            for (older, younger) in [(f64::NAN, 2.0), (2.0, f64::NAN)] {
                assert!(across.together(older, younger).total_cmp(&2.0).is_eq());
            }
            assert!(across.together(f64::NAN, f64::NAN).is_nan());
        }
        assert!(Across::Last.together(2.0, f64::NAN).is_nan());
    }

    #[test]
    fn files_of_a_service_have_one_file_of_totals() {
        for (path, totals) in [
            ("/dev/shm/desk.obs", "/dev/shm/desk@totals.obs"),
            ("/dev/shm/desk@17.obs", "/dev/shm/desk@totals.obs"),
            (
                "/dev/shm/desk.obs.0001796000000000.ended",
                "/dev/shm/desk@totals.obs",
            ),
            ("desk", "desk@totals.obs"),
        ] {
            assert_eq!(Folded::path(Path::new(path)), Path::new(totals), "{path}");
            assert!(!Folded::is_path(Path::new(path)), "{path}");
            assert!(Folded::is_path(Path::new(totals)), "{path}");
        }
        assert!(!Folded::is_path(Path::new("/dev/shm/@totals.obs")));
    }
}
