//! Sending what a short-lived job recorded: it ends before a scrape would find it.

use std::fmt;
use std::time::Duration;

use obs_recorder::{Format, Names};

use crate::access::PUSH_BASIC;
use crate::exporter::Scrape;
use crate::{Exporter, ExporterError, Secret, runtime};

/// Where a job that is about to end sends everything it recorded, and as which job; for [`Exporter::push`].
///
/// ```no_run
/// # use obs_exporter::{Exporter, ExporterError, Push};
/// # async fn last_words(exporter: &Exporter) -> Result<(), ExporterError> {
/// let push = Push::to_pushgateway("http://127.0.0.1:9091", "backtest").label("run", "ma-crossover/2018");
/// exporter.push(&push).await
/// # }
/// ```
///
/// The URL is `http://host[:port][/prefix]`; a user and password before the host (`http://user:password@host`) are sent as
/// `Basic` credentials and never shown. `https` is not spoken: put a proxy on this machine that speaks it.
#[derive(Clone)]
pub struct Push {
    to: obs_push::Push,
    credentials: Option<Secret>,
}

impl Push {
    /// How often it is tried by default: over some eight seconds, in which a receiver can restart.
    pub const ATTEMPTS: u32 = obs_push::Push::ATTEMPTS;
    /// How long an attempt may take.
    pub const TIMEOUT: Duration = obs_push::Push::TIMEOUT;
    /// The pause after the first attempt; each further one is twice as long as the one before.
    pub const FIRST_PAUSE: Duration = obs_push::Push::FIRST_PAUSE;
    /// No pause is longer, unless the receiver asks for it (`Retry-After`), and then none is longer than a minute.
    pub const LONGEST_PAUSE: Duration = obs_push::Push::LONGEST_PAUSE;

    /// To a Pushgateway, which keeps the values of the last push of each job and labels until they are replaced or deleted, and
    /// is itself scraped.
    pub fn to_pushgateway(url: impl Into<String>, job: impl Into<String>) -> Self {
        Self::new(obs_push::Push::to_pushgateway(url, job))
    }

    /// To `VictoriaMetrics` or its `vmagent`, whose import writes the values at the time they arrive. A cluster has its path as
    /// prefix: `http://vminsert:8480/insert/0/prometheus`.
    pub fn to_victoria_metrics(url: impl Into<String>, job: impl Into<String>) -> Self {
        Self::new(obs_push::Push::to_victoria_metrics(url, job))
    }

    fn new(to: obs_push::Push) -> Self {
        let credentials = None;
        Self { to, credentials }
    }

    /// Adds a label to every series, in place of one of the same name that it has. A Pushgateway replaces what was pushed before
    /// under the same job and labels, so runs that are to stand beside each other differ in one. The value may be any text.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.to = self.to.label(name, value);
        self
    }

    /// Sends `user:password`, in place of what the URL has. A file is read at every push.
    #[must_use]
    pub fn basic_auth(mut self, credentials: Secret) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Sets how often it is tried; 0 is as good as 1.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.to = self.to.attempts(attempts);
        self
    }

    /// With the credentials as they are now, if all of it can be used.
    pub(crate) fn checked(&self) -> Result<obs_push::Push, ExporterError> {
        let mut to = self.to.clone();
        if let Some(secret) = &self.credentials {
            to = to.basic_auth(secret.read(&PUSH_BASIC)?);
        }
        to.check().map_err(ExporterError::of_push)?;
        Ok(to)
    }
}

impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push")
            .field("to", &self.to)
            .field("credentials", &self.credentials)
            .finish()
    }
}

/// See [`Exporter::push`].
pub(crate) async fn push(exporter: &Exporter, push: &Push) -> Result<(), ExporterError> {
    let to = push.checked()?;
    runtime::check()?;
    let text = Scrape::Text(Format::Classic, Names::default());
    let Some(text) = exporter.scrape(text).await else {
        return Err(ExporterError::NoRuntime);
    };
    to.send(text.body).await.map_err(ExporterError::of_push)
}
