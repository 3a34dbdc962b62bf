//! `obstool verify`: whether a service exports what it says, and whether rules, dashboards and documents ask for what there is.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use obs_verify::asked::{self, Known};
use obs_verify::exposition::Scraped;
use obs_verify::live::{self, Expect};
use obs_verify::queries::{self, Query};
use obs_verify::{
    Catalog, Fault, Finding, Report, alone, compare, declared, lint, mentioned, queried,
};

use crate::prometheus::Prometheus;
use crate::service::Service;
use crate::{Access, Error, Place};

/// Hold a running service, rules, dashboards and documents to its catalogue of metrics
///
/// Reads `/catalog.json` and `/metrics` of each service: no source is needed. Families that have not been seen yet are a note, for
/// a quiet market is no fault. A service without a catalogue is judged by its exposition alone. Exits 0 when nothing has to be
/// repaired, 1 when something has, and 2 when it could not look.
#[derive(clap::Args, Debug)]
pub struct Verify {
    /// Where the services are: URLs, hosts with ports, or Unix sockets as `unix:/run/desk.sock`.
    #[arg(value_name = "URL")]
    services: Vec<Place>,
    /// Hold two services against each other too: both have to export the same metrics, whatever their values.
    #[arg(long)]
    same: bool,
    /// Read the catalogue from this file; without a service, for work offline.
    #[arg(long, value_name = "FILE")]
    catalogue: Option<PathBuf>,
    /// Read the exposition from this file instead of a service.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["services", "same"])]
    exposition: Option<PathBuf>,
    /// Check these files of rules, and of Alertmanager's routing, and lint their alerts.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    rules: Vec<PathBuf>,
    /// Check the queries of these Grafana dashboards.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    dashboards: Vec<PathBuf>,
    /// Check the queries in these Markdown documents, and the metrics they speak of.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    docs: Vec<PathBuf>,
    /// What the linter of alerts is known to find, a line each: the alert, and the word of the rule.
    #[arg(long, value_name = "FILE", requires = "rules")]
    known: Option<PathBuf>,
    /// Ask this Prometheus every query too. It gets none of the credentials.
    #[arg(long, value_name = "URL")]
    prometheus: Option<Place>,
    /// Expect every declared family to be there, and no other.
    #[arg(long)]
    strict: bool,
    /// How to say what was found.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Write JSON for machines: the same as `--format json`.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    #[command(flatten)]
    access: Access,
}

/// How findings are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
    /// GitHub's workflow commands, which it shows beside the lines they are about.
    Github,
}

impl Verify {
    /// Looks at everything and says what was found; whether nothing has to be repaired. `known` is the catalogue of the program
    /// itself, where it has one.
    pub fn run(&self, own: Option<&Catalog>) -> Result<bool, Error> {
        if self.same && self.services.len() != 2 {
            return Err(Error::Usage("--same takes two services"));
        }
        let given = self.given(own)?;
        let files = Files::read(self)?;
        let mut services = Vec::new();
        for place in &self.services {
            services.push(Service::look(place, &self.access)?);
        }
        if let Some(path) = &self.exposition {
            services.push(of_file(path)?);
        }
        let mut passes = true;
        for service in &services {
            let report = self.service(service, given.as_ref(), &files)?;
            passes &= self.tell(&report);
        }
        if let (true, [one, other]) = (self.same, &services[..]) {
            let side = |service: &'_ Service| (service.catalog.clone(), service.scraped.clone());
            let ((a, b), (c, d)) = (side(one), side(other));
            let found = compare::differences((a.as_ref(), &b), (c.as_ref(), &d));
            passes &= self.tell(&Report::new("the two services", found));
        }
        if services.is_empty() {
            let catalog = given.ok_or(Error::Usage(
                "name a service, or give a catalogue by --catalogue",
            ))?;
            passes &= self.tell(&self.offline(&catalog, &files)?);
        }
        Ok(passes)
    }

    /// The catalogue that was given apart from the service.
    fn given(&self, own: Option<&Catalog>) -> Result<Option<Catalog>, Error> {
        let Some(path) = &self.catalogue else {
            return Ok(own.cloned());
        };
        let text = read(path)?;
        Ok(Some(Catalog::read(&path.to_string_lossy(), &text)?))
    }

    fn service(
        &self,
        service: &Service,
        given: Option<&Catalog>,
        files: &Files,
    ) -> Result<Report, Error> {
        let scraped = &service.scraped;
        let mut findings: Vec<_> = service
            .remarks
            .iter()
            .map(|remark| remarked(remark))
            .collect();
        let expect = if self.strict {
            Expect::Everything
        } else {
            Expect::SoFar
        };
        let mut what = vec!["scrape"];
        let known = known(given, service.catalog.as_ref());
        if let Some(catalog) = &known {
            what.insert(0, "catalogue");
            findings.extend(declared::check(catalog));
            findings.extend(live::check(catalog, scraped, expect));
        } else {
            findings.extend(alone::check(scraped));
        }
        if let (Some(given), Some(served)) = (given, &service.catalog) {
            what.insert(0, "code");
            findings.extend(compare::changes(&served.of_packages_in(given), given));
        }
        if let Some(served) = &service.catalog {
            findings.extend(served.warnings.iter().map(told));
        }
        let seen = || alone::catalog(scraped);
        let asked_for = known.clone().unwrap_or_else(seen);
        findings.extend(self.asked(&asked_for, Some(scraped), files)?);
        what.extend(files.what());
        let report =
            Report::new(joined(&what), findings).scraped(&service.url, &scraped.exposition);
        Ok(match &known {
            Some(catalog) => report.declared(catalog),
            None => report,
        })
    }

    fn offline(&self, catalog: &Catalog, files: &Files) -> Result<Report, Error> {
        let mut findings = declared::check(catalog);
        findings.extend(self.asked(catalog, None, files)?);
        let mut what = vec!["catalogue"];
        what.extend(files.what());
        Ok(Report::new(joined(&what), findings).declared(catalog))
    }

    /// What is wrong with the files.
    fn asked(
        &self,
        catalog: &Catalog,
        scraped: Option<&Scraped>,
        files: &Files,
    ) -> Result<Vec<Finding>, Error> {
        let mut findings = queried::check(catalog, &files.queries);
        let mut linted = lint::check(catalog, &files.queries, scraped);
        for (file, text) in &files.routing {
            linted.extend(lint::of_alertmanager(file, text)?);
        }
        let known: Vec<&str> = files.known.iter().map(String::as_str).collect();
        let list = self.known.as_deref().unwrap_or(Path::new("--known"));
        findings.extend(lint::apart_from(&known, &list.to_string_lossy(), linted));
        for (file, text) in &files.docs {
            findings.extend(mentioned::check(catalog, &files.queries, file, text));
        }
        if let Some(place) = &self.prometheus {
            let prometheus = Prometheus::new(place, &self.access)?;
            let seen = scraped.map(|scraped| recorded(catalog, scraped));
            let known = Known {
                everything: catalog,
                recorded: seen.as_ref().unwrap_or(catalog),
                excused: &[("annotation `Alerts`", "no alert fires")],
            };
            let ask = |query: &str| prometheus.ask(query);
            findings.extend(asked::check(
                &place.to_string(),
                known,
                &files.queries,
                ask,
            )?);
        }
        Ok(findings)
    }

    /// Says what was found; whether nothing has to be repaired.
    fn tell(&self, report: &Report) -> bool {
        let format = if self.json { Format::Json } else { self.format };
        tell(report, format)
    }
}

/// Says what was found; whether nothing has to be repaired.
pub(crate) fn tell(report: &Report, format: Format) -> bool {
    let mut out = anstream::stdout();
    let told = match format {
        Format::Text => write!(out, "{report}"),
        Format::Json => writeln!(out, "{}", report.json()),
        Format::Github => write!(out, "{}", report.github()),
    };
    // Who closes the pipe, as `head` does, has read enough; the exit status still says it.
    drop(told);
    report.passes()
}

/// The files that were named.
#[derive(Default)]
struct Files {
    queries: Vec<Query>,
    /// Configurations of Alertmanager.
    routing: Vec<(String, String)>,
    docs: Vec<(String, String)>,
    known: Vec<String>,
    kinds: Vec<&'static str>,
}

impl Files {
    fn read(verify: &Verify) -> Result<Self, Error> {
        let mut files = Self::default();
        for (kind, paths) in [
            ("rules", &verify.rules),
            ("dashboards", &verify.dashboards),
            ("documents", &verify.docs),
        ] {
            if !paths.is_empty() {
                files.kinds.push(kind);
            }
            for path in paths {
                let (file, text) = (path.to_string_lossy().into_owned(), read(path)?);
                files.queries.extend(match kind {
                    "rules" if lint::is_configuration(&text) => {
                        files.routing.push((file, text));
                        continue;
                    }
                    "rules" => queries::of_rules(&file, &text)?,
                    "dashboards" => queries::of_dashboard(&file, &text)?,
                    _ => {
                        let queries = queries::of_document(&file, &text);
                        files.docs.push((file, text));
                        queries
                    }
                });
            }
        }
        if let Some(path) = &verify.known {
            let lines = read(path)?;
            let lines = lines.lines().map(str::trim);
            let said = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
            files.known = said.map(str::to_owned).collect();
        }
        Ok(files)
    }

    fn what(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.kinds.clone().into_iter()
    }
}

/// What is known of a service's metrics: what its code or a file declares, and of the libraries in it what it says itself.
fn known(given: Option<&Catalog>, served: Option<&Catalog>) -> Option<Catalog> {
    match (given, served) {
        (Some(given), Some(served)) => Some(given.and(served)),
        (given, served) => given.or(served).cloned(),
    }
}

/// A saved exposition as if a service served it.
fn of_file(path: &Path) -> Result<Service, Error> {
    Ok(Service {
        url: path.display().to_string(),
        catalog: None,
        scraped: Scraped::read(&read(path)?),
        remarks: Vec::new(),
    })
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| {
        Error::Verify(obs_verify::Error::File {
            verb: "read",
            path: path.to_owned(),
            source,
        })
    })
}

/// What of a catalogue has been seen.
fn recorded(catalog: &Catalog, scraped: &Scraped) -> Catalog {
    let is_seen = |name: &str| {
        let family = scraped.exposition.family(name);
        family.is_some_and(|family| !family.samples.is_empty())
    };
    let seen = catalog
        .families
        .iter()
        .filter(|family| is_seen(&family.name));
    seen.cloned().collect()
}

fn remarked(remark: &str) -> Finding {
    let repair = "give that address the next time";
    Finding::new(Fault::Elsewhere, remark, repair)
}

/// What a service warns of itself.
fn told(warning: &serde_json::Value) -> Finding {
    let text = warning.as_str().or_else(|| {
        let mut members = ["message", "text", "what", "problem"].iter();
        members.find_map(|member| warning[*member].as_str())
    });
    let problem = text.map_or_else(|| warning.to_string(), str::to_owned);
    Finding::new(
        Fault::Told,
        problem,
        "see what the service says of it when it starts",
    )
}

/// `a, b and c`.
fn joined(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => format!("{one} and conventions"),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
