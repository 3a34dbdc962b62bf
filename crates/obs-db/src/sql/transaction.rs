//! Transactions, whose end is counted however it comes.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use sqlx::{Database, Error, Transaction};

use crate::sql::PoolMetrics;
use crate::sql::connection::Conn;
use crate::sql::labels::TransactionOutcome;
use crate::sql::operation::Operation;
use crate::sql::span::Marked;

/// A transaction, or a savepoint within one. Dropped without [`commit`](Self::commit) it is rolled back, and counted so.
///
/// Only transactions count in `db_transactions_total`; the statements of savepoints count among the queries.
#[derive(Debug)]
pub struct Tx<'c, DB: Database> {
    // Dropped in this order: the driver notes the rollback, then it is counted.
    conn: Conn<DB, Transaction<'c, DB>>,
    end: End,
}

impl<'c, DB: Database> Tx<'c, DB> {
    pub(crate) fn new(
        transaction: Transaction<'c, DB>,
        metrics: Arc<PoolMetrics>,
        is_outermost: bool,
    ) -> Self {
        let counted = is_outermost.then(|| Arc::clone(&metrics));
        Self {
            conn: Conn::new(transaction, metrics),
            end: End {
                counted,
                outcome: TransactionOutcome::RollbackByDrop,
            },
        }
    }

    /// Commits the transaction, or releases the savepoint.
    pub async fn commit(self) -> Result<(), Error> {
        let Self { conn, end } = self;
        let (transaction, metrics) = conn.into_parts();
        let commit = Box::pin(transaction.commit());
        let commit = metrics.time(Operation::Commit, Marked::new(|| commit));
        end.by(TransactionOutcome::Commit, commit).await
    }

    /// Rolls back the transaction, or to the savepoint.
    pub async fn rollback(self) -> Result<(), Error> {
        let Self { conn, end } = self;
        let (transaction, metrics) = conn.into_parts();
        let rollback = Box::pin(transaction.rollback());
        let rollback = metrics.time(Operation::Rollback, Marked::new(|| rollback));
        end.by(TransactionOutcome::Rollback, rollback).await
    }
}

impl<'c, DB: Database> Deref for Tx<'c, DB> {
    type Target = Conn<DB, Transaction<'c, DB>>;

    fn deref(&self) -> &Self::Target {
        &self.conn
    }
}

impl<DB: Database> DerefMut for Tx<'_, DB> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.conn
    }
}

/// Counts the end of a transaction when it is dropped.
#[derive(Debug)]
struct End {
    /// Nothing for a savepoint.
    counted: Option<Arc<PoolMetrics>>,
    outcome: TransactionOutcome,
}

impl End {
    /// Ends by `work`. Until that has succeeded, nobody knows.
    async fn by(
        mut self,
        outcome: TransactionOutcome,
        work: impl Future<Output = Result<(), Error>>,
    ) -> Result<(), Error> {
        self.outcome = TransactionOutcome::Failed;
        work.await?;
        self.outcome = outcome;
        Ok(())
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if let Some(metrics) = &self.counted {
            metrics.transactions[self.outcome].increment(1);
        }
    }
}
