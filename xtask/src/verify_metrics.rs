//! `cargo xtask verify-metrics`: that code, catalogue, guide and a live scrape agree.

mod declared;
mod finding;
mod live;
mod source;

use finding::{Fault, Finding, Report};

use crate::catalogue::catalogue;
use crate::error::Error;
use crate::generate;

/// Prove that code, catalogue, guide and a live scrape agree
///
/// Checks the declarations by themselves, and then an exposition against them: that of a desk which is started, replays
/// its prices and is stopped again, or that of `--scrape`. Exits 1 when anything falls short; warnings alone do not.
#[derive(clap::Args, Default)]
pub(crate) struct VerifyMetrics {
    /// Check what is served here, such as `http://127.0.0.1:9464/metrics`, instead of starting the desk.
    #[arg(long, value_name = "URL")]
    scrape: Option<String>,
    /// Write one JSON object for machines instead of lines for people.
    #[arg(long)]
    json: bool,
}

impl VerifyMetrics {
    pub(crate) fn run(&self) -> Result<bool, Error> {
        let catalogue = catalogue()?;
        let mut findings = declared::check(&catalogue);
        findings.extend(guide());
        let scrape = match &self.scrape {
            Some(url) => source::scrape(url)?,
            None => source::scrape_desk()?,
        };
        let (exposition, mistakes) = obs_exposition::parse_all(&scrape.text);
        findings.extend(mistakes.iter().map(live::malformed));
        findings.extend(live::check(&catalogue, &exposition));

        let report = Report::new(&catalogue, &exposition, scrape.url, findings);
        if self.json {
            println!("{}", report.json());
        } else {
            anstream::print!("{report}");
        }
        Ok(report.passes())
    }
}

/// Whether the guide says what the declarations say.
fn guide() -> Option<Finding> {
    let stale = generate::Gen { check: true }.run().err()?;
    Some(Finding {
        fault: Fault::Guide,
        metric: None,
        file: Some(generate::GUIDE.to_owned()),
        line: None,
        problem: stale.to_string(),
        repair: "run `cargo xtask gen`".to_owned(),
    })
}
