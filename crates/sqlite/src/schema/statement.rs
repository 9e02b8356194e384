//! What a statement changes that may take long: an index, a column, a table.

use rusqlite::{Batch, Connection, fallible_iterator::FallibleIterator};

use super::token::{Token, tokenize};

/// A statement whose work grows with a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) change: Change,
    /// The table, as the statement spells it.
    pub(crate) table: String,
}

/// What it does to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    CreateIndex,
    DropColumn,
    DropTable,
}

impl Statement {
    /// Reads one statement; `None` when it is another, or is not about `main`.
    pub(crate) fn parse(sql: &str) -> Option<Self> {
        let tokens = tokenize(sql);
        let is = |at: usize, words: &[&str]| {
            let tokens = tokens.get(at..).unwrap_or_default();
            words.len() <= tokens.len() && words.iter().zip(tokens).all(|(word, token)| token.is_word(word))
        };
        let name = |at: usize| name_at(&tokens, at);
        if is(0, &["drop", "table"]) {
            let (table, _) = name(if is(2, &["if", "exists"]) { 4 } else { 2 })?;
            return Some(Self {
                change: Change::DropTable,
                table,
            });
        }
        if is(0, &["alter", "table"]) {
            let (table, next) = name(2)?;
            let drops_column = is(next, &["drop"]) && !is(next, &["drop", "constraint"]);
            return drops_column.then_some(Self {
                change: Change::DropColumn,
                table,
            });
        }
        let first = if is(0, &["create", "unique"]) { 2 } else { 1 };
        if is(0, &["create"]) && is(first, &["index"]) {
            let at = first
                + if is(first + 1, &["if", "not", "exists"]) {
                    4
                } else {
                    1
                };
            let (_, next) = name(at)?;
            let (table, _) = name(next + 1)?;
            return is(next, &["on"]).then_some(Self {
                change: Change::CreateIndex,
                table,
            });
        }
        None
    }
}

/// A name, with or without `main.`, and where the statement goes on.
fn name_at(tokens: &[Token<'_>], at: usize) -> Option<(String, usize)> {
    let first = tokens.get(at)?.name()?;
    if !tokens.get(at + 1).is_some_and(|token| token.is_operator(".")) {
        return Some((first.into_owned(), at + 1));
    }
    let second = tokens.get(at + 2)?.name()?;
    first
        .eq_ignore_ascii_case("main")
        .then(|| (second.into_owned(), at + 3))
}

/// Runs the statements of `sql` one after the other, but those that `instead` says it has done.
///
/// # Errors
/// When SQLite refuses a statement, as `refused` has it; and what `instead` answers.
pub(crate) fn run_each<E>(
    connection: &Connection,
    sql: &str,
    refused: &dyn Fn(rusqlite::Error) -> E,
    instead: &mut dyn FnMut(&str) -> Result<bool, E>,
) -> Result<(), E> {
    let mut batch = Batch::new(connection, sql);
    while let Some(mut statement) = batch.next().map_err(refused)? {
        let text = statement.expanded_sql().unwrap_or_default();
        if instead(&text)? {
            continue;
        }
        let mut rows = statement.raw_query();
        while rows.next().map_err(refused)?.is_some() {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_with_a_table_is_known_by_its_table() {
        let table = |sql: &str| Statement::parse(sql).map(|found| (found.change, found.table));
        for (sql, change, name) in [
            ("CREATE INDEX i ON t (a)", Change::CreateIndex, "t"),
            (
                "create unique index if not exists \"a b\" on [x y] (a)",
                Change::CreateIndex,
                "x y",
            ),
            (
                "CREATE INDEX main.i ON \"say \"\"x\"\"\" (a)",
                Change::CreateIndex,
                "say \"x\"",
            ),
            ("ALTER TABLE t DROP COLUMN a", Change::DropColumn, "t"),
            ("/* so */ ALTER TABLE main.t DROP a", Change::DropColumn, "t"),
            ("DROP TABLE IF EXISTS t", Change::DropTable, "t"),
        ] {
            assert_eq!(table(sql), Some((change, name.to_owned())), "{sql}");
        }
        for sql in [
            "ALTER TABLE t DROP CONSTRAINT c",
            "ALTER TABLE t ADD COLUMN a",
            "DROP TABLE temp.t",
            "DROP INDEX i",
            "CREATE TABLE t (a)",
            "CREATE INDEX i",
            "",
        ] {
            assert_eq!(table(sql), None, "{sql}");
        }
    }
}
