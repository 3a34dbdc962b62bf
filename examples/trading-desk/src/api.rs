//! The HTTP API of the desk. Every answer is JSON, errors included:
//! `{"error": "there is no order 7"}`, with a `reason` where a rule has a name.
//!
//! | request | answer |
//! |---|---|
//! | `GET /healthz` | that it serves, and the trading day |
//! | `GET /strategies`, `GET /strategies/{name}` | what each strategy is and has |
//! | `GET /orders?limit=`, `GET /orders/{id}` | orders, the newest first |
//! | `POST /orders` | places an order: 201, or 422 with the rule it would break |
//! | `DELETE /orders/{id}` | cancels an order, or 409 if it is closed already |
//! | `GET /positions` | what is held |
//! | `GET /portfolio` | cash, equity, closes |
//! | `GET /performance` | what the account made by the broker's statements: month, quarter, year to date and others |
//! | `GET /trades?limit=` | closed trades, the newest first |
//! | `GET /bars?symbol=` | this month's bars up to the trading day |
//! | `GET /sentiment` | what the providers make of each symbol, as of the last time they were asked |

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::civil::Date;
use obs_trading::Statistics;
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::bars::Bar;
use crate::broker::{CancelError, Tally};
use crate::error::Error;
use crate::order::{Order, OrderId, OrderKind, OrderRequest, OrderStatus, RejectReason, Side};
use crate::portfolio::{ClosedTrade, Position};
use crate::risk::Refusal;
use crate::sentiment::SymbolSentiment;
use crate::service::Service;
use crate::store::Results;
use crate::strategy::StrategyId;
use crate::symbol::Symbol;

/// Rows in a list unless the request says otherwise.
const ROWS: u32 = 100;

/// The most rows that a list can have.
const MAX_ROWS: u32 = 1000;

/// An order as a user asks for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewOrder {
    /// What to trade.
    pub symbol: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// `"type": "market"`, or `"type": "limit"` with a `limit_price`.
    #[serde(flatten)]
    pub kind: OrderKind,
    /// How many units.
    pub quantity: u32,
}

/// What a strategy is and has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StrategyView {
    /// Its name in URLs.
    pub name: StrategyId,
    /// What it does.
    pub description: &'static str,
    /// Profit and loss of its closed trades, in US dollars.
    pub realized_pnl: f64,
    /// Profit and loss of its positions, in US dollars.
    pub unrealized_pnl: f64,
    /// How often the risk check refused it, by rule.
    pub refused: BTreeMap<RejectReason, u32>,
}

/// [`StrategyView`], and what the records know.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StrategyDetails {
    /// What it is and has.
    #[serde(flatten)]
    pub strategy: StrategyView,
    /// What its closed trades came to; nothing before the first.
    pub results: Option<Results>,
    /// What it holds.
    pub positions: Vec<PositionView>,
}

/// What a strategy has of a symbol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PositionView {
    /// Whose it is.
    pub strategy: StrategyId,
    /// What it is.
    pub symbol: Symbol,
    /// Units.
    pub quantity: u32,
    /// What they cost, in US dollars.
    pub cost: f64,
    /// What they are worth at the last close, in US dollars.
    pub value: f64,
    /// The day of the first purchase.
    pub opened: Date,
}

/// The account at the last close.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PortfolioView {
    /// The trading day.
    pub date: Date,
    /// The currency of all amounts.
    pub currency: String,
    /// What it began with.
    pub starting_cash: f64,
    /// Cash.
    pub cash: f64,
    /// Cash and positions.
    pub equity: f64,
    /// Change of equity since the close before, as a share of it.
    pub day_return: f64,
    /// Distance to the highest equity of a year, as a share of it; 0 or below.
    pub drawdown: f64,
    /// The last close of each symbol that has one.
    pub closes: BTreeMap<Symbol, f64>,
    /// What became of all orders.
    pub orders: Tally,
}

/// What the account made in a window of days, by the broker's statements. What is undefined is `null`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowView {
    /// Which days.
    pub window: String,
    /// How many returns it has.
    pub returns: u64,
    /// Change of equity, deposits left out, in US dollars.
    pub change: Option<f64>,
    /// What the returns compound to, as a share.
    pub total_return: Option<f64>,
    /// Annualised, as a share.
    pub volatility: Option<f64>,
    /// Annualised.
    pub sharpe_ratio: Option<f64>,
    /// The deepest fall from a peak within it, as a share; 0 or below.
    pub max_drawdown: Option<f64>,
    /// Closed trades.
    pub trades: u64,
    /// Share of them that made a profit.
    pub win_ratio: Option<f64>,
}

/// An answer that is no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    error: String,
    reason: Option<String>,
}

type Shared = State<Arc<Service>>;
type Answer<T> = Result<Json<T>, ApiError>;

/// The API's routes.
pub fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/healthz", get(health))
        .route("/strategies", get(strategies))
        .route("/strategies/{name}", get(strategy))
        .route("/orders", get(orders).post(place))
        .route("/orders/{id}", get(order).delete(cancel))
        .route("/positions", get(positions))
        .route("/portfolio", get(portfolio))
        .route("/performance", get(performance))
        .route("/trades", get(trades))
        .route("/bars", get(bars))
        .route("/sentiment", get(sentiment))
        .fallback(no_such_page)
        .method_not_allowed_fallback(no_such_method)
        // Last, so that it sees every route and both fallbacks.
        .layer(obs_http::layer())
        .with_state(service)
}

async fn health(State(service): Shared) -> Json<serde_json::Value> {
    let today = service.look(Account::today).await;
    Json(serde_json::json!({ "status": "ok", "date": today }))
}

async fn strategies(State(service): Shared) -> Json<Vec<StrategyView>> {
    let all = StrategyId::AUTOMATIC;
    Json(
        service
            .look(|account| all.map(|id| StrategyView::of(id, account)))
            .await
            .into(),
    )
}

async fn strategy(State(service): Shared, Path(name): Path<String>) -> Answer<StrategyDetails> {
    let id: StrategyId = name
        .parse()
        .map_err(|_| not_found(format!("there is no strategy {name}")))?;
    let (strategy, mut positions) = service
        .look(|account| (StrategyView::of(id, account), PositionView::all(account)))
        .await;
    positions.retain(|position| position.strategy == id);
    let results = service.store().results().await?;
    let results = results.into_iter().find(|results| results.strategy == id);
    Ok(Json(StrategyDetails {
        strategy,
        results,
        positions,
    }))
}

#[derive(Debug, Deserialize)]
struct ListQuery {
    limit: Option<u32>,
}

impl ListQuery {
    fn rows(&self) -> u32 {
        self.limit.unwrap_or(ROWS).min(MAX_ROWS)
    }
}

async fn orders(
    State(service): Shared,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Answer<Vec<Order>> {
    Ok(Json(service.store().orders(query?.rows()).await?))
}

async fn order(State(service): Shared, id: Result<Path<OrderId>, PathRejection>) -> Answer<Order> {
    let id = *id?;
    let order = service.store().order(id).await?;
    Ok(Json(order.ok_or(CancelError::Unknown(id))?))
}

async fn place(
    State(service): Shared,
    order: Result<Json<NewOrder>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(NewOrder {
        symbol,
        side,
        kind,
        quantity,
    }) = order?;
    let strategy = StrategyId::Manual;
    let order = service
        .place(OrderRequest {
            strategy,
            symbol,
            side,
            kind,
            quantity,
        })
        .await??;
    if order.status == OrderStatus::Rejected {
        return Err(rejected(&order));
    }
    let location = [(header::LOCATION, format!("/orders/{}", order.id))];
    Ok((StatusCode::CREATED, location, Json(order)).into_response())
}

async fn cancel(State(service): Shared, id: Result<Path<OrderId>, PathRejection>) -> Answer<Order> {
    Ok(Json(service.cancel(*id?).await??))
}

async fn positions(State(service): Shared) -> Json<Vec<PositionView>> {
    Json(service.look(PositionView::all).await)
}

async fn portfolio(State(service): Shared) -> Json<PortfolioView> {
    Json(service.look(PortfolioView::of).await)
}

async fn performance(State(service): Shared) -> Json<Vec<WindowView>> {
    Json(service.look(WindowView::all).await)
}

async fn trades(
    State(service): Shared,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Answer<Vec<ClosedTrade>> {
    Ok(Json(service.store().trades(query?.rows()).await?))
}

#[derive(Debug, Deserialize)]
struct BarsQuery {
    symbol: Symbol,
}

async fn bars(
    State(service): Shared,
    query: Result<Query<BarsQuery>, QueryRejection>,
) -> Answer<Vec<Bar>> {
    let Query(BarsQuery { symbol }) = query?;
    let known = |account: &Account| {
        let known = account.symbols().any(|known| *known == symbol);
        known.then(|| account.today())
    };
    let today = service
        .look(known)
        .await
        .ok_or_else(|| not_found(format!("there is no symbol {symbol}")))?;
    let mut bars = service.market().month(&symbol, today).await?.bars;
    // The provider knows what is still to come in the replay.
    bars.retain(|bar| bar.date <= today);
    Ok(Json(bars))
}

async fn sentiment(State(service): Shared) -> Json<BTreeMap<Symbol, SymbolSentiment>> {
    Json(service.sentiment().latest())
}

async fn no_such_page() -> ApiError {
    not_found("there is no such page".to_owned())
}

async fn no_such_method() -> ApiError {
    let error = "the page does not take this method".to_owned();
    ApiError {
        status: StatusCode::METHOD_NOT_ALLOWED,
        error,
        reason: None,
    }
}

fn not_found(error: String) -> ApiError {
    ApiError {
        status: StatusCode::NOT_FOUND,
        error,
        reason: None,
    }
}

fn rejected(order: &Order) -> ApiError {
    ApiError {
        status: StatusCode::UNPROCESSABLE_ENTITY,
        error: format!("the broker rejected order {}", order.id),
        reason: order.reject_reason.map(|reason| reason.to_string()),
    }
}

impl StrategyView {
    fn of(id: StrategyId, account: &Account) -> Self {
        let refused = account
            .refused()
            .iter()
            .filter(|((strategy, _), _)| *strategy == id);
        Self {
            name: id,
            description: id.description(),
            realized_pnl: account.portfolio().realized(id),
            unrealized_pnl: account.portfolio().unrealized(id),
            refused: refused
                .map(|((_, reason), count)| (*reason, *count))
                .collect(),
        }
    }
}

impl PositionView {
    fn all(account: &Account) -> Vec<Self> {
        let portfolio = account.portfolio();
        let view = |(strategy, symbol, position): (StrategyId, &Symbol, Position)| Self {
            strategy,
            symbol: symbol.clone(),
            quantity: position.quantity,
            cost: position.cost,
            value: position.value,
            opened: position.opened,
        };
        portfolio.positions().map(view).collect()
    }
}

impl WindowView {
    fn all(account: &Account) -> Vec<Self> {
        let windows = account.portfolio().statements().windows();
        let view = |(name, made): (&str, Statistics)| Self {
            window: name.to_owned(),
            returns: made.returns(),
            change: made.equity_change().ok(),
            total_return: made.total_return().ok(),
            volatility: made.volatility_ratio().ok(),
            sharpe_ratio: made.sharpe_ratio().ok(),
            max_drawdown: made.max_drawdown_ratio().ok(),
            trades: made.trades(),
            win_ratio: made.win_ratio().ok(),
        };
        windows.into_iter().map(view).collect()
    }
}

impl PortfolioView {
    fn of(account: &Account) -> Self {
        let portfolio = account.portfolio();
        Self {
            date: account.today(),
            currency: "USD".to_owned(),
            starting_cash: portfolio.starting_cash(),
            cash: portfolio.cash(),
            equity: portfolio.equity(),
            day_return: portfolio.day_return(),
            drawdown: portfolio.drawdown(),
            closes: portfolio.closes().clone(),
            orders: account.orders(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut body = serde_json::json!({ "error": self.error });
        if let Some(reason) = self.reason {
            body["reason"] = reason.into();
        }
        (self.status, Json(body)).into_response()
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            error: refusal.to_string(),
            reason: Some(refusal.reason.to_string()),
        }
    }
}

impl From<CancelError> for ApiError {
    fn from(error: CancelError) -> Self {
        let status = match error {
            CancelError::Unknown(_) => StatusCode::NOT_FOUND,
            CancelError::Closed(_) => StatusCode::CONFLICT,
        };
        Self {
            status,
            error: error.to_string(),
            reason: None,
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let status = match error {
            Error::MarketData(_) => StatusCode::BAD_GATEWAY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self {
            status,
            error: error.to_string(),
            reason: None,
        }
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        Self {
            status: rejection.status(),
            error: rejection.body_text(),
            reason: None,
        }
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self {
            status: rejection.status(),
            error: rejection.body_text(),
            reason: None,
        }
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self {
            status: rejection.status(),
            error: rejection.body_text(),
            reason: None,
        }
    }
}
