//! `obstool page`: several services on one page, in a browser on this machine.
//!
//! This program asks the services, with whatever credentials that takes, and serves what it learns on loopback. Credentials never leave
//! it: the browser speaks to nobody but this program, and only a link leads from a row to the service's own page.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use http::StatusCode;
use obs_page::Response;
use obs_verify::Catalog;
use serde::Serialize;

use super::format;
use super::history::History;
use super::overview::{self, Tone};
use super::target::{Scraped, Target};
use crate::prometheus::{Alerting, Firing, Prometheus, Rules};
use crate::serve::{self, serve};
use crate::{Access, Error, Place};

/// How often each service is asked, and the Prometheus.
const ASK: Duration = Duration::from_secs(1);
const ASK_RULES: Duration = Duration::from_secs(5);

/// How many figures of a service a row has.
const FIGURES: usize = 5;

/// Show several services on one page, a row each
///
/// A row has the service's state, its first figures and, where a Prometheus is named, which of its rules fire. The page is served to
/// this machine only, until Ctrl-C; credentials stay in this program.
#[derive(clap::Args, Debug)]
pub struct Page {
    /// Where the services are: URLs, hosts with ports, or Unix sockets.
    #[arg(value_name = "URL", required = true)]
    services: Vec<Place>,
    /// Where the page is served: an address of this machine that others do not reach; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9470")]
    listen: SocketAddr,
    /// The Prometheus whose rules watch the services; it gets none of their credentials.
    #[arg(long, value_name = "URL")]
    prometheus: Option<Place>,
    #[command(flatten)]
    access: Access,
}

/// What is known by now.
#[derive(Default)]
struct Known {
    rows: Vec<Row>,
    /// What fires; none where no Prometheus is named.
    firing: Option<Vec<Firing>>,
    rules: Rules,
    /// Why it is not known what fires.
    prometheus: Option<String>,
}

/// One service.
#[derive(Clone, Default)]
struct Row {
    url: String,
    service: Option<String>,
    facts: String,
    /// Why there is no answer.
    failure: Option<String>,
    uptime: Option<f64>,
    figures: Vec<Figure>,
    catalog: Arc<Catalog>,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Figure {
    title: String,
    text: String,
    is_bad: bool,
}

/// `/services.json`.
#[derive(Serialize)]
struct Overview<'a> {
    services: Vec<Shown<'a>>,
    prometheus: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    service: Option<&'a str>,
    url: &'a str,
    is_up: bool,
    state: String,
    facts: &'a str,
    figures: &'a [Figure],
    alerts: Option<Vec<&'a Firing>>,
}

/// A rule that reads metrics of a service, in `/rules/0.json` for the first of the services.
#[derive(Serialize)]
struct ShownRule<'a> {
    name: &'a str,
    query: &'a str,
    /// For how long that has to hold before it fires; empty where it fires at once.
    r#for: String,
    severity: Option<&'a str>,
    /// `inactive`, `pending` or `firing`, for whichever service.
    state: &'a str,
    /// The metrics that it reads, also through what is recorded.
    reads: BTreeSet<String>,
}

type Shared = Arc<Mutex<Known>>;

impl Page {
    /// Serves the page until the process is ended.
    pub fn run(self) -> Result<bool, Error> {
        if !self.listen.ip().is_loopback() {
            return Err(Error::Usage(
                "the page shows what credentials were asked for: give --listen an address of this machine only, such as 127.0.0.1:9470",
            ));
        }
        let listen = |source| Error::Listen {
            address: self.listen,
            source,
        };
        let listener = TcpListener::bind(self.listen).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let known = self.ask()?;
        anstream::println!("http://{address}/");
        serve(
            &listener,
            move |host| is_here(host, address),
            move |request| content(&request.path, &known),
        );
        Ok(true)
    }

    /// Begins to ask everybody, each on a thread of its own.
    fn ask(&self) -> Result<Shared, Error> {
        let mut known = Known::default();
        let mut targets = Vec::new();
        for place in &self.services {
            targets.push(Target::new(place.clone(), &self.access, None)?);
            known.rows.push(Row {
                url: place.to_string(),
                failure: Some("not asked yet".to_owned()),
                ..Row::default()
            });
        }
        let known = Arc::new(Mutex::new(known));
        for (index, target) in targets.into_iter().enumerate() {
            let known = Arc::clone(&known);
            thread::spawn(move || watch(index, target, &known));
        }
        if let Some(place) = &self.prometheus {
            let prometheus = Prometheus::new(place, &self.access)?;
            let known = Arc::clone(&known);
            thread::spawn(move || watch_rules(&prometheus, &known));
        }
        Ok(known)
    }
}

/// Asks a service for ever.
fn watch(index: usize, mut target: Target, known: &Shared) {
    let (began, mut history, mut catalog) = (Instant::now(), History::default(), Arc::default());
    loop {
        match target.look() {
            Ok(Some(scraped)) => {
                take(&mut history, &mut catalog, scraped, began);
                lock(known).rows[index].show(&history, &catalog);
            }
            Ok(None) => {}
            Err(error) => {
                history.missed(began.elapsed().as_secs_f64());
                lock(known).rows[index].failure = Some(error.to_string());
            }
        }
        thread::sleep(ASK);
    }
}

fn take(history: &mut History, catalog: &mut Arc<Catalog>, scraped: Scraped, began: Instant) {
    if let Some(said) = scraped.catalog {
        *catalog = Arc::new(said);
    }
    let at = scraped.at.saturating_duration_since(began);
    history.add(at.as_secs_f64(), scraped.layout, scraped.values);
}

/// Asks a Prometheus for ever.
fn watch_rules(prometheus: &Prometheus, known: &Shared) {
    loop {
        let answer = prometheus.firing();
        // What speaks like a Prometheus may have alerts and no list of rules.
        let rules = prometheus.rules().unwrap_or_default();
        let mut known_now = lock(known);
        known_now.rules = rules;
        match answer {
            Ok(firing) => {
                known_now.firing = Some(firing);
                known_now.prometheus = None;
            }
            Err(error) => known_now.prometheus = Some(error.to_string()),
        }
        drop(known_now);
        thread::sleep(ASK_RULES);
    }
}

impl Row {
    fn show(&mut self, history: &History, catalog: &Arc<Catalog>) {
        self.failure = None;
        self.catalog = Arc::clone(catalog);
        self.service.clone_from(&catalog.service);
        let version = catalog.app.as_ref().map(|app| app.version.clone());
        let facts = [catalog.mode.clone(), catalog.environment.clone(), version];
        self.facts = facts.into_iter().flatten().collect::<Vec<_>>().join(" · ");
        self.uptime = history
            .layout()
            .and_then(|layout| layout.place("app_uptime_seconds"))
            .map(|family| history.now(family, 0));
        let tiles = overview::tiles(history, catalog, FIGURES, 2).into_iter();
        self.figures = tiles
            .map(|tile| Figure {
                title: tile.title,
                text: tile.figure,
                is_bad: tile.tone == Tone::Bad,
            })
            .collect();
    }

    fn shown<'a>(&'a self, firing: Option<&'a [Firing]>) -> Shown<'a> {
        let host = self.url.split_once("://").map_or("", |(_, rest)| rest);
        let host = host.split('/').next().unwrap_or_default();
        let is_of = |firing: &&Firing| firing.is_of(self.service.as_deref(), host);
        Shown {
            service: self.service.as_deref(),
            url: &self.url,
            is_up: self.failure.is_none(),
            state: match (&self.failure, self.uptime) {
                (Some(failure), _) => failure.clone(),
                (None, Some(uptime)) => format!("up {}", format::span(uptime)),
                (None, None) => "up".to_owned(),
            },
            facts: &self.facts,
            figures: &self.figures,
            alerts: firing.map(|firing| firing.iter().filter(is_of).collect()),
        }
    }
}

fn lock(known: &Shared) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a browser was given an address of this machine.
fn is_here(host: &str, address: SocketAddr) -> bool {
    let names = [address.to_string(), format!("localhost:{}", address.port())];
    names.iter().any(|name| name == host)
}

/// What is under a path.
fn content(path: &str, known: &Shared) -> Response {
    const JSON: &str = "application/json";
    match path {
        "/" => serve::ok("text/html; charset=utf-8", include_str!("page/index.html")),
        "/page.css" => serve::ok("text/css; charset=utf-8", include_str!("page/page.css")),
        "/page.js" => serve::ok(
            "text/javascript; charset=utf-8",
            include_str!("page/page.js"),
        ),
        "/services.json" => serve::ok(JSON, overview_of(&lock(known))),
        _ => rules_at(path, &lock(known)).map_or_else(
            || serve::refused(StatusCode::NOT_FOUND, "there is no such page\n"),
            |rules| serve::ok(JSON, rules),
        ),
    }
}

/// The rules that read metrics of one service, those that fire first. They are asked for when somebody wants to see them.
fn rules_at(path: &str, known: &Known) -> Option<String> {
    let index = path.strip_prefix("/rules/")?.strip_suffix(".json")?;
    let row = known.rows.get(index.parse::<usize>().ok()?)?;
    let shown = |rule| ShownRule::new(rule, &known.rules, &row.catalog);
    let mut rules: Vec<_> = known.rules.alerting.iter().map(shown).collect();
    rules.retain(|rule| !rule.reads.is_empty());
    let place = |state| {
        ["firing", "pending"]
            .iter()
            .position(|known| *known == state)
    };
    rules.sort_by_key(|rule| (place(rule.state).unwrap_or(usize::MAX), rule.name));
    serde_json::to_string(&rules).ok()
}

impl<'a> ShownRule<'a> {
    fn new(rule: &'a Alerting, rules: &Rules, catalog: &Catalog) -> Self {
        Self {
            name: &rule.name,
            query: &rule.query,
            r#for: if rule.duration > 0.0 {
                format::span(rule.duration)
            } else {
                String::new()
            },
            severity: rule.labels.get("severity").map(String::as_str),
            state: &rule.state,
            reads: rules.read_by(&rule.query, catalog),
        }
    }
}

fn overview_of(known: &Known) -> String {
    let firing = known.firing.as_deref();
    let overview = Overview {
        services: known.rows.iter().map(|row| row.shown(firing)).collect(),
        prometheus: known.prometheus.as_deref(),
    };
    serde_json::to_string(&overview).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_answered() {
        let address = "127.0.0.1:9470".parse().unwrap();
        for (host, is_answered) in [
            ("127.0.0.1:9470", true),
            ("localhost:9470", true),
            ("evil.example:9470", false),
            ("127.0.0.1.evil.example:9470", false),
            ("", false),
        ] {
            assert_eq!(is_here(host, address), is_answered, "{host}");
        }
    }

    #[test]
    fn a_page_for_others_is_refused() {
        let page = Page {
            services: vec!["127.0.0.1:1".parse().unwrap()],
            listen: "0.0.0.0:0".parse().unwrap(),
            prometheus: None,
            access: Access::default(),
        };
        let error = page.run().unwrap_err().to_string();
        assert!(error.contains("--listen"), "{error}");
    }
}
