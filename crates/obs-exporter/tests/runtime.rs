//! A runtime that cannot serve is reported, and not by a panic. Apart from other tests: the panic hook is the process' own.

use std::panic::{set_hook, take_hook};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use obs_exporter::{Config, Exporter, ExporterError, Push};
use tokio::runtime::{Builder, Runtime};

fn runtime(enable: fn(&mut Builder)) -> Runtime {
    let mut builder = Builder::new_current_thread();
    enable(&mut builder);
    builder.build().unwrap()
}

#[test]
fn a_runtime_without_timer_or_network_is_an_error_that_no_hook_hears_of() {
    let heard = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&heard);
    set_hook(Box::new(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    }));
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        ..Config::default()
    };
    let exporter = Exporter::builder(obs_exporter::app_info!());
    let (_recorder, exporter) = exporter.config(config).build().unwrap();
    let push = Push::to_pushgateway("http://127.0.0.1:9", "backtest");
    let neither = runtime(|_| {});
    let without_timer = runtime(|builder| {
        builder.enable_io();
    });
    let without_network = runtime(|builder| {
        builder.enable_time();
    });
    let mut errors = Vec::new();
    for runtime in [neither, without_timer, without_network] {
        errors.push(runtime.block_on(exporter.serve()).map(drop));
        errors.push(runtime.block_on(exporter.push(&push)));
    }
    assert_eq!(heard.load(Ordering::Relaxed), 0);

    // The hook is the program's again, and hears of every panic.
    assert!(
        thread::spawn(|| panic!("of another thread"))
            .join()
            .is_err()
    );
    let here = std::panic::catch_unwind(|| panic!("of this thread"));
    assert!(here.is_err());
    assert_eq!(heard.load(Ordering::Relaxed), 2);
    drop(take_hook());

    for error in errors {
        let error = error.unwrap_err();
        assert!(matches!(error, ExporterError::RuntimeLacks), "{error:?}");
        let words = error.to_string();
        assert!(
            words.contains("timer") && words.contains("enable_all()"),
            "{words}"
        );
    }
    // What it could not serve it still renders, and serves where it can.
    assert!(exporter.render().contains("app_info"));
    let whole = runtime(|builder| {
        builder.enable_all();
    });
    whole.block_on(async { exporter.serve().await.unwrap().shutdown().await });
}
