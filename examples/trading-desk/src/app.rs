//! The application: builds every part at start-up, hands each what it needs, and takes them down again.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use tokio::task::JoinSet;

use crate::account::Account;
use crate::api;
use crate::bars::{self, Series};
use crate::broker::{PaperBroker, Terms};
use crate::calendar::TradingDays;
use crate::client::DeskClient;
use crate::desk::Desk;
use crate::error::Error;
use crate::market_data::MarketData;
use crate::pages::RedisUrl;
use crate::provider::Vendors;
use crate::replay::Replay;
use crate::risk::Limits;
use crate::sentiment::SentimentFeed;
use crate::server::Server;
use crate::service::Service;
use crate::store::Store;
use crate::stream::{QuoteStream, Venue};

/// What the application is started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The prices.
    pub series: Vec<Series>,
    /// Where the API listens, such as `127.0.0.1:8080`; port 0 takes any free one.
    pub listen: String,
    /// The database file; in memory without one.
    pub db: Option<PathBuf>,
    /// The Redis that keeps pages of bars; in memory without one.
    pub redis: Option<RedisUrl>,
    /// What the account begins with, in US dollars.
    pub cash: f64,
    /// How long a replayed day takes at least.
    pub pace: Duration,
    /// The risk limits.
    pub limits: Limits,
    /// What the broker charges.
    pub terms: Terms,
}

/// The running application: the providers, the desk, and the API on it.
#[derive(Debug)]
pub struct App {
    vendors: Arc<Vendors>,
    provider: Server,
    api: Server,
    service: Arc<Service>,
    pace: Duration,
    /// Ends with the application.
    _background: JoinSet<()>,
}

impl App {
    /// Starts everything but the replay.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let days = bars::days(&config.series);
        let desk = desk(&config, &days)?;
        let store = Store::open(config.db.as_deref(), config.cash).await?;
        let venue = Venue::open(&config.series).await?;
        let vendors = Vendors::new(config.series);
        // Any free port will do: nobody but the desk has to know it.
        let loopback = "a free port on loopback";
        let provider = Server::start("127.0.0.1:0", loopback, vendors.router()).await?;
        let redis = config.redis.as_ref();
        let market = MarketData::new(&provider.url(), &TradingDays::of(&days), redis).await?;
        let mut background = JoinSet::new();
        background.spawn(market.pages().watch());
        background.spawn(market.probe(&provider.url()));
        let sentiment = SentimentFeed::new(&provider.url())?;
        let stream = QuoteStream::new();
        background.spawn(stream.clone().watch_clock(provider.url()));
        background.spawn(stream.clone().run(venue.url()));
        background.spawn(venue.serve());
        let service = Arc::new(Service::new(desk, store, market, sentiment, stream));
        let api = Server::start(&config.listen, "--listen", api::router(service.clone())).await?;
        Ok(Self {
            vendors,
            provider,
            api,
            service,
            pace: config.pace,
            _background: background,
        })
    }

    /// A replay of all that the provider has, from its first bar.
    pub async fn replay(&self) -> Result<Replay, Error> {
        let market = self.service.market();
        let streams = market.symbols().await?.into_iter();
        let streams = streams.map(|listing| market.stream(listing.symbol, listing.first));
        let client = DeskClient::new(&self.api.url())?;
        Ok(Replay::new(
            streams.collect(),
            self.service.clone(),
            client,
            self.pace,
        ))
    }

    /// The desk and its records.
    #[must_use]
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// The providers on loopback, to see what they were asked.
    #[must_use]
    pub fn vendors(&self) -> &Vendors {
        &self.vendors
    }

    /// Where the API listens, with the real port where 0 was asked for.
    #[must_use]
    pub fn api_address(&self) -> SocketAddr {
        self.api.address()
    }

    /// The API's address as a URL.
    #[must_use]
    pub fn api_url(&self) -> String {
        self.api.url()
    }

    /// The provider's address as a URL.
    #[must_use]
    pub fn provider_url(&self) -> String {
        self.provider.url()
    }

    /// Stops serving, then closes the database.
    pub async fn stop(self) -> Result<(), Error> {
        let stopped = self.api.stop().await;
        self.provider.stop().await?;
        self.service.store().close().await;
        stopped
    }
}

/// A desk that has seen no bar yet.
fn desk(config: &Config, days: &BTreeSet<Date>) -> Result<Desk, Error> {
    if days.is_empty() {
        let file = "--bars".to_owned();
        return Err(Error::NoBars { file });
    }
    let symbols = config.series.iter().map(|series| series.symbol.clone());
    let broker = PaperBroker::new(symbols, config.terms);
    let account = Account::open(config.limits, broker, config.cash, days)?;
    Ok(Desk::new(account))
}
