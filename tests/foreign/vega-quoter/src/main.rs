//! Quotes options on two venues, for nobody: a program as another team writes it, with families of every kind and option.
//!
//! It hands no catalogue to the exporter. `vega-quoter wrong` is the same program with mistakes that should be reported.

mod wrong;

use std::time::Duration;

use obs_exporter::{Config, Exporter, ExporterError};
use vega_quoter::Quoter;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), ExporterError> {
    let is_wrong = std::env::args().nth(1).as_deref() == Some("wrong");
    let early = is_wrong.then(wrong::early);
    let exporter = Exporter::builder(obs_exporter::app_info!())
        .config(Config::from_env()?)
        .install()?;
    if let Some(early) = early {
        wrong::late(&early);
    }
    let server = exporter.serve().await?;
    println!("http://{}", server.local_addr());

    let (xcme, xeur) = (Quoter::new("xcme"), Quoter::new("xeur"));
    let mut clock = tokio::time::interval(Duration::from_millis(20));
    for tick in 0_u32.. {
        tokio::select! {
            _ = clock.tick() => {
                xcme.tick(tick);
                xeur.tick(tick / 2);
            }
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    server.shutdown().await;
    Ok(())
}
