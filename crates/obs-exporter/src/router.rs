//! The routes for an axum application to mount, and the question of who is there before routes of its own.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;

use crate::Exporter;
use crate::server::{self, Peer};

impl Exporter {
    /// The routes `/metrics` and `/healthz`, to mount in an application of your own:
    /// `app.merge(exporter.router())`, or under a prefix with `nest`.
    ///
    /// `/metrics` asks for the configured credentials and has the configured bound on scrapes. Where
    /// [`allow_from`](crate::Config::allow_from) is set, serve the application with
    /// `into_make_service_with_connect_info::<SocketAddr>()`: who comes from an unknown address is refused. Where to listen,
    /// encryption and the bounds on connections are the application's.
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let routes = Router::new().route("/metrics", get(metrics));
        self.protect(routes.with_state(self.clone()))
            .route("/healthz", get(async || mounted(server::health())))
    }

    /// Puts the question who is there, which `/metrics` asks, before every route that the router has so far. Refused ones are
    /// counted with those of `/metrics`.
    pub fn protect<S: Clone + Send + Sync + 'static>(&self, router: Router<S>) -> Router<S> {
        router.route_layer(from_fn_with_state(self.clone(), guard))
    }
}

async fn metrics(State(exporter): State<Exporter>, request: Request) -> Response {
    let response = server::metrics(&exporter, peer(&request), request.headers()).await;
    mounted(server::guarded(response))
}

async fn guard(State(exporter): State<Exporter>, request: Request, next: Next) -> Response {
    match server::refusal(&exporter, peer(&request), request.headers()) {
        Some(refused) => mounted(refused),
        None => next.run(request).await,
    }
}

/// The address, where the application is served with it.
fn peer(request: &Request) -> Peer {
    let connected: Option<&ConnectInfo<SocketAddr>> = request.extensions().get();
    connected.map(|ConnectInfo(peer)| *peer)
}

/// An answer of ours as one of axum's.
fn mounted(response: server::Response) -> Response {
    response.map(axum::body::Body::new)
}
