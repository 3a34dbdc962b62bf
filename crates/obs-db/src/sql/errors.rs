//! What kind of error it is: by SQLSTATE, and by the vendor's own number where that says more.

use sqlx::Error;
use sqlx::error::{DatabaseError, ErrorKind};

use crate::pool::AcquireError;
use crate::sql::SqlMetrics;
use crate::sql::labels::QueryError;

/// A code by which a database names an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code<'a> {
    /// Five characters, of the SQL standard and of `PostgreSQL`.
    SqlState(&'a str),
    /// `MySQL`'s and `MariaDB`'s number; their SQLSTATE is often only `HY000`.
    MySql(u16),
    /// `SQLite`'s primary code.
    Sqlite(u8),
    Unknown,
}

impl QueryError {
    /// What kind of error it is. Nothing of its message is looked at.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        match error {
            Error::Database(error) if error.kind() != ErrorKind::Other => Self::Constraint,
            Error::Database(error) => {
                let text = error.code();
                Self::of_code(Code::of(&**error, text.as_deref()))
            }
            Error::Io(_) | Error::Tls(_) | Error::WorkerCrashed => Self::Connection,
            _ => Self::Other,
        }
    }

    fn of_code(code: Code<'_>) -> Self {
        match code {
            Code::SqlState(state) => Self::of_sqlstate(state),
            Code::MySql(number) => Self::of_mysql(number),
            Code::Sqlite(number) => Self::of_sqlite(number),
            Code::Unknown => Self::Other,
        }
    }

    fn of_sqlstate(state: &str) -> Self {
        match state {
            "40P01" => Self::Deadlock,
            "40001" => Self::Serialization,
            "55P03" => Self::Lock,
            "25006" => Self::ReadOnly,
            "25P02" => Self::FailedTransaction,
            "57014" | "25P03" | "25P04" => Self::Timeout,
            "57P01" | "57P02" | "57P03" | "57P05" => Self::Connection,
            _ if state.starts_with("08") => Self::Connection,
            _ if state.starts_with("23") => Self::Constraint,
            _ if state.starts_with("42") => Self::Statement,
            _ if state.starts_with("53") => Self::Resources,
            _ => Self::Other,
        }
    }

    /// By the numbers of `MySQL` and `MariaDB`, which agree below 1900 and do not clash in those above.
    fn of_mysql(number: u16) -> Self {
        match number {
            1213 | 1614 => Self::Deadlock,
            // MariaDB's snapshot isolation.
            1020 => Self::Serialization,
            1205 | 3572 => Self::Lock,
            1317 | 1969 | 3024 => Self::Timeout,
            1290 | 1792 | 1836 => Self::ReadOnly,
            1053 | 1077..=1080 | 1152..=1161 | 1927 | 2006 | 2013 | 4031 => Self::Connection,
            1021 | 1037 | 1038 | 1040 | 1041 | 1114 | 1135 | 1203 | 1226 => Self::Resources,
            1044
            | 1045
            | 1046
            | 1049
            | 1050..=1052
            | 1054..=1061
            | 1063..=1068
            | 1091
            | 1109
            | 1110
            | 1136
            | 1142..=1149
            | 1166
            | 1172
            | 1222
            | 1305
            | 1370 => Self::Statement,
            _ => Self::Other,
        }
    }

    fn of_sqlite(primary: u8) -> Self {
        match primary {
            1 => Self::Statement,
            5 | 6 => Self::Lock,
            7 | 13 => Self::Resources,
            8 => Self::ReadOnly,
            9 => Self::Timeout,
            14 => Self::Connection,
            19 => Self::Constraint,
            _ => Self::Other,
        }
    }
}

impl AcquireError {
    /// Why no connection was had. Nothing of the error's message is looked at.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        match error {
            Error::PoolTimedOut => Self::Timeout,
            Error::PoolClosed => Self::PoolClosed,
            Error::Io(_) => Self::Io,
            Error::Tls(_) => Self::Tls,
            Error::Database(error) => {
                let text = error.code();
                Self::of_code(Code::of(&**error, text.as_deref()))
            }
            _ => Self::Other,
        }
    }

    fn of_code(code: Code<'_>) -> Self {
        match code {
            Code::SqlState("3D000") | Code::MySql(1049) | Code::Sqlite(14) => Self::Database,
            Code::SqlState("53300") | Code::MySql(1040 | 1203 | 1226) => Self::TooMany,
            Code::MySql(1044 | 1045 | 1129 | 1130 | 1251 | 1524 | 1698) => Self::Rejected,
            Code::SqlState(state) if state.starts_with("28") => Self::Rejected,
            Code::SqlState(state) if state.starts_with("57P") => Self::Unavailable,
            Code::MySql(1053) => Self::Unavailable,
            _ => Self::Other,
        }
    }
}

impl<'a> Code<'a> {
    fn of(error: &dyn DatabaseError, text: Option<&'a str>) -> Self {
        if let Some(number) = mysql_number(error) {
            return Self::MySql(number);
        }
        match text {
            Some(state) if is_sqlstate(state) => Self::SqlState(state),
            // SQLite's extended codes carry the primary one in their lowest byte.
            Some(number) => number.parse::<u32>().map_or(Self::Unknown, |number| {
                Self::Sqlite(number.to_le_bytes()[0])
            }),
            None => Self::Unknown,
        }
    }
}

#[cfg(feature = "mysql")]
fn mysql_number(error: &dyn DatabaseError) -> Option<u16> {
    let error = error
        .as_error()
        .downcast_ref::<sqlx::mysql::MySqlDatabaseError>();
    error.map(sqlx::mysql::MySqlDatabaseError::number)
}

#[cfg(not(feature = "mysql"))]
fn mysql_number(_: &dyn DatabaseError) -> Option<u16> {
    None
}

/// `SQLite`'s numbers have at most four digits.
fn is_sqlstate(code: &str) -> bool {
    code.len() == 5
        && code
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}

/// Counts the error of a query.
pub(crate) fn count_error(metrics: &SqlMetrics, error: &Error) {
    metrics.wrapper.errors[QueryError::of(error)].increment(1);
    count_sqlstate(metrics, error);
}

/// Counts the class of an error's SQLSTATE, if it has one.
pub(crate) fn count_sqlstate(metrics: &SqlMetrics, error: &Error) {
    let Some(state) = error.as_database_error().and_then(DatabaseError::code) else {
        return;
    };
    if is_sqlstate(&state) {
        metrics.wrapper.sqlstates.of(&state[..2]).increment(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstates_have_kinds() {
        let of = |state| QueryError::of_code(Code::SqlState(state));
        assert_eq!(of("40P01"), QueryError::Deadlock);
        assert_eq!(of("42P01"), QueryError::Statement);
        assert_eq!(of("08006"), QueryError::Connection);
        assert_eq!(of("23001"), QueryError::Constraint);
        assert_eq!(of("25P02"), QueryError::FailedTransaction);
        assert_eq!(of("25P03"), QueryError::Timeout);
        assert_eq!(of("25006"), QueryError::ReadOnly);
        assert_eq!(of("53100"), QueryError::Resources);
        assert_eq!(of("XX000"), QueryError::Other);
    }

    #[test]
    fn numbers_of_mysql_say_more_than_its_sqlstates() {
        let of = |number| QueryError::of_code(Code::MySql(number));
        assert_eq!(of(1205), QueryError::Lock);
        assert_eq!(of(1213), QueryError::Deadlock);
        assert_eq!(of(1792), QueryError::ReadOnly);
        assert_eq!(of(1969), QueryError::Timeout);
        assert_eq!(of(1146), QueryError::Statement);
        assert_eq!(of(1040), QueryError::Resources);
        assert_eq!(
            AcquireError::of_code(Code::MySql(1045)),
            AcquireError::Rejected
        );
        assert_eq!(
            AcquireError::of_code(Code::MySql(1049)),
            AcquireError::Database
        );
    }

    #[test]
    fn numbers_of_sqlite_carry_the_primary_one() {
        for (extended, expected) in [
            ("1", QueryError::Statement),
            ("5", QueryError::Lock),
            ("517", QueryError::Lock),
            ("1032", QueryError::ReadOnly),
            ("2067", QueryError::Constraint),
            ("8458", QueryError::Other),
        ] {
            let error = Coded(extended);
            let code = Code::of(&error, Some(extended));
            assert_eq!(QueryError::of_code(code), expected, "{extended}");
        }
    }

    #[test]
    fn errors_without_a_code_are_told_by_their_kind() {
        let gone = || Error::Io(std::io::ErrorKind::ConnectionReset.into());
        assert_eq!(QueryError::of(&gone()), QueryError::Connection);
        assert_eq!(
            QueryError::of(&Error::WorkerCrashed),
            QueryError::Connection
        );
        assert_eq!(
            QueryError::of(&Error::Protocol("?".into())),
            QueryError::Other
        );
        assert_eq!(AcquireError::of(&gone()), AcquireError::Io);
        assert_eq!(
            AcquireError::of(&Error::PoolTimedOut),
            AcquireError::Timeout
        );
    }

    /// An error of no known database.
    #[derive(Debug)]
    struct Coded(&'static str);

    impl std::fmt::Display for Coded {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Coded {}

    impl DatabaseError for Coded {
        fn message(&self) -> &str {
            self.0
        }

        fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }
}
