//! `cargo xtask gen`: the reference in the guide, the dashboards and the rules on objectives, from the declarations; and the rules,
//! their tests and the routing of alerts, from templates and `deploy/alerts.yml`.

use obs_verify::alerts::{self, Settings, routing};
use obs_verify::dashboard::{Dashboard, perses};
use obs_verify::generated::Generated;
use obs_verify::kubernetes::{self, Chart};
use obs_verify::objectives::{self, Style};
use obs_verify::promql::Vocabulary;
use obs_verify::queried::vocabulary;
use obs_verify::reference::reference;
use obs_verify::{Catalog, boards, dashboard};
use serde_json::Value;

use crate::catalogue::everything;
use crate::deployed;
use crate::error::Error;

/// What writes, as the files say.
const BY: &str = "cargo xtask gen";

/// The document that holds the reference, from the workspace's directory.
const GUIDE: &str = "docs/METRICS_GUIDE.md";

/// The guide to the dashboards, whose tables are between the same marks.
const DASHBOARDS_GUIDE: &str = "docs/GRAFANA_DASHBOARDS.md";

/// The pictures in it, from where it is.
const PICTURES: &str = "images/boards";

/// The rules that follow from objectives, and their tests.
const OBJECTIVES: &str = "objectives.yml";
const RULE_TESTS: &str = "deploy/prometheus/tests";

/// What rules and routing are written for.
const SETTINGS: &str = "deploy/alerts.yml";
/// The tests of the rules, with parameters as the rules' templates have them.
const TEST_TEMPLATES: &str = "crates/obs-verify/rules/tests";

/// The manifests for Kubernetes, and the chart that makes them; its dashboards are a link to those of Grafana.
const MANIFESTS: &str = "deploy/kubernetes";
const CHART: &str = "deploy/chart";
/// What Perses provisions, the project there, and where its data source is in docker-compose.yml.
const PERSES: &str = "deploy/perses";
const PROJECT: &str = "obs";
const PROMETHEUS: &str = "http://prometheus:9090";

/// Ten days of the replay a second, so that there is something to watch.
const ARGS: [&str; 6] = [
    "--listen",
    "0.0.0.0:8080",
    "--pace",
    "100ms",
    "--db",
    "/data/desk.sqlite",
];

/// Write the reference part of the guide, the dashboards, the rules with their tests, and the routing of alerts
#[derive(clap::Args)]
pub(crate) struct Gen {
    /// Write nothing, and fail when something is stale.
    #[arg(long)]
    pub(crate) check: bool,
}

impl Gen {
    pub(crate) fn run(&self) -> Result<bool, Error> {
        let generated = Generated {
            folder: obs_tests::tools::workspace(),
            check: self.check,
        };
        let put = |name: &str, text: &str| told(name, generated.put(name, text));
        let between = |name: &str, text: &str| told(name, generated.put_between_marks(name, text));
        let catalog = everything()?;
        between(GUIDE, &reference(&catalog, BY))?;
        told(GUIDE, generated.put_index(GUIDE, &catalog))?;
        let settings = settings()?;
        let mut all = boards::all();
        for drawn in &mut all {
            drawn.scope.runbooks.clone_from(&settings.runbooks);
        }
        between(DASHBOARDS_GUIDE, &dashboard::guide(&all, BY, PICTURES))?;

        for (name, text) in alerts::rules(&settings, None, BY)? {
            put(&format!("{}/{name}", deployed::RULES), &text)?;
        }
        for (file, text) in deployed::files(TEST_TEMPLATES, "yml")? {
            let name = file.trim_start_matches(TEST_TEMPLATES);
            let text = format!("# Written by `{BY}`.\n{}", settings.fill(&text));
            put(&format!("{RULE_TESTS}{name}"), &text)?;
        }
        let routing = routing::configuration(&settings, 1, BY);
        put(&format!("{}/alertmanager.yml", deployed::ROUTING), &routing)?;

        // The containers of docker-compose.yml.
        let targets = alerts::targets(&settings, "desk:9464", BY);
        put("deploy/prometheus/targets/desk.yml", &targets)?;
        let agent = alerts::agent(&settings, "agent:9466", BY);
        put("deploy/prometheus/targets/agent.yml", &agent)?;
        put("deploy/desk.env", &alerts::variables(&settings, BY))?;

        let style = style(&settings);
        let stated = settings.objectives_of(&catalog);
        let objectives = objectives::rules(&catalog, &stated, &style, BY)?;
        put(&format!("{}/{OBJECTIVES}", deployed::RULES), &objectives)?;
        let file = format!("../rules/{OBJECTIVES}");
        let cases = objectives::tests(&catalog, &stated, &style, &file, BY)?;
        put(&format!("{RULE_TESTS}/{OBJECTIVES}"), &cases)?;

        let vocabulary = vocabulary(&catalog, &deployed::rules()?);
        for drawn in &all {
            let name = format!("{}/{}.json", deployed::DASHBOARDS, drawn.name);
            let json = dashboard::json(drawn, &catalog, &vocabulary);
            put(&name, &format!("{json:#}\n"))?;
        }
        for (name, resource) in in_perses(&all, &catalog, &vocabulary) {
            put(&format!("{PERSES}/{name}.json"), &format!("{resource:#}\n"))?;
        }
        let chart = Chart {
            settings: &settings,
            catalog: None,
            args: &ARGS,
            by: BY,
        };
        for (name, text) in chart.files()? {
            put(&format!("{CHART}/{name}"), &text)?;
        }
        let name = format!("{CHART}/{}", Chart::rules(OBJECTIVES));
        let open = self::style(&Chart::open(&settings));
        put(&name, &objectives::rules(&catalog, &stated, &open, BY)?)?;
        let job = &settings.job;
        let rules = kubernetes::rules(&deployed::files(deployed::RULES, "yml")?, job, BY);
        let boards = deployed::files(deployed::DASHBOARDS, "json")?;
        let boards = kubernetes::dashboards(&boards, job, BY);
        let desk = chart.desk(None)?;
        for (name, text) in [("rules", rules), ("dashboards", boards), ("desk", desk)] {
            put(&format!("{MANIFESTS}/{name}.yaml"), &text)?;
        }
        Ok(true)
    }
}

/// What is deployed here.
fn settings() -> Result<Settings, Error> {
    let path = obs_tests::tools::workspace().join(SETTINGS);
    let text = std::fs::read_to_string(&path).map_err(|source| obs_verify::Error::File {
        verb: "read",
        path,
        source,
    })?;
    Ok(Settings::read(SETTINGS, &text)?)
}

/// What Perses provisions: a project, the data source of docker-compose.yml, and the dashboards, by the names of their files.
fn in_perses(
    all: &[Dashboard],
    catalog: &Catalog,
    vocabulary: &Vocabulary,
) -> Vec<(String, Value)> {
    let mut resources = vec![
        ("project".to_owned(), perses::project(PROJECT)),
        ("datasource".to_owned(), perses::datasource(PROMETHEUS)),
    ];
    resources.extend(all.iter().map(|drawn| {
        let resource = perses::dashboard(drawn, catalog, vocabulary, PROJECT);
        (format!("dashboards/{}", drawn.name), resource)
    }));
    resources
}

/// As the other rules are. They have alerts on budgets of series of their own.
fn style(settings: &Settings) -> Style {
    Style {
        by: settings.scope(),
        runbooks: settings.runbooks.clone(),
        budgets: false,
        ..Style::default()
    }
}

/// Says what was written.
fn told(name: &str, changed: Result<bool, obs_verify::Error>) -> Result<(), Error> {
    if changed? {
        eprintln!("{name} is written anew");
    }
    Ok(())
}
