//! What SQLite makes of a table's definition: what its values become, how its rows are found, which indexes it implies.

use rusqlite::{Connection, OptionalExtension};

use super::{affinity::Affinity, row_number::RowNumber, table_definition::TableDefinition};
use crate::sqlite::ask::Ask;

/// What of a table decides about the bytes of its rows and of its indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableShape {
    pub(crate) columns: Vec<ColumnShape>,
    pub(crate) row: RowNumber,
    /// Whether no row id is ever given again.
    pub(crate) autoincrement: bool,
    /// The indexes that PRIMARY KEY and UNIQUE imply, in the order of their names.
    pub(crate) implied: Vec<ImpliedIndex>,
}

/// What of a column decides about the bytes of its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnShape {
    pub(crate) name: String,
    pub(crate) affinity: Affinity,
    /// The collation in lower case.
    pub(crate) collation: String,
    pub(crate) generated: bool,
}

/// An index that a table's definition implies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImpliedIndex {
    pub(crate) name: String,
    /// Name, collation and whether it is descending, of each key column.
    pub(crate) keys: Vec<(String, String, bool)>,
}

impl TableShape {
    /// Reads the shape of an ordinary table in `main`; `None` when there is none of that name.
    pub(crate) fn read(connection: &Connection, table: &str) -> rusqlite::Result<Option<Self>> {
        let found: Option<(String, bool, String)> = connection
            .prepare_cached(
                "SELECT s.name, l.strict, s.sql FROM pragma_table_list AS l \
                 JOIN main.sqlite_schema AS s ON s.type = 'table' AND s.name = l.name \
                 WHERE l.schema = 'main' AND l.type = 'table' AND l.name = ?1 COLLATE NOCASE",
            )?
            .query_row([table], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((table, strict, sql)) = found else {
            return Ok(None);
        };
        let definition = TableDefinition::parse(&sql);
        let mut columns = Vec::new();
        connection.pragma(Some("main"), "table_xinfo", &table, |row| {
            let name: String = row.get("name")?;
            let declared: String = row.get("type")?;
            let hidden: u8 = row.get("hidden")?;
            let collation = definition
                .as_ref()
                .and_then(|definition| definition.column(&name))
                .and_then(|column| column.constraints.iter().find_map(|c| c.strip_prefix("collate ")))
                .map_or("binary", |collation| collation.trim_matches('"'));
            columns.push(ColumnShape {
                affinity: Affinity::of(&declared, strict),
                collation: collation.to_ascii_lowercase(),
                generated: hidden > 1,
                name,
            });
            Ok(())
        })?;
        let mut implied = Vec::new();
        let of_constraints: Vec<String> = connection.rows(
            "SELECT name FROM pragma_index_list(?1) WHERE origin <> 'c' ORDER BY seq DESC",
            [&table],
            |row| row.get(0),
        )?;
        for name in of_constraints {
            let keys = connection.rows(
                "SELECT name, lower(coll), \"desc\" FROM pragma_index_xinfo(?1) WHERE key = 1 ORDER BY seqno",
                [&name],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )?;
            implied.push(ImpliedIndex { name, keys });
        }
        Ok(Some(Self {
            row: RowNumber::of(connection, &table)?,
            autoincrement: definition.is_some_and(|definition| {
                definition
                    .columns
                    .iter()
                    .any(|column| column.constraints.iter().any(|c| c.ends_with("autoincrement")))
            }),
            columns,
            implied,
        }))
    }

    pub(crate) fn column(&self, name: &str) -> Option<&ColumnShape> {
        self.columns
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(name))
    }
}
