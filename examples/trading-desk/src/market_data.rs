//! Market data: the client that fetches bars from their provider, a calendar month a page, through a cache.
//!
//! The replay is what fetches most pages first; who looks at the bars of this month through the API then finds them
//! in the cache.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use obs_core::{CountError, ErrorMetrics};
use obs_providers::{Cache, Dataset, Provider, ProviderKind};

use crate::bars::Bar;
use crate::calendar::TradingDays;
use crate::error::Error;
use crate::metrics;
use crate::outside::Outside;
use crate::pages::{Pages, RedisUrl};
use crate::provider::{Listing, Page};
use crate::symbol::Symbol;

/// How often a page is asked for again before it is given up.
const RETRIES: u32 = 3;

/// A page is fresh until the market has been open for so long since it was loaded: there may be a new bar then.
const FRESH_FOR: Duration = Duration::from_hours(1);

/// How often the provider is asked whether it is there.
const PROBE_EVERY: Duration = Duration::from_secs(10);

/// The client: fetches bars from their provider. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MarketData {
    bars: Outside,
    pages: Cache<Pages>,
    kept: Pages,
    daily_bars: Dataset,
    errors: Arc<ErrorMetrics>,
}

/// All bars of one symbol, fetched page by page as they are needed.
#[derive(Debug)]
pub struct BarStream {
    market: MarketData,
    symbol: Symbol,
    page: VecDeque<Bar>,
    next: Option<Date>,
}

impl MarketData {
    /// A client of the provider at `base`, such as `http://127.0.0.1:4000`, whose bars are of these days. Its cache is in
    /// memory, or in Redis if there is one.
    pub async fn new(
        base: &str,
        days: &TradingDays,
        redis: Option<&RedisUrl>,
    ) -> Result<Self, Error> {
        let provider = Provider::builder("bars", ProviderKind::MarketData)
            .endpoint("symbols")
            .endpoint("bars")
            .build()?;
        // Pages age by the clock on the wall, while the market is open; bars are as of the day they are about, which in a
        // replay is long past.
        let dataset = provider.session_dataset("pages", days.calendar());
        // Another run has another provider, and other pages.
        let pages = Pages::open(redis, &format!("desk:{base}:"), FRESH_FOR).await?;
        Ok(Self {
            kept: pages.clone(),
            pages: Cache::new(dataset, pages, FRESH_FOR),
            daily_bars: provider.dataset("daily_bars"),
            bars: Outside::new(provider, base, RETRIES)?,
            errors: metrics::errors("market_data", ["call_failed"]),
        })
    }

    /// What the provider has.
    pub async fn symbols(&self) -> Result<Vec<Listing>, Error> {
        let listed = self.bars.get("symbols", &["v1", "symbols"], &[]).await;
        listed.map_err(Error::MarketData).count_error(&self.errors)
    }

    /// The bars of `symbol` in the month that `day` is in, from the cache if it has them.
    #[obs_core::track_duration(name = "MarketData::month")]
    #[obs_core::track_calls(name = "MarketData::month")]
    pub async fn month(&self, symbol: &Symbol, day: Date) -> Result<Page, Error> {
        let [from, to] = [day.first_of_month(), day.last_of_month()].map(|day| day.to_string());
        let key = format!("{symbol}:{from}");
        let (segments, query) = (
            ["v1", "bars", symbol.as_str()],
            [("from", from), ("to", to)],
        );
        let load = self.bars.get("bars", &segments, &query);
        let served = self.pages.get(key.as_str(), load).await;
        served
            .map(|served| served.value)
            .map_err(Error::MarketData)
            .count_error(&self.errors)
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

    /// Says that the bars up to this close have come.
    pub fn received(&self, close: Timestamp) {
        self.daily_bars.updated_at(close);
    }

    /// Where pages are kept.
    #[must_use]
    pub fn pages(&self) -> &Pages {
        &self.kept
    }

    /// Asks the provider every so often whether it is there, for ever.
    pub fn probe(&self, base: &str) -> impl Future<Output = ()> + Send + 'static {
        let (provider, time) = (self.provider().clone(), format!("{base}/v1/time"));
        async move {
            // A client of its own: through the measured one each probe would count as a call, too.
            let client = reqwest::Client::new();
            let probe = || async { client.get(&time).send().await?.error_for_status() };
            provider.probe_every(PROBE_EVERY, probe).await;
        }
    }

    /// The provider under measurement.
    #[must_use]
    pub fn provider(&self) -> &Provider {
        self.bars.provider()
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
            let page = self.market.month(&self.symbol, from).await?;
            self.page = page.bars.into();
            // The month may have begun before.
            while self.page.pop_front_if(|bar| bar.date < from).is_some() {}
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
    use crate::bars::Series;
    use crate::provider::Vendors;
    use crate::server::Server;

    /// So many days from the 20th of January on, of which the third is missing.
    fn series(symbol: &str, days: usize) -> Series {
        let dates = date(2020, 1, 20).series(jiff::ToSpan::days(1));
        let bar = |date| Bar {
            date,
            open: 1.0,
            high: 2.0,
            low: 0.5,
            close: 1.0 / 3.0,
            volume: 1e9,
        };
        let dates = dates.filter(|day| *day != date(2020, 1, 22));
        Series {
            symbol: Symbol::new(symbol).unwrap(),
            bars: dates.take(days).map(bar).collect(),
        }
    }

    async fn provider(series: Vec<Series>) -> (Server, MarketData, Arc<Vendors>) {
        let days = TradingDays::of(&crate::bars::days(&series));
        let vendors = Vendors::new(series);
        let server = Server::start("127.0.0.1:0", "", vendors.router())
            .await
            .unwrap();
        let market = MarketData::new(&server.url(), &days, None).await;
        (server, market.unwrap(), vendors)
    }

    async fn all(mut stream: BarStream) -> Vec<Bar> {
        let mut bars = Vec::new();
        while let Some(date) = stream.peek().await.unwrap() {
            assert_eq!(stream.take(date.yesterday().unwrap()), None);
            bars.extend(stream.take(date));
        }
        bars
    }

    #[tokio::test]
    async fn pages_join_into_the_series() {
        let series = series("^a/b c", 60);
        let (server, market, _) = provider(vec![series.clone()]).await;
        let listing = market.symbols().await.unwrap().remove(0);
        assert_eq!((listing.symbol.as_str(), listing.bars), ("^A/B C", 60));
        let stream = market.stream(listing.symbol.clone(), listing.first);
        assert_eq!(all(stream).await, series.bars);
        let stream = market.stream(listing.symbol, date(2020, 2, 7));
        assert_eq!(all(stream).await, series.bars[17..]);
        server.stop().await.unwrap();
    }

    #[tokio::test]
    async fn a_page_is_a_month_and_is_fetched_once() {
        let (server, market, vendors) = provider(vec![series("A", 60)]).await;
        let symbol = Symbol::new("A").unwrap();
        for day in [3, 29] {
            let page = market.month(&symbol, date(2020, 2, day)).await.unwrap();
            assert_eq!(page.bars.len(), 29);
            assert_eq!(page.bars[0].date, date(2020, 2, 1));
            assert_eq!(page.next, Some(date(2020, 3, 1)));
        }
        assert_eq!(vendors.asked_for_bars(), 1);
        let page = market.month(&symbol, date(2021, 1, 1)).await.unwrap();
        assert_eq!((page.bars.len(), page.next), (0, None));
        server.stop().await.unwrap();
    }

    #[tokio::test]
    async fn a_page_that_is_refused_is_asked_for_again() {
        let (server, market, vendors) = provider(vec![series("A", 1)]).await;
        let symbol = Symbol::new("A").unwrap();
        // Each month is a page of its own, most of them empty.
        let months = date(2000, 1, 1).series(jiff::ToSpan::months(1));
        for month in months.take(200) {
            market.month(&symbol, month).await.unwrap();
        }
        // The 97th and the 194th request were refused, and made again.
        assert_eq!(vendors.asked_for_bars(), 202);
        server.stop().await.unwrap();
    }

    #[tokio::test]
    async fn failures_name_the_request() {
        let (server, market, _) = provider(vec![series("A", 1)]).await;
        let missing = Symbol::new("B").unwrap();
        let error = market
            .month(&missing, date(2020, 1, 1))
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
