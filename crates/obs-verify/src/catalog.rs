//! A catalogue as data: what a service says of its metrics, wherever it says it.

use std::collections::HashMap;
use std::sync::Arc;

use obs_core::{Catalogue, Good, Kind, Unit, Values};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::figure::Figure;
use crate::{Error, grouped};

/// The newest form of `/catalog.json` that is understood.
pub const NEWEST_SCHEMA: u32 = 2;

/// The families of a service, and what it says of itself.
///
/// It is read from `/catalog.json` of a running service by [`read`](Self::read), or made from the declarations of a program
/// by `From<&Catalogue>`.
///
/// ```
/// let catalog = obs_verify::Catalog::from(&obs_core::catalogue());
/// let errors = catalog.family("errors_total").unwrap();
/// assert_eq!(errors.kind, obs_core::Kind::Counter);
/// // The same, as a service serves it.
/// let json = serde_json::to_string(&catalog).unwrap();
/// assert_eq!(obs_verify::Catalog::read("catalog.json", &json)?.family("errors_total").unwrap().help, errors.help);
/// # Ok::<(), obs_verify::Error>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Catalog {
    /// The form it is written in. The first one did not say so.
    #[serde(default = "first_schema")]
    pub schema: u32,
    /// What the service calls itself.
    #[serde(default)]
    pub service: Option<String>,
    /// Where it runs, such as `production`.
    #[serde(default)]
    pub environment: Option<String>,
    /// What it trades with: `backtest`, `paper` or `live`.
    #[serde(default)]
    pub mode: Option<String>,
    /// What it was built from.
    #[serde(default)]
    pub app: Option<App>,
    /// The groups of families, in the order they are shown in.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// The families, in the order of declaration.
    pub families: Vec<Arc<Family>>,
    /// What the service found wrong with its own metrics.
    #[serde(default)]
    pub warnings: Vec<serde_json::Value>,
    /// Where families stand, by name. Made when it is first asked for what is there.
    #[serde(skip)]
    places: HashMap<String, usize>,
}

/// What a service was built from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct App {
    /// The program.
    #[serde(default)]
    pub name: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// The commit it was built from, or `unknown`.
    #[serde(default)]
    pub git_commit: String,
}

/// Families that are shown together.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Group {
    /// What families name it by.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// Its place among the groups: lower ones come first.
    #[serde(default)]
    pub rank: u16,
    /// What is shown of it first.
    #[serde(default)]
    pub figures: Vec<Figure>,
}

/// One metric, as declared.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Family {
    /// Its name, for a histogram or summary without the suffix of its series.
    pub name: String,
    /// The package that declares it.
    #[serde(rename = "crate", default)]
    pub package: String,
    /// The group it is shown in, by its id.
    #[serde(default)]
    pub group: String,
    /// Counter, gauge, histogram or summary.
    #[serde(serialize_with = "kind_word", deserialize_with = "kind_of_word")]
    pub kind: Kind,
    /// What its values are measured in; none where the word is not one that is known.
    #[serde(
        default,
        serialize_with = "unit_word",
        deserialize_with = "unit_of_word"
    )]
    pub unit: Option<Unit>,
    /// The help text: one line.
    #[serde(default)]
    pub help: String,
    /// Its labels: those of the scope first, then those of the axes from the outside in.
    #[serde(default)]
    pub labels: Vec<Label>,
    /// The upper bounds of a histogram's buckets, without `+Inf`.
    #[serde(default)]
    pub buckets: Vec<f64>,
    /// The quantiles of a summary.
    #[serde(default)]
    pub quantiles: Vec<f64>,
    /// The lowest and the highest value that a histogram or summary takes; none at an end that is open.
    #[serde(default)]
    pub range: Option<[Option<f64>; 2]>,
    /// The most series it may have in one process.
    #[serde(default)]
    pub budget: Option<usize>,
    /// Whether its buckets keep exemplars.
    #[serde(default)]
    pub exemplars: bool,
    /// How much of what it counts or observes has to be good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<Objective>,
    /// The whole doc comment, where the declaration itself is at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc: Option<String>,
    /// How many of the labels are fixed by the scope, where the declaration itself is at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<usize>,
    /// Where it is declared, where the declaration itself is at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_at: Option<(String, u32)>,
}

/// What a service promises of a family: the share of events that are good, over a number of days.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Objective {
    /// The share of events that have to be good, in percent.
    pub percent: f64,
    /// The days over which that has to hold.
    pub days: u32,
    /// Observations of a histogram up to this bound are good.
    #[serde(default)]
    pub under: Option<f64>,
    /// The label of a counter that says which events are good.
    #[serde(default)]
    pub label: Option<String>,
    /// Its values that are good.
    #[serde(default)]
    pub good: Vec<String>,
    /// A switch: while it is off, nothing is spent.
    #[serde(default)]
    pub during: Option<String>,
}

/// A label of a family.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Label {
    /// The key, as in `side="buy"`.
    pub key: String,
    /// What it says.
    #[serde(default)]
    pub help: String,
    /// Every value there is, of a closed label.
    #[serde(default)]
    pub values: Option<Vec<String>>,
    /// How many values keep series of their own, of an open label.
    #[serde(default)]
    pub limit: Option<usize>,
}

impl Catalog {
    /// Reads what `/catalog.json` holds, of this edition or of an earlier one. `from` is where it came from, for the error.
    ///
    /// It fails when the text is no catalogue, or is one of a later edition.
    pub fn read(from: &str, text: &str) -> Result<Self, Error> {
        let unreadable = |reason: String| Error::Unreadable {
            file: from.to_owned(),
            reason,
        };
        let mut catalog: Self =
            serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
        if catalog.schema > NEWEST_SCHEMA {
            return Err(unreadable(format!(
                "it has schema {}, and this program knows schemas up to {NEWEST_SCHEMA}; use a newer obstool",
                catalog.schema
            )));
        }
        catalog.index();
        Ok(catalog)
    }

    /// The family of that name.
    #[must_use]
    pub fn family(&self, name: &str) -> Option<&Arc<Family>> {
        self.place(name).map(|place| &self.families[place])
    }

    /// Where the family of that name stands among all.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// This catalogue, and of another one the families that this one does not have: what a program declares itself, and what its
    /// running service says of the libraries in it.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut joined = self.clone();
        for family in &other.families {
            if self.family(&family.name).is_some() {
                continue;
            }
            joined.families.push(Arc::clone(family));
            let is_new = joined.groups.iter().all(|group| group.id != family.group);
            let mut groups = other.groups.iter();
            if let (true, Some(group)) = (is_new, groups.find(|group| group.id == family.group)) {
                joined.groups.push(group.clone());
            }
        }
        joined.groups.sort_by_key(|group| group.rank);
        joined.index();
        joined
    }

    /// Whether a family of this package is in it.
    fn declares(&self, package: &str) -> bool {
        self.families.iter().any(|family| family.package == package)
    }

    /// The same without the families of packages that another catalogue declares nothing of.
    #[must_use]
    pub fn of_packages_in(&self, other: &Self) -> Self {
        let mut kept = self.clone();
        kept.families
            .retain(|family| other.declares(&family.package));
        kept.places.clear();
        kept.index();
        kept
    }

    fn index(&mut self) {
        // The first of a name counts, as in a catalogue that is searched.
        for (place, family) in self.families.iter().enumerate() {
            self.places.entry(family.name.clone()).or_insert(place);
        }
    }
}

/// The catalogue of families alone: the caller knows what service they belong to.
impl From<&Catalogue> for Catalog {
    fn from(catalogue: &Catalogue) -> Self {
        let families = catalogue.families().map(Family::from).map(Arc::new);
        let mut catalog: Self = families.collect();
        catalog.groups = grouped::groups(catalogue.families());
        catalog
    }
}

/// Families make a catalogue, each package a group.
impl FromIterator<Arc<Family>> for Catalog {
    fn from_iter<I: IntoIterator<Item = Arc<Family>>>(families: I) -> Self {
        let mut catalog = Self {
            schema: NEWEST_SCHEMA,
            families: families.into_iter().collect(),
            ..Self::default()
        };
        for family in &catalog.families {
            if !catalog.groups.iter().any(|group| group.id == family.group) {
                catalog.groups.push(Group {
                    id: family.group.clone(),
                    title: family.group.clone(),
                    ..Group::default()
                });
            }
        }
        catalog.index();
        catalog
    }
}

impl Family {
    /// The lowest and the highest value it takes.
    #[must_use]
    pub fn bounds(&self) -> (f64, f64) {
        let [low, high] = self.range.unwrap_or_default();
        (low.unwrap_or(f64::MIN), high.unwrap_or(f64::MAX))
    }

    /// Lines an exposition needs for one series: a histogram has one for each bucket, `+Inf`, sum and count.
    #[must_use]
    pub fn lines_per_series(&self) -> usize {
        match self.kind {
            Kind::Counter | Kind::Gauge => 1,
            Kind::Histogram => self.buckets.len() + 3,
            Kind::Summary => self.quantiles.len() + 2,
        }
    }

    /// A word for its unit.
    #[must_use]
    pub fn unit_word(&self) -> &'static str {
        self.unit.map_or("number", Unit::as_str)
    }

    /// The label of that key.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&Label> {
        self.labels.iter().find(|label| label.key == key)
    }

    /// What it is documented with: the whole doc comment where that is known, or else the help text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.doc.as_deref().unwrap_or(&self.help)
    }
}

impl From<&'static obs_core::Family> for Family {
    fn from(family: &'static obs_core::Family) -> Self {
        let observes = matches!(family.kind(), Kind::Histogram | Kind::Summary);
        let (low, high) = family.bounds();
        // A bound at the end of all numbers is none.
        let bound = |bound: f64| (bound.abs() < f64::MAX).then_some(bound);
        let (file, line) = family.declared_at();
        Self {
            name: family.name().to_owned(),
            package: family.package().to_owned(),
            group: grouped::id_of(family),
            kind: family.kind(),
            unit: Some(family.measured_in()),
            help: family.help(),
            labels: family.labels().map(Label::from).collect(),
            buckets: family.bucket_bounds().to_vec(),
            quantiles: family.quantile_levels().to_vec(),
            range: observes.then(|| [bound(low), bound(high)]),
            budget: Some(family.series_budget()),
            exemplars: family.has_exemplars(),
            objective: family
                .objective_of()
                .map(|objective| Objective::of(family, objective)),
            doc: Some(family.doc().to_owned()),
            scope: Some(family.scope().count()),
            declared_at: Some((file.to_owned(), line)),
        }
    }
}

impl Objective {
    fn of(family: &obs_core::Family, objective: obs_core::Objective) -> Self {
        let under = match objective.good {
            Good::Under(bound) => Some(bound),
            _ => None,
        };
        let mut labels = family.labels();
        let marked = labels.find(|label| under.is_none() && !label.good.is_empty());
        Self {
            percent: objective.percent,
            days: objective.days,
            under,
            label: marked.map(|label| label.key.to_owned()),
            good: marked.map_or_else(Vec::new, |label| {
                label.good.iter().map(ToString::to_string).collect()
            }),
            during: objective.during.map(str::to_owned),
        }
    }
}

impl From<obs_core::LabelDecl> for Label {
    fn from(label: obs_core::LabelDecl) -> Self {
        let (values, limit) = match label.values {
            Values::Closed(values) => (values.iter().map(ToString::to_string).collect(), None),
            Values::Open(limit) => return Self::open(label.key, &label.help(), limit),
        };
        Self {
            key: label.key.to_owned(),
            help: label.help(),
            values: Some(values),
            limit,
        }
    }
}

impl Label {
    fn open(key: &str, help: &str, limit: usize) -> Self {
        Self {
            key: key.to_owned(),
            help: help.to_owned(),
            values: None,
            limit: Some(limit),
        }
    }

    /// Whether its values are any text.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.values.is_none()
    }
}

const KINDS: [Kind; 4] = [Kind::Counter, Kind::Gauge, Kind::Histogram, Kind::Summary];

const UNITS: [Unit; 10] = [
    Unit::Count,
    Unit::Seconds,
    Unit::Timestamp,
    Unit::Bytes,
    Unit::Ratio,
    Unit::BasisPoints,
    Unit::Currency,
    Unit::Info,
    Unit::Switch,
    Unit::Number,
];

const fn first_schema() -> u32 {
    1
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "what serde calls it with"
)]
fn kind_word<S: Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.as_str())
}

fn kind_of_word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Kind, D::Error> {
    let word = String::deserialize(deserializer)?;
    let known = KINDS.into_iter().find(|kind| kind.as_str() == word);
    known.ok_or_else(|| serde::de::Error::custom(format!("there is no kind of metric `{word}`")))
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    clippy::ref_option,
    reason = "what serde calls it with"
)]
fn unit_word<S: Serializer>(unit: &Option<Unit>, serializer: S) -> Result<S::Ok, S::Error> {
    unit.map(Unit::as_str).serialize(serializer)
}

fn unit_of_word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Unit>, D::Error> {
    let word = Option::<String>::deserialize(deserializer)?;
    Ok(UNITS
        .into_iter()
        .find(|unit| Some(unit.as_str()) == word.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST_EDITION: &str = r#"{
        "service": "desk", "environment": null, "mode": "paper",
        "app": { "name": "desk", "version": "0.1.0", "rust_version": "1.95.0", "git_commit": "unknown" },
        "groups": [{ "id": "trading", "title": "Trading" }],
        "families": [{
            "name": "trading_orders_total", "crate": "obs-trading", "group": "trading", "kind": "counter", "unit": "count",
            "help": "Orders.", "labels": [
                { "key": "venue", "help": "A broker.", "values": null, "limit": 20 },
                { "key": "side", "help": "Buy or sell.", "values": ["buy", "sell"], "limit": null }
            ], "buckets": [], "quantiles": [], "range": null, "budget": 42, "exemplars": false
        }]
    }"#;

    #[test]
    fn the_first_edition_is_read_without_a_schema() {
        let catalog = Catalog::read("here", FIRST_EDITION).unwrap();
        assert_eq!((catalog.schema, catalog.families.len()), (1, 1));
        let orders = catalog.family("trading_orders_total").unwrap();
        assert_eq!(orders.unit, Some(Unit::Count));
        assert!(orders.labels[0].is_open() && !orders.labels[1].is_open());
        assert_eq!(orders.bounds(), (f64::MIN, f64::MAX));
    }

    #[test]
    fn members_and_units_that_are_not_known_are_passed_over() {
        let later = FIRST_EDITION
            .replace(
                "\"service\"",
                "\"schema\": 2, \"colour\": \"red\", \"service\"",
            )
            .replace(
                "\"unit\": \"count\"",
                "\"unit\": \"furlongs\", \"weight\": 3",
            );
        let catalog = Catalog::read("here", &later).unwrap();
        assert_eq!(catalog.families[0].unit, None);
    }

    #[test]
    fn a_later_schema_another_kind_and_no_catalogue_are_errors_that_say_so() {
        for (from, to, told) in [
            (
                "\"service\"",
                "\"schema\": 3, \"service\"",
                "use a newer obstool",
            ),
            ("counter", "thermometer", "no kind of metric `thermometer`"),
            ("{", "<html>", "cannot read here"),
        ] {
            let text = FIRST_EDITION.replacen(from, to, 1);
            let error = Catalog::read("here", &text).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn what_a_program_declares_is_what_it_serves() {
        let declared = Catalog::from(&obs_core::catalogue());
        let served = serde_json::to_string(&declared).unwrap();
        let read = Catalog::read("here", &served).unwrap();
        assert_eq!(read.families, declared.families);
    }
}
