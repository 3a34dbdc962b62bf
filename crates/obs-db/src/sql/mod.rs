//! What goes through an sqlx pool.

#[cfg(feature = "sqlx")]
mod acquisition;
#[cfg(feature = "sqlx")]
mod connection;
#[cfg(feature = "sqlx")]
mod errors;
mod labels;
#[cfg(feature = "tracing")]
mod layer;
#[cfg(feature = "postgres")]
mod listener;
mod metrics;
mod operation;
#[cfg(feature = "sqlx")]
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlx")]
mod query;
#[cfg(feature = "sqlx")]
mod span;
#[cfg(feature = "sqlx")]
mod timer;
#[cfg(feature = "sqlx")]
mod transaction;

#[cfg(feature = "sqlx")]
pub use connection::{Conn, PoolConn};
pub use labels::{ListenerEvent, QueryError, QueryOutcome, SqlStateClass, TransactionOutcome};
#[cfg(feature = "tracing")]
pub use layer::QueryLayer;
#[cfg(feature = "postgres")]
pub use listener::PgListener;
pub(crate) use metrics::QueryMetrics;
#[cfg(feature = "sqlx")]
pub(crate) use metrics::{SqlMetrics, WrapperMetrics};
pub use operation::Operation;
#[cfg(feature = "sqlx")]
pub use pool::Pool;
#[cfg(feature = "sqlx")]
pub use transaction::Tx;
