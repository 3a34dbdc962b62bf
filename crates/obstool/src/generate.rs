//! `obstool gen`: what follows from a catalogue.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use obs_verify::alerts::{self, Settings, routing};
use obs_verify::dashboard::{Dashboard, Scope, perses};
use obs_verify::generated::Generated;
use obs_verify::kubernetes::{self, Chart};
use obs_verify::objectives::{self, Style};
use obs_verify::queries::{self, Query};
use obs_verify::{Catalog, boards, dashboard, drawn, queried, reference};

use crate::diff::catalog;
use crate::{Access, Error};

/// What writes, as the files say.
const BY: &str = "obstool gen";

/// Write dashboards, rules or the reference from a catalogue of metrics
#[derive(Args, Debug)]
pub struct Gen {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    Dashboards(Dashboards),
    Boards(Boards),
    Rules(Rules),
    Alertmanager(Alertmanager),
    Chart(ChartFiles),
    Manifests(Manifests),
    Docs(Docs),
}

/// Where the catalogue is.
#[derive(Args, Debug)]
struct Source {
    /// Where the catalogue is: a file, or where a service is. The catalogue of the program itself unless given.
    #[arg(value_name = "CATALOGUE")]
    catalogue: Option<String>,
    /// Write nothing, and fail when something is stale.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    access: Access,
}

/// Write a dashboard for each group of metrics
#[derive(Args, Debug)]
struct Dashboards {
    #[command(flatten)]
    source: Source,
    /// The folder for the files.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Only series of this job.
    #[arg(long)]
    job: Option<String>,
    /// The metric whose labels can be chosen: one that every service has. `app_info`, or the first there is, unless given.
    #[arg(long, value_name = "METRIC")]
    services: Option<String>,
    /// What dashboards are tagged with, and their addresses begin with.
    #[arg(long, default_value = "obstool")]
    tag: String,
    /// The mode that is chosen at first. `live` where the service says that it has a mode, and otherwise every one, unless given.
    #[arg(long, value_name = "MODE")]
    mode: Option<String>,
    /// Files with the rules that Prometheus evaluates: panels lead to the alerts that watch what they show.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    rules: Vec<PathBuf>,
    /// What comes before an alert's name in the address of its runbook.
    #[arg(long, value_name = "URL", default_value = "")]
    runbooks: String,
    #[command(flatten)]
    format: Format,
}

/// Write the dashboards that this workspace deploys, as far as the catalogue has their metrics
///
/// They are drawn by hand for what the crates of obs measure: processes and hosts, trading, positions, risk, feeds, databases and so on. Panels
/// of which the service has no metrics are left out. They ask for what the rules record that `obstool gen rules` writes from the same
/// settings, and lead to their alerts.
#[derive(Args, Debug)]
struct Boards {
    #[command(flatten)]
    installation: Installation,
    /// The folder for the files.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// The mode that is chosen at first. `live` where the service says that it has a mode, and otherwise every one, unless given.
    #[arg(long, value_name = "MODE")]
    mode: Option<String>,
    #[command(flatten)]
    format: Format,
}

/// Whose dashboards are written.
#[derive(Args, Debug)]
struct Format {
    /// Write resources of Perses for this project, instead of Grafana's JSON.
    #[arg(long, value_name = "PROJECT", num_args = 0..=1, require_equals = true, default_missing_value = "obs")]
    perses: Option<String>,
}

/// Write the rules that follow from declarations, with their tests
///
/// Alerts on the error budget of each family that declares an objective, and on families that come near their budgets of series. With
/// --job or --settings, also the rules on what the crates of obs measure: processes, hosts, orders, feeds, databases, as far as the
/// catalogue has their metrics, and on the desks that have to be there.
#[derive(Args, Debug)]
struct Rules {
    #[command(flatten)]
    source: Source,
    /// The file for the rules. Their tests are beside it, as `….test.yml`.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Only series of this job.
    #[arg(long)]
    job: Option<String>,
    /// The settings of the installation, as YAML: job, runbooks, desks, thresholds.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// The labels that tell services apart.
    #[arg(
        long,
        value_name = "LABEL",
        value_delimiter = ',',
        default_value = "service,environment,mode"
    )]
    by: Vec<String>,
    /// Labels that each alert gets, such as `team: desk`.
    #[arg(long, value_name = "LABELS", default_value = "")]
    labels: String,
    /// What comes before an alert's name in the address of its runbook.
    #[arg(long, value_name = "URL", default_value = "")]
    runbooks: String,
}

/// Write a configuration of Alertmanager for these rules
///
/// It routes critical alerts of live desks to the pager, other alerts to tickets, those of backtests to a chat, and the watchdog to its own
/// receiver; and says which alerts explain others, and when a market is closed.
#[derive(Args, Debug)]
struct Alertmanager {
    /// The settings of the installation, as YAML: receivers, desks and their calendars.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// The file for the configuration. Printed unless given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Divide every wait by this: for a test that cannot wait for minutes.
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    time_scale: u32,
    /// Write nothing, and fail when the file is stale.
    #[arg(long)]
    check: bool,
}

/// Write a Helm chart for the service: it, its monitor, its alerts and its dashboards
///
/// The job of the settings is the service's name. Thresholds, desks and addresses of runbooks are values of the chart; what they are
/// without values of your own, the settings say.
#[derive(Args, Debug)]
struct ChartFiles {
    #[command(flatten)]
    installation: Installation,
    /// The folder of the chart.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

/// Write plain Kubernetes manifests: what the chart makes, without Helm
#[derive(Args, Debug)]
struct Manifests {
    #[command(flatten)]
    installation: Installation,
    /// Values over those of the chart, as YAML: `image`, `args`, `resources`, …
    #[arg(long, value_name = "FILE")]
    values: Option<PathBuf>,
    /// The folder for desk.yaml, rules.yaml and dashboards.yaml.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

/// What is deployed: which metrics it has, and where.
#[derive(Args, Debug)]
struct Installation {
    #[command(flatten)]
    source: Source,
    /// The settings of the installation, as YAML: job, runbooks, desks, thresholds.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

/// Write the reference of all metrics, as Markdown
#[derive(Args, Debug)]
struct Docs {
    #[command(flatten)]
    source: Source,
    /// The document, between whose marks `<!-- reference:begin -->` and `<!-- reference:end -->` it goes. Printed unless given.
    #[arg(long, value_name = "FILE")]
    into: Option<PathBuf>,
}

impl Gen {
    /// Writes it; whether it could.
    pub fn run(&self, own: Option<&Catalog>) -> Result<bool, Error> {
        match &self.what {
            What::Dashboards(dashboards) => dashboards.run(own),
            What::Boards(boards) => boards.run(own),
            What::Rules(rules) => rules.run(own),
            What::Alertmanager(alertmanager) => alertmanager.run(),
            What::Chart(chart) => chart.run(own),
            What::Manifests(manifests) => manifests.run(own),
            What::Docs(docs) => docs.run(own),
        }
    }
}

impl Source {
    fn catalog(&self, own: Option<&Catalog>) -> Result<Catalog, Error> {
        match (&self.catalogue, own) {
            (Some(from), _) => catalog(from, &self.access),
            (None, Some(own)) => Ok(own.clone()),
            (None, None) => Err(Error::Usage(
                "say where the catalogue is: a file, or a service",
            )),
        }
    }

    fn put(&self, path: &Path, text: &str) -> Result<(), Error> {
        let name = path.to_string_lossy();
        if self.generated().put(&name, text)? {
            anstream::eprintln!("{name} is written");
        }
        Ok(())
    }

    fn generated(&self) -> Generated {
        Generated {
            folder: PathBuf::new(),
            check: self.check,
        }
    }
}

impl Dashboards {
    fn run(&self, own: Option<&Catalog>) -> Result<bool, Error> {
        let catalog = self.source.catalog(own)?;
        let rules = queries::of_files(&self.rules)?;
        let mut scope = scope(
            &catalog,
            self.services.as_deref(),
            self.job.as_deref(),
            &self.tag,
        );
        scope.runbooks.clone_from(&self.runbooks);
        scope.chosen = chosen(&catalog, self.mode.as_deref());
        let boards = drawn::dashboards(&catalog, &rules, &scope);
        for (name, json) in self.format.files(boards, &catalog, &rules) {
            self.source.put(&self.out.join(name), &json)?;
        }
        Ok(true)
    }
}

impl Boards {
    fn run(&self, own: Option<&Catalog>) -> Result<bool, Error> {
        let (settings, catalog) = self.installation.read(own)?;
        let rules = rules_of(&settings, &catalog)?;
        let mut boards = boards::of(&catalog, &rules);
        for board in &mut boards {
            board.scope.from = naming(&catalog);
            board.scope.chosen = chosen(&catalog, self.mode.as_deref());
            board.scope.runbooks.clone_from(&settings.runbooks);
        }
        for (name, json) in self.format.files(boards, &catalog, &rules) {
            self.installation.source.put(&self.out.join(name), &json)?;
        }
        Ok(true)
    }
}

/// Which series are drawn, and by which labels they are chosen.
fn scope(catalog: &Catalog, services: Option<&str>, job: Option<&str>, tag: &str) -> Scope {
    Scope {
        from: services.map_or_else(|| naming(catalog), str::to_owned),
        matchers: matcher(job),
        chosen: chosen(catalog, None),
        tag: tag.to_owned(),
        ..Scope::default()
    }
}

/// What is chosen at first. A service that is no trading system has no mode, and one whose code is all that is known may have none.
fn chosen(catalog: &Catalog, mode: Option<&str>) -> Vec<(String, String)> {
    let live = catalog.mode.as_ref().map(|_| "live");
    let mode = mode
        .or(live)
        .map(|mode| ("mode".to_owned(), mode.to_owned()));
    mode.into_iter().collect()
}

/// Dashboards of whatever a catalogue has, by the names of their files.
fn drawings(catalog: &Catalog, rules: &[Query], scope: &Scope) -> Vec<(String, String)> {
    let boards = drawn::dashboards(catalog, rules, scope);
    Format { perses: None }.files(boards, catalog, rules)
}

impl Format {
    /// Dashboards, by the names of their files.
    fn files(
        &self,
        boards: Vec<Dashboard>,
        catalog: &Catalog,
        rules: &[Query],
    ) -> Vec<(String, String)> {
        let vocabulary = queried::vocabulary(catalog, rules);
        let file = |board: Dashboard| {
            let json = match &self.perses {
                Some(project) => perses::dashboard(&board, catalog, &vocabulary, project),
                None => dashboard::json(&board, catalog, &vocabulary),
            };
            (format!("{}.json", board.name), format!("{json:#}\n"))
        };
        boards.into_iter().map(file).collect()
    }
}

/// The rules that `obstool gen rules` writes from the same settings.
fn rules_of(settings: &Settings, catalog: &Catalog) -> Result<Vec<Query>, Error> {
    let files = alerts::rules(settings, Some(catalog), BY)?.into_iter();
    let files = files.map(|(name, text)| (name.to_owned(), text));
    let objectives = (OBJECTIVES.to_owned(), objectives_of(settings, catalog)?);
    let mut rules = Vec::new();
    for (name, text) in files.chain([objectives]) {
        rules.extend(queries::of_rules(&name, &text)?);
    }
    Ok(rules)
}

impl Installation {
    /// The settings, and the metrics.
    fn read(&self, own: Option<&Catalog>) -> Result<(Settings, Catalog), Error> {
        let settings = self.settings.as_deref().map(read).transpose()?;
        Ok((settings.unwrap_or_default(), self.source.catalog(own)?))
    }
}

/// The rules that follow from declarations, for the chart and the manifests.
const OBJECTIVES: &str = "objectives.yml";

fn objectives_of(settings: &Settings, catalog: &Catalog) -> Result<String, Error> {
    let style = Style {
        matchers: matcher(Some(&settings.job)),
        by: settings.scope(),
        runbooks: settings.runbooks.clone(),
        ..Style::default()
    };
    let stated = settings.objectives_of(catalog);
    Ok(objectives::rules(catalog, &stated, &style, BY)?)
}

impl ChartFiles {
    fn run(&self, own: Option<&Catalog>) -> Result<bool, Error> {
        let (settings, catalog) = self.installation.read(own)?;
        let mut files = chart(&settings, &catalog).files()?;
        files.push((
            Chart::rules(OBJECTIVES),
            objectives_of(&Chart::open(&settings), &catalog)?,
        ));
        let scope = scope(&catalog, None, Some(&settings.job), &settings.job);
        let rules = rules_of(&settings, &catalog)?;
        let boards = drawings(&catalog, &rules, &scope).into_iter();
        files.extend(
            boards.map(|(name, json)| (format!("{}/{name}", kubernetes::DASHBOARDS), json)),
        );
        for (name, text) in files {
            self.installation.source.put(&self.out.join(name), &text)?;
        }
        Ok(true)
    }
}

impl Manifests {
    fn run(&self, own: Option<&Catalog>) -> Result<bool, Error> {
        let (settings, catalog) = self.installation.read(own)?;
        let values = self.values.as_deref().map(values).transpose()?;
        let chart = chart(&settings, &catalog);
        let mut rules: Vec<_> = alerts::rules(&settings, Some(&catalog), BY)?
            .into_iter()
            .map(|(name, text)| (name.to_owned(), text))
            .collect();
        rules.push((OBJECTIVES.to_owned(), objectives_of(&settings, &catalog)?));
        let scope = scope(&catalog, None, Some(&settings.job), &settings.job);
        let boards = drawings(&catalog, &rules_of(&settings, &catalog)?, &scope);
        for (name, text) in [
            ("desk.yaml", chart.desk(values.as_ref())?),
            ("rules.yaml", kubernetes::rules(&rules, &settings.job, BY)),
            (
                "dashboards.yaml",
                kubernetes::dashboards(&boards, &settings.job, BY),
            ),
        ] {
            self.installation.source.put(&self.out.join(name), &text)?;
        }
        Ok(true)
    }
}

fn chart<'a>(settings: &'a Settings, catalog: &'a Catalog) -> Chart<'a> {
    Chart {
        settings,
        catalog: Some(catalog),
        args: &[],
        by: BY,
    }
}

/// Values of the user's own.
fn values(path: &Path) -> Result<serde_json::Value, Error> {
    let text = text_of(path)?;
    Ok(kubernetes::values(&path.to_string_lossy(), &text)?)
}

impl Rules {
    fn run(&self, own: Option<&Catalog>) -> Result<bool, Error> {
        let catalog = self.source.catalog(own)?;
        let settings = self.settings()?;
        let style = Style {
            matchers: matcher(settings.as_ref().map(|settings| settings.job.as_str())),
            by: self.by(settings.as_ref()),
            runbooks: settings.as_ref().map_or_else(
                || self.runbooks.clone(),
                |settings| settings.runbooks.clone(),
            ),
            labels: self.labels.clone(),
            budgets: true,
        };
        let stated = settings
            .as_ref()
            .map_or_else(Vec::new, |settings| settings.objectives_of(&catalog));
        let mut text = objectives::rules(&catalog, &stated, &style, BY)?;
        if let Some(settings) = &settings {
            let files = alerts::rules(settings, Some(&catalog), BY)?;
            text = text.replace("groups: []\n", "groups:\n");
            text.extend(files.iter().map(|(_, file)| alerts::groups(file)));
        }
        self.source.put(&self.out, &text)?;
        let file = self.out.file_name().unwrap_or_default().to_string_lossy();
        let tests = objectives::tests(&catalog, &stated, &style, &file, BY)?;
        self.source
            .put(&self.out.with_extension("test.yml"), &tests)?;
        Ok(true)
    }
}

impl Rules {
    /// The labels that tell services apart, after those of a fleet.
    fn by(&self, settings: Option<&Settings>) -> Vec<String> {
        let fleet = settings.map_or(&[][..], |settings| &settings.external_labels);
        let more = fleet.iter().filter(|label| !self.by.contains(label));
        more.chain(&self.by).cloned().collect()
    }

    /// What the rules on the crates' own metrics are written for, if they are wanted.
    fn settings(&self) -> Result<Option<Settings>, Error> {
        let mut settings = match (&self.settings, &self.job) {
            (None, None) => return Ok(None),
            (Some(path), _) => read(path)?,
            (None, Some(_)) => Settings::default(),
        };
        if let Some(job) = &self.job {
            settings.job.clone_from(job);
        }
        if !self.runbooks.is_empty() {
            settings.runbooks.clone_from(&self.runbooks);
        }
        Ok(Some(settings))
    }
}

impl Alertmanager {
    fn run(&self) -> Result<bool, Error> {
        let settings = match &self.settings {
            Some(path) => read(path)?,
            None => Settings::default(),
        };
        let text = routing::configuration(&settings, self.time_scale, BY);
        let Some(out) = &self.out else {
            anstream::print!("{text}");
            return Ok(true);
        };
        let generated = Generated {
            folder: PathBuf::new(),
            check: self.check,
        };
        let name = out.to_string_lossy();
        if generated.put(&name, &text)? {
            anstream::eprintln!("{name} is written");
        }
        Ok(true)
    }
}

/// The settings of an installation.
fn read(path: &Path) -> Result<Settings, Error> {
    Ok(Settings::read(&path.to_string_lossy(), &text_of(path)?)?)
}

fn text_of(path: &Path) -> Result<String, Error> {
    let read = std::fs::read_to_string(path);
    Ok(read.map_err(|source| obs_verify::Error::File {
        verb: "read",
        path: path.to_owned(),
        source,
    })?)
}

impl Docs {
    fn run(&self, own: Option<&Catalog>) -> Result<bool, Error> {
        let text = reference::reference(&self.source.catalog(own)?, BY);
        let Some(into) = &self.into else {
            anstream::print!("{text}");
            return Ok(true);
        };
        let name = into.to_string_lossy();
        if self.source.generated().put_between_marks(&name, &text)? {
            anstream::eprintln!("{name} is written");
        }
        Ok(true)
    }
}

/// A metric whose labels name the services: the one that is there to do so, or any.
fn naming(catalog: &Catalog) -> String {
    const NAMING: &str = "app_info";
    let first = catalog.families.first().map_or("up", |family| &family.name);
    let named = catalog.family(NAMING).map_or(first, |family| &family.name);
    named.to_owned()
}

fn matcher(job: Option<&str>) -> String {
    job.map_or_else(String::new, |job| format!("job=\"{job}\""))
}
