//! Calls by clients that this crate knows nothing of: another version of reqwest, and a blocking client. To be copied.

mod common;

use common::{Hostile, nobody};
use obs_core::TestRecorder;
use obs_providers::{Call, ErrorType, Provider, ProviderKind};

const LABELS: [(&str, &str); 1] = [("provider", "alpaca")];

/// reqwest 0.12: its types are not those of 0.13.
async fn by_reqwest_0_12(
    client: &reqwest_0_12::Client,
    provider: &Provider,
    url: String,
) -> Result<String, reqwest_0_12::Error> {
    let mut call = provider.call("bars");
    let answer = async {
        let response = client.get(url).send().await?;
        call.status(response.status().as_u16());
        call.limits(|name| response.headers().get(name)?.to_str().ok());
        response.text().await
    };
    // The URL of an error may hold a key.
    let result = answer.await.map_err(reqwest_0_12::Error::without_url);
    call.result(result, |error| {
        if error.is_timeout() && error.is_connect() {
            ErrorType::ConnectTimeout
        } else if error.is_timeout() {
            ErrorType::Timeout
        } else if error.is_connect() {
            ErrorType::Connect
        } else if error.is_body() || error.is_decode() {
            ErrorType::Body
        } else {
            ErrorType::Transport
        }
    })
}

/// ureq blocks, so that nothing is ever cancelled; a panic is still one.
fn by_ureq(agent: &ureq::Agent, provider: &Provider, url: &str) -> Result<String, ureq::Error> {
    let mut call = provider.call("bars");
    let answer = |call: &mut Call| {
        let mut response = agent.get(url).call()?;
        call.status(response.status().as_u16());
        call.limits(|name| response.headers().get(name)?.to_str().ok());
        response.body_mut().read_to_string()
    };
    let result = answer(&mut call);
    call.result(result, |error| match error {
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            ErrorType::ConnectTimeout
        }
        ureq::Error::Timeout(ureq::Timeout::RecvBody) => ErrorType::ReadTimeout,
        ureq::Error::Timeout(_) => ErrorType::Timeout,
        ureq::Error::HostNotFound => ErrorType::Dns,
        ureq::Error::ConnectionFailed => ErrorType::Connect,
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            ErrorType::Connect
        }
        ureq::Error::Protocol(_) | ureq::Error::Io(_) => ErrorType::Transport,
        _ => ErrorType::Unknown,
    })
}

/// What both must come to, by the path and how often.
fn assert_counted(test: &TestRecorder, provider: &Provider) {
    let outcome = |name| test.counter_sum("provider_requests_total", &[("outcome", name)]);
    let error = |name| test.counter_sum("provider_errors_total", &[("error_type", name)]);
    assert_eq!(
        (outcome("ok"), outcome("rate_limited"), outcome("error")),
        (1, 1, 3)
    );
    assert_eq!(
        (error("server_error"), error("forbidden"), error("connect")),
        (1, 1, 1)
    );
    assert_eq!(
        test.gauge("provider_requests_in_flight", &LABELS),
        Some(0.0)
    );
    assert!(provider.retry_after().is_some());
    let hits = test.counter("provider_rate_limit_hits_total", &LABELS);
    assert_eq!(hits, Some(1));
}

const PATHS: [&str; 4] = ["/ok", "/limited-wait", "/failing", "/forbidden"];

#[tokio::test]
async fn reqwest_0_12_is_measured_by_a_guard() {
    let hostile = Hostile::start().await;
    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("alpaca", ProviderKind::Broker));
    let client = reqwest_0_12::Client::builder().no_proxy().build().unwrap();
    for path in PATHS {
        let url = hostile.url(path);
        by_reqwest_0_12(&client, &provider, url).await.unwrap();
    }
    let nowhere = format!("http://{}/?key=SECRET", nobody().await);
    let error = by_reqwest_0_12(&client, &provider, nowhere)
        .await
        .unwrap_err();
    assert!(!format!("{error:?}").contains("SECRET"));
    assert_counted(&test, &provider);
}

#[tokio::test]
async fn ureq_is_measured_by_a_guard() {
    let hostile = Hostile::start().await;
    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("alpaca", ProviderKind::Broker));
    let mut urls: Vec<_> = PATHS.iter().map(|path| hostile.url(path)).collect();
    urls.push(format!("http://{}/", nobody().await));
    let measured = provider.clone();
    let calls = tokio::task::spawn_blocking(move || {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .build();
        let agent = ureq::Agent::new_with_config(config);
        let calls = urls.iter().map(|url| by_ureq(&agent, &measured, url));
        calls.flatten().count()
    });
    assert_eq!(calls.await.unwrap(), 4);
    assert_counted(&test, &provider);
}
