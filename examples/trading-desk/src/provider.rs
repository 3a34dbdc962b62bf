//! The outside world on loopback: providers of bars and of sentiment, which do fail now and then.
//!
//! They stand in for vendors, so that the desk gets its data the way a real desk does: in pages, over a socket, as
//! JSON, and not always at the first attempt.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/symbols` | the symbols, and how many bars each has |
//! | `GET /v1/bars/{symbol}?from=1999-01-01&to=1999-01-31` | a page of bars, and the date of the bar behind it |
//! | `GET /v1/time` | what time it is by the provider's clock, in milliseconds since 1970 |
//! | `GET /v1/sentiment/{provider}?at=1999-01-29` | what the provider makes of each symbol at that day's close |
//!
//! What the sentiment is made of, [`stand_in`](crate::stand_in) tells. What goes wrong goes wrong by count, so that every
//! run meets the same faults:
//!
//! | provider | fault |
//! |---|---|
//! | `bars` | every 97th page is refused with 503 and `Retry-After: 0`, every 151st takes 50 ms |
//! | `twitter` | 60 requests a window, told in `X-RateLimit-Limit` and `X-RateLimit-Remaining`; the one beyond gets 429 |
//! | `reddit` | every 83rd answer breaks off in the middle |
//! | `news` | four requests in a row, of every hundred, get 503 |

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::stream;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::bars::{Bar, Series};
use crate::stand_in::{Opinion, StandIn};
use crate::symbol::Symbol;

/// The most bars that a page can have.
const MAX_PAGE: usize = 500;

/// Every so many pages one is refused,
const BUSY_EVERY: u64 = 97;

/// and every so many
const SLOW_EVERY: u64 = 151;

/// one takes so long.
const SLOW: Duration = Duration::from_millis(50);

/// Requests that `twitter` takes in a window.
const QUOTA: u64 = 60;

/// Every so many answers of `reddit` one breaks off.
const BREAK_EVERY: u64 = 83;

/// Of so many requests of `news`,
const OUTAGE_EVERY: u64 = 100;

/// so many in a row are refused.
const OUTAGE: u64 = 4;

/// One symbol on offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// What is traded.
    pub symbol: Symbol,
    /// How many bars there are.
    pub bars: usize,
    /// The date of the first.
    pub first: Date,
}

/// Some bars of one symbol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// The bars, the oldest first.
    pub bars: Vec<Bar>,
    /// The date of the next bar, if there is one.
    pub next: Option<Date>,
}

/// What a sentiment provider makes of the symbols; those it cannot speak of are not there.
pub type Opinions = BTreeMap<Symbol, Opinion>;

/// All providers, and how much they have been asked.
#[derive(Debug)]
pub struct Vendors {
    series: BTreeMap<Symbol, Vec<Bar>>,
    listings: Turns,
    pages: Turns,
    sentiment: BTreeMap<StandIn, Turns>,
}

impl Vendors {
    /// Providers that sell these bars, and sentiment computed from them.
    #[must_use]
    pub fn new(series: Vec<Series>) -> Arc<Self> {
        let sentiment = StandIn::ALL.map(|of| (of, Turns::default()));
        Arc::new(Self {
            series: series
                .into_iter()
                .map(|series| (series.symbol, series.bars))
                .collect(),
            listings: Turns::default(),
            pages: Turns::default(),
            sentiment: sentiment.into(),
        })
    }

    /// The providers' routes.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/v1/symbols", get(symbols))
            .route("/v1/bars/{symbol}", get(bars))
            .route("/v1/sentiment/{provider}", get(sentiment))
            .route("/v1/time", get(time))
            .with_state(self.clone())
    }

    /// How many requests have come in for bars and their listing, whatever became of them.
    #[must_use]
    pub fn asked_for_bars(&self) -> u64 {
        self.listings.so_far() + self.pages.so_far()
    }

    /// How many requests have come in for a provider's sentiment, whatever became of them.
    #[must_use]
    pub fn asked_for_sentiment(&self, of: StandIn) -> u64 {
        self.sentiment[&of].so_far()
    }
}

/// Counts requests.
#[derive(Debug, Default)]
struct Turns(AtomicU64);

impl Turns {
    /// The number of this request, from 1 on.
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn so_far(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

type Shared = State<Arc<Vendors>>;

async fn symbols(State(vendors): Shared) -> Json<Vec<Listing>> {
    vendors.listings.next();
    let listing = |(symbol, bars): (&Symbol, &Vec<Bar>)| {
        let first = bars.first()?.date;
        Some(Listing {
            symbol: symbol.clone(),
            bars: bars.len(),
            first,
        })
    };
    Json(vendors.series.iter().filter_map(listing).collect())
}

async fn time() -> Json<i64> {
    Json(jiff::Timestamp::now().as_millisecond())
}

#[derive(Debug, Deserialize)]
struct PageQuery {
    from: Option<Date>,
    to: Option<Date>,
}

async fn bars(
    State(vendors): Shared,
    Path(symbol): Path<Symbol>,
    Query(query): Query<PageQuery>,
) -> Response {
    let turn = vendors.pages.next();
    if turn.is_multiple_of(BUSY_EVERY) {
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "0")]).into_response();
    }
    if turn.is_multiple_of(SLOW_EVERY) {
        sleep(SLOW).await;
    }
    let Some(bars) = vendors.series.get(&symbol) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let from = query.from.unwrap_or(Date::MIN);
    let to = query.to.unwrap_or(Date::MAX);
    let rest = &bars[bars.partition_point(|bar| bar.date < from)..];
    let length = rest.partition_point(|bar| bar.date <= to).min(MAX_PAGE);
    let (page, after) = rest.split_at(length);
    Json(Page {
        bars: page.to_vec(),
        next: after.first().map(|bar| bar.date),
    })
    .into_response()
}

#[derive(Debug, Deserialize)]
struct SentimentQuery {
    at: Date,
}

async fn sentiment(
    State(vendors): Shared,
    Path(provider): Path<String>,
    Query(query): Query<SentimentQuery>,
) -> Response {
    let Some(of) = StandIn::named(&provider) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let turn = vendors.sentiment[&of].next();
    let opinion = |(symbol, bars): (&Symbol, &Vec<Bar>)| {
        let past = bars.partition_point(|bar| bar.date <= query.at);
        Some((symbol.clone(), of.opinion(&bars[..past])?))
    };
    let opinions: Opinions = vendors.series.iter().filter_map(opinion).collect();
    match of {
        StandIn::Momentum => within_quota(turn, Json(opinions)),
        StandIn::Contrarian if turn.is_multiple_of(BREAK_EVERY) => broken_off(),
        StandIn::Range if turn % OUTAGE_EVERY >= OUTAGE_EVERY - OUTAGE => {
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
        StandIn::Contrarian | StandIn::Range => Json(opinions).into_response(),
    }
}

/// The answer with what is left of the quota, or a refusal, with which a new window begins.
fn within_quota(turn: u64, answer: impl IntoResponse) -> Response {
    let used = (turn - 1) % (QUOTA + 1) + 1;
    let left = [
        ("x-ratelimit-limit", QUOTA.to_string()),
        (
            "x-ratelimit-remaining",
            QUOTA.saturating_sub(used).to_string(),
        ),
    ];
    if used > QUOTA {
        let refusal = (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "0")]);
        (left, refusal).into_response()
    } else {
        (left, answer).into_response()
    }
}

/// The beginning of an answer, and then the end of the connection.
fn broken_off() -> Response {
    let begun = Ok(Bytes::from_static(b"{"));
    let broken = Err(io::Error::from(io::ErrorKind::ConnectionReset));
    let body = Body::from_stream(stream::iter([begun, broken]));
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_with_a_refusal() {
        let told = |turn| {
            let answer = within_quota(turn, "");
            let left = answer.headers()["x-ratelimit-remaining"].clone();
            (answer.status().as_u16(), left.to_str().unwrap().to_owned())
        };
        assert_eq!(told(1), (200, "59".to_owned()));
        assert_eq!(told(60), (200, "0".to_owned()));
        assert_eq!(told(61), (429, "0".to_owned()));
        assert_eq!(told(62), (200, "59".to_owned()));
    }
}
