//! The layer for services that are none of HTTP.

use std::convert::Infallible;

use obs_core::TestRecorder;
use obs_http::WorkLayer;
use tower::{Layer, Service, ServiceExt, service_fn};

#[tokio::test]
async fn work_is_counted_by_how_it_ended() {
    let test = TestRecorder::new();
    let consumer = service_fn(async |message: &str| message.parse::<u64>());
    let mut consumer = test.run(|| WorkLayer::new("consume")).layer(consumer);
    assert_eq!(consumer.ready().await.unwrap().call("7").await, Ok(7));
    consumer.ready().await.unwrap().call("x").await.unwrap_err();
    drop(consumer.ready().await.unwrap().call("8"));

    let panics = service_fn(async |(): ()| -> Result<(), Infallible> { panic!("a fault") });
    let panics = test.run(|| WorkLayer::new("consume")).layer(panics);
    assert!(tokio::spawn(panics.oneshot(())).await.is_err());

    let ended = |outcome| {
        let labels = [("function", "consume"), ("outcome", outcome)];
        let times = test.samples("function_duration_seconds", &labels);
        (
            test.counter("function_calls_total", &labels),
            times.map(|times| times.len()),
        )
    };
    for outcome in ["ok", "error", "cancelled", "panicked"] {
        assert_eq!(ended(outcome), (Some(1), Some(1)), "{outcome}");
    }
    let in_flight = test.gauge("function_calls_in_flight", &[("function", "consume")]);
    assert_eq!(in_flight, Some(0.0));
}
