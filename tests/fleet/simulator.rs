//! The process that is all desks: each has an address of its own.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::template::Template;

/// The line by which it says where it is asked to open and close desks begins with this.
pub(crate) const CONTROL: &str = "control ";

/// All desks, also those that are closed.
struct Fleet {
    template: Template,
    desks: Mutex<BTreeMap<String, Arc<Desk>>>,
}

struct Desk {
    service: String,
    born: Instant,
    state: Mutex<DeskState>,
}

#[derive(Default)]
struct DeskState {
    /// The age at which nothing moves any more, in milliseconds.
    frozen: Option<f64>,
    /// What its counters added up to when it was asked last.
    totals: Vec<f64>,
    /// Closes it.
    close: Option<oneshot::Sender<()>>,
}

impl Desk {
    fn age(&self) -> f64 {
        self.born.elapsed().as_secs_f64() * 1e3
    }

    fn state(&self) -> MutexGuard<'_, DeskState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn freeze(&self) {
        let age = self.age();
        self.state().frozen.get_or_insert(age);
    }
}

impl Fleet {
    fn desks(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Desk>>> {
        self.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is asked of a desk.
#[derive(Deserialize)]
struct Which {
    /// The service of a new one, or the address of one that is there.
    name: String,
}

/// What a desk has said last.
#[derive(Serialize)]
struct Said<'a> {
    service: &'a str,
    totals: BTreeMap<&'a str, f64>,
}

/// Serves until it is killed.
pub(crate) fn run(file: &Path, series: usize) -> Result<(), Box<dyn Error>> {
    let text = std::fs::read_to_string(file)?;
    let desk = obs_exposition::parse(&text)?;
    let fleet = Fleet {
        template: Template::new(&desk, series),
        desks: Mutex::default(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(control(Arc::new(fleet)))
}

async fn control(fleet: Arc<Fleet>) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{CONTROL}http://{}", listener.local_addr()?);
    let router = Router::new()
        .route("/series", get(series))
        .route("/open", post(open))
        .route("/freeze", post(freeze))
        .route("/freeze-all", post(freeze_all))
        .route("/close", post(close))
        .route("/said", get(said))
        .with_state(fleet);
    Ok(axum::serve(listener, router).await?)
}

async fn series(State(fleet): State<Arc<Fleet>>) -> String {
    fleet.template.series().to_string()
}

/// Opens a desk at an address that no other ever had.
async fn open(
    State(fleet): State<Arc<Fleet>>,
    Query(which): Query<Which>,
) -> Result<String, StatusCode> {
    let failed = |_| StatusCode::INTERNAL_SERVER_ERROR;
    // Those that another desk had stay bound meanwhile, so that they are not given out again.
    let mut taken = Vec::new();
    let (listener, address) = loop {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?.to_string();
        if !fleet.desks().contains_key(&address) {
            break (listener, address);
        }
        taken.push(listener);
    };
    let (close, closed) = oneshot::channel();
    let state = DeskState {
        close: Some(close),
        ..DeskState::default()
    };
    let desk = Arc::new(Desk {
        service: which.name,
        born: Instant::now(),
        state: Mutex::new(state),
    });
    fleet.desks().insert(address.clone(), desk.clone());
    let router = Router::new()
        .route("/metrics", get(scrape))
        .with_state((fleet, desk));
    let until = async {
        let _ = closed.await;
    };
    tokio::spawn(async {
        axum::serve(listener, router)
            .with_graceful_shutdown(until)
            .await
    });
    Ok(address)
}

async fn scrape(State((fleet, desk)): State<(Arc<Fleet>, Arc<Desk>)>) -> impl IntoResponse {
    let age = desk.state().frozen.unwrap_or_else(|| desk.age());
    let (text, totals) = fleet.template.render(&desk.service, age);
    desk.state().totals = totals;
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
}

async fn freeze(State(fleet): State<Arc<Fleet>>, Query(which): Query<Which>) -> StatusCode {
    let desk = fleet.desks().get(&which.name).cloned();
    desk.map_or(StatusCode::NOT_FOUND, |desk| {
        desk.freeze();
        StatusCode::OK
    })
}

async fn freeze_all(State(fleet): State<Arc<Fleet>>) {
    for desk in fleet.desks().values() {
        desk.freeze();
    }
}

async fn close(State(fleet): State<Arc<Fleet>>, Query(which): Query<Which>) -> StatusCode {
    let desk = fleet.desks().get(&which.name).cloned();
    let close = desk.and_then(|desk| desk.state().close.take());
    close.map_or(StatusCode::NOT_FOUND, |close| {
        // One that has ended by itself is closed as well.
        let _ = close.send(());
        StatusCode::OK
    })
}

async fn said(State(fleet): State<Arc<Fleet>>) -> impl IntoResponse {
    let desks = fleet.desks().clone();
    let mut all = BTreeMap::new();
    for (address, desk) in &desks {
        let totals = desk.state().totals.clone();
        let totals = fleet.template.named(&totals);
        all.insert(
            address,
            Said {
                service: &desk.service,
                totals,
            },
        );
    }
    Json(serde_json::json!(all))
}
