//! Rules on what the crates of this workspace measure, and the routing of their alerts, written for one installation.
//!
//! A rule compares metrics with metrics where a desk states what it can bear. What remains is in [`Settings`]: the job, the desks
//! that have to be there, the numbers in [`THRESHOLDS`], the receivers. [`rules`] writes the rules, [`routing::configuration`]
//! what Alertmanager does with their alerts.
//!
//! ```
//! use obs_verify::Catalog;
//! use obs_verify::alerts::{self, Settings};
//!
//! let settings = Settings::read("alerts.yml", "
//! job: quoter
//! runbooks: https://wiki.example.com/alerts#
//! desks:
//!   - { service: quoter, environment: production, mode: live, calendar: nyse }
//! thresholds: { host_cpu: 0.8 }
//! ")?;
//! // Of a service that measures nothing but errors, the rules on errors and on its being there.
//! let catalog = Catalog::from(&obs_core::catalogue());
//! let files = alerts::rules(&settings, Some(&catalog), "obstool gen")?;
//! let names: Vec<_> = files.iter().map(|(name, _)| *name).collect();
//! assert!(names.contains(&"errors.yml") && !names.contains(&"trading.yml"), "{names:?}");
//! # Ok::<(), obs_verify::Error>(())
//! ```

pub mod closed;
mod parts;
mod patience;
pub mod routing;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use obs_calendar::{Calendar, CmeGroup};
use promql_parser::util::parse_duration;
use serde::Deserialize;

use crate::objectives::{self, Stated};
use crate::promql::check;
use crate::queried::vocabulary;
use crate::queries::of_rules;
use crate::{Catalog, Error};

use parts::Parts;
use routing::Receivers;

/// The rules, by the names of their files, with their parameters in the form `${name}`.
const TEMPLATES: [(&str, &str); 14] = [
    ("api.yml", include_str!("../rules/api.yml")),
    ("databases.yml", include_str!("../rules/databases.yml")),
    ("errors.yml", include_str!("../rules/errors.yml")),
    ("feeds.yml", include_str!("../rules/feeds.yml")),
    ("health.yml", include_str!("../rules/health.yml")),
    ("positions.yml", include_str!("../rules/positions.yml")),
    ("processes.yml", include_str!("../rules/processes.yml")),
    ("providers.yml", include_str!("../rules/providers.yml")),
    ("risk.yml", include_str!("../rules/risk.yml")),
    ("rpc.yml", include_str!("../rules/rpc.yml")),
    ("sentiment.yml", include_str!("../rules/sentiment.yml")),
    ("sessions.yml", include_str!("../rules/sessions.yml")),
    ("storage.yml", include_str!("../rules/storage.yml")),
    ("trading.yml", include_str!("../rules/trading.yml")),
];

/// The labels that every rule keeps, as the templates list them.
const SCOPE: &str = "service, environment, mode";

/// How long before the open of its market a desk has to report, in minutes.
pub(crate) const LEAD_MINUTES: i16 = 5;

/// A number that no metric of a desk states, and that the settings may change.
#[derive(Clone, Copy, Debug)]
pub struct Threshold {
    /// Its name in the settings.
    pub name: &'static str,
    /// Its value where the settings do not give another.
    pub value: f64,
    /// What it bounds, with its unit.
    pub what: &'static str,
}

const fn threshold(name: &'static str, value: f64, what: &'static str) -> Threshold {
    Threshold { name, value, what }
}

/// Every threshold that the settings may change.
pub const THRESHOLDS: [Threshold; 67] = [
    threshold(
        "aggregations_least",
        10.0,
        "aggregations of sentiment from which on their divergences are judged",
    ),
    threshold("api_in_flight", 100.0, "requests under way in one process"),
    threshold(
        "api_rate",
        0.1,
        "requests a second of an endpoint from which on its latency is judged",
    ),
    threshold(
        "api_seconds",
        0.5,
        "95th percentile of an endpoint's requests, in seconds",
    ),
    threshold(
        "calendar_days",
        60.0,
        "days until the published days of a market's calendar end",
    ),
    threshold("certificate_days", 14.0, "days until a certificate ends"),
    threshold(
        "clock_offset_seconds",
        0.1,
        "offset of the clock beyond the error of its measurement, in seconds",
    ),
    threshold(
        "clock_seconds",
        2.0,
        "difference of a desk's clock and Prometheus', in seconds",
    ),
    threshold(
        "container_memory",
        0.9,
        "share of a container's memory limit that is used",
    ),
    threshold(
        "crash_outages",
        6.0,
        "times that scrapes of a desk fail or succeed again within a quarter of an hour, from which on it loops",
    ),
    threshold(
        "crash_starts",
        3.0,
        "starts of a desk within a quarter of an hour from which on it loops",
    ),
    threshold(
        "daily_loss_left",
        0.25,
        "share of the daily loss limit that is left",
    ),
    threshold(
        "descriptors",
        0.8,
        "share of the file descriptors that are open",
    ),
    threshold("disk", 0.05, "share of a disk that is free"),
    threshold(
        "disk_trend",
        0.4,
        "share of a disk that is free from which on its filling up is no matter",
    ),
    threshold(
        "divergences",
        0.5,
        "share of the aggregations of sentiment in which providers diverge",
    ),
    threshold("drawdown", 0.15, "drawdown of an account"),
    threshold(
        "errors_an_hour",
        20.0,
        "errors of a component within an hour from which on their trend is judged",
    ),
    threshold(
        "errors_growth",
        3.0,
        "errors of a component by those of the same hour of the day or the week before",
    ),
    threshold(
        "failed_connections",
        1.0,
        "connections to a database that fail within five minutes",
    ),
    threshold(
        "failed_queries",
        0.05,
        "share of a pool's queries that fail",
    ),
    threshold(
        "failed_queries_least",
        5.0,
        "queries that fail within five minutes from which on their share is judged",
    ),
    threshold(
        "failed_queries_most",
        0.95,
        "share of a pool's queries that fail or are cancelled",
    ),
    threshold(
        "failed_rpc",
        0.05,
        "share of the calls of a gRPC service that fail",
    ),
    threshold(
        "failed_transactions",
        1.0,
        "transactions that are not committed within a quarter of an hour",
    ),
    threshold(
        "feed_missed_messages",
        1.0,
        "messages of a feed that are lost within five minutes",
    ),
    threshold(
        "feed_resyncs",
        5.0,
        "times that books of a feed are made anew within `feed_resync_window`",
    ),
    threshold(
        "feed_stalls",
        3.0,
        "times that a feed is mute within `feed_stall_window`",
    ),
    threshold(
        "fill_seconds",
        60.0,
        "95th percentile from submission or signal to the fill, in seconds",
    ),
    threshold(
        "fills_least",
        5.0,
        "fills within an hour from which on their time is judged",
    ),
    threshold(
        "host_cpu",
        0.95,
        "share of the host's processor time in use",
    ),
    threshold(
        "host_memory",
        0.1,
        "share of the host's memory that is available",
    ),
    threshold("limit_left", 0.1, "share of a risk limit that is left"),
    threshold("pool_in_use", 0.9, "share of a pool's connections in use"),
    threshold(
        "process_memory",
        0.5,
        "share of the host's memory that the process holds",
    ),
    threshold(
        "provider_changes",
        4.0,
        "times that a provider goes or comes back within a quarter of an hour, from which on it flaps",
    ),
    threshold(
        "provider_errors",
        0.1,
        "share of a provider's requests that fail",
    ),
    threshold(
        "provider_errors_least",
        5.0,
        "failed requests within five minutes from which on their share is judged",
    ),
    threshold(
        "provider_heard_seconds",
        3600.0,
        "time since a provider was heard after which nothing is known of it, in seconds",
    ),
    threshold(
        "provider_rate",
        0.03,
        "requests a second to a provider from which on its latency is judged",
    ),
    threshold(
        "provider_seconds",
        2.0,
        "95th percentile of a provider's requests, in seconds",
    ),
    threshold(
        "provider_up_share",
        0.7,
        "share of a quarter of an hour that a provider is up",
    ),
    threshold(
        "queries_least",
        20.0,
        "queries or commands within five minutes from which on their latency is judged",
    ),
    threshold(
        "query_seconds",
        0.5,
        "95th percentile of a pool's queries, in seconds",
    ),
    threshold(
        "queued_tasks",
        1000.0,
        "tasks that wait for a worker of the runtime",
    ),
    threshold(
        "rate_limit_hits",
        5.0,
        "requests over its rate limit that a provider refuses within five minutes",
    ),
    threshold(
        "rate_limit_left",
        0.1,
        "share of a provider's rate limit that is left",
    ),
    threshold("redis_hits", 0.5, "share of the lookups in Redis that hit"),
    threshold(
        "redis_lookups",
        1.0,
        "lookups a second in Redis from which on the share that hits is judged",
    ),
    threshold(
        "redis_seconds",
        0.05,
        "95th percentile of Redis' commands, in seconds",
    ),
    threshold(
        "rejected_orders",
        0.2,
        "share of a venue's orders that it rejects",
    ),
    threshold(
        "rejected_orders_least",
        3.0,
        "rejected orders within a quarter of an hour, if nearly all are rejected",
    ),
    threshold(
        "rejected_orders_many",
        5.0,
        "rejected orders within a quarter of an hour from which on their share is judged",
    ),
    threshold(
        "rejected_orders_most",
        0.75,
        "share of a venue's orders that it rejects which is nearly all",
    ),
    threshold(
        "restarts",
        3.0,
        "starts of a process within `restart_window`",
    ),
    threshold(
        "rpc_calls",
        20.0,
        "calls of a gRPC service within five minutes above which the share that fails is judged",
    ),
    threshold("scrape_seconds", 5.0, "time of a scrape, in seconds"),
    threshold(
        "sentiment_failures_least",
        5.0,
        "aggregations of sentiment that fail or miss a provider within half an hour, from which on their share is judged",
    ),
    threshold(
        "sentiment_missing",
        0.5,
        "share of the aggregations of sentiment that a provider is missing in",
    ),
    threshold(
        "sentiment_undefined",
        0.2,
        "share of the aggregations of sentiment without a score",
    ),
    threshold(
        "silent_strategy_seconds",
        1200.0,
        "interval of signals, as a strategy states it, up to which an hour without one is silence, in seconds",
    ),
    threshold(
        "slippage_bps",
        5.0,
        "median slippage beyond that of the day before, in basis points",
    ),
    threshold(
        "slippage_fills",
        20.0,
        "fills within an hour from which on their slippage is judged",
    ),
    threshold(
        "strategy_busy",
        0.9,
        "share of the time that a strategy computes",
    ),
    threshold("strategy_drawdown", 0.2, "drawdown of a strategy"),
    threshold(
        "throttled",
        0.25,
        "seconds of each second that the container holds threads back",
    ),
    threshold(
        "unexplained",
        1.0,
        "profit and loss of a day without an explanation, in the account's currency",
    ),
];

/// A duration in the expression of a rule that no metric of a desk states, and that the settings may change.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Its name in the settings.
    pub name: &'static str,
    /// Its value where the settings do not give another, as Prometheus writes durations.
    pub value: &'static str,
    /// What it is.
    pub what: &'static str,
}

const fn window(name: &'static str, value: &'static str, what: &'static str) -> Window {
    Window { name, value, what }
}

/// Every duration that the settings may change.
pub const WINDOWS: [Window; 4] = [
    window(
        "feed_resync_window",
        "10m",
        "in which books of a feed that are made anew are counted",
    ),
    window(
        "feed_stall_window",
        "15m",
        "in which silences of a feed are counted",
    ),
    window(
        "held",
        "15m",
        "how long the worst value of a limit or a drawdown counts",
    ),
    window(
        "restart_window",
        "2h",
        "in which starts of a process are counted",
    ),
];

/// Every alert of the rules by its name, with how long its condition has to hold where the settings do not say otherwise: its `for`,
/// if it has one.
pub fn waits() -> impl Iterator<Item = (&'static str, Option<&'static str>)> {
    patience::of_templates().into_iter()
}

/// What is written for one installation. Read from YAML; every part may be left out.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The job under which Prometheus scrapes the desks: `trading-desk`.
    pub job: String,
    /// What stands in front of an alert's name in lower case for the address of its runbook; empty for none.
    pub runbooks: String,
    /// Labels that tell apart what `service`, `environment` and `mode` do not: the external labels of a fleet's agents, such as
    /// `site`. Rules, groups and inhibitions keep them.
    pub external_labels: Vec<String>,
    /// The desks that have to be there. Their absence is asked for one by one, for as long as they are listed.
    pub desks: Vec<Desk>,
    /// Values for some of [`THRESHOLDS`], by name.
    pub thresholds: BTreeMap<String, f64>,
    /// Values for some of [`WINDOWS`], by name.
    pub windows: BTreeMap<String, String>,
    /// How long the conditions of some alerts have to hold before they fire, by the alerts' names: `DeskDown: 2m`, or `0s` for at
    /// once. Alerts on objectives have [`windows`](Stated::windows) instead.
    #[serde(rename = "for")]
    pub patience: BTreeMap<String, String>,
    /// Objectives on families whose declarations have none. Without the key it is one: 99.9 % of the requests to an HTTP API are answered
    /// without a fault of the server, over 30 days, where the catalogue has such requests.
    pub objectives: Option<Vec<Stated>>,
    /// Where alerts go.
    pub receivers: Receivers,
    /// Alerts that page only from five minutes before the open of a desk's market until its close, of desks with a `calendar`.
    pub session_only: Vec<String>,
}

/// A desk that has to be there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Desk {
    /// Its label `service`.
    pub service: String,
    /// Its label `environment`.
    pub environment: String,
    /// Its label `mode`: `backtest`, `paper` or `live`.
    pub mode: String,
    /// The address that it is scraped at, where it has a lasting one and other desks have the same three labels.
    pub instance: Option<String>,
    /// The calendar of its market, outside of whose sessions [`session_only`](Settings::session_only) alerts wait: `nyse`, `fx`,
    /// `cme_equity_index`, `cme_fx`, `cme_interest_rate` or `cme_energy_and_metals`.
    pub calendar: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            job: "trading-desk".to_owned(),
            runbooks: String::new(),
            external_labels: Vec::new(),
            desks: Vec::new(),
            thresholds: BTreeMap::new(),
            windows: BTreeMap::new(),
            patience: BTreeMap::new(),
            objectives: None,
            receivers: Receivers::default(),
            session_only: [
                "DeskDown",
                "DeskCrashLooping",
                "TargetAbsent",
                "ProcessDead",
            ]
            .map(str::to_owned)
            .to_vec(),
        }
    }
}

impl Settings {
    /// Reads settings from YAML. It fails on a key, threshold or calendar that does not exist, and says which there are.
    pub fn read(file: &str, text: &str) -> Result<Self, Error> {
        let unreadable = |reason: String| Error::Unreadable {
            file: file.to_owned(),
            reason,
        };
        let settings: Self =
            serde_saphyr::from_str(text).map_err(|error| unreadable(error.to_string()))?;
        let unknown = |kind: &str, name: &str, names: &[&str]| {
            let is_known = names.contains(&name);
            let names = names.join(", ");
            let reason = format!("no {kind} is called `{name}`; there are {names}");
            (!is_known).then(|| unreadable(reason))
        };
        let thresholds = THRESHOLDS.map(|known| known.name);
        for name in settings.thresholds.keys() {
            unknown("threshold", name, &thresholds).map_or(Ok(()), Err)?;
        }
        let windows = WINDOWS.map(|known| known.name);
        let alerts: Vec<_> = patience::of_templates().into_keys().collect();
        for (kind, stated, names) in [
            ("window", &settings.windows, &windows[..]),
            ("alert", &settings.patience, &alerts),
        ] {
            for (name, value) in stated {
                unknown(kind, name, names).map_or(Ok(()), Err)?;
                // An alert may fire at once; nothing is counted within no time.
                if kind == "alert" && value == "0s" {
                    continue;
                }
                parse_duration(value).map_err(|reason| {
                    unreadable(format!(
                        "of the {kind} `{name}` stands `{value}`: {reason}; write `90s`, `5m` or `2h`"
                    ))
                })?;
            }
        }
        for desk in &settings.desks {
            if let Some(name) = desk
                .calendar
                .as_deref()
                .filter(|name| calendar(name).is_none())
            {
                return Err(unreadable(format!(
                    "no calendar is called `{name}`; there are {}",
                    CALENDARS.join(", ")
                )));
            }
        }
        objectives::check(settings.objectives.as_deref().unwrap_or_default())?;
        Ok(settings)
    }

    /// The objectives that are stated; without the key `objectives` the usual one, if the catalogue has what it is about.
    #[must_use]
    pub fn objectives_of(&self, catalog: &Catalog) -> Vec<Stated> {
        let usual = || {
            let mut usual = Stated::usual();
            usual.retain(|objective| objective.held_to(catalog).is_ok());
            usual
        };
        self.objectives.clone().unwrap_or_else(usual)
    }

    /// The labels that tell services apart, with those of a fleet, which every rule on an objective keeps.
    #[must_use]
    pub fn scope(&self) -> Vec<String> {
        let scope = SCOPE.split(", ").map(str::to_owned);
        self.external_labels.iter().cloned().chain(scope).collect()
    }

    /// A template with its parameters filled in: rules, or tests of rules.
    #[must_use]
    pub fn fill(&self, template: &str) -> String {
        let mut text = template
            .replace("${job}", &self.job)
            .replace("${absent}", &self.absent())
            .replace("${missing}", &self.missing())
            .replace("${listed}", &self.listed());
        if self.runbooks.is_empty() {
            let is_kept = |line: &&str| !line.trim_start().starts_with("runbook_url: ");
            let kept: Vec<_> = text.lines().filter(is_kept).collect();
            text = kept.join("\n") + "\n";
        }
        text = text.replace("${runbooks}", &self.runbooks);
        for known in THRESHOLDS {
            let (name, value) = (known.name, self.threshold(&known));
            text = text
                .replace(&format!("${{{name}}}"), &value.to_string())
                .replace(&format!("${{{name}%}}"), &percent(value));
        }
        self.scoped(&self.timed(&text))
    }

    /// A template with its durations filled in.
    fn timed(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for Window { name, value, .. } in WINDOWS {
            let value = self.windows.get(name).map_or(value, String::as_str);
            text = text
                .replace(&format!("${{{name}}}"), value)
                .replace(&format!("${{{name} words}}"), &in_words(value));
        }
        patience::stated(&text, &self.patience)
    }

    /// The value of a threshold.
    pub(crate) fn threshold(&self, known: &Threshold) -> f64 {
        *self.thresholds.get(known.name).unwrap_or(&known.value)
    }

    /// A text with the labels that tell installations apart beside those of the scope.
    pub(crate) fn scoped(&self, text: &str) -> String {
        if self.external_labels.is_empty() {
            return text.to_owned();
        }
        let more = self.external_labels.join(", ");
        text.replace(SCOPE, &format!("{more}, {SCOPE}"))
            .replace("on (job, instance", &format!("on ({more}, job, instance"))
    }

    /// A clause for each desk that has to be a target.
    fn absent(&self) -> String {
        self.clauses(|desk| {
            let labels = desk.labels().collect::<Vec<_>>();
            let by: Vec<_> = labels.iter().map(|(label, _)| *label).collect();
            format!(
                "max by ({}) (absent(up{{{}}}))",
                by.join(", "),
                desk.selector(&self.job)
            )
        })
    }

    /// A clause for each desk that has to report before the open of its market, where others have the same labels but for the
    /// instance. The clause for all looks at no instance, since pods get new ones.
    fn missing(&self) -> String {
        self.clauses(|desk| {
            if desk.instance.is_none() {
                return String::new();
            }
            let selector = desk.selector(&self.job);
            format!(
                "max by ({SCOPE}, instance, venue) (last_over_time(market_next_open_timestamp_seconds{{{selector}}}[5d])) - time() <= 300\n          unless on ({SCOPE}, instance) market_next_open_timestamp_seconds{{{selector}}}"
            )
        })
    }

    /// For tests: targets that are up, of the desks that have to be there.
    fn listed(&self) -> String {
        let series = self.desks.iter().map(|desk| {
            let selector = desk.selector(&self.job);
            format!("- {{ series: 'up{{{selector}}}', values: '1x4000' }}")
        });
        series.collect::<Vec<_>>().join("\n      ")
    }

    fn clauses(&self, of: impl Fn(&Desk) -> String) -> String {
        let clauses = self.desks.iter().map(of);
        clauses
            .filter(|clause| !clause.is_empty())
            .fold(String::new(), |mut all, clause| {
                // Writing to a string cannot fail.
                let _ = write!(all, "{clause}\n          or ");
                all
            })
    }
}

impl Desk {
    /// The labels that tell it apart.
    fn labels(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let instance = self
            .instance
            .as_deref()
            .map(|instance| ("instance", instance));
        [
            ("service", self.service.as_str()),
            ("environment", &self.environment),
            ("mode", &self.mode),
        ]
        .into_iter()
        .chain(instance)
    }

    /// Its labels as a value.
    pub(crate) fn as_value(&self) -> serde_json::Value {
        let labels = self.labels();
        labels
            .map(|(label, value)| (label, serde_json::Value::from(value)))
            .collect()
    }

    /// It in a list of targets, at an address.
    fn listed(&self, address: &str) -> String {
        let labels = self.labels().filter(|(label, _)| *label != "instance");
        labels.fold(
            format!("- targets: [\"{address}\"]\n  labels:\n"),
            |all, (label, value)| all + &format!("    {label}: {value}\n"),
        )
    }

    fn selector(&self, job: &str) -> String {
        self.labels()
            .fold(format!("job=\"{job}\""), |mut all, (label, value)| {
                let _ = write!(all, ", {label}=\"{value}\"");
                all
            })
    }
}

/// A share as people read it.
fn percent(share: f64) -> String {
    format!("{} %", (share * 1e9).round() / 1e7)
}

/// A duration as people say it.
fn in_words(duration: &str) -> String {
    let usual = match duration {
        "1m" => "a minute",
        "2m" => "two minutes",
        "5m" => "five minutes",
        "10m" => "ten minutes",
        "15m" => "a quarter of an hour",
        "30m" => "half an hour",
        "1h" => "an hour",
        "2h" => "two hours",
        other => other,
    };
    usual.to_owned()
}

/// The calendars that settings may name.
pub const CALENDARS: [&str; 6] = [
    "nyse",
    "fx",
    "cme_equity_index",
    "cme_fx",
    "cme_interest_rate",
    "cme_energy_and_metals",
];

/// A ready calendar by its name in the settings; none for a name that is not in [`CALENDARS`].
#[must_use]
pub fn calendar(name: &str) -> Option<Calendar> {
    Some(match name {
        "nyse" => Calendar::nyse(),
        "fx" => Calendar::fx(),
        "cme_equity_index" => Calendar::cme(CmeGroup::EquityIndex),
        "cme_fx" => Calendar::cme(CmeGroup::Fx),
        "cme_interest_rate" => Calendar::cme(CmeGroup::InterestRate),
        "cme_energy_and_metals" => Calendar::cme(CmeGroup::EnergyAndMetals),
        _ => return None,
    })
}

/// Files of rules, by name. With a catalogue, only the rules whose every series is in it, made by Prometheus, or recorded by
/// another of these rules.
pub fn rules(
    settings: &Settings,
    catalog: Option<&Catalog>,
    by: &str,
) -> Result<Vec<(&'static str, String)>, Error> {
    let files = templates(settings, catalog)?;
    let written = |text: &str| format!("# Written by `{by}`.\n#\n{}", settings.fill(text));
    Ok(files
        .into_iter()
        .map(|(name, text)| (name, written(&text)))
        .collect())
}

/// The same with their parameters as the templates have them, but for durations: the values of a chart have none.
pub(crate) fn templates(
    settings: &Settings,
    catalog: Option<&Catalog>,
) -> Result<Vec<(&'static str, String)>, Error> {
    let mut queries = Vec::new();
    for (name, template) in TEMPLATES {
        queries.push(of_rules(name, &settings.fill(template))?);
    }
    let all: Vec<_> = queries.iter().flatten().cloned().collect();
    let known = catalog.map(|catalog| vocabulary(catalog, &all));
    let mut written = Vec::new();
    for ((name, template), queries) in TEMPLATES.into_iter().zip(&queries) {
        let is_kept = |i: usize| {
            let answers = |known| check(&queries[i].text, known).1.is_empty();
            known.as_ref().is_none_or(answers)
        };
        if let Some(text) = Parts::of(template).kept(is_kept) {
            written.push((name, settings.timed(&text)));
        }
    }
    Ok(written)
}

/// Where Prometheus finds the desks, as a list of targets with their labels: each at its instance, and the first that has none at `address`.
#[must_use]
pub fn targets(settings: &Settings, address: &str, by: &str) -> String {
    let mut text =
        format!("# Written by `{by}`. The labels are for `up`, which Prometheus itself makes.\n");
    let mut at_address = Some(address);
    for desk in &settings.desks {
        if let Some(target) = desk.instance.as_deref().or_else(|| at_address.take()) {
            text += &desk.listed(target);
        }
    }
    text
}

/// Where Prometheus finds the agent (`obstool agent`) at `address` that watches the first desk, as a list of targets with the labels of
/// that desk. They are for what it says of itself, and for `up`: what it says of a process has that process' labels, by which alerts are
/// routed. So one agent watches desks of any mode.
#[must_use]
pub fn agent(settings: &Settings, address: &str, by: &str) -> String {
    let desk = settings.desks.first();
    let listed = desk.map_or_else(|| "[]\n".to_owned(), |desk| desk.listed(address));
    format!("# Written by `{by}`. What it says of a process has the labels of that.\n{listed}")
}

/// What the first desk is, as variables of its environment.
#[must_use]
pub fn variables(settings: &Settings, by: &str) -> String {
    let mut text = format!("# Written by `{by}`.\n");
    for (label, value) in settings.desks.first().into_iter().flat_map(Desk::labels) {
        if label != "instance" {
            let _ = writeln!(text, "OBS_{}={value}", label.to_uppercase());
        }
    }
    text
}

/// The groups of a file of rules, to be put under `groups:` of another.
#[must_use]
pub fn groups(file: &str) -> &str {
    file.split_once("\ngroups:\n")
        .map_or("", |(_, groups)| groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_desk_is_stands_in_one_place() {
        let settings = Settings::read(
            "alerts.yml",
            "desks:\n  - { service: quoter, environment: production, mode: live }\n  - { service: quoter, environment: staging, mode: paper }\n  - { service: quoter, environment: staging, mode: paper, instance: \"quoter-2:9464\" }\n",
        )
        .unwrap();
        let targets: serde_json::Value =
            serde_saphyr::from_str(&targets(&settings, "desk:9464", "gen")).unwrap();
        // The second has no address that could be scraped.
        let expected = serde_json::json!([
            { "targets": ["desk:9464"], "labels": { "service": "quoter", "environment": "production", "mode": "live" } },
            { "targets": ["quoter-2:9464"], "labels": { "service": "quoter", "environment": "staging", "mode": "paper" } },
        ]);
        assert_eq!(targets, expected);
        // An agent has the labels of the desk that it watches, and an address of its own.
        let listed = |settings: &Settings| -> serde_json::Value {
            serde_saphyr::from_str(&agent(settings, "agent:9466", "gen")).unwrap()
        };
        let mut first = expected[0].clone();
        first["targets"][0] = "agent:9466".into();
        assert_eq!(listed(&settings), serde_json::json!([first]));
        assert_eq!(listed(&Settings::default()), serde_json::json!([]));
        let variables = variables(&settings, "gen");
        assert_eq!(
            variables,
            "# Written by `gen`.\nOBS_SERVICE=quoter\nOBS_ENVIRONMENT=production\nOBS_MODE=live\n"
        );
    }
}
