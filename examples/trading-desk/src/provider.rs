//! Market data over HTTP: a provider that serves the bars on loopback, and the client that asks for them.
//!
//! The provider stands in for a vendor, so the replay gets its prices the way a real desk does: in pages,
//! over a socket, as JSON.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/symbols` | the symbols, and how many bars each has |
//! | `GET /v1/bars/{symbol}?from=1999-01-04&limit=21` | a page of bars, and the date the next one begins with |

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use jiff::civil::Date;
use reqwest::Url;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::bars::{Bar, Series};
use crate::error::Error;
use crate::symbol::Symbol;

/// Bars in a page unless the request says otherwise: about a month of trading days.
pub const PAGE: usize = 21;

/// The most bars that a page can have.
const MAX_PAGE: usize = 500;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

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

/// The client: fetches bars from a provider.
#[derive(Debug, Clone)]
pub struct MarketData {
    http: reqwest::Client,
    base: Url,
}

/// All bars of one symbol, fetched page by page as they are needed.
#[derive(Debug)]
pub struct BarStream {
    market: MarketData,
    symbol: Symbol,
    page: VecDeque<Bar>,
    next: Option<Date>,
}

/// The provider's routes.
pub fn router(series: Vec<Series>) -> Router {
    let by_symbol: BTreeMap<Symbol, Vec<Bar>> = series
        .into_iter()
        .map(|series| (series.symbol, series.bars))
        .collect();
    Router::new()
        .route("/v1/symbols", get(symbols))
        .route("/v1/bars/{symbol}", get(bars))
        .with_state(Arc::new(by_symbol))
}

type Bars = State<Arc<BTreeMap<Symbol, Vec<Bar>>>>;

async fn symbols(State(series): Bars) -> Json<Vec<Listing>> {
    let listing = |(symbol, bars): (&Symbol, &Vec<Bar>)| {
        let first = bars.first()?.date;
        Some(Listing {
            symbol: symbol.clone(),
            bars: bars.len(),
            first,
        })
    };
    Json(series.iter().filter_map(listing).collect())
}

#[derive(Debug, Deserialize)]
struct PageQuery {
    from: Option<Date>,
    limit: Option<usize>,
}

async fn bars(
    State(series): Bars,
    Path(symbol): Path<Symbol>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page>, StatusCode> {
    let bars = series.get(&symbol).ok_or(StatusCode::NOT_FOUND)?;
    let start = query
        .from
        .map_or(0, |from| bars.partition_point(|bar| bar.date < from));
    let rest = &bars[start..];
    let length = query
        .limit
        .unwrap_or(PAGE)
        .clamp(1, MAX_PAGE)
        .min(rest.len());
    let (page, after) = rest.split_at(length);
    Ok(Json(Page {
        bars: page.to_vec(),
        next: after.first().map(|bar| bar.date),
    }))
}

impl MarketData {
    /// A client of the provider at `base`, such as `http://127.0.0.1:4000`.
    pub fn new(base: &str) -> Result<Self, Error> {
        let problem = |error: &dyn std::error::Error| Error::MarketData {
            path: base.to_owned(),
            problem: error.to_string(),
        };
        let http = reqwest::Client::builder().timeout(TIMEOUT).build();
        Ok(Self {
            http: http.map_err(|error| problem(&error))?,
            base: Url::parse(base).map_err(|error| problem(&error))?,
        })
    }

    /// What the provider has.
    pub async fn symbols(&self) -> Result<Vec<Listing>, Error> {
        self.get(self.url(&["v1", "symbols"])).await
    }

    /// Up to `limit` bars of `symbol`, from `from` on.
    pub async fn bars(&self, symbol: &Symbol, from: Date, limit: usize) -> Result<Page, Error> {
        let mut url = self.url(&["v1", "bars", symbol.as_str()]);
        url.query_pairs_mut()
            .append_pair("from", &from.to_string())
            .append_pair("limit", &limit.to_string());
        self.get(url).await
    }

    /// All bars of `symbol` from `from` on, fetched as they are needed.
    #[must_use]
    pub fn stream(&self, symbol: Symbol, from: Date) -> BarStream {
        BarStream {
            market: self.clone(),
            symbol,
            page: VecDeque::new(),
            next: Some(from),
        }
    }

    /// The base with these segments as its path, each encoded as it must be.
    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        // It fails for URLs without a host, such as `mailto:`; the request then says so.
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(segments);
        }
        url
    }

    async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T, Error> {
        let path = url.path().to_owned();
        let answer = async {
            self.http
                .get(url)
                .send()
                .await?
                .error_for_status()?
                .json()
                .await
        };
        answer
            .await
            .map_err(|error: reqwest::Error| Error::MarketData {
                path,
                problem: error.without_url().to_string(),
            })
    }
}

impl BarStream {
    /// The symbol whose bars these are.
    #[must_use]
    pub fn symbol(&self) -> &Symbol {
        &self.symbol
    }

    /// The next bar's date, or `None` after the last; fetches the next page when this one is used up.
    pub async fn peek(&mut self) -> Result<Option<Date>, Error> {
        if self.page.is_empty()
            && let Some(from) = self.next.take()
        {
            let page = self.market.bars(&self.symbol, from, PAGE).await?;
            self.page = page.bars.into();
            self.next = page.next;
        }
        Ok(self.page.front().map(|bar| bar.date))
    }

    /// Takes the next bar, if it is that of `date` and was fetched by [`peek`](Self::peek).
    pub fn take(&mut self, date: Date) -> Option<Bar> {
        self.page.pop_front_if(|bar| bar.date == date)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::server::Server;

    fn series(symbol: &str, days: i8) -> Series {
        let bar = |day| Bar {
            date: date(2020, 1, day),
            open: 1.0,
            high: 2.0,
            low: 0.5,
            close: 1.0 / 3.0,
            volume: 1e9,
        };
        Series {
            symbol: Symbol::new(symbol).unwrap(),
            bars: (1..=days).map(bar).collect(),
        }
    }

    async fn provider(series: Vec<Series>) -> (Server, MarketData) {
        let server = Server::start("127.0.0.1:0", "", router(series))
            .await
            .unwrap();
        let market = MarketData::new(&server.url()).unwrap();
        (server, market)
    }

    #[tokio::test]
    async fn pages_join_into_the_series() {
        let series = series("^a/b c", 30);
        let (server, market) = provider(vec![series.clone()]).await;
        let listing = market.symbols().await.unwrap().remove(0);
        assert_eq!((listing.symbol.as_str(), listing.bars), ("^A/B C", 30));

        let mut stream = market.stream(listing.symbol, listing.first);
        let mut bars = Vec::new();
        while let Some(date) = stream.peek().await.unwrap() {
            assert_eq!(stream.take(date.yesterday().unwrap()), None);
            bars.extend(stream.take(date));
        }
        assert_eq!(bars, series.bars);
        server.stop().await.unwrap();
    }

    #[tokio::test]
    async fn a_page_begins_and_ends_where_it_was_asked_to() {
        let (server, market) = provider(vec![series("A", 30)]).await;
        let symbol = Symbol::new("A").unwrap();
        let page = market.bars(&symbol, date(2020, 1, 10), 5).await.unwrap();
        assert_eq!(page.bars.len(), 5);
        assert_eq!(page.bars[0].date, date(2020, 1, 10));
        assert_eq!(page.next, Some(date(2020, 1, 15)));
        let page = market.bars(&symbol, date(2021, 1, 1), 5).await.unwrap();
        assert_eq!((page.bars.len(), page.next), (0, None));
        server.stop().await.unwrap();
    }

    #[tokio::test]
    async fn failures_name_the_request() {
        let (server, market) = provider(vec![series("A", 1)]).await;
        let missing = Symbol::new("B").unwrap();
        let error = market
            .bars(&missing, date(2020, 1, 1), 5)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("market data: GET /v1/bars/B: "),
            "{error}"
        );
        assert!(error.contains("404"), "{error}");
        server.stop().await.unwrap();
        assert!(market.symbols().await.is_err());
    }
}
