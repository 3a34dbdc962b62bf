//! The families of a server, and the handles that were resolved from them.

use std::sync::{Arc, OnceLock, Weak};

use obs_core::{
    By, Catalogue, Closed, Counter, Each, Figure, Gauge, Group, Histogram, Keyed, Late, Reading,
    Value, Worse, buckets, objective,
};

use crate::labels::{Endpoint, ErrorType, Method, StatusClass, StatusCode, UNMATCHED};
use crate::layer::HttpLayer;
use crate::rpc::{Rpc, families};
use crate::streams::{OpenStream, StreamMetrics, StreamProtocol};

/// The metrics of a server. Clones share their handles; a layer keeps one.
#[derive(Clone, Debug)]
pub struct HttpMetrics(Arc<Server>);

/// What a server is asked and how it answers.
pub(crate) const API: Group = Group::new("API").rank(Group::LIBRARY + 10).figures(&[
    Figure::rate("API requests", RouteMetrics::requests).facts(&[
        ("in flight", Reading::sum(ServerMetrics::in_flight)),
        (
            "refused",
            Reading::sum(RouteMetrics::errors).with(&[("error_type", "client_error")]),
        ),
        (
            "failed",
            Reading::sum(RouteMetrics::errors).with(&[("error_type", "server_error")]),
        ),
    ]),
    Figure::quantiles("API latency", RouteMetrics::duration).worse(Worse::Up),
]);

obs_core::families! {
    group API;

    /// Requests to one endpoint by one method.
    pub(crate) struct RouteMetrics(method: Method, endpoint: Endpoint) {
        /// Requests that have ended, by the status code that was sent.
        ///
        /// Where no response was made, the error type stands in the code's place.
        pub(crate) requests: Each<StatusCode, Counter> = "http_requests_total",
        /// Time from the call of the service to the end of the response body.
        pub(crate) duration: Late<StatusClass, Histogram> = "http_request_duration_seconds" {
            buckets: buckets::LATENCY,
            budget: 3_000,
            objective: objective!(99 % under 0.5 over 30 d),
        },
        /// Size of request bodies, as declared, or else as read.
        pub(crate) request_size: Histogram = "http_request_size_bytes" { buckets: buckets::BYTES },
        /// Requests missing from `http_request_size_bytes`, whose body neither declares its size nor was counted.
        pub(crate) request_size_unknown: Counter = "http_request_size_unknown_total",
        /// Size of response bodies, as handed to the connection.
        pub(crate) response_size: Histogram = "http_response_size_bytes" { buckets: buckets::BYTES },
        /// Requests that went wrong, by what went wrong.
        pub(crate) errors: By<ErrorType, Counter> = "http_errors_total",
    }
}

obs_core::families! {
    group API;

    /// Requests to the whole server.
    pub(crate) struct ServerMetrics {
        /// Requests whose response body has not ended yet.
        pub(crate) in_flight: By<Method, Gauge> = "http_requests_in_flight" { across: obs_core::Across::Sum },
    }
}

/// The families of this crate.
#[must_use]
pub fn catalogue() -> Catalogue {
    let [calls, services, asked, asked_services] = families();
    Catalogue::of(&[
        RouteMetrics::FAMILIES,
        ServerMetrics::FAMILIES,
        StreamMetrics::FAMILIES,
        calls,
        services,
        asked,
        asked_services,
    ])
}

#[derive(Debug)]
struct Server {
    endpoints: Keyed<Endpoint, Methods>,
    metrics: ServerMetrics,
    rpc: Arc<Rpc>,
}

/// One endpoint: the handles of each method, from its first request on. Most endpoints know one or two.
#[derive(Debug)]
struct Methods {
    endpoint: Value<Endpoint>,
    by_method: [OnceLock<Arc<Route>>; Method::ALL.len()],
}

/// What a request to one endpoint by one method records to.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) metrics: RouteMetrics,
    pub(crate) in_flight: Gauge,
    endpoint: Value<Endpoint>,
    /// By protocol, from the first stream on.
    streams: [OnceLock<Arc<StreamMetrics>>; StreamProtocol::ALL.len()],
    /// Where it belongs to, and gets series from that are seldom needed.
    server: Weak<Server>,
}

impl Route {
    /// A stream of this route, open from now on. None where the layer is gone.
    pub(crate) fn stream(&self, protocol: StreamProtocol) -> Option<OpenStream> {
        let metrics = &self.streams[protocol.index()];
        if let Some(metrics) = metrics.get() {
            return Some(OpenStream::new(Arc::clone(metrics)));
        }
        let server = self.server.upgrade()?;
        let resolve = || StreamMetrics::new(self.endpoint.clone(), protocol);
        let metrics = metrics.get_or_init(|| Arc::new(server.endpoints.resolve(resolve)));
        Some(OpenStream::new(Arc::clone(metrics)))
    }
}

impl HttpMetrics {
    /// Metrics from the recorder that is installed; under a test recorder, from that.
    #[must_use]
    #[track_caller]
    pub fn new() -> Self {
        let endpoints = Keyed::new(RouteMetrics::FAMILIES);
        // Takes its place in the budget before any other: scanners must not end up in `other` among real routes.
        endpoints.of(UNMATCHED, Methods::new);
        Self(Arc::new(Server {
            endpoints,
            metrics: ServerMetrics::new(),
            rpc: Arc::new(Rpc::server()),
        }))
    }

    /// Makes the series of a route exist before its first request, so that its first error is seen as an increase from 0.
    ///
    /// ```
    /// use obs_http::{HttpMetrics, Method};
    ///
    /// let layer = HttpMetrics::new()
    ///     .prepare(Method::Get, "/orders/{id}")
    ///     .prepare(Method::Post, "/orders")
    ///     .layer();
    /// ```
    #[must_use]
    pub fn prepare(self, method: Method, endpoint: &str) -> Self {
        self.route(method, endpoint);
        self
    }

    /// A layer that records to these metrics.
    #[must_use]
    pub fn layer(&self) -> HttpLayer {
        HttpLayer::new(self.clone())
    }

    pub(crate) fn rpc(&self) -> &Arc<Rpc> {
        &self.0.rpc
    }

    /// The handles of a route. Those of a known one are found without a lock.
    pub(crate) fn route(&self, method: Method, endpoint: &str) -> Arc<Route> {
        let server = &*self.0;
        let methods = server.endpoints.of(endpoint, Methods::new);
        let resolve = || Route {
            method,
            metrics: RouteMetrics::new(method, methods.endpoint.clone()),
            in_flight: server.metrics.in_flight[method].clone(),
            endpoint: methods.endpoint.clone(),
            streams: [const { OnceLock::new() }; StreamProtocol::ALL.len()],
            server: Arc::downgrade(&self.0),
        };
        let route = methods.by_method[method.index()]
            .get_or_init(|| Arc::new(server.endpoints.resolve(resolve)));
        Arc::clone(route)
    }
}

impl Default for HttpMetrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Methods {
    fn new(endpoint: Value<Endpoint>) -> Self {
        Self {
            endpoint,
            by_method: [const { OnceLock::new() }; Method::ALL.len()],
        }
    }
}

#[cfg(test)]
mod tests {
    use obs_core::{Open, TestRecorder};

    use super::*;

    #[test]
    fn the_catalogue_joins_that_of_the_core() {
        let joined = Catalogue::join([catalogue(), obs_core::catalogue()]).unwrap();
        let labels = |name| {
            let family = joined.family(name).unwrap();
            family.labels().map(|label| label.key).collect::<Vec<_>>()
        };
        assert_eq!(
            labels("http_requests_total"),
            ["method", "endpoint", "status_code"]
        );
        assert_eq!(
            labels("http_request_duration_seconds"),
            ["method", "endpoint", "status_class"]
        );
        assert_eq!(labels("http_request_size_bytes"), ["method", "endpoint"]);
        assert_eq!(labels("http_response_size_bytes"), ["method", "endpoint"]);
        assert_eq!(
            labels("http_errors_total"),
            ["method", "endpoint", "error_type"]
        );
        assert_eq!(labels("http_requests_in_flight"), ["method"]);
    }

    #[test]
    fn a_prepared_route_has_its_errors_at_nought() {
        let test = TestRecorder::new();
        let _metrics = test.run(|| HttpMetrics::new().prepare(Method::Get, "/orders"));
        let labels = [
            ("method", "GET"),
            ("endpoint", "/orders"),
            ("error_type", "panic"),
        ];
        assert_eq!(test.counter("http_errors_total", &labels), Some(0));
    }

    #[test]
    fn endpoints_beyond_the_budget_share_other_and_unmatched_keeps_its_place() {
        let test = TestRecorder::new();
        let metrics = test.run(HttpMetrics::new);
        let beyond = 10;
        for n in 0..Endpoint::LIMIT + beyond {
            let route = metrics.route(Method::Get, &format!("/{n}"));
            route.metrics.requests.of("200").increment(1);
        }
        metrics
            .route(Method::Get, UNMATCHED)
            .metrics
            .requests
            .of("404")
            .increment(1);

        let count = |endpoint| test.counter_sum("http_requests_total", &[("endpoint", endpoint)]);
        assert_eq!(count(UNMATCHED), 1);
        // `unmatched` holds one of the places.
        assert_eq!(count("other"), beyond as u64 + 1);
        let folded = [("metric", "http_requests_total")];
        assert_eq!(
            test.counter("obs_series_overflow_total", &folded),
            Some(beyond as u64 + 1)
        );
    }
}
