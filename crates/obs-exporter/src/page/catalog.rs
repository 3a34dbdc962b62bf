//! `/catalog.json`: what the exposition does not say of its families.

use obs_core::{Catalogue, Family, Good, Kind, LabelDecl, Objective, Values};
use serde_core::ser::{Serialize, SerializeMap, Serializer};

use super::figures::FigureEntry;
use super::groups::{self, Shown};
use crate::{AppInfo, Config, Mode};

/// The edition of the format. Readers skip what they do not know, so that it grows by members, figures and readings without a new
/// number; the number rises when a reader has to know.
const SCHEMA: u32 = 2;

/// What `/catalog.json` holds.
///
/// ```json
/// {
///   "schema": 2,
///   "service": "quoter", "environment": null, "mode": "paper",
///   "app": { "name": "quoter", "version": "0.1.0", "rust_version": "1.95.0", "git_commit": "unknown" },
///   "warnings": [{ "kind": "dead_handles", "text": "3 handles were …" }],
///   "groups": [{
///     "id": "quoting", "title": "Quoting", "rank": 0,
///     "figures": [{
///       "title": "Quotes", "rank": 0, "shows": "value", "worse": null, "zoomed": false,
///       "value": { "read": "rate", "families": ["quoter_quotes_total"] },
///       "facts": [{ "name": "sold", "value": { "read": "sum", "families": ["quoter_quotes_total"], "labels": { "side": "sell" } } }],
///       "trend": null, "alarms": []
///     }]
///   }],
///   "families": [{
///     "name": "quoter_quotes_total", "crate": "quoter", "group": "quoting",
///     "kind": "counter", "unit": "count", "help": "Quotes sent.",
///     "labels": [
///       { "key": "venue", "help": "A market.", "values": null, "limit": 20 },
///       { "key": "side", "help": "Buy or sell.", "values": ["buy", "sell"], "limit": null }
///     ],
///     "buckets": [], "quantiles": [], "range": null, "budget": 42, "exemplars": false
///   }]
/// }
/// ```
///
/// The crate's own documentation says what each member holds: programs outside of this workspace read it.
pub(super) struct Catalog<'a> {
    schema: u32,
    service: &'a str,
    environment: Option<&'a str>,
    mode: Option<&'static str>,
    app: App<'a>,
    warnings: Vec<Warning>,
    pub(super) groups: Vec<GroupEntry>,
    pub(super) families: Vec<FamilyEntry>,
}

struct App<'a> {
    name: &'static str,
    version: &'static str,
    rust_version: &'static str,
    git_commit: &'a str,
}

/// Something that makes a number wrong.
struct Warning {
    kind: &'static str,
    text: String,
}

pub(super) struct GroupEntry {
    pub(super) id: String,
    title: &'static str,
    rank: u16,
    figures: Vec<FigureEntry>,
}

pub(super) struct FamilyEntry {
    pub(super) name: &'static str,
    package: &'static str,
    group: String,
    kind: &'static str,
    unit: &'static str,
    help: String,
    labels: Vec<LabelEntry>,
    buckets: &'static [f64],
    quantiles: &'static [f64],
    range: Option<[Option<f64>; 2]>,
    budget: usize,
    exemplars: bool,
    objective: Option<ObjectiveEntry>,
}

/// How much of what a family counts or observes has to be good.
struct ObjectiveEntry {
    percent: f64,
    days: u32,
    under: Option<f64>,
    label: Option<&'static str>,
    good: &'static [&'static str],
    during: Option<&'static str>,
}

struct LabelEntry {
    key: &'static str,
    help: String,
    values: Option<&'static [&'static str]>,
    limit: Option<usize>,
}

members! {
    Catalog<'_> {
        "schema" => schema, "service" => service, "environment" => environment, "mode" => mode, "app" => app,
        "warnings" => warnings, "groups" => groups, "families" => families,
    }
    App<'_> {
        "name" => name, "version" => version, "rust_version" => rust_version, "git_commit" => git_commit,
    }
    Warning { "kind" => kind, "text" => text }
    GroupEntry { "id" => id, "title" => title, "rank" => rank, "figures" => figures }
    ObjectiveEntry {
        "percent" => percent, "days" => days, "under" => under, "label" => label, "good" => good, "during" => during,
    }
    LabelEntry { "key" => key, "help" => help, "values" => values, "limit" => limit }
}

impl Serialize for FamilyEntry {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("name", self.name)?;
        map.serialize_entry("crate", self.package)?;
        map.serialize_entry("group", &self.group)?;
        map.serialize_entry("kind", self.kind)?;
        map.serialize_entry("unit", self.unit)?;
        map.serialize_entry("help", &self.help)?;
        map.serialize_entry("labels", &self.labels)?;
        map.serialize_entry("buckets", self.buckets)?;
        map.serialize_entry("quantiles", self.quantiles)?;
        map.serialize_entry("range", &self.range)?;
        map.serialize_entry("budget", &self.budget)?;
        map.serialize_entry("exemplars", &self.exemplars)?;
        if let Some(objective) = &self.objective {
            map.serialize_entry("objective", objective)?;
        }
        map.end()
    }
}

impl<'a> Catalog<'a> {
    /// What is known of this service, with what makes its numbers wrong.
    pub(super) fn new(
        app: &'a AppInfo,
        config: &'a Config,
        catalogue: &Catalogue,
        warnings: &[obs_core::Warning],
    ) -> Self {
        let git_commit = app.git_commit.or(config.git_commit.as_deref());
        Self {
            schema: SCHEMA,
            service: super::service(app, config),
            environment: config.environment.as_deref(),
            mode: config.mode.map(Mode::as_str),
            app: App {
                name: app.name,
                version: app.version,
                rust_version: AppInfo::RUST_VERSION,
                git_commit: git_commit.unwrap_or("unknown"),
            },
            warnings: warnings.iter().map(Warning::new).collect(),
            groups: groups::of(catalogue.families(), app.name)
                .into_iter()
                .map(GroupEntry::new)
                .collect(),
            families: catalogue.families().map(FamilyEntry::new).collect(),
        }
    }
}

impl Warning {
    fn new(warning: &obs_core::Warning) -> Self {
        Self {
            kind: warning.kind.as_str(),
            text: warning.text.clone(),
        }
    }
}

impl GroupEntry {
    fn new(group: Shown) -> Self {
        let figures = group.figures.iter();
        Self {
            figures: figures
                .map(|figure| FigureEntry::new(figure, group.rank))
                .collect(),
            id: group.id,
            title: group.title,
            rank: group.rank,
        }
    }
}

impl FamilyEntry {
    fn new(family: &'static Family) -> Self {
        let observes = matches!(family.kind(), Kind::Histogram | Kind::Summary);
        let (lowest, highest) = family.bounds();
        // A bound at the end of all numbers is none.
        let bound = |bound: f64| (bound.abs() < f64::MAX).then_some(bound);
        Self {
            name: family.name(),
            package: family.package(),
            group: groups::id_of(family),
            kind: family.kind().as_str(),
            unit: family.measured_in().as_str(),
            help: family.help(),
            labels: family.labels().map(LabelEntry::new).collect(),
            buckets: family.bucket_bounds(),
            quantiles: family.quantile_levels(),
            range: observes.then(|| [bound(lowest), bound(highest)]),
            budget: family.series_budget(),
            exemplars: family.has_exemplars(),
            objective: family
                .objective_of()
                .map(|objective| ObjectiveEntry::new(family, objective)),
        }
    }
}

impl ObjectiveEntry {
    fn new(family: &'static Family, objective: Objective) -> Self {
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
            label: marked.map(|label| label.key),
            good: marked.map_or(&[], |label| label.good),
            during: objective.during,
        }
    }
}

impl LabelEntry {
    fn new(label: LabelDecl) -> Self {
        let (values, limit) = match label.values {
            Values::Closed(values) => (Some(values), None),
            Values::Open(limit) => (None, Some(limit)),
        };
        Self {
            key: label.key,
            help: label.help(),
            values,
            limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use obs_core::Unit;
    use obs_page::{Client, File};

    #[test]
    fn every_word_for_a_unit_is_one_the_page_knows() {
        let client = Client {
            headers: &hyper::HeaderMap::new(),
            takes_gzip: false,
        };
        let known = File::at("/page/format.js").unwrap().answer(client);
        let known = str::from_utf8(known.body()).unwrap();
        for unit in [
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
        ] {
            let word = format!("'{}'", unit.as_str());
            assert!(known.contains(&word), "format.js does not know {word}");
        }
    }
}
