//! What goes through an sqlx pool.

mod connection;
mod labels;
#[cfg(feature = "tracing")]
mod layer;
mod metrics;
mod operation;
mod pool;
mod query;
mod span;
mod transaction;

pub use connection::{Conn, PoolConn};
pub use labels::{ConnectionState, PoolName, QueryError, QueryOutcome, TransactionOutcome};
#[cfg(feature = "tracing")]
pub use layer::QueryLayer;
pub(crate) use metrics::PoolMetrics;
pub use operation::Operation;
pub use pool::Pool;
pub use transaction::Tx;
