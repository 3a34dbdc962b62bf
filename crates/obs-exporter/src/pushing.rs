//! Pushing again and again while the program serves, where the configuration asks for it.

use std::time::Duration;

use obs_core::Severity;
use obs_push::Schedule;
use tokio::sync::watch;

use crate::{Exporter, ExporterError, Push};

/// Where everything is pushed, and how often.
pub(crate) struct Pushing {
    push: Push,
    interval: Duration,
}

impl Pushing {
    /// As configured; none where no receiver is.
    pub(crate) fn new(exporter: &Exporter) -> Result<Option<Self>, ExporterError> {
        let config = exporter.config();
        let Some(url) = &config.push_url else {
            let set = [
                ("OBS_PUSH_INSTANCE", config.push_instance.is_some()),
                ("OBS_PUSH_BASIC_AUTH", config.push_basic_auth.is_some()),
            ];
            return match set.into_iter().find(|(_, is_set)| *is_set) {
                Some((setting, _)) => Err(ExporterError::Incomplete {
                    setting,
                    needs: "OBS_PUSH_URL",
                }),
                None => Ok(None),
            };
        };
        let mut push = Push::to_pushgateway(url, exporter.service()).attempts(1);
        if let Some(instance) = &config.push_instance {
            push = push.label("instance", instance);
        }
        if let Some(secret) = &config.push_basic_auth {
            push = push.basic_auth(secret.clone());
        }
        push.checked()?;
        Ok(Some(Self {
            push,
            interval: config.push_interval,
        }))
    }

    /// Pushes at once, after every interval, and when `stopped` has no sender any more.
    pub(crate) async fn run(self, exporter: Exporter, stopped: watch::Receiver<()>) {
        let mut schedule = Schedule::new(self.interval, stopped);
        while schedule.next().await {
            if let Err(error) = exporter.push(&self.push).await {
                // The next push carries everything.
                exporter.push_failed(Severity::Warning);
                tracing::warn!(%error, "what is recorded is not pushed");
            }
        }
    }
}
