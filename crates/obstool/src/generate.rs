//! `obstool gen`: what follows from a catalogue.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use obs_verify::dashboard::Scope;
use obs_verify::generated::Generated;
use obs_verify::objectives::{self, Style};
use obs_verify::promql::Vocabulary;
use obs_verify::{Catalog, dashboard, drawn, reference};

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
    Rules(Rules),
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

/// Write a Grafana dashboard for each group of metrics
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
}

/// Write the rules that follow from declarations, with their tests
///
/// Alerts on the error budget of each family that declares an objective, and on families that come near their budgets of series.
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
            What::Rules(rules) => rules.run(own),
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
        let label = |key: &str, title: &str| (key.to_owned(), title.to_owned());
        let scope = Scope {
            from: self.services.clone().unwrap_or_else(|| services(&catalog)),
            matchers: job(self.job.as_deref()),
            labels: vec![
                label("service", "Service"),
                label("environment", "Environment"),
                label("mode", "Mode"),
                label("instance", "Instance"),
            ],
            tag: self.tag.clone(),
        };
        let vocabulary = Vocabulary::new(&catalog);
        for drawn in drawn::dashboards(&catalog, &scope) {
            let json = dashboard::json(&drawn, &catalog, &vocabulary);
            let path = self.out.join(format!("{}.json", drawn.name));
            self.source.put(&path, &format!("{json:#}\n"))?;
        }
        Ok(true)
    }
}

impl Rules {
    fn run(&self, own: Option<&Catalog>) -> Result<bool, Error> {
        let catalog = self.source.catalog(own)?;
        let style = Style {
            matchers: job(self.job.as_deref()),
            by: self.by.clone(),
            runbooks: self.runbooks.clone(),
            labels: self.labels.clone(),
            budgets: true,
        };
        self.source
            .put(&self.out, &objectives::rules(&catalog, &style, BY))?;
        let file = self.out.file_name().unwrap_or_default().to_string_lossy();
        let tests = objectives::tests(&catalog, &style, &file, BY);
        self.source
            .put(&self.out.with_extension("test.yml"), &tests)?;
        Ok(true)
    }
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
fn services(catalog: &Catalog) -> String {
    const NAMING: &str = "app_info";
    let first = catalog.families.first().map_or("up", |family| &family.name);
    let named = catalog.family(NAMING).map_or(first, |family| &family.name);
    named.to_owned()
}

fn job(job: Option<&str>) -> String {
    job.map_or_else(String::new, |job| format!("job=\"{job}\""))
}
