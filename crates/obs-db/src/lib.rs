//! Measures sqlx pools and Redis connections: wrap them once, change nothing else.

#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlx")]
mod sql;

#[cfg(feature = "redis")]
pub use crate::redis::{
    ClientName, Command, CommandError, Lookup, Messages, Redis, RedisMetrics, Subscription,
};

#[cfg(feature = "tracing")]
pub use crate::sql::QueryLayer;
#[cfg(feature = "sqlx")]
pub use crate::sql::{
    Conn, ConnectionState, Operation, Pool, PoolConn, PoolName, QueryError, QueryOutcome,
    TransactionOutcome, Tx,
};

use obs_core::Catalogue;

/// The families of this crate, as far as its features are turned on.
#[must_use]
pub fn catalogue() -> Catalogue {
    Catalogue::of(&[
        #[cfg(feature = "sqlx")]
        sql::PoolMetrics::FAMILIES,
        #[cfg(feature = "redis")]
        redis::ClientMetrics::FAMILIES,
    ])
}
