//! Measuring as a tower layer over any service: tonic's channels, hyper's clients, an SDK's own.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use tower::{Layer, Service};

use crate::{Call, Provider};

/// Measures calls of any service. Of each request it asks what endpoint that goes to, and of each result what it means; a call lasts
/// until its result is there.
///
/// ```
/// use obs_providers::{Call, CallLayer, ErrorType, Provider, ProviderKind};
/// use tower::{BoxError, ServiceBuilder, service_fn};
///
/// let provider = Provider::new("dydx", ProviderKind::Broker);
/// let layer = CallLayer::new(
///     &provider,
///     |request: &http::Request<String>| match request.uri().path() {
///         "/dydxprotocol.clob.Query/AllClobPairs" => "pairs",
///         _ => "other_methods",
///     },
///     |mut call: Call, result: &Result<http::Response<String>, BoxError>| match result {
///         Ok(response) => {
///             call.status(response.status().as_u16());
///             call.limits(|name| response.headers().get(name)?.to_str().ok());
///             call.ok();
///         }
///         Err(_) => call.error(ErrorType::Transport),
///     },
/// );
/// let service = ServiceBuilder::new().layer(layer).service(service_fn(|_: http::Request<String>| async {
///     Ok::<_, BoxError>(http::Response::new(String::new()))
/// }));
/// ```
///
/// The service's error passes through unchanged, whatever it says: this layer knows no reqwest, whose errors carry URLs.
pub struct CallLayer<N, J> {
    provider: Provider,
    name: N,
    judge: J,
}

impl<N, J> CallLayer<N, J> {
    /// A layer by which `name` says what a request calls, as text of the program, and `judge` ends the call by what came of it.
    pub fn new(provider: &Provider, name: N, judge: J) -> Self {
        Self {
            provider: provider.clone(),
            name,
            judge,
        }
    }
}

// Not derived: closures cannot be printed.
impl<N, J> fmt::Debug for CallLayer<N, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallLayer")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

impl<N: Clone, J: Clone> Clone for CallLayer<N, J> {
    fn clone(&self) -> Self {
        Self {
            provider: self.provider.clone(),
            name: self.name.clone(),
            judge: self.judge.clone(),
        }
    }
}

impl<S, N: Clone, J: Clone> Layer<S> for CallLayer<N, J> {
    type Service = CallService<S, N, J>;

    fn layer(&self, inner: S) -> Self::Service {
        CallService {
            inner,
            layer: self.clone(),
        }
    }
}

/// A service whose calls are measured by a [`CallLayer`].
#[derive(Debug)]
pub struct CallService<S, N, J> {
    inner: S,
    layer: CallLayer<N, J>,
}

impl<S: Clone, N: Clone, J: Clone> Clone for CallService<S, N, J> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            layer: self.layer.clone(),
        }
    }
}

/// The result to come.
type Coming<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl<S, R, N, J> Service<R> for CallService<S, N, J>
where
    S: Service<R>,
    S::Future: Send + 'static,
    N: Fn(&R) -> &'static str,
    J: Fn(Call, &Result<S::Response, S::Error>) + Clone + Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Coming<S::Response, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let call = self.layer.provider.call((self.layer.name)(&request));
        let (coming, judge) = (self.inner.call(request), self.layer.judge.clone());
        Box::pin(async move {
            let result = coming.await;
            judge(call, &result);
            result
        })
    }
}
