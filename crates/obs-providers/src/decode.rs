//! Reading a body and making something of it, so that what cannot be read counts as an error.

use bytes::Bytes;
use reqwest::Response;

use crate::ErrorType;
use crate::carried::decoding;

/// Reads the body of a measured response and decodes it. A body that is not what it should be makes the call an `error` of
/// type `decode`; `Response::json` and the like do the same work, but nobody sees them fail.
///
/// ```
/// # async fn bars(client: reqwest_middleware::ClientWithMiddleware) -> Result<(), Box<dyn std::error::Error>> {
/// use obs_providers::Decode;
///
/// let text = client.get("https://data.example/v2/bars").send().await?
///     .decode(|bytes| Ok::<_, Box<dyn std::error::Error>>(String::from_utf8(bytes.to_vec())?))
///     .await?;
/// # Ok(())
/// # }
/// ```
///
/// Many providers answer with status 200 and say in the body that they refuse. The code that parses it reports that by
/// [`Provider::rate_limited`](crate::Provider::rate_limited), and the call counts as `rate_limited`; other errors in bodies are told
/// apart by [`decode_or`](Self::decode_or):
///
/// ```
/// # async fn bars(client: reqwest_middleware::ClientWithMiddleware, provider: obs_providers::Provider) -> Result<(), reqwest::Error> {
/// # use std::time::Duration;
/// use obs_providers::{Decode, ErrorType};
///
/// let price = client.get("https://data.example/price").send().await.map_err(drop);
/// # let Ok(price) = price else { return Ok(()) };
/// let price: Result<Option<String>, reqwest::Error> = price
///     .decode(|body| {
///         if body.starts_with(b"{\"code\":-1003") {
///             provider.rate_limited(Some(Duration::from_secs(60)));
///             return Ok(None);
///         }
///         Ok(Some(String::from_utf8_lossy(&body).into_owned()))
///     })
///     .await;
/// # Ok(())
/// # }
/// ```
pub trait Decode: Sized {
    /// Reads the body to its end and hands it to `parse`.
    fn decode<T, E: From<reqwest::Error>>(
        self,
        parse: impl FnOnce(Bytes) -> Result<T, E>,
    ) -> impl Future<Output = Result<T, E>>;

    /// The same, where `what` says what an error means: `client_error` for a symbol that the body calls unknown, for instance.
    fn decode_or<T, E: From<reqwest::Error>>(
        self,
        parse: impl FnOnce(Bytes) -> Result<T, E>,
        what: impl FnOnce(&E) -> ErrorType,
    ) -> impl Future<Output = Result<T, E>>;

    /// `Response::json`, seen to fail.
    fn decode_json<T: serde::de::DeserializeOwned>(
        self,
    ) -> impl Future<Output = reqwest::Result<T>>;
}

impl Decode for Response {
    async fn decode<T, E: From<reqwest::Error>>(
        self,
        parse: impl FnOnce(Bytes) -> Result<T, E>,
    ) -> Result<T, E> {
        self.decode_or(parse, |_| ErrorType::Decode).await
    }

    async fn decode_or<T, E: From<reqwest::Error>>(
        self,
        parse: impl FnOnce(Bytes) -> Result<T, E>,
        what: impl FnOnce(&E) -> ErrorType,
    ) -> Result<T, E> {
        decoding(async { parse(self.bytes().await?) }, what).await
    }

    async fn decode_json<T: serde::de::DeserializeOwned>(self) -> reqwest::Result<T> {
        decoding(self.json(), |_| ErrorType::Decode).await
    }
}
