//! Many desks at once: simulated ones that change, come and go, scraped by agents that divide them among each other and write to
//! storages that fail. Run by `cargo xtask fleet`, and in short by the test beside it.
//!
//! One process serves what all desks say ([`simulator`]), from what the sample desk says ([`template`]), so that its processor time
//! is told apart from that of the servers. They are set up in two ways ([`way`]): two vmagents before two `VictoriaMetrics` that both
//! have everything, and two Prometheus agents before a Prometheus. What happens when is [`run`]; what came of it [`report`].

mod figures;
mod report;
mod run;
mod server;
mod simulator;
mod stop;
mod template;
mod way;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::run::Plan;

#[derive(Parser)]
#[command(
    name = "fleet",
    about = "Many simulated desks, with agents and storages"
)]
struct Arguments {
    /// How many desks there are at a time
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(2..=5_000))]
    desks: u16,
    /// How long they are watched
    #[arg(long, default_value_t = 15.0)]
    minutes: f64,
    /// How many series a desk has at most; what the sample desk has more is left out evenly
    #[arg(long, default_value_t = 1_250)]
    series: usize,
    /// Seconds between two scrapes
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=60))]
    interval: u64,
    /// Every so many seconds one desk goes and another comes
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    churn: u64,
    /// How many days the sample desk replays first; all that it has unless given
    #[arg(long, hide = true)]
    days: Option<usize>,
    /// How many seconds the series of desks that are gone are waited for
    #[arg(long, hide = true, default_value_t = 360)]
    patience: u64,
    /// Print one JSON object, on one line
    #[arg(long)]
    json: bool,
    /// Be the process of the desks, which say what is in this file
    #[arg(long, hide = true)]
    simulate: Option<PathBuf>,
}

fn main() -> ExitCode {
    match act(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        // What was not kept has been told.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn act(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    if let Some(file) = &arguments.simulate {
        simulator::run(file, arguments.series)?;
        return Ok(true);
    }
    if !(0.25..=24.0 * 60.0).contains(&arguments.minutes) {
        return Err("--minutes is from 0.25 to 1440".into());
    }
    stop::by_signals()?;
    let plan = Plan::new(arguments);
    let report = run::run(&plan)?;
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("{}", report.shown());
    }
    for promise in report.broken() {
        eprintln!("not kept: {promise}");
    }
    Ok(report.broken().next().is_none())
}
