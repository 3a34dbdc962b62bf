//! What a layer adds to a request that axum answers.

use allocation_counter::measure;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use axum_prometheus::PrometheusMetricLayer;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use metrics::Recorder;
use std::sync::{Arc, Mutex, PoisonError};
use tower::Service;

use crate::contest::{Contender, Effort, FLOOR, Figure, OURS, Row, nanoseconds};
use crate::library;

fn app() -> Router {
    Router::new().route("/orders/{id}", get(async || "hello"))
}

/// One request, to the end of its body.
fn call(app: &mut Router) {
    let request = Request::get("/orders/7")
        .body(Body::empty())
        .expect("a sound request");
    let response = Service::<Request<Body>>::call(app, request)
        .now_or_never()
        .expect("an answer at once");
    let Ok(response) = response;
    let body = response
        .into_body()
        .collect()
        .now_or_never()
        .expect("a body at once");
    std::hint::black_box(body.is_ok());
}

pub(crate) fn lines(effort: Effort) -> Vec<Row> {
    let engine: Arc<dyn Recorder + Send + Sync> = Arc::new(library::engine());
    let stock = library::stock();
    let served = |app: Router| Mutex::new(app.with_state::<()>(()));
    let bare = served(app());
    let ours = served(app().layer(obs_core::with_recorder(&engine, obs_http::layer)));
    let theirs = served(app().layer(PrometheusMetricLayer::new()));
    let run = |app: &Mutex<Router>, n: u64| {
        let mut app = app.lock().unwrap_or_else(PoisonError::into_inner);
        (0..n).for_each(|_| call(&mut app));
    };
    let contenders = [
        Contender::new(FLOOR, |n| run(&bare, n)),
        Contender::new(OURS, |n| run(&ours, n)),
        Contender::new("axum-prometheus", |n| {
            metrics::with_local_recorder(&stock, || run(&theirs, n));
            stock.handle().run_upkeep();
        }),
    ];
    let allocations = |contender: &Contender<'_>| {
        (contender.work)(10);
        let n = 100;
        let with_upkeep = measure(|| (contender.work)(n)).count_total as f64;
        Figure::exact(contender.name, (with_upkeep / n as f64).floor())
    };
    let allocations: Vec<_> = contenders.iter().map(allocations).collect();
    // What is added is the difference of two figures, both of which have to come from an undisturbed round.
    let short = Effort {
        rounds: effort.rounds * 8,
        batch: effort.batch / 8,
        ..effort
    };
    let times = nanoseconds(&contenders, 1, short);
    let allocated = Row::new("", "allocations", 0.0, added(allocations));
    vec![
        Row::new(
            "an HTTP request on top of axum's own time",
            "ns",
            0.25,
            added(times),
        ),
        allocated.against(
            "an HTTP request on top of axum's own allocations, against 5",
            5.0,
            1.0,
        ),
    ]
}

/// The figures without the floor's.
pub(crate) fn added(mut figures: Vec<Figure>) -> Vec<Figure> {
    let floor = figures.remove(0);
    for figure in &mut figures {
        figure.min -= floor.min;
        figure.median -= floor.median;
    }
    figures
}
