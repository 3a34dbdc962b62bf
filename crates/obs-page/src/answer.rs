//! Answers, and the headers that keep the page to itself.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};

/// What is answered: a status, headers and the whole body.
pub type Response = http::Response<Bytes>;

/// When the exposition at `/live` was rendered, in seconds since 1970-01-01 UTC by a [`Clock`](crate::Clock).
pub const RENDERED_AT: HeaderName = HeaderName::from_static("obs-rendered-at");

/// How long ago that was, in seconds. The page asks again a second after the rendering.
pub const AGE: HeaderName = HeaderName::from_static("obs-age");

/// The `Content-Security-Policy` of the page.
///
/// Nothing but the page's own files is loaded or run, nothing inside of a document is, and no other origin learns of it. A text that
/// became HTML by mistake would be refused by the browser itself.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; worker-src 'self'; \
    img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types obs";

/// How browsers keep a file: for themselves, and asking each time whether there is another one.
pub(crate) const CACHED: &str = "private, no-cache";

/// What shows values, or comes with every new version of the program under the same name, and of which only some may see it.
const NEVER_KEPT: &str = "no-store";

pub(crate) const BY_ENCODING: HeaderValue = HeaderValue::from_static("accept-encoding");

/// What a client takes.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The headers of its request, of which `If-None-Match` is read.
    pub headers: &'a HeaderMap,
    /// Whether it takes gzip, by its `Accept-Encoding`.
    pub takes_gzip: bool,
}

/// Something that is written anew for each request: compressed for a client that takes that, kept by nobody, and with the headers of
/// [`guarded`].
///
/// ```
/// let client = obs_page::Client { headers: &http::HeaderMap::new(), takes_gzip: true };
/// let answer = obs_page::fresh("application/json", "{}", client);
/// assert_eq!(answer.headers()[http::header::CACHE_CONTROL], "no-store");
/// assert_eq!(answer.headers()[http::header::CONTENT_ENCODING], "gzip");
/// ```
#[must_use]
pub fn fresh(media_type: &'static str, body: impl Into<Bytes>, client: Client<'_>) -> Response {
    let body = body.into();
    let gzipped = client.takes_gzip.then(|| gzip(&body).ok()).flatten();
    let mut response = either(media_type, body, gzipped.map(Bytes::from));
    response.headers_mut().insert(VARY, BY_ENCODING);
    guarded(response)
}

/// Adds the headers of the page to an answer of whatever body: its [`POLICY`], and that nobody keeps it, takes it for another type than it
/// is or learns from a link where it was.
#[must_use]
pub fn guarded<B>(response: http::Response<B>) -> http::Response<B> {
    guarded_and_kept(response, NEVER_KEPT)
}

pub(crate) fn guarded_and_kept<B>(
    mut response: http::Response<B>,
    kept: &'static str,
) -> http::Response<B> {
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value| headers.insert(name, HeaderValue::from_static(value));
    set(CONTENT_SECURITY_POLICY, POLICY);
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(REFERRER_POLICY, "no-referrer");
    set(CACHE_CONTROL, kept);
    response
}

pub(crate) fn either(media_type: &'static str, body: Bytes, gzipped: Option<Bytes>) -> Response {
    let is_gzipped = gzipped.is_some();
    let mut response = Response::new(gzipped.unwrap_or(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    if is_gzipped {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Compresses at the fastest level, which already makes a tenth of an exposition: most answers are sent once.
///
/// # Errors
///
/// Those of the encoder, which has none for bytes in memory.
pub fn gzip(text: impl AsRef<[u8]>) -> io::Result<Vec<u8>> {
    let text = text.as_ref();
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    encoder.write_all(text)?;
    encoder.finish()
}
