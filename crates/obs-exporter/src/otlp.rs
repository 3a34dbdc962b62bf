//! Pushing over OTLP while the program serves, where the configuration asks for it.

use std::net::SocketAddr;

use obs_push::{Fate, OtlpOptions, Program, Report, Source};
use obs_recorder::FamilySnapshot;
use tokio::sync::watch;

use crate::access::OTLP_HEADERS;
use crate::{AppInfo, Config, Exporter, ExporterError, RecorderKind, Temporality};

/// Where everything is pushed, and how often.
pub(crate) struct Otlp(obs_push::Otlp);

impl Otlp {
    /// As configured; none where no receiver is.
    pub(crate) fn new(config: &Config) -> Result<Option<Self>, ExporterError> {
        let Some(url) = &config.otlp_url else {
            let set = [
                ("OBS_OTLP_INSTANCE", config.otlp_instance.is_some()),
                ("OBS_OTLP_HEADERS", config.otlp_headers.is_some()),
                ("OBS_OTLP_CA", config.otlp_ca.is_some()),
            ];
            return match set.into_iter().find(|(_, is_set)| *is_set) {
                Some((setting, _)) => Err(ExporterError::Incomplete {
                    setting,
                    needs: "OBS_OTLP_URL",
                }),
                None => Ok(None),
            };
        };
        if config.recorder != RecorderKind::Obs {
            return Err(ExporterError::OtherRecorder {
                setting: "OBS_OTLP_URL",
                recorder: RecorderKind::Obs,
                reason: "the stock one does not keep when a series began",
            });
        }
        let mut options = OtlpOptions::to(url);
        let headers = config.otlp_headers.as_ref();
        let headers = headers.map(|secret| secret.read(&OTLP_HEADERS));
        options.headers = headers.transpose()?;
        options.authorities.clone_from(&config.otlp_ca);
        options.interval = config.otlp_interval;
        options.temporality = match config.otlp_temporality {
            Temporality::Cumulative => obs_push::Temporality::Cumulative,
            Temporality::Delta => obs_push::Temporality::Delta,
        };
        options.program = Program {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
        };
        let otlp = obs_push::Otlp::new(options);
        Ok(Some(Self(otlp.map_err(ExporterError::of_push)?)))
    }

    /// Pushes at once, after every interval, and when `stopped` has no sender any more. `address` is where the program serves.
    pub(crate) async fn run(
        self,
        exporter: Exporter,
        address: SocketAddr,
        stopped: watch::Receiver<()>,
    ) {
        let instance = obs_push::instance(address);
        let resource = resource(exporter.app(), exporter.config(), &instance);
        self.0
            .run(&resource, Everything(exporter.clone()), stopped)
            .await;
    }
}

/// All that is recorded, as what is pushed.
struct Everything(Exporter);

impl Source for Everything {
    async fn read<T: Send + 'static>(
        &self,
        encode: impl FnOnce(&[FamilySnapshot]) -> T + Send + 'static,
    ) -> Option<T> {
        self.0.snapshot(encode).await
    }

    fn failed(&self, report: &Report<'_>) {
        self.0.push_failed(report.severity());
        let Report {
            url,
            problem,
            repair,
            ..
        } = *report;
        if report.fate == (Fate::Waits { again: true }) {
            tracing::debug!(url, problem, "{report}");
        } else {
            tracing::warn!(url, problem, repair, "{report}");
        }
    }
}

/// What is pushed, said once for all of it. `instance` is where the program serves.
fn resource<'a>(
    app: &'a AppInfo,
    config: &'a Config,
    instance: &'a str,
) -> Vec<(&'static str, &'a str)> {
    let service = config.service.as_deref().unwrap_or(app.name);
    let environment = config.environment.as_deref();
    let attributes = [
        ("service.name", Some(service)),
        ("service.version", Some(app.version)),
        (
            "service.instance.id",
            Some(config.otlp_instance.as_deref().unwrap_or(instance)),
        ),
        // The name since semantic conventions 1.27, and the one before.
        ("deployment.environment.name", environment),
        ("deployment.environment", environment),
        ("telemetry.sdk.name", Some("obs")),
        ("telemetry.sdk.language", Some("rust")),
        ("telemetry.sdk.version", Some(env!("CARGO_PKG_VERSION"))),
    ];
    let set = attributes
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)));
    set.collect()
}
