//! `cargo xtask verify-metrics`: that code, catalogue, guide, rules, dashboards and a live scrape agree.

mod excused;
#[cfg(test)]
mod tests;

use std::io::Write;

use obs_tests::{Desk, ask, scrape};
use obs_verify::asked::{self, Answer, Known};
use obs_verify::exposition::Scraped;
use obs_verify::live::{self, Expect};
use obs_verify::queries::Query;
use obs_verify::{Catalog, Fault, Finding, Report, declared, lint, queried};

use crate::catalogue::{catalogue, everything};
use crate::error::Error;
use crate::{deployed, generate};
use excused::{KNOWN_ALERTS, NOT_EXPORTED, NOT_SHOWN, RIGHTLY_EMPTY};

/// Prove that code, catalogue, guide, rules, dashboards and a live scrape agree
///
/// Checks the declarations by themselves, every query of rules, dashboards and documents against them, and an exposition against them: that of a desk which is started, replays
/// its prices and is stopped again, or that of `--scrape`. Exits 1 when anything falls short; warnings alone do not.
#[derive(clap::Args, Default)]
pub(crate) struct VerifyMetrics {
    /// Check what is served here, such as `http://127.0.0.1:9464/metrics`, instead of starting the desk.
    #[arg(long, value_name = "URL")]
    scrape: Option<String>,
    /// Ask this Prometheus, such as `http://127.0.0.1:9090`, every query too; those that return nothing are told.
    #[arg(long, value_name = "URL")]
    prometheus: Option<String>,
    /// Write one JSON object for machines instead of lines for people.
    #[arg(long)]
    json: bool,
}

impl VerifyMetrics {
    pub(crate) fn run(&self) -> Result<bool, Error> {
        let (catalog, everything) = (catalogue()?, everything()?);
        let mut findings = declared::check(&catalog);
        findings.extend(generated());
        let queries = deployed::queries()?;
        findings.extend(queried::check(&everything, &queries));
        findings.extend(queried::unused(&everything, &queries, NOT_SHOWN));
        findings.extend(linted(&everything, &queries)?);
        if let Some(prometheus) = &self.prometheus {
            let known = Known {
                everything: &everything,
                recorded: &catalog,
                excused: RIGHTLY_EMPTY,
            };
            let ask =
                |query: &str| ask(prometheus, query).map(|series| Answer::Series(series.len()));
            findings.extend(asked::check(prometheus, known, &queries, ask)?);
        }
        let (url, text) = match &self.scrape {
            Some(url) => (url.clone(), scrape(url)?),
            None => scrape_desk()?,
        };
        let scraped = Scraped::read(&text);
        let live = live::check(&catalog, &scraped, Expect::Everything);
        findings.extend(
            live.into_iter()
                .filter(|finding| !is_rightly_missing(finding)),
        );

        let report = Report::new("code, catalogue, guide, queries and scrape", findings)
            .declared(&catalog)
            .scraped(url, &scraped.exposition);
        let told = if self.json {
            writeln!(anstream::stdout(), "{}", report.json())
        } else {
            write!(anstream::stdout(), "{report}")
        };
        // Who closes the pipe, as `head` does, has read enough; the exit code still tells.
        drop(told);
        Ok(report.passes())
    }
}

/// Whether a family is missing that a sound program does not export.
fn is_rightly_missing(finding: &Finding) -> bool {
    let is_excused = |metric: &str| NOT_EXPORTED.iter().any(|(name, _)| *name == metric);
    finding.fault == Fault::Missing && finding.metric.as_deref().is_some_and(is_excused)
}

/// What a desk serves at the end of its replay, and where.
fn scrape_desk() -> Result<(String, String), Error> {
    eprintln!("running the trading desk on free ports of 127.0.0.1, to the end of its replay");
    let desk = Desk::replayed()?;
    let url = desk.metrics().to_owned();
    let text = scrape(&url)?;
    desk.stop()?;
    Ok((url, text))
}

/// Whether guide and dashboards say what the declarations say.
fn generated() -> Option<Finding> {
    let stale = generate::Gen { check: true }.run().err()?;
    let repair = "run `cargo xtask gen`";
    Some(Finding::new(Fault::Guide, stale.to_string(), repair))
}

/// What the linter says of alerts and their routing, apart from what is known.
fn linted(everything: &Catalog, queries: &[Query]) -> Result<Vec<Finding>, Error> {
    let mut linted = lint::check(everything, queries, None);
    for (file, text) in deployed::files(deployed::ROUTING, "yml")? {
        if lint::is_configuration(&text) {
            linted.extend(lint::of_alertmanager(&file, &text)?);
        }
    }
    let list = "xtask/src/verify_metrics/excused.rs";
    Ok(lint::apart_from(KNOWN_ALERTS, list, linted))
}
