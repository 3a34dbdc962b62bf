//! `/catalog.json`: what the exposition does not say of its families.

use obs_core::{Catalogue, Family, Kind, LabelDecl, Values};
use serde::Serialize;

use super::Page;
use crate::{AppInfo, Config, Mode};

/// What `/catalog.json` holds.
///
/// ```json
/// {
///   "service": "trading-desk", "environment": null, "mode": "paper",
///   "app": { "name": "trading-desk", "version": "0.1.0", "rust_version": "1.95.0", "git_commit": "unknown" },
///   "groups": [{ "id": "trading", "title": "Trading" }],
///   "families": [{
///     "name": "trading_orders_total", "crate": "obs-trading", "group": "trading",
///     "kind": "counter", "unit": "count", "help": "Orders sent to the venue.",
///     "labels": [
///       { "key": "venue", "help": "A broker.", "values": null, "limit": 20 },
///       { "key": "side", "help": "Buy or sell.", "values": ["buy", "sell"], "limit": null }
///     ],
///     "buckets": [], "quantiles": [], "range": null, "budget": 252, "exemplars": false
///   }]
/// }
/// ```
///
/// The crate's own documentation says what each member holds: programs outside of this workspace read it.
#[derive(Serialize)]
pub(super) struct Catalog<'a> {
    service: &'a str,
    environment: Option<&'a str>,
    mode: Option<&'static str>,
    app: App<'a>,
    groups: Vec<Group>,
    families: Vec<FamilyEntry>,
}

#[derive(Serialize)]
struct App<'a> {
    name: &'static str,
    version: &'static str,
    rust_version: &'static str,
    git_commit: &'a str,
}

/// Families that are shown together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Group {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
}

#[derive(Serialize)]
struct FamilyEntry {
    name: &'static str,
    #[serde(rename = "crate")]
    package: &'static str,
    group: &'static str,
    kind: &'static str,
    unit: &'static str,
    help: String,
    labels: Vec<LabelEntry>,
    buckets: &'static [f64],
    quantiles: &'static [f64],
    range: Option<[Option<f64>; 2]>,
    budget: usize,
    exemplars: bool,
}

#[derive(Serialize)]
struct LabelEntry {
    key: &'static str,
    help: String,
    values: Option<&'static [&'static str]>,
    limit: Option<usize>,
}

impl<'a> Catalog<'a> {
    pub(super) fn new(page: &'a Page, config: &'a Config, catalogue: &Catalogue) -> Self {
        let git_commit = page.app.git_commit.or(config.git_commit.as_deref());
        Self {
            service: page.service(config),
            environment: config.environment.as_deref(),
            mode: config.mode.map(Mode::as_str),
            app: App {
                name: page.app.name,
                version: page.app.version,
                rust_version: AppInfo::RUST_VERSION,
                git_commit: git_commit.unwrap_or("unknown"),
            },
            groups: groups(catalogue),
            families: catalogue.families().map(FamilyEntry::new).collect(),
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
            group: group(family).id,
            kind: family.kind().as_str(),
            unit: family.measured_in().as_str(),
            help: family.help(),
            labels: family.labels().map(LabelEntry::new).collect(),
            buckets: family.bucket_bounds(),
            quantiles: family.quantile_levels(),
            range: observes.then(|| [bound(lowest), bound(highest)]),
            budget: family.series_budget(),
            exemplars: family.has_exemplars(),
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

const fn named(id: &'static str, title: &'static str) -> Group {
    Group { id, title }
}

const API: Group = named("api", "API");
const TRADING: Group = named("trading", "Trading");
const PERFORMANCE: Group = named("performance", "Performance");
const RISK: Group = named("risk", "Risk");
const PROVIDERS: Group = named("providers", "Data providers");
const SENTIMENT: Group = named("sentiment", "Sentiment");
const DATABASE: Group = named("database", "Database");
const CACHE: Group = named("cache", "Cache");
const SYSTEM: Group = named("system", "System");
const ERRORS: Group = named("errors", "Errors");
const PIPELINE: Group = named("pipeline", "Metrics");

/// Every group of this workspace's crates, in the order they are shown in: what earns money before what it runs on.
const ORDER: [Group; 11] = [
    API,
    TRADING,
    PERFORMANCE,
    RISK,
    PROVIDERS,
    SENTIMENT,
    DATABASE,
    CACHE,
    SYSTEM,
    ERRORS,
    PIPELINE,
];

/// The groups that have families: those of a program's own crates come after ours, in the order of declaration.
pub(super) fn groups(catalogue: &Catalogue) -> Vec<Group> {
    let mut found: Vec<Group> = Vec::new();
    for family in catalogue.families() {
        let group = group(family);
        if !found.contains(&group) {
            found.push(group);
        }
    }
    let place = |group: &Group| ORDER.iter().position(|known| known == group);
    found.sort_by_key(|group| place(group).unwrap_or(ORDER.len()));
    found
}

/// Where a family is shown.
pub(super) fn group(family: &Family) -> Group {
    match family.package() {
        "obs-http" => API,
        "obs-trading" => group_of_trading(family.name()),
        "obs-providers" => PROVIDERS,
        "obs-sentiment" => SENTIMENT,
        "obs-db" if family.name().starts_with("redis_") => CACHE,
        "obs-db" => DATABASE,
        "obs-core" | "obs-exporter" | "obs-health" => match family.name() {
            "errors_total" | "panics_total" => ERRORS,
            name if name.starts_with("obs_") => PIPELINE,
            _ => SYSTEM,
        },
        // One that is called like a group of ours is of the same subject.
        package => {
            let known = ORDER.into_iter().find(|group| group.id == package);
            known.unwrap_or(named(package, package))
        }
    }
}

/// That crate is three subsystems. Statistics of strategies and of the book are read together.
fn group_of_trading(name: &str) -> Group {
    const STATISTICS: [&str; 9] = [
        "trading_pnl_",
        "trading_trade_pnl",
        "trading_win_",
        "trading_average_",
        "trading_profit_",
        "trading_sharpe_",
        "trading_sortino_",
        "trading_recovery_",
        "trading_performance_",
    ];
    let begins = |start: &&str| name.starts_with(*start);
    if begins(&"risk_") {
        RISK
    } else if begins(&"portfolio_") || name.contains("drawdown_") || STATISTICS.iter().any(begins) {
        PERFORMANCE
    } else {
        TRADING
    }
}

#[cfg(test)]
mod tests {
    use obs_core::Unit;

    use super::*;

    #[test]
    fn every_word_for_a_unit_is_one_the_page_knows() {
        let known = include_str!("assets/format.js");
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

    #[test]
    fn a_crate_of_a_program_is_a_group() {
        let of = |package| {
            Family::new("x_total", "X.", Kind::Counter, false, None, 0).declared(package, "", 0)
        };
        assert_eq!(group(&of("my-desk")), named("my-desk", "my-desk"));
        assert_eq!(
            group(&of("risk")),
            RISK,
            "it is called like a group of ours"
        );
        assert_eq!(group(&of("obs-http")), API);
    }

    #[test]
    fn trading_is_three_groups() {
        for (name, group) in [
            ("trading_orders_total", TRADING),
            ("trading_execution_duration_seconds", TRADING),
            ("trading_pnl_realized", PERFORMANCE),
            ("trading_drawdown_age_seconds", PERFORMANCE),
            ("trading_max_drawdown_ratio", PERFORMANCE),
            ("portfolio_value", PERFORMANCE),
            ("risk_limit_hits_total", RISK),
        ] {
            assert_eq!(group_of_trading(name), group, "{name}");
        }
    }
}
