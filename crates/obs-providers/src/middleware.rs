//! Measuring through reqwest-middleware.

use std::pin::Pin;
use std::sync::Arc;

use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next, Result};

use crate::Provider;
use crate::call::Call;
use crate::carried::attempt;
use crate::provider::Inner;

/// Names the endpoint of one request, as an extension of it. It goes before the route table.
///
/// ```
/// # fn request(client: reqwest_middleware::ClientWithMiddleware) -> reqwest_middleware::RequestBuilder {
/// use obs_providers::Endpoint;
///
/// client.get("https://data.example/v2/bars?symbol=AAPL").with_extension(Endpoint("bars"))
/// # }
/// ```
///
/// The name stands in the program's text, so that no path or query can become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint(pub &'static str);

/// Says of one request, as an extension of it, that its response is a stream without an end, such as prices that go on for as long
/// as they are listened to. The call then lasts until its headers have come; what comes afterwards is a [`Feed`](crate::Feed)'s.
/// Of `text/event-stream` and of an upgrade to another protocol that is known without.
///
/// ```
/// # fn request(client: reqwest_middleware::ClientWithMiddleware) -> reqwest_middleware::RequestBuilder {
/// use obs_providers::{Endpoint, Stream};
///
/// client.get("https://stream.example/v3/pricing").with_extension(Endpoint("pricing")).with_extension(Stream)
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream;

/// Measures calls; made by [`Provider::middleware`].
#[derive(Clone, Debug)]
pub struct ProviderMiddleware(Arc<Inner>);

/// Measures attempts; made by [`Provider::attempts`].
#[derive(Clone, Debug)]
pub struct AttemptMiddleware(Arc<Inner>);

impl Provider {
    /// A middleware that measures calls. Put it first in the chain, so that it sees calls as they are made.
    ///
    /// `Response::url` and the URL of an error lose their query on the way, since queries carry keys; a program that reads them there
    /// sets [`show_urls`](crate::ProviderBuilder::show_urls).
    #[must_use]
    pub fn middleware(&self) -> ProviderMiddleware {
        self.0.prepare_calls();
        ProviderMiddleware(Arc::clone(&self.0))
    }

    /// A middleware that measures the attempts a retrying middleware makes. Put it last in the chain, behind that one;
    /// without retries there is no need of it.
    #[must_use]
    pub fn attempts(&self) -> AttemptMiddleware {
        self.0.attempts();
        AttemptMiddleware(Arc::clone(&self.0))
    }
}

/// What `async_trait` makes of an async method. Written out, it takes one crate and one allocation less.
type Handled<'a> = Pin<Box<dyn Future<Output = Result<Response>> + Send + 'a>>;

impl Middleware for ProviderMiddleware {
    fn handle<'s, 'e, 'n, 'a>(
        &'s self,
        request: Request,
        extensions: &'e mut Extensions,
        next: Next<'n>,
    ) -> Handled<'a>
    where
        's: 'a,
        'e: 'a,
        'n: 'a,
        Self: 'a,
    {
        let endpoint = match extensions.get::<Endpoint>() {
            Some(Endpoint(name)) => self.0.endpoint(name),
            None => self.0.endpoint_of_path(request.url().path()),
        };
        let is_stream = extensions.get::<Stream>().is_some();
        let call = Call::start(Arc::clone(&self.0), endpoint);
        Box::pin(call.run(next.run(request, extensions), is_stream))
    }
}

impl Middleware for AttemptMiddleware {
    fn handle<'s, 'e, 'n, 'a>(
        &'s self,
        request: Request,
        extensions: &'e mut Extensions,
        next: Next<'n>,
    ) -> Handled<'a>
    where
        's: 'a,
        'e: 'a,
        'n: 'a,
        Self: 'a,
    {
        Box::pin(async move {
            let endpoint = match extensions.get::<Endpoint>() {
                Some(Endpoint(name)) => self.0.endpoint(name),
                None => self.0.endpoint_of_path(request.url().path()),
            };
            attempt(&self.0, &endpoint.under, next.run(request, extensions)).await
        })
    }
}
