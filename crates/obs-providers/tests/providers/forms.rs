//! The forms in which reqwest is used, each as it is written for it. See the table on the front page.

use obs_core::TestRecorder;
use obs_providers::{ErrorType, Provider, ProviderKind};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tower::{Service, ServiceBuilder, ServiceExt};

use crate::common::{Hostile, plain_client};

/// An interface of one's own, of which only the type of the client changes.
struct Api {
    http: ClientWithMiddleware,
    url: String,
}

impl Api {
    async fn bars(&self, symbol: &str) -> reqwest_middleware::Result<String> {
        let request = self.http.get(&self.url).query(&[("symbol", symbol)]);
        Ok(request.bearer_auth("key").send().await?.text().await?)
    }

    async fn order(&self, size: u32) -> reqwest_middleware::Result<Vec<u8>> {
        let order = std::collections::BTreeMap::from([("size", size)]);
        let response = self.http.post(&self.url).json(&order).send().await?;
        let (mut response, mut body) = (response.error_for_status()?, Vec::new());
        while let Some(piece) = response.chunk().await? {
            body.extend(piece);
        }
        Ok(body)
    }

    async fn login(&self, user: &str) -> reqwest_middleware::Result<u16> {
        let request = self.http.post(&self.url).form(&[("user", user)]).build()?;
        Ok(self.http.execute(request).await?.status().as_u16())
    }
}

/// Somebody else's, which takes what can be made of a client.
struct Open {
    http: ClientWithMiddleware,
}

impl Open {
    fn with_client(http: impl Into<ClientWithMiddleware>) -> Self {
        Self { http: http.into() }
    }
}

/// Somebody else's, which takes reqwest's own client: no middleware comes into it, so that its calls are measured around it.
struct Sdk {
    http: reqwest::Client,
}

impl Sdk {
    fn with_client(http: reqwest::Client) -> Self {
        Self { http }
    }

    async fn clock(&self, url: String) -> reqwest::Result<String> {
        let response = self.http.get(url).send().await?;
        response.error_for_status()?.text().await
    }
}

/// What an error of reqwest means, by what it tells of itself.
fn meaning(error: &reqwest::Error) -> ErrorType {
    let of_status = error.status().map(|status| status.as_u16());
    match of_status.and_then(ErrorType::of_code) {
        Some(error) => error,
        None if error.is_timeout() => ErrorType::Timeout,
        None if error.is_connect() => ErrorType::Connect,
        None => ErrorType::Transport,
    }
}

#[tokio::test]
async fn every_form_is_measured() {
    let hostile = Hostile::start().await;
    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("alpaca", ProviderKind::MarketData));
    let measured = || {
        let builder = ClientBuilder::new(plain_client());
        builder.with(provider.middleware()).build()
    };
    let ended = |outcome| test.counter_sum("provider_requests_total", &[("outcome", outcome)]);

    let api = Api {
        http: measured(),
        url: hostile.url("/ok"),
    };
    api.bars("AAPL").await.unwrap();
    api.order(7).await.unwrap();
    api.login("desk").await.unwrap();
    assert_eq!(ended("ok"), 3);

    let open = Open::with_client(measured());
    let response = open.http.get(hostile.url("/ok")).send().await.unwrap();
    response.bytes().await.unwrap();
    assert_eq!(ended("ok"), 4);

    let mut stack = ServiceBuilder::new()
        .layer(provider.layer().endpoint("bars"))
        .service(plain_client());
    let request = plain_client().get(hostile.url("/ok")).build().unwrap();
    let response = stack.ready().await.unwrap().call(request).await.unwrap();
    response.text().await.unwrap();
    assert_eq!(ended("ok"), 5);

    let sdk = Sdk::with_client(plain_client());
    let clock = provider
        .call("clock")
        .of(sdk.clock(hostile.url("/ok")), meaning);
    clock.await.unwrap();
    let clock = provider
        .call("clock")
        .of(sdk.clock(hostile.url("/failing")), meaning);
    clock.await.unwrap_err();
    assert_eq!((ended("ok"), ended("error")), (6, 1));
    let failed = [("error_type", "server_error")];
    assert_eq!(test.counter_sum("provider_errors_total", &failed), 1);
}
