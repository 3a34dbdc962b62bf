//! Calls to outside providers: one measured client a provider.

use std::error::Error as StdError;
use std::time::Duration;

use obs_providers::{Decode, Endpoint, Provider};
use reqwest::Url;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_retry::policies::ExponentialBackoff;
use reqwest_retry::{Jitter, RetryTransientMiddleware};
use serde::de::DeserializeOwned;

use crate::error::Error;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait before the next attempt, at least and at most.
const BACKOFF: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(20)];

/// A provider, and the client that reaches it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outside {
    provider: Provider,
    http: ClientWithMiddleware,
    base: Url,
}

/// A call that brought nothing, after all its attempts.
#[derive(Debug, thiserror::Error)]
#[error("GET {path}: {problem}")]
pub struct CallFailed {
    /// The path asked for.
    pub path: String,
    /// The status, or the failure of the transport, or what was wrong with the answer.
    pub problem: String,
}

impl Outside {
    /// Reaches a provider at `base`, such as `http://127.0.0.1:4000`. What fails for a moment is tried again, up to
    /// `retries` times.
    pub fn new(provider: Provider, base: &str, retries: u32) -> Result<Self, Error> {
        let unusable = |error: &(dyn StdError + 'static)| Error::Outside {
            provider: provider.name().to_owned(),
            problem: chain(error),
        };
        let http = reqwest::Client::builder().timeout(TIMEOUT).build();
        let http = http.map_err(|error| unusable(&error))?;
        let base = Url::parse(base).map_err(|error| unusable(&error))?;
        // Calls are measured outside of the retries, and attempts inside.
        let mut client = ClientBuilder::new(http).with(provider.middleware());
        if retries > 0 {
            let policy = ExponentialBackoff::builder()
                .retry_bounds(BACKOFF[0], BACKOFF[1])
                .jitter(Jitter::None)
                .build_with_max_retries(retries);
            client = client
                .with(RetryTransientMiddleware::new_with_policy(policy))
                .with(provider.attempts());
        }
        Ok(Self {
            http: client.build(),
            provider,
            base,
        })
    }

    /// The provider under measurement.
    #[must_use]
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// Asks for a path and reads the answer. `endpoint` is what the metrics call it.
    pub async fn get<T: DeserializeOwned>(
        &self,
        endpoint: &'static str,
        segments: &[&str],
        query: &[(&str, String)],
    ) -> Result<T, CallFailed> {
        let url = self.url(segments, query);
        let path = url.path().to_owned();
        let answer = async {
            let request = self.http.get(url).with_extension(Endpoint(endpoint));
            let answer = request.send().await?.error_for_status()?;
            Ok(answer.decode_json().await?)
        };
        answer.await.map_err(|error| CallFailed {
            path,
            problem: problem(error),
        })
    }

    /// The base with these segments as its path, each encoded as it must be.
    fn url(&self, segments: &[&str], query: &[(&str, String)]) -> Url {
        let mut url = self.base.clone();
        // It fails for URLs without a host, such as `mailto:`; the request then says so.
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

fn problem(error: reqwest_middleware::Error) -> String {
    match error {
        reqwest_middleware::Error::Reqwest(error) => chain(&error.without_url()),
        reqwest_middleware::Error::Middleware(error) => chain(error.as_ref()),
    }
}

/// An error and what caused it; alone, "error sending request" helps nobody.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
