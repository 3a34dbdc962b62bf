//! Reading a body and making something of it, so that what cannot be read counts as an error.

use bytes::Bytes;
use reqwest::Response;

use crate::call::decoding;

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
pub trait Decode: Sized {
    /// Reads the body to its end and hands it to `parse`.
    fn decode<T, E: From<reqwest::Error>>(
        self,
        parse: impl FnOnce(Bytes) -> Result<T, E>,
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
        decoding(async { parse(self.bytes().await?) }).await
    }

    async fn decode_json<T: serde::de::DeserializeOwned>(self) -> reqwest::Result<T> {
        decoding(self.json()).await
    }
}
