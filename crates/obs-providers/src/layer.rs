//! Measuring as a tower layer over `reqwest::Client`, or whatever else answers its requests.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use reqwest::{Request, Response};
use tower::{Layer, Service};

use crate::call::Call;
use crate::carried::{attempt, prepared};
use crate::provider::{Endpoint, Inner};
use crate::{ErrorType, Provider, UNMATCHED};

/// Measures calls; made by [`Provider::layer`].
#[derive(Clone)]
pub struct ProviderLayer {
    provider: Arc<Inner>,
    /// The route table where there is none.
    endpoint_by: Option<Arc<EndpointBy>>,
}

type EndpointBy = dyn Fn(&Request) -> Option<&'static str> + Send + Sync;

/// Measures attempts; made by [`Provider::attempt_layer`].
#[derive(Clone, Debug)]
pub struct AttemptLayer(Arc<Inner>);

impl Provider {
    /// A layer that measures calls. Put it outermost, so that it sees calls as they are made.
    ///
    /// ```no_run
    /// use obs_providers::{Provider, ProviderKind};
    /// use tower::ServiceBuilder;
    ///
    /// let provider = Provider::new("alpaca", ProviderKind::MarketData);
    /// let bars = ServiceBuilder::new()
    ///     .layer(provider.layer().endpoint("bars"))
    ///     .service(reqwest::Client::new());
    /// ```
    #[must_use]
    pub fn layer(&self) -> ProviderLayer {
        self.0.prepare_calls();
        ProviderLayer {
            provider: Arc::clone(&self.0),
            endpoint_by: None,
        }
    }

    /// A layer that measures the attempts a retrying layer makes. Put it innermost, behind that one; without retries
    /// there is no need of it. A layer in between that sends requests from a task of its own, as a buffer does, cuts the
    /// attempts off from their calls: none counts as a retry then, and limits count twice.
    #[must_use]
    pub fn attempt_layer(&self) -> AttemptLayer {
        self.0.attempts();
        AttemptLayer(Arc::clone(&self.0))
    }
}

impl ProviderLayer {
    /// Names the endpoint of all requests through this layer: a service for each endpoint is cheap, since clients share
    /// their connections.
    #[must_use]
    pub fn endpoint(self, name: &'static str) -> Self {
        self.endpoint_by(move |_| Some(name))
    }

    /// Says what endpoint a request goes to; `None` asks the route table. A reqwest request hides its extensions, so
    /// that there is nowhere else to put it. Where it panics, the call is counted as a `panic` of `unmatched`.
    #[must_use]
    pub fn endpoint_by(
        mut self,
        name: impl Fn(&Request) -> Option<&'static str> + Send + Sync + 'static,
    ) -> Self {
        self.endpoint_by = Some(Arc::new(name));
        self
    }

    fn endpoint_of(&self, request: &Request) -> Arc<Endpoint> {
        let named = self.endpoint_by.as_ref().map(|name| {
            catch_unwind(AssertUnwindSafe(|| name(request))).unwrap_or_else(|panic| {
                let endpoint = self.provider.endpoint(UNMATCHED);
                Call::start(Arc::clone(&self.provider), endpoint).error(ErrorType::Panic);
                resume_unwind(panic)
            })
        });
        match named.flatten() {
            Some(name) => self.provider.endpoint(name),
            None => self.provider.endpoint_of_path(request.url().path()),
        }
    }
}

impl fmt::Debug for ProviderLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderLayer")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for ProviderLayer {
    type Service = ProviderService<S>;

    fn layer(&self, inner: S) -> ProviderService<S> {
        ProviderService {
            inner,
            layer: self.clone(),
        }
    }
}

impl<S> Layer<S> for AttemptLayer {
    type Service = AttemptService<S>;

    fn layer(&self, inner: S) -> AttemptService<S> {
        AttemptService {
            inner,
            provider: Arc::clone(&self.0),
        }
    }
}

/// A service whose calls are measured. Its errors pass through unchanged, but for the URLs in reqwest's own.
#[derive(Clone, Debug)]
pub struct ProviderService<S> {
    inner: S,
    layer: ProviderLayer,
}

/// A service whose calls are measured as attempts.
#[derive(Clone, Debug)]
pub struct AttemptService<S> {
    inner: S,
    provider: Arc<Inner>,
}

/// The response to come.
type Responding<E> = Pin<Box<dyn Future<Output = Result<Response, E>> + Send>>;

impl<S> Service<Request> for ProviderService<S>
where
    S: Service<Request, Response = Response>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Responding<S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let endpoint = self.layer.endpoint_of(&request);
        let call = Call::start(Arc::clone(&self.layer.provider), endpoint);
        Box::pin(call.run(self.inner.call(request), false))
    }
}

impl<S> Service<Request> for AttemptService<S>
where
    S: Service<Request, Response = Response>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Responding<S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let provider = Arc::clone(&self.provider);
        let endpoint = provider.endpoint_of_path(request.url().path());
        let send = prepared(&provider, || self.inner.call(request));
        Box::pin(async move { attempt(&provider, &endpoint.under, send).await })
    }
}
