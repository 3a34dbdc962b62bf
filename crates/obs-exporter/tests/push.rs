//! Pushing to a server that is away, unwell, or of another opinion.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::put;
use metrics::Recorder;
use obs_exporter::{Exporter, Push};
use tokio::net::TcpListener;

/// What a request was: its path, its credentials, its body.
type Request = (String, String, String);

fn exporter() -> (impl Recorder, Exporter) {
    let builder = Exporter::builder(obs_exporter::app_info!());
    builder.build().unwrap()
}

/// A gateway that gives these answers one after the other; its URL, and what it was sent.
async fn gateway<const N: usize>(
    answers: [(u16, &'static str); N],
) -> (String, Arc<Mutex<Vec<Request>>>) {
    let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
    let requests = Arc::<Mutex<Vec<Request>>>::default();
    let seen = Arc::clone(&requests);
    let answer = move |uri: Uri, headers: HeaderMap, body: String| {
        let credentials = headers.get("authorization");
        let credentials = credentials.map_or("", |value| value.to_str().unwrap());
        let request = (uri.to_string(), credentials.to_owned(), body);
        seen.lock().unwrap().push(request);
        let (status, text) = answers.lock().unwrap().pop_front().unwrap();
        std::future::ready((StatusCode::from_u16(status).unwrap(), text))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new().route("/metrics/{*group}", put(answer));
    tokio::spawn(async { axum::serve(listener, routes).await.unwrap() });
    (format!("desk:pass@{address}"), requests)
}

#[tokio::test]
async fn a_gateway_that_is_unwell_is_tried_again() {
    let (_recorder, exporter) = exporter();
    let (gateway, requests) = gateway([(503, "starting"), (429, ""), (202, "")]).await;
    let push = Push::to_pushgateway(format!("http://{gateway}"), "backtest").label("run", "a/b");
    exporter.push(&push).await.unwrap();
    let requests = requests.lock().unwrap();
    assert_eq!(requests.len(), 3);
    for (path, credentials, body) in requests.iter() {
        assert_eq!(path, "/metrics/job/backtest/run@base64/YS9i");
        assert_eq!(credentials, "Basic ZGVzazpwYXNz");
        assert_eq!(body, &requests[0].2);
        assert!(body.contains("\napp_info{"), "{body}");
    }
}

#[tokio::test]
async fn the_last_attempt_is_told() {
    let (_recorder, exporter) = exporter();
    let (gateway, requests) = gateway([(503, ""), (500, "no space\nleft")]).await;
    let push = Push::to_pushgateway(format!("http://{gateway}"), "backtest").attempts(2);
    let error = exporter.push(&push).await.unwrap_err().to_string();
    let url = gateway.replace("desk:pass@", "http://");
    assert_eq!(
        error,
        format!(
            "cannot push the metrics of the job `backtest` to {url}: it answered 500 Internal Server Error: \
            no space left (tried 2 times); look into the log of what receives there"
        )
    );
    assert_eq!(requests.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_refusal_is_final() {
    let (_recorder, exporter) = exporter();
    let (gateway, requests) = gateway([(400, "inconsistent")]).await;
    let push = Push::to_pushgateway(format!("http://{gateway}"), "backtest");
    let error = exporter.push(&push).await.unwrap_err().to_string();
    let expected = "it answered 400 Bad Request: inconsistent (tried once); correct the URL";
    assert!(error.contains(expected), "{error}");
    assert_eq!(requests.lock().unwrap().len(), 1);
}
