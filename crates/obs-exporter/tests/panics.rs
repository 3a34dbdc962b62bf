//! A panic in what is read before a scrape costs its own values.

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, set_hook, take_hook};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Recorder, gauge, with_local_recorder};
use obs_exporter::{Config, Exporter, RecorderKind};

fn exporter(recorder: RecorderKind) -> (impl Recorder, Exporter) {
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        recorder,
        ..Config::default()
    };
    Exporter::builder(obs_exporter::app_info!())
        .config(config)
        .build()
        .unwrap()
}

/// What a panic carries, to tell it apart from those of other tests.
struct Marked;

/// Runs something, and says how many of its panics the process' hook heard of.
fn heard(run: impl FnOnce()) -> u64 {
    let count = Arc::new(AtomicU64::new(0));
    let before = Arc::new(take_hook());
    let (counted, handed_on) = (Arc::clone(&count), Arc::clone(&before));
    set_hook(Box::new(move |panic| {
        if panic.payload().is::<Marked>() {
            counted.fetch_add(1, Ordering::Relaxed);
        } else {
            handed_on(panic);
        }
    }));
    let ran = catch_unwind(AssertUnwindSafe(run));
    set_hook(Box::new(move |panic| before(panic)));
    if let Err(panic) = ran {
        std::panic::resume_unwind(panic);
    }
    count.load(Ordering::Relaxed)
}

#[test]
fn a_reading_that_panics_is_heard_of_and_every_scrape_is_answered() {
    for kind in [RecorderKind::Obs, RecorderKind::Stock] {
        let (recorder, exporter) = exporter(kind);
        let [before, half, after] = with_local_recorder(&recorder, || {
            ["before_depth", "half_depth", "after_depth"].map(|name| gauge!(name))
        });
        let readings = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&readings);
        exporter.on_scrape(move || before.set(count.fetch_add(1, Ordering::Relaxed) as f64 + 1.0));
        let good = Arc::clone(&readings);
        exporter.on_scrape(move || {
            if good.load(Ordering::Relaxed) < 4 {
                panic_any(Marked);
            }
            half.set(7.0);
        });
        exporter.on_scrape(move || after.set(9.0));

        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let panics = heard(|| {
            // Rendered by hand, and over the network.
            for scrape in 1..=4 {
                let text = if scrape % 2 == 0 {
                    exporter.render()
                } else {
                    runtime.block_on(fetch(&exporter))
                };
                let text = obs_exposition::parse(&text).unwrap();
                assert_eq!(text.sum("before_depth", &[]), Some(f64::from(scrape)));
                assert_eq!(text.sum("after_depth", &[]), Some(9.0));
                let expected = if scrape < 4 { 0.0 } else { 7.0 };
                assert_eq!(text.sum("half_depth", &[]), Some(expected));
                let errors = [
                    ("component", "exporter"),
                    ("error_type", "reading_panicked"),
                    ("severity", "error"),
                ];
                let counted = text.sum("errors_total", &errors);
                assert_eq!(counted, Some(f64::from(scrape.min(3))));
            }
        });
        assert_eq!(panics, 3, "{kind:?}");
    }
}

async fn fetch(exporter: &Exporter) -> String {
    let server = exporter.serve().await.unwrap();
    let url = format!("http://{}/metrics", server.local_addr());
    let answer = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = answer.get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let text = answer.text().await.unwrap();
    server.shutdown().await;
    text
}

/// A panic that comes through a rendering, such as in a subscriber's log, leaves the exporter usable.
#[test]
fn a_recorder_asked_while_a_panic_unwinds_answers() {
    struct Renders<'a>(&'a Exporter);
    impl Drop for Renders<'_> {
        fn drop(&mut self) {
            assert!(self.0.render().contains("app_info"));
        }
    }
    let (_recorder, exporter) = exporter(RecorderKind::Obs);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _renders = Renders(&exporter);
        panic_any(7);
    }));
    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&7));
    // Rendered while the thread unwound, so that the locks it held think that it panicked.
    assert!(exporter.render().contains("app_info"));
}
