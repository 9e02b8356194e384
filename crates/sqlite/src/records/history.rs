//! The history of applied migrations, read without trusting it.

use std::hash::{Hash, Hasher};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, types::ValueRef};
use siphasher::sip::SipHasher13;

use crate::schema::tool_tables;
use crate::sqlite::sqlite_error::{SqliteContext, is_damage, sqlite_error};
use bridge_migrate_core::{Catalog, Error, ErrorKind, Hint, Migration, Result};

/// One row of refinery's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The migration's number.
    pub version: u32,
    /// The migration's name.
    pub name: String,
    /// When it was applied.
    pub applied_on: DateTime<Utc>,
    /// refinery's checksum of name, number and statements.
    pub checksum: u64,
}

impl Applied {
    /// How the row differs from the migration of its number in the catalog; `None` when it does not, or when
    /// there is no such migration.
    pub(crate) fn divergence(&self, catalog: &Catalog) -> Result<Option<String>> {
        let Some(migration) = catalog.get(self.version) else {
            return Ok(None);
        };
        if migration.name != self.name {
            return Ok(Some(format!(
                "V{:03} was applied as `{}` but is `{}` in this program",
                self.version, self.name, migration.name
            )));
        }
        let is_other = checksum(migration)? != self.checksum;
        Ok(is_other.then(|| {
            format!(
                "{} was applied with other statements than this program has",
                migration.stem()
            )
        }))
    }
}

/// The history of a database, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// The applied migrations.
    pub applied: Vec<Applied>,
}

impl History {
    /// Reads the history; `None` when the database has none.
    ///
    /// # Errors
    /// [`ErrorKind::HistoryDamaged`] when a row is not what refinery writes.
    pub fn read(connection: &Connection) -> Result<Option<Self>> {
        if !tool_tables::exists(connection, tool_tables::HISTORY)? {
            return Ok(None);
        }
        let mut applied: Vec<Applied> = Vec::new();
        read_rows(connection, &mut |rowid, row| {
            let row = row.map_err(|why| damaged(format!("row {rowid}: {why}")))?;
            if applied.last().is_some_and(|last| last.version == row.version) {
                return Err(damaged(format!(
                    "row {rowid}: V{:03} is there twice",
                    row.version
                )));
            }
            applied.push(row);
            Ok(())
        })?;
        Ok(Some(Self { applied }))
    }

    /// The number of the last applied migration; 0 when there is none.
    pub fn version(&self) -> u32 {
        self.applied.last().map_or(0, |applied| applied.version)
    }

    /// Compares the history with the catalog.
    ///
    /// # Errors
    /// [`ErrorKind::Newer`] when the database has migrations beyond the catalog; [`ErrorKind::Divergent`]
    /// when an applied migration is another one in the catalog, or one is missing in between.
    pub fn check(&self, catalog: &Catalog) -> Result<()> {
        let last = catalog.last_version();
        if let Some(newer) = self.applied.iter().find(|applied| applied.version > last) {
            return Err(Error::new(
                ErrorKind::Newer,
                format!(
                    "the database is newer than this program: it has V{:03}__{}",
                    newer.version, newer.name
                ),
            )
            .with_truth(format!(
                "This program knows migrations up to V{last:03}. Nothing was changed."
            ))
            .with_hint(Hint::RollbackDryRun(last)));
        }
        for (expected, applied) in (1..).zip(&self.applied) {
            if applied.version != expected {
                return Err(divergent(format!(
                    "V{expected:03} was never applied, but V{:03} was",
                    applied.version
                )));
            }
            if let Some(why) = applied.divergence(catalog)? {
                return Err(divergent(why));
            }
        }
        Ok(())
    }
}

/// refinery's checksum of a migration, without refinery: it compiles a regular expression for each name, which
/// would be a quarter of the time of a start with nothing to do.
///
/// # Errors
/// [`ErrorKind::CatalogInvalid`] when the number is larger than refinery's.
pub(crate) fn checksum(migration: &Migration) -> Result<u64> {
    let version = i32::try_from(migration.version).map_err(|source| {
        Error::new(ErrorKind::CatalogInvalid, "the number is too large").with_source(source)
    })?;
    let mut hasher = SipHasher13::new();
    migration.name.hash(&mut hasher);
    version.hash(&mut hasher);
    migration.recorded_sql().hash(&mut hasher);
    Ok(hasher.finish())
}

/// The migration as refinery sees it.
pub(crate) fn as_refinery(migration: &Migration) -> Result<refinery::Migration> {
    refinery::Migration::unapplied(&migration.stem(), &migration.recorded_sql()).map_err(|source| {
        Error::new(
            ErrorKind::CatalogInvalid,
            format!("refinery refuses the name {}", migration.stem()),
        )
        .with_source(source)
    })
}

/// Hands over each row of the history with its row id, oldest first, or why it is not what refinery writes.
pub(crate) fn read_rows(
    connection: &Connection,
    found: &mut dyn FnMut(i64, std::result::Result<Applied, String>) -> Result<()>,
) -> Result<()> {
    let doing = "read the history";
    let mut select = connection
        .prepare_cached(
            "SELECT version, name, applied_on, checksum, rowid FROM refinery_schema_history ORDER BY version, rowid",
        )
        .map_err(|source| match sqlite_error(doing, source) {
            error if is_damage(&error) => error,
            error => match tool_tables::exists(connection, tool_tables::STEPS) {
                // Somebody else's, in a database that was never managed.
                Ok(false) => tool_tables::refuse_foreign(connection).err().unwrap_or(error),
                _ => damaged("the table has other columns".to_owned()).with_source(error),
            },
        })?;
    let mut rows = select.query([]).while_doing(doing)?;
    while let Some(row) = rows.next().while_doing(doing)? {
        found(row.get(4).while_doing(doing)?, read_row(row))?;
    }
    Ok(())
}

fn read_row(row: &rusqlite::Row<'_>) -> std::result::Result<Applied, String> {
    let version = match row.get_ref(0) {
        Ok(ValueRef::Integer(number)) => u32::try_from(number)
            .ok()
            .filter(|number| *number > 0 && i32::try_from(*number).is_ok()),
        _ => None,
    }
    .ok_or("its version is not a number from 1")?;
    let text = |index: usize, column: &str| match row.get_ref(index) {
        Ok(ValueRef::Text(bytes)) => std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| format!("its {column} is not UTF-8")),
        _ => Err(format!("its {column} is not text")),
    };
    let name = text(1, "name")?;
    let applied_on = DateTime::parse_from_rfc3339(&text(2, "applied_on")?)
        .map_err(|_| "its applied_on is not a time in RFC 3339".to_owned())?
        .with_timezone(&Utc);
    let checksum = text(3, "checksum")?
        .parse()
        .map_err(|_| "its checksum is not a number".to_owned())?;
    Ok(Applied {
        version,
        name,
        applied_on,
        checksum,
    })
}

fn damaged(why: String) -> Error {
    Error::unchanged(
        ErrorKind::HistoryDamaged,
        format!("the history in {} was edited: {why}", tool_tables::HISTORY),
    )
    .with_hint(Hint::BackupList)
}

fn divergent(why: String) -> Error {
    Error::new(ErrorKind::Divergent, why)
        .with_truth("The database and this program do not have the same migrations. Nothing was changed.")
        .with_hint(Hint::History)
}

#[cfg(test)]
mod tests {
    use naming::Release;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_checksum_is_refinerys(version in 1_u32..100_000, name in "[a-z][a-z0-9_]{0,20}", up in ".{0,80}") {
            let migration = Migration::new(version, name, Release::new(1, 0, 0)).up(up);
            prop_assert_eq!(checksum(&migration).unwrap(), as_refinery(&migration).unwrap().checksum());
        }
    }
}
