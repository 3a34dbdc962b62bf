//! The service: one desk and its records, shared by the replay and the API.

use std::sync::Arc;

use jiff::civil::Date;
use obs_core::{CountError, ErrorMetrics};
use obs_providers::Provider;
use obs_trading::{Ended, PositionGauges};
use tokio::sync::Mutex;
use tokio::task::JoinError;

use crate::account::Account;
use crate::bars::Bar;
use crate::broker::CancelError;
use crate::desk::Desk;
use crate::error::Error;
use crate::market_data::MarketData;
use crate::metrics;
use crate::order::{Order, OrderId, OrderRequest};
use crate::risk::Refusal;
use crate::sentiment::SentimentFeed;
use crate::store::Store;
use crate::stream::QuoteStream;
use crate::symbol::Symbol;

/// The desk behind its lock, the store, and the data that come from outside. Code that changes the desk keeps the lock until the change is
/// written, so that the records are never ahead of the desk and never out of order.
#[derive(Debug)]
pub struct Service {
    desk: Mutex<Desk>,
    store: Store,
    market: MarketData,
    sentiment: SentimentFeed,
    stream: QuoteStream,
    positions: Vec<PositionGauges>,
    errors: Arc<ErrorMetrics>,
}

impl Service {
    /// Puts a desk and its records to work.
    #[must_use]
    pub fn new(
        desk: Desk,
        store: Store,
        market: MarketData,
        sentiment: SentimentFeed,
        stream: QuoteStream,
    ) -> Self {
        let errors = ["oversold", "trading", "unfinished"];
        Self {
            positions: desk.account().gauges(),
            desk: Mutex::new(desk),
            store,
            market,
            sentiment,
            stream,
            errors: metrics::errors("desk", errors),
        }
    }

    /// Trades one day and records what it changed.
    pub async fn trade_day(&self, date: Date, bars: &[(Symbol, Bar)]) -> Result<(), Error> {
        let mut desk = self.desk.lock().await;
        desk.trade_day(date, bars).count_error(&self.errors)?;
        self.market.received(desk.account().last_close());
        self.record(desk.account_mut()).await
    }

    /// Asks the providers what they make of the symbols at this day's close.
    pub async fn ask_sentiment(&self, date: Date) {
        let closes = self
            .look(|account| account.portfolio().closes().clone())
            .await;
        self.sentiment.refresh(date, &closes).await;
    }

    /// Places an order and records it; the inner result is what the risk check said.
    ///
    /// It goes on to its end even if the caller does not wait for it: a request is dropped when its client
    /// goes away, and the records must not lag behind the desk for that. So does [`cancel`](Self::cancel).
    #[obs_core::track_duration(name = "Service::place")]
    #[obs_core::track_calls(name = "Service::place")]
    pub async fn place(
        self: &Arc<Self>,
        request: OrderRequest,
    ) -> Result<Result<Order, Refusal>, Error> {
        let service = self.clone();
        let change = async move { service.change(|account| account.place(request, None)).await };
        self.finished(tokio::spawn(change).await)?
    }

    /// Cancels an order and records it; the inner result is what the broker said.
    pub async fn cancel(
        self: &Arc<Self>,
        id: OrderId,
    ) -> Result<Result<Order, CancelError>, Error> {
        let service = self.clone();
        let change = async move { service.change(|account| account.cancel(id)).await };
        self.finished(tokio::spawn(change).await)?
    }

    /// Looks at the account as it is between two changes.
    pub async fn look<T>(&self, at: impl FnOnce(&Account) -> T) -> T {
        at(self.desk.lock().await.account())
    }

    /// The records.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The market data.
    #[must_use]
    pub fn market(&self) -> &MarketData {
        &self.market
    }

    /// What the sentiment providers say.
    #[must_use]
    pub fn sentiment(&self) -> &SentimentFeed {
        &self.sentiment
    }

    /// Brings up to date what changes by itself: connections of the pool, seconds that a provider is away, the age of data.
    /// To be called before each scrape.
    ///
    /// Returns the positions whose series have ended, to be removed.
    pub fn observe(&self) -> Vec<Ended> {
        self.store.observe();
        self.market.provider().observe();
        self.sentiment.providers().for_each(Provider::observe);
        self.stream.observe();
        let positions = self.positions.iter();
        positions.flat_map(PositionGauges::observe).collect()
    }

    fn finished<T>(&self, task: Result<T, JoinError>) -> Result<T, Error> {
        task.map_err(Error::from).count_error(&self.errors)
    }

    async fn change<T>(&self, change: impl FnOnce(&mut Account) -> T) -> Result<T, Error> {
        let mut desk = self.desk.lock().await;
        let result = change(desk.account_mut());
        self.record(desk.account_mut()).await?;
        Ok(result)
    }

    /// Writes the account's changes. They are forgotten only when that has succeeded, so that what could
    /// not be written is written with the next change.
    async fn record(&self, account: &mut Account) -> Result<(), Error> {
        self.store.record(account.changes()).await?;
        account.recorded();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::civil::date;
    use tokio::time::timeout;

    use super::*;
    use crate::broker::{PaperBroker, Terms};
    use crate::calendar::TradingDays;
    use crate::order::{OrderKind, Side};
    use crate::risk::Limits;
    use crate::strategy::StrategyId;

    #[tokio::test]
    async fn an_order_is_recorded_though_nobody_waits_for_it() {
        let symbol = Symbol::new("SPX").unwrap();
        let broker = PaperBroker::new([symbol.clone()], Terms::default());
        let days = [date(2020, 1, 1)].into();
        let account = Account::open(Limits::default(), broker, 1000.0, &days).unwrap();
        let store = Store::open(None, 1000.0).await.unwrap();
        // Nobody is asked for anything.
        let nowhere = "http://127.0.0.1:1";
        let service = Arc::new(Service::new(
            Desk::new(account),
            store,
            MarketData::new(nowhere, &TradingDays::of(&days), None)
                .await
                .unwrap(),
            SentimentFeed::new(nowhere).unwrap(),
            QuoteStream::new(),
        ));
        let request = OrderRequest {
            strategy: StrategyId::Manual,
            symbol,
            side: Side::Buy,
            kind: OrderKind::Market,
            quantity: 1,
        };
        tokio::select! {
            biased;
            _ = service.place(request) => panic!("the first poll only starts it"),
            () = std::future::ready(()) => {}
        }
        let recorded = async {
            while service.store().orders(1).await.unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), recorded).await.unwrap();
    }
}
