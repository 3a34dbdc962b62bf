//! `cargo xtask stack`: the desk and what watches it, as deployed, without containers; on Linux.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use obs_tests::{Manner, Notification, Stack as Watchers, Watched};
use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::error::Error;

/// How long a signal may go unnoticed.
const ATTENTION: Duration = Duration::from_millis(200);

/// Run the trading desk with its agent, Prometheus and Alertmanager, with the files of deploy/; stop it with Ctrl-C
///
/// What Alertmanager sends is printed here. Prometheus is at <http://127.0.0.1:9090>, Alertmanager at
/// <http://127.0.0.1:9093>. Where a Grafana is on the PATH, it is at <http://127.0.0.1:3000> with the dashboards.
#[derive(clap::Args)]
pub(crate) struct Stack {
    /// How long the desk takes for a day of its replay.
    #[arg(long, value_name = "DURATION", default_value = "100ms")]
    pace: String,

    /// Listen on ports that are free, beside another stack.
    #[arg(long)]
    free_ports: bool,
}

impl Stack {
    pub(crate) fn run(&self) -> Result<bool, Error> {
        let stopped = stopped_by_signals()?;
        obs_tests::tools::install_stack()?;
        let manner = if self.free_ports {
            Manner::OnFreePorts
        } else {
            Manner::AsDeployed
        };
        let Watched { desk, agent, .. } = &Watched::start(&self.pace)?;
        let mut watchers = Watchers::start_beside(agent.address(), desk.address(), manner)?;
        println!("metrics       {}", desk.metrics());
        println!("agent         {}", agent.metrics());
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
        while !stopped.load(Ordering::Relaxed) {
            // What comes all the time is for machines to miss.
            let is_news = |notification: &Notification| notification.path != "/watchdog";
            if let Some(notification) = watchers.receiver().next(ATTENTION).filter(is_news) {
                tell(&notification);
            }
        }
        // What was started ends here, and its folder goes.
        Ok(true)
    }
}

/// What Ctrl-C and a supervisor's signal set, so that there is time to tidy up. The second one ends this program at once.
fn stopped_by_signals() -> Result<Arc<AtomicBool>, Error> {
    let stopped = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the second finds what the first has set.
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stopped))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stopped)))
            .map_err(|source| Error::Signals { source })?;
    }
    Ok(stopped)
}

fn tell(notification: &Notification) {
    let alerts = notification.body["alerts"].as_array();
    for alert in alerts.into_iter().flatten() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        println!(
            "{} {} {}: {}",
            notification.path,
            text(&alert["status"]),
            text(&alert["labels"]["alertname"]),
            text(&alert["annotations"]["summary"])
        );
    }
}
