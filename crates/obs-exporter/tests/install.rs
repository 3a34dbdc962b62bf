//! Installing for the whole process, which a process can do once: this file holds one test.

use obs_core::{Catalogue, Counter, Each};
use obs_exporter::{Exporter, ExporterError};

obs_core::label! {
    /// What is traded.
    pub open Symbol as "symbol" up to 3
}

obs_core::families! {
    /// Trades.
    pub struct Trades {
        /// Trades taken.
        pub taken: Each<Symbol, Counter> = "install_trades_total",
    }
}

#[obs_core::track_calls(name = "work")]
fn work() {}

#[test]
fn an_installed_exporter_shows_what_any_thread_records() {
    let builder = || {
        Exporter::builder(obs_exporter::app_info!()).catalogue(Catalogue::of(&[Trades::FAMILIES]))
    };
    let exporter = builder().install().unwrap();
    let trades = Trades::new();
    assert!(obs_core::cells::is_direct(trades.taken.of("A")));
    std::thread::scope(|scope| {
        for symbol in ["A", "B", "C", "D"] {
            let trades = &trades;
            scope.spawn(move || {
                trades.taken.of(symbol).increment(2);
                work();
                metrics::counter!("elsewhere_total").increment(1);
            });
        }
    });

    let scrape = obs_exposition::parse(&exporter.render()).unwrap();
    assert_eq!(scrape.sum("install_trades_total", &[]), Some(8.0));
    assert_eq!(
        scrape.sum("install_trades_total", &[("symbol", "other")]),
        Some(2.0)
    );
    assert_eq!(
        scrape.sum(
            "function_calls_total",
            &[("function", "work"), ("outcome", "ok")]
        ),
        Some(4.0)
    );
    assert_eq!(
        scrape.sum("elsewhere_total", &[("service", "obs-exporter")]),
        Some(4.0)
    );

    let error = builder().install().unwrap_err();
    assert!(
        matches!(error, ExporterError::AlreadyInstalled(_)),
        "{error:?}"
    );
    assert!(error.to_string().contains("install one, once"), "{error}");
    trades.taken.of("A").increment(1);
    let scrape = obs_exposition::parse(&exporter.render()).unwrap();
    assert_eq!(
        scrape.sum("install_trades_total", &[]),
        Some(9.0),
        "the first goes on"
    );
}
