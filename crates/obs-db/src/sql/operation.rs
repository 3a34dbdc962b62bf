//! What a statement does, by its first words. The text itself is not kept.

obs_core::label! {
    /// What was asked of the database.
    ///
    /// Recognised by the first keyword of the statement, or by the main verb behind a `WITH`. Several statements in one text
    /// count as one, by the first.
    pub enum Operation as "operation" {
        /// `SELECT`, `VALUES`, `TABLE`.
        Select = "select",
        /// `INSERT`, `REPLACE`.
        Insert = "insert",
        /// `UPDATE`.
        Update = "update",
        /// `DELETE`.
        Delete = "delete",
        /// `MERGE`.
        Merge = "merge",
        /// Definitions and rights: `CREATE`, `ALTER`, `DROP`, `TRUNCATE`, `RENAME`, `COMMENT`, `GRANT`, `REVOKE`.
        Ddl = "ddl",
        /// The begin of a transaction or a savepoint.
        Begin = "begin",
        /// The commit of a transaction, or the release of a savepoint.
        Commit = "commit",
        /// The rollback of a transaction or to a savepoint, where it was asked for.
        Rollback = "rollback",
        /// A statement was prepared or described by itself, without being run.
        Prepare = "prepare",
        /// Anything else: `SET`, `PRAGMA`, `EXPLAIN`, `CALL`, `COPY`, `VACUUM`, `LISTEN`, …
        Other = "other",
    }
}

impl Operation {
    /// What a statement does.
    ///
    /// ```
    /// use obs_db::Operation;
    ///
    /// assert_eq!(Operation::of("/* hot */ select 1"), Operation::Select);
    /// assert_eq!(Operation::of("WITH old AS (SELECT 1) DELETE FROM orders"), Operation::Delete);
    /// assert_eq!(Operation::of("PRAGMA user_version"), Operation::Other);
    /// ```
    #[must_use]
    pub fn of(sql: &str) -> Self {
        let mut words = Words {
            rest: sql,
            depth: 0,
        };
        match words.next() {
            Some(with) if with.eq_ignore_ascii_case("with") => {
                let main = |word| match Self::of_keyword(word) {
                    verb @ (Self::Select
                    | Self::Insert
                    | Self::Update
                    | Self::Delete
                    | Self::Merge) => Some(verb),
                    _ => None,
                };
                // What the parts of a `WITH` do stands in parentheses.
                words.depth = 0;
                let found = std::iter::from_fn(|| words.next_at_top()).find_map(main);
                found.unwrap_or(Self::Other)
            }
            Some(word) => Self::of_keyword(word),
            None => Self::Other,
        }
    }

    fn of_keyword(word: &str) -> Self {
        const KEYWORDS: &[(&str, Operation)] = &[
            ("select", Operation::Select),
            ("insert", Operation::Insert),
            ("update", Operation::Update),
            ("delete", Operation::Delete),
            ("begin", Operation::Begin),
            ("commit", Operation::Commit),
            ("rollback", Operation::Rollback),
            ("savepoint", Operation::Begin),
            ("release", Operation::Commit),
            ("start", Operation::Begin),
            ("end", Operation::Commit),
            ("abort", Operation::Rollback),
            ("values", Operation::Select),
            ("table", Operation::Select),
            ("replace", Operation::Insert),
            ("merge", Operation::Merge),
            ("create", Operation::Ddl),
            ("alter", Operation::Ddl),
            ("drop", Operation::Ddl),
            ("truncate", Operation::Ddl),
            ("rename", Operation::Ddl),
            ("comment", Operation::Ddl),
            ("grant", Operation::Ddl),
            ("revoke", Operation::Ddl),
            ("prepare", Operation::Prepare),
        ];
        let known = KEYWORDS
            .iter()
            .find(|(keyword, _)| word.eq_ignore_ascii_case(keyword));
        known.map_or(Self::Other, |(_, operation)| *operation)
    }
}

/// The words of a statement, without its comments and literals.
struct Words<'a> {
    rest: &'a str,
    /// How many parentheses are open.
    depth: usize,
}

impl<'a> Words<'a> {
    /// The next word outside of parentheses.
    fn next_at_top(&mut self) -> Option<&'a str> {
        loop {
            let word = self.next()?;
            if self.depth == 0 {
                return Some(word);
            }
        }
    }

    fn next(&mut self) -> Option<&'a str> {
        loop {
            let first = self.rest.chars().next()?;
            match first {
                '-' if self.rest.starts_with("--") => self.skip_past("\n", 2),
                '#' => self.skip_past("\n", 1),
                '/' if self.rest.starts_with("/*") => self.skip_block_comment(),
                '\'' | '"' | '`' => self.skip_past(&self.rest[..1], 1),
                '$' => self.skip_dollar(),
                '(' => self.step(1, self.depth + 1),
                ')' => self.step(1, self.depth.saturating_sub(1)),
                _ if is_word(first) => {
                    let (word, rest) = self.rest.split_at(word_length(self.rest));
                    self.rest = rest;
                    return Some(word);
                }
                _ => self.step(first.len_utf8(), self.depth),
            }
        }
    }

    fn step(&mut self, bytes: usize, depth: usize) {
        self.rest = &self.rest[bytes..];
        self.depth = depth;
    }

    /// Goes past the next `end` behind the first `from` bytes. A quote that is doubled within a literal ends one literal and
    /// starts the next, which comes to the same.
    fn skip_past(&mut self, end: &str, from: usize) {
        let behind = &self.rest[from..];
        let found = behind.find(end).map(|at| &behind[at + end.len()..]);
        self.rest = found.unwrap_or("");
    }

    /// `PostgreSQL`'s block comments nest; with others, one within another is a mistake anyhow.
    fn skip_block_comment(&mut self) {
        let mut open = 0_usize;
        while !self.rest.is_empty() {
            if self.rest.starts_with("/*") {
                open += 1;
                self.rest = &self.rest[2..];
            } else if self.rest.starts_with("*/") {
                open -= 1;
                self.rest = &self.rest[2..];
                if open == 0 {
                    return;
                }
            } else {
                let mut chars = self.rest.chars();
                chars.next();
                self.rest = chars.as_str();
            }
        }
    }

    /// `$tag$ … $tag$` is a literal, `$1` a parameter.
    fn skip_dollar(&mut self) {
        let behind = &self.rest[1..];
        let tag = behind.find(|c| !is_word(c)).unwrap_or(behind.len());
        let is_literal =
            behind[tag..].starts_with('$') && !behind.starts_with(|c: char| c.is_ascii_digit());
        if is_literal {
            self.skip_past(&self.rest[..tag + 2], tag + 2);
        } else {
            self.step(1 + tag, self.depth);
        }
    }
}

/// How long the word in front is. Nearly all are of ASCII, and bytes are compared faster than characters are taken apart.
fn word_length(text: &str) -> usize {
    let is_word_byte = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$');
    let ascii = text.bytes().take_while(is_word_byte).count();
    if text.as_bytes().get(ascii).is_none_or(u8::is_ascii) {
        return ascii;
    }
    text.find(|c| !is_word(c) && c != '$').unwrap_or(text.len())
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sql: &str, expected: Operation) {
        assert_eq!(Operation::of(sql), expected, "{sql}");
    }

    #[test]
    fn the_first_keyword_decides() {
        check("SELECT 1", Operation::Select);
        check("select\n1", Operation::Select);
        check("values (1)", Operation::Select);
        check("INSERT INTO t VALUES (1)", Operation::Insert);
        check("replace into t values (1)", Operation::Insert);
        check("Update t SET a = 1", Operation::Update);
        check("DELETE FROM t", Operation::Delete);
        check("MERGE INTO t USING s ON true", Operation::Merge);
        check("CREATE TABLE t (a int)", Operation::Ddl);
        check("TRUNCATE t", Operation::Ddl);
        check("BEGIN IMMEDIATE", Operation::Begin);
        check("START TRANSACTION", Operation::Begin);
        check("SAVEPOINT a", Operation::Begin);
        check("RELEASE a", Operation::Commit);
        check("COMMIT", Operation::Commit);
        check("ROLLBACK TO a", Operation::Rollback);
        check("EXPLAIN SELECT 1", Operation::Other);
        check("SET statement_timeout = 10", Operation::Other);
        check("selection", Operation::Other);
    }

    #[test]
    fn blanks_comments_and_parentheses_come_before_it() {
        check("  \t\n(SELECT 1)", Operation::Select);
        check("((select 1) union (select 2))", Operation::Select);
        check("-- insert it\nUPDATE t SET a = 1", Operation::Update);
        check("# of mysql\ndelete from t", Operation::Delete);
        check(
            "/* a /* b */ c */ INSERT INTO t DEFAULT VALUES",
            Operation::Insert,
        );
        check("; select 1", Operation::Select);
        check("\u{feff}select 1", Operation::Select);
    }

    #[test]
    fn behind_with_the_main_verb_decides() {
        check("WITH a AS (SELECT 1) SELECT * FROM a", Operation::Select);
        check(
            "with recursive a(n) as (values (1)) insert into t select n from a",
            Operation::Insert,
        );
        check(
            "WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a",
            Operation::Select,
        );
        check(
            "WITH a AS MATERIALIZED (SELECT ')' AS \"select)\") UPDATE t SET a = 1",
            Operation::Update,
        );
        check(
            "WITH a AS (SELECT $$ ) $$, $x$ ) $x$, $1) DELETE FROM t",
            Operation::Delete,
        );
        check(
            "WITH a AS (SELECT 1 -- )\n) MERGE INTO t USING a ON true",
            Operation::Merge,
        );
    }

    #[test]
    fn text_that_says_nothing_is_other() {
        for sql in [
            "",
            "  ",
            "--",
            "/*",
            "/* /* */",
            "'",
            "$",
            "$$",
            "$a$",
            "(",
            "with",
            "WITH a AS (SELECT 1)",
            "é",
        ] {
            check(sql, Operation::Other);
        }
    }
}
