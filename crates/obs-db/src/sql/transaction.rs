//! Transactions, whose end is counted however it comes.

use std::fmt;
use std::ops::{Deref, DerefMut};

use futures_util::future::BoxFuture;
use sqlx::{Acquire, Database, Error, SqlStr, Transaction};
use sqlx_core::transaction::TransactionManager;

use crate::sql::connection::Conn;
use crate::sql::labels::TransactionOutcome;
use crate::sql::operation::Operation;

/// A transaction, or a savepoint within one. Dropped without [`commit`](Self::commit) it is rolled back, and counted so.
///
/// It dereferences to its [`Conn`], as sqlx's transaction dereferences to its connection. Only transactions count in
/// `db_transactions_total`; the statements of savepoints count among the queries.
// Not a wrapper around sqlx's own transaction, which would hide the `Conn` that a pool gave: by the driver's
// `TransactionManager`, in the same steps.
pub struct Tx<'c, DB: Database> {
    conn: Holder<'c, DB>,
    /// How deep the driver was when it had begun: 1 for a transaction, more for a savepoint.
    depth: usize,
    /// The driver has to roll back when this is dropped.
    open: bool,
    /// What is counted when this is dropped; nothing for a savepoint.
    outcome: Option<TransactionOutcome>,
}

/// The connection of a transaction.
pub(crate) enum Holder<'c, DB: Database> {
    Own(Conn<DB>),
    Lent(&'c mut Conn<DB>),
}

/// The driver's, which begins and ends transactions on a connection.
type Manager<DB> = <DB as Database>::TransactionManager;

impl<'c, DB: Database> Tx<'c, DB> {
    pub(crate) async fn start(
        conn: Holder<'c, DB>,
        statement: Option<SqlStr>,
    ) -> Result<Self, Error> {
        let mut tx = Self {
            conn,
            depth: 0,
            open: true,
            outcome: None,
        };
        if !tx.is_in_transaction() {
            tx.outcome = Some(TransactionOutcome::BeginCancelled);
        }
        let begin = tx.time(Operation::Begin, |raw| Manager::<DB>::begin(raw, statement));
        if let Err(error) = begin.await {
            // There is no transaction whose end could be counted.
            tx.outcome = None;
            return Err(error);
        }
        tx.depth = tx.driver_depth();
        tx.ends_by(TransactionOutcome::RollbackByDrop);
        Ok(tx)
    }

    /// Begins a savepoint within the transaction.
    // Here and not only behind the dereference: there `Acquire::begin` would be found first, which is not measured.
    pub async fn begin(&mut self) -> Result<Tx<'_, DB>, Error> {
        self.conn.begin().await
    }

    /// Commits the transaction, or releases the savepoint.
    ///
    /// `PostgreSQL` answers the commit of a transaction in which a statement has failed by rolling it back, and sqlx returns
    /// `Ok`; such a transaction counts as `failed`.
    pub async fn commit(mut self) -> Result<(), Error> {
        let outcome = if self.is_whole() {
            TransactionOutcome::Commit
        } else {
            TransactionOutcome::Failed
        };
        self.ends_by(TransactionOutcome::Failed);
        self.time(Operation::Commit, Manager::<DB>::commit).await?;
        self.open = false;
        self.ends_by(outcome);
        Ok(())
    }

    /// Rolls back the transaction, or to the savepoint.
    pub async fn rollback(mut self) -> Result<(), Error> {
        self.ends_by(TransactionOutcome::Failed);
        self.time(Operation::Rollback, Manager::<DB>::rollback)
            .await?;
        self.open = false;
        self.ends_by(TransactionOutcome::Rollback);
        Ok(())
    }

    /// Whether a commit can take hold. It cannot where the driver has rolled back more than it was asked to, as it does when
    /// the begin of a savepoint is cancelled; nor where the server has given the transaction up.
    fn is_whole(&self) -> bool {
        self.driver_depth() == self.depth
            && !(fails_with_a_statement::<DB>() && self.session().last_failed())
    }

    fn driver_depth(&self) -> usize {
        Manager::<DB>::get_transaction_depth(self.conn.driver())
    }

    fn ends_by(&mut self, outcome: TransactionOutcome) {
        if let Some(counted) = &mut self.outcome {
            *counted = outcome;
        }
    }
}

/// Whether an error of one statement ends the transaction: it does in `PostgreSQL` and what speaks its protocol. `MySQL` and
/// `SQLite` undo the statement and go on.
fn fails_with_a_statement<DB: Database>() -> bool {
    DB::NAME == "PostgreSQL"
}

impl<DB: Database> Drop for Tx<'_, DB> {
    fn drop(&mut self) {
        if self.open {
            Manager::<DB>::start_rollback(self.raw());
            // The failed statement goes with what is rolled back.
            self.session().forget_failure();
        }
        if let Some(outcome) = self.outcome {
            self.metrics().wrapper.transactions[outcome].increment(1);
        }
    }
}

/// As that of [`Conn`]: what generic code begins is a savepoint of sqlx's own, which is not measured.
impl<'t, DB: Database> Acquire<'t> for &'t mut Tx<'_, DB> {
    type Database = DB;
    type Connection = &'t mut DB::Connection;

    fn acquire(self) -> BoxFuture<'t, Result<Self::Connection, Error>> {
        Acquire::acquire(&mut **self)
    }

    fn begin(self) -> BoxFuture<'t, Result<Transaction<'t, DB>, Error>> {
        Acquire::begin(&mut **self)
    }
}

impl<DB: Database> AsMut<DB::Connection> for Tx<'_, DB> {
    fn as_mut(&mut self) -> &mut DB::Connection {
        self.raw()
    }
}

impl<DB: Database> Deref for Tx<'_, DB> {
    type Target = Conn<DB>;

    fn deref(&self) -> &Conn<DB> {
        &self.conn
    }
}

impl<DB: Database> DerefMut for Tx<'_, DB> {
    fn deref_mut(&mut self) -> &mut Conn<DB> {
        &mut self.conn
    }
}

impl<DB: Database> Deref for Holder<'_, DB> {
    type Target = Conn<DB>;

    fn deref(&self) -> &Conn<DB> {
        match self {
            Self::Own(conn) => conn,
            Self::Lent(conn) => conn,
        }
    }
}

impl<DB: Database> DerefMut for Holder<'_, DB> {
    fn deref_mut(&mut self) -> &mut Conn<DB> {
        match self {
            Self::Own(conn) => conn,
            Self::Lent(conn) => conn,
        }
    }
}

impl<DB: Database> fmt::Debug for Tx<'_, DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").finish_non_exhaustive()
    }
}
