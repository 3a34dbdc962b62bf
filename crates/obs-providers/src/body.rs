//! A response's body, watched until its end.
//!
//! reqwest hands a middleware a `Response` whose body it cannot look into. What can be done is to take the response apart
//! into an `http::Response`, put a watching body around its body, and build a `reqwest::Response` from that again. Status,
//! version, headers and extensions stay what they are; the URL would be lost and is handed on by reqwest's own
//! `ResponseBuilderExt`. It costs three allocations for the bodies and three for the URL.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Extensions;
use http_body::{Body, Frame, SizeHint};
use reqwest::{Response, ResponseBuilderExt, Url};
use tower::BoxError;

use crate::ProviderError;
use crate::call::Call;
use crate::failure::{Shown, of_body};

struct Watched {
    inner: reqwest::Body,
    /// Nothing once the call has ended.
    call: Option<Call>,
    limit: Option<u64>,
    /// Bytes that may still come, where there is a limit.
    left: u64,
}

/// The same response, whose call ends with its body. Its URL shows what it may.
pub(crate) fn watch(response: Response, call: Call, limit: Option<u64>, shown: Shown) -> Response {
    rebuilt(response, shown, |inner| {
        reqwest::Body::wrap(Watched {
            inner,
            call: Some(call),
            limit,
            left: limit.unwrap_or(0),
        })
    })
}

/// The same response, whose URL shows what it may.
pub(crate) fn shown(response: Response, shown: Shown) -> Response {
    rebuilt(response, shown, |body| body)
}

fn rebuilt(
    response: Response,
    shown: Shown,
    wrap: impl FnOnce(reqwest::Body) -> reqwest::Body,
) -> Response {
    let mut url = response.url().clone();
    shown.redact(&mut url);
    let (parts, body) = http::Response::from(response).into_parts();
    let mut rebuilt = http::Response::new(wrap(body));
    *rebuilt.status_mut() = parts.status;
    *rebuilt.version_mut() = parts.version;
    *rebuilt.headers_mut() = parts.headers;
    *rebuilt.extensions_mut() = with_url(parts.extensions, url);
    Response::from(rebuilt)
}

/// The builder is the only way to say what the URL is: it goes through an extension that nobody else can name.
fn with_url(extensions: Extensions, url: Url) -> Extensions {
    let mut carrier = http::Response::builder();
    if let Some(own) = carrier.extensions_mut() {
        *own = extensions;
    }
    let mut carrier = carrier.url(url);
    carrier
        .extensions_mut()
        .map(std::mem::take)
        .unwrap_or_default()
}

impl Body for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        // Who catches a panic around this may drop the body afterwards, when nothing unwinds any more: so the call is out here
        // while somebody else's body is asked, where a panic drops it.
        let mut call = this.call.take();
        if let Some(call) = &mut call {
            call.reads();
        }
        let Poll::Ready(polled) = Pin::new(&mut this.inner).poll_frame(cx) else {
            this.call = call;
            return Poll::Pending;
        };
        let mut frame = polled.map(|frame| frame.map_err(BoxError::from));
        if let Some(limit) = this.limit
            && let Some(Ok(admitted)) = &frame
            && let Err(error) = admit(admitted, &mut this.left, limit)
        {
            frame = Some(Err(error.into()));
        }
        match (&frame, call) {
            (Some(Ok(frame)), call) if !frame.is_trailers() && !this.inner.is_end_stream() => {
                this.call = call;
            }
            (Some(Err(error)), Some(call)) => call.error(of_body(&**error)),
            (Some(Ok(_)) | None, Some(call)) => call.body_ended(),
            (_, None) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Lets a frame through while the body stays within its limit.
fn admit(frame: &Frame<Bytes>, left: &mut u64, limit: u64) -> Result<(), ProviderError> {
    let length = frame.data_ref().map_or(0, Bytes::len) as u64;
    match left.checked_sub(length) {
        Some(rest) => {
            *left = rest;
            Ok(())
        }
        None => Err(ProviderError::BodyTooLarge { limit }),
    }
}
