//! What only `PostgreSQL` has.

use futures_util::stream::BoxStream;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgCopyIn, PgPoolCopyExt};
use sqlx::{Error, PgConnection, Postgres};

use crate::sql::connection::Conn;
use crate::sql::operation::Operation;
use crate::sql::pool::Pool;

impl Conn<Postgres> {
    /// Begins a `COPY … FROM STDIN`. Measured is the statement, as `other`; not what is sent after it.
    pub async fn copy_in_raw(
        &mut self,
        statement: &str,
    ) -> Result<PgCopyIn<&mut PgConnection>, Error> {
        self.time(Operation::Other, |raw| raw.copy_in_raw(statement))
            .await
    }

    /// Begins a `COPY … TO STDOUT`. Measured is the statement, as `other`; not what is received after it.
    pub async fn copy_out_raw(
        &mut self,
        statement: &str,
    ) -> Result<BoxStream<'_, Result<bytes::Bytes, Error>>, Error> {
        self.time(Operation::Other, |raw| raw.copy_out_raw(statement))
            .await
    }
}

/// As that of sqlx's own pool, and not measured: the trait's types leave no room for a measured connection. [`Conn`] has methods
/// of the same names, whose statements are.
impl PgPoolCopyExt for Pool<Postgres> {
    fn copy_in_raw<'a>(
        &'a self,
        statement: &'a str,
    ) -> impl Future<Output = Result<PgCopyIn<PoolConnection<Postgres>>, Error>> + Send + 'a {
        self.raw().copy_in_raw(statement)
    }

    fn copy_out_raw<'a>(
        &'a self,
        statement: &'a str,
    ) -> impl Future<Output = Result<BoxStream<'static, Result<bytes::Bytes, Error>>, Error>> + Send + 'a
    {
        self.raw().copy_out_raw(statement)
    }
}
