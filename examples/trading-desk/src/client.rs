//! A light client: somebody who looks at the desk every week of the replay and trades a little by hand.
//!
//! It speaks to the API over HTTP like any other program, and like any other user it sometimes asks for
//! what is not there or not allowed. How much it asks depends on the weeks replayed, not on the clock, so
//! that a replay always makes the same requests.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;

use crate::api::{NewOrder, PortfolioView, PositionView};
use crate::bars::Bar;
use crate::error::Error;
use crate::order::{Order, OrderId, OrderKind, Side};
use crate::sentiment::SymbolSentiment;
use crate::strategy::StrategyId;
use crate::symbol::Symbol;

/// Weeks between two limit orders.
const LIMIT_EVERY: u32 = 4;

/// Weeks between two market orders.
const MARKET_EVERY: u32 = 13;

/// Weeks between two blunders.
const BLUNDER_EVERY: u32 = 26;

/// Share of equity that an order is for.
const ORDER_SIZE: f64 = 0.01;

/// How far below the last close a limit order bids, as a share of it.
const BID_BELOW: f64 = 0.02;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The client and what it remembers from week to week.
#[derive(Debug)]
pub struct DeskClient {
    http: reqwest::Client,
    base: String,
    week: u32,
    bid: Option<OrderId>,
    answers: BTreeMap<u16, u32>,
}

impl DeskClient {
    /// A client of the API at `base`, such as `http://127.0.0.1:8080`.
    pub fn new(base: &str) -> Result<Self, Error> {
        let http = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        Ok(Self {
            http,
            base: base.to_owned(),
            week: 0,
            bid: None,
            answers: BTreeMap::new(),
        })
    }

    /// Does this week's share of requests.
    pub async fn visit(&mut self) -> Result<(), Error> {
        self.week += 1;
        let portfolio: Option<PortfolioView> = self.get("/portfolio").await?;
        let positions: Option<Vec<PositionView>> = self.get("/positions").await?;
        if let Some(id) = self.bid.take() {
            self.cancel(id).await?;
        }
        let (Some(portfolio), Some(positions)) = (portfolio, positions) else {
            return Ok(());
        };
        if self.week.is_multiple_of(LIMIT_EVERY) {
            self.bid(&portfolio).await?;
        }
        if self.week.is_multiple_of(MARKET_EVERY) {
            self.trade(&portfolio, &positions).await?;
        }
        if self.week.is_multiple_of(BLUNDER_EVERY) {
            self.blunder(&portfolio).await?;
        }
        Ok(())
    }

    /// The answers so far, by HTTP status.
    #[must_use]
    pub fn answers(&self) -> &BTreeMap<u16, u32> {
        &self.answers
    }

    /// Looks at one symbol after the other and bids below the market for it, whatever it saw. The bid is taken back next week, unless it
    /// was filled by then.
    async fn bid(&mut self, portfolio: &PortfolioView) -> Result<(), Error> {
        let Some((symbol, close)) = self.symbol_of_the_week(portfolio) else {
            return Ok(());
        };
        let bars = self.request(Method::GET, "/bars");
        let bars = bars.query(&[("symbol", symbol.as_str())]);
        let _: Option<Vec<Bar>> = self.send(bars).await?;
        let _: Option<BTreeMap<Symbol, SymbolSentiment>> = self.get("/sentiment").await?;
        let kind = OrderKind::Limit {
            limit_price: close * (1.0 - BID_BELOW),
        };
        let quantity = quantity(portfolio.equity, close);
        let order = NewOrder {
            symbol,
            side: Side::Buy,
            kind,
            quantity,
        };
        self.bid = self.place(&order).await?.map(|order| order.id);
        Ok(())
    }

    /// Sells what was bought by hand, or buys something where nothing was.
    async fn trade(
        &mut self,
        portfolio: &PortfolioView,
        positions: &[PositionView],
    ) -> Result<(), Error> {
        let kind = OrderKind::Market;
        let by_hand = positions
            .iter()
            .filter(|position| position.strategy == StrategyId::Manual);
        let mut orders: Vec<_> = by_hand
            .map(|held| {
                let (symbol, quantity) = (held.symbol.clone(), held.quantity);
                NewOrder {
                    symbol,
                    side: Side::Sell,
                    kind,
                    quantity,
                }
            })
            .collect();
        if orders.is_empty()
            && let Some((symbol, close)) = self.symbol_of_the_week(portfolio)
        {
            let quantity = quantity(portfolio.equity, close);
            orders.push(NewOrder {
                symbol,
                side: Side::Buy,
                kind,
                quantity,
            });
        }
        for order in &orders {
            if let Some(order) = self.place(order).await? {
                let _: Option<Order> = self.get(&format!("/orders/{}", order.id)).await?;
            }
        }
        let _: Option<Vec<Order>> = self.get("/orders?limit=10").await?;
        Ok(())
    }

    /// What users get wrong: a page that is not there, an order that is not there, orders for everything the account has and for
    /// nothing, which the risk check refuses, and one at no price, which the broker rejects.
    async fn blunder(&mut self, portfolio: &PortfolioView) -> Result<(), Error> {
        let _: Option<serde_json::Value> = self.get("/order").await?;
        let _: Option<Order> = self.get(&format!("/orders/{}", OrderId::MAX)).await?;
        let Some((symbol, close)) = self.symbol_of_the_week(portfolio) else {
            return Ok(());
        };
        let all = quantity(portfolio.equity / ORDER_SIZE, close);
        let at_no_price = OrderKind::Limit { limit_price: 0.0 };
        for (kind, quantity) in [
            (OrderKind::Market, all),
            (OrderKind::Market, 0),
            (at_no_price, 1),
        ] {
            let symbol = symbol.clone();
            self.place(&NewOrder {
                symbol,
                side: Side::Buy,
                kind,
                quantity,
            })
            .await?;
        }
        Ok(())
    }

    /// One symbol after the other, with its close.
    fn symbol_of_the_week(&self, portfolio: &PortfolioView) -> Option<(Symbol, f64)> {
        let symbols = portfolio.closes.len();
        let turn = (self.week / LIMIT_EVERY) as usize;
        let (symbol, close) = portfolio.closes.iter().nth(turn.checked_rem(symbols)?)?;
        Some((symbol.clone(), *close))
    }

    async fn place(&mut self, order: &NewOrder) -> Result<Option<Order>, Error> {
        self.send(self.request(Method::POST, "/orders").json(order))
            .await
    }

    async fn cancel(&mut self, id: OrderId) -> Result<(), Error> {
        let request = self.request(Method::DELETE, &format!("/orders/{id}"));
        let _: Option<Order> = self.send(request).await?;
        Ok(())
    }

    async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<Option<T>, Error> {
        self.send(self.request(Method::GET, path)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Counts the answer; its content comes back if it was a success.
    async fn send<T: DeserializeOwned>(
        &mut self,
        request: RequestBuilder,
    ) -> Result<Option<T>, Error> {
        let answer = request.send().await?;
        *self.answers.entry(answer.status().as_u16()).or_default() += 1;
        match answer.status() {
            StatusCode::OK | StatusCode::CREATED => Ok(Some(answer.json().await?)),
            _ => {
                // Read to the end, so that the connection can be used again.
                answer.bytes().await?;
                Ok(None)
            }
        }
    }
}

/// The whole units that an order's share of `equity` buys, at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates: an order for more than u32 counts is refused anyway"
)]
fn quantity(equity: f64, close: f64) -> u32 {
    ((equity * ORDER_SIZE / close) as u32).max(1)
}
