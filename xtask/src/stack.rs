//! `cargo xtask stack`: the desk and what watches it, as deployed, without containers.

use std::time::Duration;

use obs_tests::{Desk, Manner, Stack as Watchers};

use crate::error::Error;

/// Run the trading desk with Prometheus and Alertmanager, with the files of deploy/; stop it with Ctrl-C
///
/// What Alertmanager sends is printed here. Prometheus is at <http://127.0.0.1:9090>, Alertmanager at
/// <http://127.0.0.1:9093>. Where a Grafana is on the PATH, it is at <http://127.0.0.1:3000> with the dashboards.
#[derive(clap::Args)]
pub(crate) struct Stack {
    /// How long the desk takes for a day of its replay.
    #[arg(long, value_name = "DURATION", default_value = "100ms")]
    pace: String,
}

impl Stack {
    pub(crate) fn run(&self) -> Result<bool, Error> {
        obs_tests::tools::install()?;
        let desk = Desk::start(&self.pace)?;
        let mut watchers = Watchers::start(desk.address(), Manner::AsDeployed)?;
        println!("metrics       {}", desk.metrics());
        println!("Prometheus    {}", watchers.prometheus());
        println!("Alertmanager  {}", watchers.alertmanager());
        match watchers.start_grafana()? {
            Some(grafana) => println!("Grafana       {grafana}"),
            None => println!("Grafana       not started: there is none on the PATH"),
        }
        println!(
            "alerts sent to http://{} are printed here",
            watchers.receiver().address()
        );
        // Ctrl-C reaches all of them, and ends this program too.
        loop {
            let Some(notification) = watchers.receiver().next(Duration::from_hours(1)) else {
                continue;
            };
            let alerts = notification.body["alerts"].as_array();
            for alert in alerts.into_iter().flatten() {
                let text =
                    |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
                println!(
                    "{} {} {}: {}",
                    notification.path,
                    text(&alert["status"]),
                    text(&alert["labels"]["alertname"]),
                    text(&alert["annotations"]["summary"])
                );
            }
        }
    }
}
