//! The least that serves a metric: run it and open <http://127.0.0.1:9464/metrics>.

use std::process::ExitCode;

use obs_core::{Catalogue, Counter};
use obs_exporter::{Config, Exporter, ExporterError};

obs_core::families! {
    /// What this program does.
    struct MinimalMetrics {
        /// Times the program greeted.
        greetings: Counter = "minimal_greetings_total",
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match greet_and_serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn greet_and_serve() -> Result<(), ExporterError> {
    let exporter = Exporter::builder(obs_exporter::app_info!())
        .config(Config::from_env()?)
        .catalogue(Catalogue::of(&[MinimalMetrics::FAMILIES]))
        .install()?;
    let metrics = MinimalMetrics::new();
    metrics.greetings.increment(1);

    let server = exporter.serve().await?;
    println!("Hello. http://{}/metrics", server.local_addr());
    // Where no signal can be waited for, there is nothing to wait for.
    let _ = tokio::signal::ctrl_c().await;
    server.shutdown().await;
    Ok(())
}
