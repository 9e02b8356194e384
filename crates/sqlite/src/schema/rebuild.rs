//! A rebuild in one go: the steps of <https://sqlite.org/lang_altertable.html#otheralter>.

use rusqlite::{Connection, OptionalExtension, config::DbConfig};

use super::affinity::Affinity;
use super::around::Around;
use super::probe::message;
use super::script::{Rebuild, Taken, refused};
use super::trial::Trial;
use super::{row_number::RowNumber, switched::Switched, table_definition::TableDefinition, token::tokenize};
use crate::sqlite::{ask::Ask, quote::identifier};

impl Rebuild {
    /// Runs it in the present transaction. When it fails, that has to be rolled back.
    pub(super) fn run(&self, connection: &Connection) -> rusqlite::Result<()> {
        let _unenforced = without_foreign_keys(connection)?;
        let old = self.find(connection)?;
        let around = Around::read(connection, &old)?;
        let new = free_name(connection, &self.table)?;
        connection
            .execute(&self.definition_for(&format!("main.{}", identifier(&new))), [])
            .map_err(|error| self.explained(&error, &new, "the new definition is refused"))?;
        self.copy(connection, &old, &new)?;
        let marks = self.marks(connection)?;
        for (table, column) in &marks {
            let rename = format!("UPDATE main.{table} SET {column} = ?1 WHERE {column} = ?2");
            connection.execute(
                &format!(
                    "DELETE FROM main.{table} WHERE {column} = ?1 AND EXISTS (SELECT 1 FROM main.{table} WHERE \
                     {column} = ?2)"
                ),
                (&new, &old),
            )?;
            connection.execute(&rename, (&new, &old))?;
        }
        connection.execute(&format!("DROP TABLE main.{}", identifier(&old)), [])?;
        {
            // Foreign keys, triggers and views name the table as it is called now and again afterwards.
            let _unfollowed = Switched::to(connection, DbConfig::SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, true)?;
            let rename = format!(
                "ALTER TABLE main.{} RENAME TO {}",
                identifier(&new),
                identifier(&self.table)
            );
            connection.execute(&rename, [])?;
        }
        for (table, column) in marks.iter().filter(|(table, _)| *table != "sqlite_sequence") {
            let rename = format!("UPDATE main.{table} SET {column} = ?1 WHERE {column} = ?2");
            connection.execute(&rename, (&self.table, &new))?;
        }
        for object in around.on_table() {
            connection
                .execute(&object.sql, [])
                .map_err(|error| around.breaks(object, &message(&error)))?;
        }
        around.check(connection)
    }

    /// The table's name as stored.
    pub(super) fn find(&self, connection: &Connection) -> rusqlite::Result<String> {
        let mut found = None;
        connection.pragma(Some("main"), "table_list", &self.table, |row| {
            if row.get::<_, String>("schema")? == "main" {
                found = Some((row.get::<_, String>("name")?, row.get::<_, String>("type")?));
            }
            Ok(())
        })?;
        match found {
            Some((name, kind)) if kind == "table" => Ok(name),
            Some((name, kind)) => Err(refused(format!(
                "{name} is a {kind} table or view and cannot be rebuilt"
            ))),
            None => Err(refused(format!("there is no table {} to rebuild", self.table))),
        }
    }

    /// Copies every row, under its rowid where both tables let it be named.
    fn copy(&self, connection: &Connection, old: &str, new: &str) -> rusqlite::Result<()> {
        // Otherwise a name of no column would be taken for a text.
        let _names_only = Switched::to(connection, DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        let (from, to) = (RowNumber::of(connection, old)?, RowNumber::of(connection, new)?);
        let (target, source) = (identifier(new), identifier(old));
        if !self.conversions(connection, old)?.is_empty()
            && let Some((key, why)) = Trial::of_all(connection, self)?.first.first()
        {
            return Err(refused(format!("a row of {old} cannot be copied: {key} ({why})")));
        }
        let numbered = to.alias.as_deref().and_then(|alias| {
            self.taken
                .iter()
                .find(|taken| taken.column.eq_ignore_ascii_case(alias))
        });
        if let Some(Taken { column, value }) = numbered {
            // SQLite would give such a row a number of its own.
            let without = format!("SELECT EXISTS (SELECT 1 FROM main.{source} WHERE ({value}) IS NULL)");
            if connection.value(&without, [])? {
                return Err(refused(format!(
                    "rows of {old} have no value for the key {column} of the new table"
                )));
            }
        }
        let rowid = from.name.zip(to.name).filter(|_| numbered.is_none());
        let (from, to) = rowid.unzip();
        // Whatever the constraints of the new table say of conflicts, no row may be replaced or left out.
        let copied = connection.execute(
            &format!(
                "INSERT OR ABORT INTO main.{target} ({}) SELECT {} FROM main.{source} NOT INDEXED",
                self.columns(to.as_deref()),
                self.values(from.as_deref())
            ),
            [],
        );
        let copied = copied.map_err(|error| self.explained(&error, new, "its rows cannot be copied"))?;
        if copied > 0
            && !connection.value::<bool>(&format!("SELECT EXISTS (SELECT 1 FROM main.{source})"), [])?
        {
            return Err(refused(format!(
                "a value of the new {old} is not made of one row alone"
            )));
        }
        Ok(())
    }

    /// Columns that keep what they have in another type, by their old name and their new one.
    pub(super) fn conversions(
        &self,
        connection: &Connection,
        old: &str,
    ) -> rusqlite::Result<Vec<(String, String)>> {
        let sql: String = connection.value(
            "SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?1",
            [old],
        )?;
        let Some(before) = TableDefinition::parse(&sql) else {
            return Ok(Vec::new());
        };
        let converted = self.taken.iter().filter_map(|taken| {
            let was = taken.old()?;
            let (old, new) = (Affinity::of_column(&before, &was)?, self.affinity(&taken.column)?);
            (old != new && new != Affinity::Blob).then(|| (was, taken.column.clone()))
        });
        Ok(converted.collect())
    }

    pub(super) fn affinity(&self, column: &str) -> Option<Affinity> {
        Affinity::of_column(&TableDefinition::parse(&self.definition)?, column)
    }

    /// SQLite's own tables that name the table in a column: its sequence mark, if the new one counts on, and what
    /// ANALYZE found.
    fn marks(&self, connection: &Connection) -> rusqlite::Result<Vec<(&'static str, &'static str)>> {
        let counts = tokenize(&self.definition)
            .iter()
            .any(|token| token.is_word("autoincrement"));
        let mut marks = Vec::new();
        for (table, column) in [
            ("sqlite_sequence", "name"),
            ("sqlite_stat1", "tbl"),
            ("sqlite_stat4", "tbl"),
        ] {
            if connection.table_exists(Some("main"), table)? && (counts || column == "tbl") {
                marks.push((table, column));
            }
        }
        Ok(marks)
    }

    /// The same failure, with what it means, and the new table under the name that it will have.
    fn explained(&self, error: &rusqlite::Error, new: &str, meaning: &str) -> rusqlite::Error {
        let code = error.sqlite_error().copied();
        let code = code.unwrap_or_else(|| rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR));
        let why = message(error).replace(new, &self.table);
        rusqlite::Error::SqliteFailure(code, Some(format!("rebuild {}: {meaning}: {why}", self.table)))
    }
}

/// A name that nothing in the schema has.
fn free_name(connection: &Connection, table: &str) -> rusqlite::Result<String> {
    let mut name = format!("{table} rebuilt");
    let taken = |name: &str| {
        connection
            .query_row(
                "SELECT 1 FROM main.sqlite_schema WHERE name = ?1 COLLATE NOCASE",
                [name],
                |_| Ok(()),
            )
            .optional()
    };
    while taken(&name)?.is_some() {
        name.push('\'');
    }
    Ok(name)
}

fn without_foreign_keys(connection: &Connection) -> rusqlite::Result<Option<Switched<'_>>> {
    let config = DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY;
    if !connection.db_config(config)? {
        return Ok(None);
    }
    if !connection.is_autocommit() {
        return Err(refused("a table cannot be rebuilt while foreign keys are on"));
    }
    Switched::to(connection, config, false).map(Some)
}
