//! What stands around a table that is made anew, and whether it still works afterwards.

use rusqlite::{Connection, config::DbConfig};

use super::token::{Token, TokenKind, tokenize};
use super::{Object, ObjectKind, TableDetail, probe::complaint, script::refused, switched::Switched};
use crate::sqlite::ask::Ask;

/// The objects of a schema before one of its tables is made anew.
pub(crate) struct Around {
    table: String,
    columns: Vec<String>,
    /// In the order in which they were made, each with what SQLite says against it already.
    objects: Vec<(Object, Option<String>)>,
}

impl Around {
    /// What is there, `table` being named as stored.
    ///
    /// # Errors
    /// When SQLite cannot read the schema.
    pub(crate) fn read(connection: &Connection, table: &str) -> rusqlite::Result<Self> {
        let objects = objects(connection)?;
        let complaints = complaints(connection, &objects)?;
        Ok(Self {
            table: table.to_owned(),
            columns: columns(connection, table)?,
            objects: objects.into_iter().zip(complaints).collect(),
        })
    }

    /// The table's indexes and triggers.
    pub(crate) fn on_table(&self) -> impl Iterator<Item = &Object> {
        self.others().map(|(object, _)| object).filter(|object| {
            object.table.eq_ignore_ascii_case(&self.table)
                && matches!(object.kind, ObjectKind::Index | ObjectKind::Trigger)
        })
    }

    /// Refuses a new table with which something is gone, another, or no longer works.
    ///
    /// # Errors
    /// What it is; when SQLite cannot read the schema.
    pub(crate) fn check(&self, connection: &Connection) -> rusqlite::Result<()> {
        let stays = columns(connection, &self.table)?;
        let is_named =
            |name: &str, names: &[String]| names.iter().any(|other| other.eq_ignore_ascii_case(name));
        let is_lost = |name: &str| is_named(name, &self.columns) && !is_named(name, &stays);
        // SQLite would take "lost" for a text, and never fire a trigger on an update of it.
        for object in self.on_table() {
            if let Some(column) = named_by(object).into_iter().find(|name| is_lost(name)) {
                return Err(self.breaks(object, &format!("no such column: {column}")));
            }
        }
        let after = objects(connection)?;
        let now = complaints(connection, &after)?;
        for (object, complained) in self.others() {
            let found = after
                .iter()
                .zip(&now)
                .find(|(now, _)| (now.kind, &now.name, &now.sql) == (object.kind, &object.name, &object.sql));
            match found {
                None => return Err(self.breaks(object, "it is not what it was")),
                Some((_, Some(complaint))) if complained.as_ref() != Some(complaint) => {
                    return Err(self.breaks(object, complaint));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    pub(super) fn breaks(&self, object: &Object, why: &str) -> rusqlite::Error {
        refused(format!(
            "with the new {}, {} {} on {} no longer works: {why}",
            self.table, object.kind, object.name, object.table
        ))
    }

    fn others(&self) -> impl Iterator<Item = &(Object, Option<String>)> {
        let is_it = |object: &Object| object.kind == ObjectKind::Table && object.is_named(&self.table);
        self.objects.iter().filter(move |(object, _)| !is_it(object))
    }
}

/// Columns of its own table that an index names, and those whose update fires a trigger.
fn named_by(object: &Object) -> Vec<String> {
    let tokens = tokenize(&object.sql);
    let named = |token: &Token<'_>| {
        let is_name = matches!(token.kind, TokenKind::Word | TokenKind::Quoted);
        token.name().filter(|_| is_name).map(std::borrow::Cow::into_owned)
    };
    match object.kind {
        ObjectKind::Index => {
            let from = tokens.iter().position(|token| token.is_operator("("));
            tokens
                .iter()
                .skip(from.unwrap_or(tokens.len()))
                .filter_map(named)
                .collect()
        }
        ObjectKind::Trigger => {
            let of = tokens.windows(2).position(
                |pair| matches!(pair, [update, of] if update.is_word("update") && of.is_word("of")),
            );
            let columns = tokens.iter().skip(of.map_or(tokens.len(), |of| of + 2));
            columns
                .take_while(|token| !token.is_word("on"))
                .filter_map(named)
                .collect()
        }
        ObjectKind::Table | ObjectKind::View => Vec::new(),
    }
}

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let detail = TableDetail::read(connection, table)?;
    Ok(detail.columns.into_iter().map(|column| column.name).collect())
}

fn complaints(connection: &Connection, objects: &[Object]) -> rusqlite::Result<Vec<Option<String>>> {
    // Otherwise the name of a column that is gone is a text.
    let _names_only = Switched::to(connection, DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    Ok(objects
        .iter()
        .map(|object| complaint(connection, object))
        .collect())
}

/// Every object that has a statement, in the order in which they were made.
fn objects(connection: &Connection) -> rusqlite::Result<Vec<Object>> {
    let sql = "SELECT type, name, tbl_name, sql FROM main.sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid";
    let objects = connection.rows(sql, [], |row| {
        let kind = ObjectKind::from_schema_type(&row.get::<_, String>(0)?);
        let [name, table, sql]: [String; 3] = [row.get(1)?, row.get(2)?, row.get(3)?];
        Ok(kind.map(|kind| Object::new(kind, name, table, sql)))
    })?;
    Ok(objects.into_iter().flatten().collect())
}
