//! Which families and series a recorder takes: one policy for all recorders.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use metrics::{Gauge, GaugeFn, Key, Label, Metadata};

use crate::channel;
use crate::family::DEFAULT_BUDGET;
use crate::label::other;
use crate::{
    Catalogue, Family, Kind, MAX_VALUE_BYTES, OTHER, UNDECLARED_FAMILIES, Values, Warning,
    WarningKind,
};

/// What is known of the families of one recorder, and which further ones it takes.
///
/// A name belongs to its first claim, a declaration or a recording, with the kind it has then. Families that
/// nobody declares are bounded in number; the series of every family are bounded by [`Bounds`]. What makes a number wrong is kept
/// as a [`Warning`].
#[derive(Debug)]
pub struct Admission {
    names: RwLock<HashMap<String, Claimed>>,
    /// The first spelling of each name, by the name with its odd characters escaped.
    spellings: RwLock<HashMap<String, String>>,
    most_undeclared: usize,
    undeclared: AtomicUsize,
    warnings: Mutex<BTreeSet<Warning>>,
}

/// Who has a name.
#[derive(Clone, Copy, Debug)]
struct Claimed {
    family: Option<&'static Family>,
    kind: Kind,
}

/// The answer to a request to record under a name.
#[derive(Clone, Copy, Debug)]
pub enum Claim {
    /// It may, as this family if the name is declared.
    Granted(Option<&'static Family>),
    /// The name has another kind.
    OtherKind,
    /// There are as many undeclared families as there may be, or the name is too long.
    OneTooMany,
}

/// How many warnings a recorder keeps: they come from the program's source, but names may be made at run time.
const MOST_WARNINGS: usize = 100;

impl Admission {
    /// Takes the families of a catalogue, and so many that it does not know.
    #[must_use]
    pub fn new(catalogue: &Catalogue, most_undeclared: usize) -> Self {
        let admission = Self {
            names: RwLock::default(),
            spellings: RwLock::default(),
            most_undeclared,
            undeclared: AtomicUsize::new(0),
            warnings: Mutex::default(),
        };
        for family in catalogue.families() {
            admission.declare(family.name(), family);
        }
        admission
    }

    /// Takes the declaration of a name, and returns whether it is the one that counts from now on.
    ///
    /// The first declaration of a name stays; another one that differs from it is kept as a warning. So is one that comes after
    /// something was recorded under its name, where that changes what the recorder would have to keep.
    pub fn declare(&self, name: &str, family: &'static Family) -> bool {
        // Nearly always it is known, and then nobody has to wait.
        let known = self.claimed(name);
        if known.is_some_and(|known| known.family.is_some_and(|first| first.is_same(family))) {
            return true;
        }
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = names.get_mut(name) else {
            let kind = family.kind();
            names.insert(
                name.to_owned(),
                Claimed {
                    family: Some(family),
                    kind,
                },
            );
            return true;
        };
        let warning = match known.family {
            Some(first) if first.is_same(family) => return true,
            Some(first) => declared_twice(name, first, family),
            None if known.kind == family.kind() && !family.needs_to_be_known_first() => {
                known.family = Some(family);
                self.undeclared.fetch_sub(1, Relaxed);
                return true;
            }
            None => declared_late(name, known.kind, family),
        };
        drop(names);
        self.warn(warning);
        false
    }

    /// Whether something may be recorded under a name as this kind.
    pub fn claim(&self, name: &str, kind: Kind) -> Claim {
        let answer = |known: Claimed| {
            if is_same_to_the_facade(known.kind, kind) {
                Claim::Granted(known.family)
            } else {
                self.warn(other_kind(name, known, kind));
                Claim::OtherKind
            }
        };
        if let Some(known) = self.claimed(name) {
            return answer(known);
        }
        if is_too_long(name) || self.undeclared() >= self.most_undeclared {
            return Claim::OneTooMany;
        }
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.get(name).copied() {
            drop(names);
            return answer(known);
        }
        // Only changed while this lock is held.
        if self.undeclared() >= self.most_undeclared {
            return Claim::OneTooMany;
        }
        self.undeclared.fetch_add(1, Relaxed);
        names.insert(name.to_owned(), Claimed { family: None, kind });
        Claim::Granted(None)
    }

    /// Whether another spelling of a name came before this one, which is then kept as a warning: `a.b` and `a_b` are both `escaped` as
    /// `a_b`. To be asked for names that were granted. `is_lost` says what becomes of the second: whether nothing is recorded to it, or
    /// both are kept and shown apart to a scraper that reads names of any characters.
    pub fn is_respelled(&self, escaped: &str, spelling: &str, is_lost: bool) -> bool {
        let differs = |first: &String| (first != spelling).then(|| first.clone());
        let known = |spellings: &HashMap<String, String>| spellings.get(escaped).map(differs);
        let read = self
            .spellings
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let answer = known(&read);
        drop(read);
        let answer = answer.or_else(|| {
            let mut spellings = self
                .spellings
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let answer = known(&spellings);
            if answer.is_none() {
                spellings.insert(escaped.to_owned(), spelling.to_owned());
            }
            answer
        });
        let Some(first) = answer.flatten() else {
            return false;
        };
        self.warn(respelled(escaped, &first, spelling, is_lost));
        true
    }

    /// The declaration of a name.
    #[must_use]
    pub fn family(&self, name: &str) -> Option<&'static Family> {
        self.claimed(name)?.family
    }

    /// The kind that a name has.
    #[must_use]
    pub fn kind(&self, name: &str) -> Option<Kind> {
        Some(self.claimed(name)?.kind)
    }

    /// How many names there may be: those that are claimed already, and as many undeclared ones as are left.
    #[must_use]
    pub fn most(&self) -> usize {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.len() + self.most_undeclared.saturating_sub(self.undeclared())
    }

    /// Every declared family with the name it is recorded under, sorted by that.
    #[must_use]
    pub fn declared(&self) -> Vec<(String, &'static Family)> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        let declared = names
            .iter()
            .filter_map(|(name, known)| Some((name.clone(), known.family?)));
        let mut declared: Vec<_> = declared.collect();
        declared.sort_by(|a, b| a.0.cmp(&b.0));
        declared
    }

    /// How many families were recorded that nobody declared.
    #[must_use]
    pub fn undeclared(&self) -> usize {
        self.undeclared.load(Relaxed)
    }

    /// What makes numbers of this recorder wrong, in a fixed order. At most 100 are kept.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.iter().cloned().collect()
    }

    /// Looks at who registers: another version of this crate is a warning, since its declarations cannot be read.
    pub fn look_at(&self, key: &Key, metadata: &Metadata<'_>) {
        if let Some(version) = channel::other_version(metadata) {
            self.warn(Warning {
                kind: WarningKind::OtherVersion,
                text: format!(
                    "`{}` is recorded by obs-core {version}, but the exporter uses obs-core {}; its unit, buckets and help are \
                     not known: `cargo tree -i obs-core` shows who depends on which, let them agree",
                    key.name(),
                    env!("CARGO_PKG_VERSION"),
                ),
            });
        }
    }

    fn claimed(&self, name: &str) -> Option<Claimed> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.get(name).copied()
    }

    #[cold]
    fn warn(&self, warning: Warning) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if warnings.len() < MOST_WARNINGS {
            warnings.insert(warning);
        }
    }
}

impl Default for Admission {
    fn default() -> Self {
        Self::new(&Catalogue::default(), UNDECLARED_FAMILIES)
    }
}

/// The facade has no summaries: whether what it calls a histogram is one is the recorder's decision.
fn is_same_to_the_facade(a: Kind, b: Kind) -> bool {
    let samples = |kind| matches!(kind, Kind::Histogram | Kind::Summary);
    a == b || (samples(a) && samples(b))
}

fn other_kind(name: &str, known: Claimed, kind: Kind) -> Warning {
    let first = match known.family {
        Some(family) => format!(
            "declared as a {} in {}",
            known.kind.as_str(),
            family.place()
        ),
        None => format!("recorded as a {} before", known.kind.as_str()),
    };
    Warning {
        kind: WarningKind::KindConflict,
        text: format!(
            "`{name}` is recorded as a {}, but was {first}; what is recorded as a {0} is lost: rename one of the two",
            kind.as_str(),
        ),
    }
}

fn respelled(escaped: &str, first: &str, second: &str, is_lost: bool) -> Warning {
    let outcome = if is_lost {
        format!("`{first}` was first, and what is recorded as `{second}` is lost")
    } else {
        "a scraper that needs them escaped is shown one of the two".to_owned()
    };
    let (low, high) = (first.min(second), first.max(second));
    Warning {
        kind: WarningKind::NameConflict,
        text: format!(
            "`{low}` and `{high}` are both `{escaped}` where names are escaped; {outcome}: rename one of the two"
        ),
    }
}

fn declared_twice(name: &str, first: &Family, second: &Family) -> Warning {
    Warning {
        kind: WarningKind::DeclaredTwice,
        text: format!(
            "`{name}` is declared in {} and differently in {}; the first one counts, which may show wrong numbers of the second: \
             rename one, or use the other's declaration",
            first.place(),
            second.place(),
        ),
    }
}

fn declared_late(name: &str, kind: Kind, family: &Family) -> Warning {
    Warning {
        kind: WarningKind::DeclaredLate,
        text: format!(
            "`{name}` was recorded as a {} without a declaration before the one in {} was known, and stays as it is; give the \
             exporter's builder `.families::<…>()` with that struct, or resolve its handles first",
            kind.as_str(),
            family.place(),
        ),
    }
}

/// Bounds the series of one family: how many values a scope may have, and how many series there may be in all.
#[derive(Debug, Default)]
pub struct Bounds {
    family: Option<&'static Family>,
    /// The values of each scope label, by its key.
    scopes: HashMap<&'static str, HashSet<String>>,
}

impl Bounds {
    /// The bounds of a declared family, or of one that nobody declares: 10,000 series.
    #[must_use]
    pub fn new(family: Option<&'static Family>) -> Self {
        Self {
            family,
            scopes: HashMap::new(),
        }
    }

    /// What a new key becomes: `None` where it may be registered as it is, else the key with labels folded into [`OTHER`], so that
    /// its counts still arrive.
    ///
    /// `series` is how many series the family has, and `is_known` says whether it has one of this key.
    pub fn fold(
        &mut self,
        key: &Key,
        series: usize,
        is_known: impl Fn(&Key) -> bool,
    ) -> Option<Key> {
        let within = folded(key, |label| {
            is_too_long(label.value()) || is_too_long(label.key()) || self.scope_is_full(label)
        });
        let admitted = within.as_ref().unwrap_or(key);
        let budget = self.family.map_or(DEFAULT_BUDGET, Family::series_budget);
        if series < budget || is_known(admitted) {
            return within;
        }
        folded(admitted, |label| self.is_open(label)).or(within)
    }

    /// Whether the label is a scope's, open, and this a value beyond its limit. Values within it are remembered.
    fn scope_is_full(&mut self, label: &Label) -> bool {
        let of_this_key = |scope: &crate::LabelDecl| scope.key == label.key();
        let scope = self
            .family
            .and_then(|family| family.scope().find(of_this_key));
        let Some((scope, Values::Open(limit))) = scope.map(|scope| (scope, scope.values)) else {
            return false;
        };
        let values = self.scopes.entry(scope.key).or_default();
        if label.value() == OTHER || values.contains(label.value()) {
            return false;
        }
        values.len() >= limit || !values.insert(label.value().to_owned())
    }

    /// Whether a label's value may be folded. Closed labels keep theirs: there are few, and they carry the meaning.
    fn is_open(&self, label: &Label) -> bool {
        let declared = self
            .family
            .and_then(|family| family.labels().find(|l| l.key == label.key()));
        declared.is_none_or(|label| matches!(label.values, Values::Open(_)))
    }
}

/// Whether a name, a label's key or its value is longer than any of them may be.
#[must_use]
pub(crate) fn is_too_long(text: &str) -> bool {
    text.len() > MAX_VALUE_BYTES
}

/// The key with the labels of which it is said folded into `other`, if that changes anything. A label whose name is too long is
/// called `other`, too.
fn folded(key: &Key, mut folds: impl FnMut(&Label) -> bool) -> Option<Key> {
    let is_folded = |label: &Label| label.value() == OTHER && !is_too_long(label.key());
    let mut changes = |label: &Label| folds(label) && !is_folded(label);
    let labels = key.labels().as_slice();
    // Nearly always nothing changes, and then nothing is copied.
    let first = labels.iter().position(&mut changes)?;
    let mut copied = labels[..first].to_vec();
    copied.push(of_others(&labels[first]));
    for label in &labels[first + 1..] {
        copied.push(if changes(label) {
            of_others(label)
        } else {
            label.clone()
        });
    }
    Some(Key::from_parts(key.name().to_owned(), copied))
}

/// A label with the value that all share that were folded.
fn of_others(label: &Label) -> Label {
    if is_too_long(label.key()) {
        Label::new(OTHER, other())
    } else {
        Label::new(label.key().to_owned(), other())
    }
}

/// A gauge that several labels share because they were folded into [`OTHER`].
///
/// What adds and takes away adds up in it. What sets a value would overrule what another label has set, so the value is
/// undefined from then on: `NaN`, rather than that of whichever label was written last.
pub fn folded_gauge(shared: Gauge) -> Gauge {
    Gauge::from_arc(Arc::new(FoldedGauge(shared)))
}

struct FoldedGauge(Gauge);

impl GaugeFn for FoldedGauge {
    fn increment(&self, by: f64) {
        self.0.increment(by);
    }

    fn decrement(&self, by: f64) {
        self.0.decrement(by);
    }

    fn set(&self, _: f64) {
        self.0.set(f64::NAN);
    }
}

impl fmt::Debug for FoldedGauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FoldedGauge").finish_non_exhaustive()
    }
}
