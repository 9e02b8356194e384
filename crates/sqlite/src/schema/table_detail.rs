//! What SQLite itself says about one table: its columns and foreign keys.

use rusqlite::Connection;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use serde::Serialize;

/// The columns and foreign keys of a table or view, from `table_xinfo` and `foreign_key_list`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TableDetail {
    /// The columns in their order, hidden and generated ones too.
    pub columns: Vec<Column>,
    /// The foreign keys, in the order in which the table declares them.
    pub foreign_keys: Vec<ForeignKey>,
}

/// A column as SQLite sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// The name, as stored.
    pub name: String,
    /// The declared type, as SQLite stores it; empty if there is none.
    pub declared_type: String,
    /// Whether the column is declared NOT NULL.
    pub not_null: bool,
    /// The SQL text of the default.
    pub default: Option<String>,
    /// The place in the primary key, from 1.
    pub primary_key: Option<u32>,
    /// Whether `SELECT *` shows the column, and if not why.
    pub hidden: Hidden,
}

/// Whether and why a column is unlike an ordinary one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hidden {
    /// An ordinary column.
    No,
    /// A hidden column of a virtual table: `SELECT *` leaves it out.
    VirtualTable,
    /// A generated column, computed when read.
    GeneratedVirtual,
    /// A generated column, computed when written.
    GeneratedStored,
}

/// A foreign key that a table declares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ForeignKey {
    /// The columns of this table.
    pub columns: Vec<String>,
    /// The table that they refer to, as declared; it need not exist.
    pub parent_table: String,
    /// The columns that they refer to; empty when the declaration names none, and so means the primary key.
    pub parent_columns: Vec<String>,
    /// What happens when the parent row is deleted.
    pub on_delete: ForeignKeyAction,
    /// What happens when the parent's key changes.
    pub on_update: ForeignKeyAction,
}

/// What SQLite does to the child rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ForeignKeyAction {
    /// Nothing: the change is refused at the end of the statement or transaction.
    NoAction,
    /// The change is refused at once.
    Restrict,
    /// The child columns become NULL.
    SetNull,
    /// The child columns get their defaults.
    SetDefault,
    /// The child rows are deleted, or follow the change.
    Cascade,
}

impl TableDetail {
    /// The columns of the primary key, in its order; none for a table that has only row ids.
    pub(crate) fn into_key_columns(self) -> Vec<String> {
        let mut keys: Vec<_> = self
            .columns
            .into_iter()
            .filter_map(|column| Some((column.primary_key?, column.name)))
            .collect();
        keys.sort();
        keys.into_iter().map(|(_, name)| name).collect()
    }

    /// Reads the columns and foreign keys of `table` (or of a view) in `main`.
    ///
    /// # Errors
    /// [`rusqlite::Error::QueryReturnedNoRows`] when there is no such table; SQLite's own error when the table
    /// cannot be looked into, such as a virtual table whose module is not loaded.
    pub(crate) fn read(connection: &Connection, table: &str) -> Result<Self, rusqlite::Error> {
        // Not the table-valued functions: a table of the same name, such as `pragma_table_info`, hides them.
        let mut columns = Vec::new();
        connection.pragma(Some("main"), "table_xinfo", table, |row| {
            columns.push(Column {
                name: row.get("name")?,
                declared_type: row.get("type")?,
                not_null: row.get("notnull")?,
                default: row.get("dflt_value")?,
                primary_key: row.get("pk").map(|place| (place > 0).then_some(place))?,
                hidden: row.get("hidden")?,
            });
            Ok(())
        })?;
        if columns.is_empty() {
            return Err(rusqlite::Error::QueryReturnedNoRows);
        }
        Ok(Self {
            columns,
            foreign_keys: foreign_keys(connection, table)?,
        })
    }
}

fn foreign_keys(connection: &Connection, table: &str) -> Result<Vec<ForeignKey>, rusqlite::Error> {
    let mut keys: Vec<(i64, ForeignKey)> = Vec::new();
    connection.pragma(Some("main"), "foreign_key_list", table, |row| {
        let id = row.get("id")?;
        let (child, parent): (String, Option<String>) = (row.get("from")?, row.get("to")?);
        match keys.last_mut() {
            Some((last, key)) if *last == id => {
                key.columns.push(child);
                key.parent_columns.extend(parent);
            }
            _ => keys.push((
                id,
                ForeignKey {
                    columns: vec![child],
                    parent_table: row.get("table")?,
                    parent_columns: parent.into_iter().collect(),
                    on_delete: row.get("on_delete")?,
                    on_update: row.get("on_update")?,
                },
            )),
        }
        Ok(())
    })?;
    // SQLite numbers the keys from the last one declared.
    keys.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

impl FromSql for Hidden {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self::No),
            1 => Ok(Self::VirtualTable),
            2 => Ok(Self::GeneratedVirtual),
            3 => Ok(Self::GeneratedStored),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

impl FromSql for ForeignKeyAction {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_str()? {
            "NO ACTION" => Ok(Self::NoAction),
            "RESTRICT" => Ok(Self::Restrict),
            "SET NULL" => Ok(Self::SetNull),
            "SET DEFAULT" => Ok(Self::SetDefault),
            "CASCADE" => Ok(Self::Cascade),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(sql: &str, table: &str) -> Result<TableDetail, rusqlite::Error> {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(sql).unwrap();
        TableDetail::read(&connection, table)
    }

    #[test]
    fn columns_tell_type_default_key_and_whether_they_are_generated() {
        let detail = detail(
            "CREATE TABLE v (voter TEXT NOT NULL, d TEXT, w REAL DEFAULT 1.0, n AS (w * 2), s INT AS (1) STORED,
             PRIMARY KEY (d, voter))",
            "v",
        )
        .unwrap();
        let rows: Vec<_> = detail
            .columns
            .iter()
            .map(|column| {
                let Column {
                    name,
                    declared_type,
                    not_null,
                    default,
                    primary_key,
                    hidden,
                } = column;
                format!("{name} [{declared_type}] {not_null} {default:?} {primary_key:?} {hidden:?}")
            })
            .collect();
        insta::assert_snapshot!(rows.join("\n"), @r#"
        voter [TEXT] true None Some(2) No
        d [TEXT] false None Some(1) No
        w [REAL] false Some("1.0") None No
        n [] false None None GeneratedVirtual
        s [INT] false None None GeneratedStored
        "#);
    }

    #[test]
    fn foreign_keys_come_in_the_order_of_their_declaration() {
        let detail = detail(
            "CREATE TABLE p (a PRIMARY KEY, b, c, UNIQUE (b, c));
             CREATE TABLE t (x REFERENCES p ON DELETE CASCADE, y, z,
             FOREIGN KEY (y, z) REFERENCES p (b, c) ON UPDATE SET NULL ON DELETE RESTRICT,
             FOREIGN KEY (z) REFERENCES absent (q) ON DELETE SET DEFAULT)",
            "T",
        )
        .unwrap();
        let rows: Vec<_> = detail
            .foreign_keys
            .iter()
            .map(|key| serde_json::to_string(key).unwrap())
            .collect();
        insta::assert_snapshot!(rows.join("\n"), @r#"
        {"columns":["x"],"parent_table":"p","parent_columns":[],"on_delete":"cascade","on_update":"no_action"}
        {"columns":["y","z"],"parent_table":"p","parent_columns":["b","c"],"on_delete":"restrict","on_update":"set_null"}
        {"columns":["z"],"parent_table":"absent","parent_columns":["q"],"on_delete":"set_default","on_update":"no_action"}
        "#);
    }

    #[test]
    fn a_table_that_is_not_there_is_an_error() {
        assert_eq!(detail("", "absent"), Err(rusqlite::Error::QueryReturnedNoRows));
    }
}
