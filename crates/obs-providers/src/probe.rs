//! Asking a provider from time to time whether it is there.

use std::convert::Infallible;
use std::time::Duration;

use obs_core::{Outcome, Timed};

use crate::Provider;

impl Provider {
    /// Asks the provider every so often whether it is there, for ever: spawn it, and abort it at the end.
    ///
    /// A probe that is `Ok` counts as an answer, one that fails or takes longer than `every` as a failure; each counts in
    /// `provider_probes_total`. Without a probe a provider that is down is found to be back by the next call only.
    ///
    /// ```no_run
    /// # async fn show(provider: obs_providers::Provider) {
    /// use std::time::Duration;
    ///
    /// // A client of its own: through the measured one each probe would count as a call, too.
    /// let client = reqwest::Client::new();
    /// tokio::spawn(async move {
    ///     let probe = || async {
    ///         client.get("https://data.example/v2/clock").send().await?.error_for_status()
    ///     };
    ///     provider.probe_every(Duration::from_secs(30), probe).await
    /// });
    /// # }
    /// ```
    pub async fn probe_every<F, T, E>(
        &self,
        every: Duration,
        mut probe: impl FnMut() -> F,
    ) -> Infallible
    where
        F: Future<Output = Result<T, E>>,
    {
        // A probe that was late must not be followed by a burst of others.
        let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let timer = self.0.probes().probes.start();
            let answered = matches!(tokio::time::timeout(every, probe()).await, Ok(Ok(_)));
            timer.finish(if answered {
                Outcome::Ok
            } else {
                Outcome::Error
            });
            if answered {
                self.answered();
            } else {
                self.failed();
            }
        }
    }
}
