//! The records: orders and closed trades in `SQLite`.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use jiff::civil::Date;
use obs_core::{Closed, ErrorMetrics};
use obs_db::{Pool, Tx};
use serde::Serialize;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Row, Sqlite, SqlitePool};

use crate::account::Changes;
use crate::error::Error;
use crate::metrics;
use crate::order::{Fill, Order, OrderId, OrderKind};
use crate::portfolio::ClosedTrade;
use crate::strategy::StrategyId;
use crate::symbol::Symbol;

/// Connections to a file: one writes, the others read.
const CONNECTIONS: u32 = 4;

/// The records of one run. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pool: Pool<Sqlite>,
    run: i64,
    errors: Arc<ErrorMetrics>,
}

/// What the closed trades of a strategy came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Results {
    /// On whose behalf.
    pub strategy: StrategyId,
    /// Trades closed.
    pub trades: u32,
    /// Those that made money.
    pub wins: u32,
    /// Profit and loss of all, in US dollars.
    pub pnl: f64,
}

impl Store {
    /// Opens the file, or a database in memory without one, and begins a run that starts with `cash`.
    pub async fn open(path: Option<&Path>, cash: f64) -> Result<Self, Error> {
        let errors = metrics::errors("store", ["database"]);
        let pool = match path {
            Some(path) => file(path).await,
            None => memory().await,
        };
        let pool = pool.map_err(error("open the database", &errors))?;
        // From here on everything is as with the pool itself, and measured.
        let pool = Pool::new(pool, "orders");
        sqlx::raw_sql(include_str!("schema.sql"))
            .execute(&pool)
            .await
            .map_err(error("create the tables", &errors))?;
        let run = sqlx::query("INSERT INTO runs (cash) VALUES (?)")
            .bind(cash)
            .execute(&pool)
            .await
            .map_err(error("begin a run", &errors))?
            .last_insert_rowid();
        Ok(Self { pool, run, errors })
    }

    /// Writes what changed, all of it or nothing. Without changes it does nothing; writing the same
    /// changes again changes nothing either.
    #[obs_core::track_duration(name = "Store::record")]
    #[obs_core::track_calls(name = "Store::record")]
    pub async fn record(&self, changes: &Changes) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let write = async {
            let mut transaction = self.pool.begin().await?;
            for order in &changes.orders {
                self.write_order(order, &mut transaction).await?;
            }
            for trade in &changes.trades {
                self.write_trade(trade, &mut transaction).await?;
            }
            transaction.commit().await
        };
        write
            .await
            .map_err(error("write orders and trades", &self.errors))
    }

    /// The newest orders, the last first.
    pub async fn orders(&self, limit: u32) -> Result<Vec<Order>, Error> {
        sqlx::query("SELECT * FROM orders WHERE run = ? ORDER BY id DESC LIMIT ?")
            .bind(self.run)
            .bind(limit)
            .try_map(|row| read_order(&row))
            .fetch_all(&self.pool)
            .await
            .map_err(error("read the orders", &self.errors))
    }

    /// One order.
    pub async fn order(&self, id: OrderId) -> Result<Option<Order>, Error> {
        sqlx::query("SELECT * FROM orders WHERE run = ? AND id = ?")
            .bind(self.run)
            .bind(id)
            .try_map(|row| read_order(&row))
            .fetch_optional(&self.pool)
            .await
            .map_err(error("read an order", &self.errors))
    }

    /// The newest closed trades, the last first.
    pub async fn trades(&self, limit: u32) -> Result<Vec<ClosedTrade>, Error> {
        sqlx::query("SELECT * FROM trades WHERE run = ? ORDER BY closing_order DESC LIMIT ?")
            .bind(self.run)
            .bind(limit)
            .try_map(|row| read_trade(&row))
            .fetch_all(&self.pool)
            .await
            .map_err(error("read the trades", &self.errors))
    }

    /// What the closed trades of each strategy came to; a strategy without trades is not there.
    pub async fn results(&self) -> Result<Vec<Results>, Error> {
        sqlx::query(
            "SELECT strategy, COUNT(*) AS trades, SUM(pnl > 0) AS wins, SUM(pnl) AS pnl
             FROM trades WHERE run = ? GROUP BY strategy",
        )
        .bind(self.run)
        .try_map(|row| read_results(&row))
        .fetch_all(&self.pool)
        .await
        .map_err(error("sum up the trades", &self.errors))
    }

    /// Brings the gauges of the connections up to date; to be called before each scrape.
    pub fn observe(&self) {
        self.pool.observe();
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn write_order(
        &self,
        order: &Order,
        transaction: &mut Tx<'_, Sqlite>,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO orders (run, id, strategy, symbol, side, quantity, limit_price,
                decision_price, submitted, status, closed, fill_price, commission, slippage_bps,
                reject_reason)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (run, id) DO UPDATE SET status = excluded.status, closed = excluded.closed,
                fill_price = excluded.fill_price, commission = excluded.commission,
                slippage_bps = excluded.slippage_bps",
        )
        .bind(self.run)
        .bind(order.id)
        .bind(order.strategy.as_str())
        .bind(order.symbol.as_str())
        .bind(order.side.as_str())
        .bind(order.quantity)
        .bind(order.kind.limit_price())
        .bind(order.decision_price)
        .bind(order.submitted.to_string())
        .bind(order.status.as_str())
        .bind(order.closed.map(|date| date.to_string()))
        .bind(order.fill.map(|fill| fill.price))
        .bind(order.fill.map(|fill| fill.commission))
        .bind(order.fill.map(|fill| fill.slippage_bps))
        .bind(order.reject_reason.map(Closed::as_str))
        .execute(&mut **transaction)
        .await?;
        Ok(())
    }

    async fn write_trade(
        &self,
        trade: &ClosedTrade,
        transaction: &mut Tx<'_, Sqlite>,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO trades (run, closing_order, strategy, symbol, quantity, opened, closed,
                entry_price, exit_price, pnl)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (run, closing_order) DO NOTHING",
        )
        .bind(self.run)
        .bind(trade.order)
        .bind(trade.strategy.as_str())
        .bind(trade.symbol.as_str())
        .bind(trade.quantity)
        .bind(trade.opened.to_string())
        .bind(trade.closed.to_string())
        .bind(trade.entry_price)
        .bind(trade.exit_price)
        .bind(trade.pnl)
        .execute(&mut **transaction)
        .await?;
        Ok(())
    }
}

async fn file(path: &Path) -> sqlx::Result<SqlitePool> {
    // With a write-ahead log readers do not wait for the writer; losing the last day to a power cut is
    // no harm to a replay.
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal);
    SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        .connect_with(options)
        .await
}

async fn memory() -> sqlx::Result<SqlitePool> {
    // Each connection would have a database of its own, and it is gone with its connection: so there is
    // one, and it is never given up.
    SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(SqliteConnectOptions::new().in_memory(true))
        .await
}

fn read_order(row: &SqliteRow) -> sqlx::Result<Order> {
    let limit_price: Option<f64> = row.try_get("limit_price")?;
    Ok(Order {
        id: row.try_get("id")?,
        strategy: word(row, "strategy")?,
        symbol: symbol(row)?,
        side: word(row, "side")?,
        kind: limit_price.map_or(OrderKind::Market, |limit_price| OrderKind::Limit {
            limit_price,
        }),
        quantity: row.try_get("quantity")?,
        decision_price: row.try_get("decision_price")?,
        submitted: word(row, "submitted")?,
        status: word(row, "status")?,
        closed: optional_word(row, "closed")?,
        fill: read_fill(row)?,
        reject_reason: optional_word(row, "reject_reason")?,
    })
}

fn read_fill(row: &SqliteRow) -> sqlx::Result<Option<Fill>> {
    let Some(price) = row.try_get("fill_price")? else {
        return Ok(None);
    };
    let commission = row.try_get("commission")?;
    let slippage_bps = row.try_get("slippage_bps")?;
    Ok(Some(Fill {
        price,
        commission,
        slippage_bps,
    }))
}

fn read_trade(row: &SqliteRow) -> sqlx::Result<ClosedTrade> {
    Ok(ClosedTrade {
        order: row.try_get("closing_order")?,
        strategy: word(row, "strategy")?,
        symbol: symbol(row)?,
        quantity: row.try_get("quantity")?,
        opened: word::<Date>(row, "opened")?,
        closed: word::<Date>(row, "closed")?,
        entry_price: row.try_get("entry_price")?,
        exit_price: row.try_get("exit_price")?,
        pnl: row.try_get("pnl")?,
    })
}

fn read_results(row: &SqliteRow) -> sqlx::Result<Results> {
    Ok(Results {
        strategy: word(row, "strategy")?,
        trades: row.try_get("trades")?,
        wins: row.try_get("wins")?,
        pnl: row.try_get("pnl")?,
    })
}

fn symbol(row: &SqliteRow) -> sqlx::Result<Symbol> {
    Symbol::new(row.try_get("symbol")?).map_err(|error| undecodable("symbol", error))
}

/// A column of text that is one of a set of words, or a date.
fn word<T>(row: &SqliteRow, column: &str) -> sqlx::Result<T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text: &str = row.try_get(column)?;
    text.parse().map_err(|error| undecodable(column, error))
}

fn optional_word<T>(row: &SqliteRow, column: &str) -> sqlx::Result<Option<T>>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text: Option<&str> = row.try_get(column)?;
    text.map(str::parse)
        .transpose()
        .map_err(|error| undecodable(column, error))
}

fn undecodable(
    column: &str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: Box::new(source),
    }
}

/// Counts an error of the database and says what it kept from being done.
fn error(what: &'static str, errors: &ErrorMetrics) -> impl Fn(sqlx::Error) -> Error {
    move |source| {
        let error = Error::Store { what, source };
        errors.count(&error);
        error
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::order::{OrderStatus, RejectReason, Side};

    fn order(id: OrderId) -> Order {
        Order {
            id,
            strategy: StrategyId::MeanReversion,
            symbol: Symbol::new("SPX").unwrap(),
            side: Side::Sell,
            kind: OrderKind::Limit { limit_price: 101.5 },
            quantity: 7,
            decision_price: Some(100.0),
            submitted: date(2020, 1, 2),
            status: OrderStatus::Open,
            closed: None,
            fill: None,
            reject_reason: None,
        }
    }

    fn trade(order: OrderId, pnl: f64) -> ClosedTrade {
        ClosedTrade {
            order,
            strategy: StrategyId::MeanReversion,
            symbol: Symbol::new("SPX").unwrap(),
            quantity: 7,
            opened: date(2020, 1, 2),
            closed: date(2020, 1, 3),
            entry_price: 100.0,
            exit_price: 100.0 + pnl / 7.0,
            pnl,
        }
    }

    async fn record(store: &Store, orders: Vec<Order>, trades: Vec<ClosedTrade>) {
        store.record(&Changes { orders, trades }).await.unwrap();
    }

    #[tokio::test]
    async fn an_order_is_kept_in_its_last_state() {
        let store = Store::open(None, 1.0).await.unwrap();
        let filled = Order {
            status: OrderStatus::Filled,
            closed: Some(date(2020, 1, 3)),
            fill: Some(Fill {
                price: 102.0,
                commission: 0.5,
                slippage_bps: -200.0,
            }),
            ..order(1)
        };
        let rejected = Order {
            kind: OrderKind::Market,
            decision_price: None,
            status: OrderStatus::Rejected,
            reject_reason: Some(RejectReason::MarketClosed),
            ..order(2)
        };
        record(
            &store,
            vec![order(1), rejected.clone(), filled.clone()],
            vec![],
        )
        .await;
        assert_eq!(
            store.orders(9).await.unwrap(),
            [rejected.clone(), filled.clone()]
        );
        assert_eq!(store.orders(1).await.unwrap(), [rejected]);
        assert_eq!(store.order(1).await.unwrap(), Some(filled));
        assert_eq!(store.order(3).await.unwrap(), None);
    }

    #[tokio::test]
    async fn trades_are_summed_up_by_strategy() {
        let store = Store::open(None, 1.0).await.unwrap();
        assert_eq!(store.results().await.unwrap(), []);
        let trades = vec![trade(1, 5.0), trade(2, -3.0), trade(3, 0.0)];
        record(&store, vec![], trades.clone()).await;
        record(&store, vec![], trades.clone()).await;
        assert_eq!(store.trades(1).await.unwrap(), trades[2..]);
        let strategy = StrategyId::MeanReversion;
        let expected = Results {
            strategy,
            trades: 3,
            wins: 1,
            pnl: 2.0,
        };
        assert_eq!(store.results().await.unwrap(), [expected]);
    }

    #[tokio::test]
    async fn a_day_is_written_whole_or_not_at_all() {
        let store = Store::open(None, 1.0).await.unwrap();
        // SQLite has no NaN: it arrives as NULL, which the table does not take.
        let bad = Changes {
            orders: vec![order(1)],
            trades: vec![trade(1, f64::NAN)],
        };
        assert!(store.record(&bad).await.is_err());
        assert_eq!(store.orders(9).await.unwrap(), []);
        assert_eq!(store.trades(9).await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_file_keeps_the_runs_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("desk.db");
        let first = Store::open(Some(&path), 1.0).await.unwrap();
        record(&first, vec![order(1)], vec![]).await;
        let second = Store::open(Some(&path), 1.0).await.unwrap();
        assert_eq!(second.orders(9).await.unwrap(), []);
        record(&second, vec![order(1), order(2)], vec![]).await;
        assert_eq!(first.orders(9).await.unwrap().len(), 1);
        first.close().await;
        second.close().await;
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_opened_is_a_clear_error() {
        let dir = tempfile::tempdir().unwrap();
        let message = Store::open(Some(dir.path()), 1.0)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            message.starts_with("cannot open the database: "),
            "{message}"
        );
        assert!(message.contains("--db"), "{message}");
    }
}
