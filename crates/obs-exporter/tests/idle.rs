//! Series that nobody records to go by themselves, where that is configured.

use std::time::Duration;

use obs_core::{Catalogue, Counter, Each};
use obs_exporter::{Config, Exporter, RecorderKind};

obs_core::label! {
    /// Who is connected.
    pub open Client as "client" up to 100
}

obs_core::families! {
    /// Connections.
    pub struct Connections {
        /// Bytes sent to each client.
        pub sent: Each<Client, Counter> = "idle_sent_bytes_total",
    }
}

fn config() -> Config {
    Config {
        idle_timeout: Some(Duration::from_millis(1)),
        upkeep_interval: Duration::from_millis(1),
        ..Config::default()
    }
}

#[test]
fn idle_series_go_without_a_scrape() {
    let (recorder, exporter) = Exporter::builder(obs_exporter::app_info!())
        .config(config())
        .catalogue(Catalogue::of(&[Connections::FAMILIES]))
        .build()
        .unwrap();
    let connections = metrics::with_local_recorder(&recorder, Connections::new);
    let of_client = metrics::with_local_recorder(&recorder, || connections.sent.of("a"));
    of_client.increment(3);
    let shown = || obs_exposition::parse(&exporter.render()).unwrap();
    while shown().family("idle_sent_bytes_total").is_some() {
        std::thread::yield_now();
    }
    let found = shown();
    assert_eq!(
        found.sum("app_info", &[]),
        Some(1.0),
        "what is set once stays"
    );
    assert!(found.family("obs_scrape_refused_total").is_some());
}

#[test]
fn the_stock_recorder_refuses_it() {
    let config = Config {
        recorder: RecorderKind::Stock,
        ..config()
    };
    let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
    let error = builder.build().map(|_| ()).unwrap_err().to_string();
    assert_eq!(
        error,
        "OBS_IDLE_TIMEOUT_SECONDS needs OBS_RECORDER=obs: the stock one would lose what is recorded on a handle that is kept; \
        set that, or leave the first unset"
    );
}
