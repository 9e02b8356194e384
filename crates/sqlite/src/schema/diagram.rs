//! The schema as a picture: Mermaid's entity-relationship diagram.

use std::{collections::BTreeSet, fmt::Write as _};

use rusqlite::Connection;

use super::table_detail::{Column, ForeignKey, TableDetail};
use super::{object::ObjectKind, snapshot::Snapshot};
use bridge_migrate_core::is_hidden;

/// The tables of `schema`, their columns and their foreign keys as Mermaid text. `connection` is to the database
/// that the schema was read from.
///
/// What Mermaid takes for syntax is replaced in names, so that any name gives a diagram that can be drawn.
///
/// # Errors
/// When SQLite cannot read a table.
pub fn mermaid(connection: &Connection, schema: &Snapshot) -> Result<String, rusqlite::Error> {
    let mut text = String::from("erDiagram\n");
    let mut relations = String::new();
    for table in schema.of_kind(ObjectKind::Table) {
        let detail = match TableDetail::read(connection, &table.name) {
            // Only the application has its module, which knows its columns.
            Err(_) if table.normal().starts_with("create virtual table") => TableDetail::default(),
            detail => detail?,
        };
        let linked: BTreeSet<String> = detail
            .foreign_keys
            .iter()
            .flat_map(|key| key.columns.iter().map(|column| column.to_ascii_lowercase()))
            .collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    {} {{", entity(&table.name));
        for column in &detail.columns {
            let is_linked = linked.contains(&column.name.to_ascii_lowercase());
            let _ = writeln!(text, "        {}", attribute(column, is_linked));
        }
        text.push_str("    }\n");
        for key in &detail.foreign_keys {
            let _ = writeln!(relations, "    {}", relation(&table.name, key, &detail.columns));
        }
    }
    text.push_str(&relations);
    Ok(text)
}

fn attribute(column: &Column, is_linked: bool) -> String {
    let mut line = format!(
        "{} {}",
        word(&column.declared_type, "ANY"),
        word(&column.name, "_")
    );
    let keys: Vec<&str> = [(column.primary_key.is_some(), "PK"), (is_linked, "FK")]
        .into_iter()
        .filter_map(|(is_key, name)| is_key.then_some(name))
        .collect();
    if !keys.is_empty() {
        line.push(' ');
        line.push_str(&keys.join(", "));
    }
    let mut remarks = Vec::new();
    if column.not_null {
        remarks.push("not null".to_owned());
    }
    if let Some(default) = &column.default {
        remarks.push(format!("default {default}"));
    }
    if !remarks.is_empty() {
        let _ = write!(line, " \"{}\"", quoted(&remarks.join(", ")));
    }
    line
}

/// A parent has any number of children; a child has one parent, or none where the key may be NULL.
fn relation(child: &str, key: &ForeignKey, columns: &[Column]) -> String {
    let is_required = key.columns.iter().all(|name| {
        columns
            .iter()
            .any(|column| column.name.eq_ignore_ascii_case(name) && column.not_null)
    });
    let parent_end = if is_required { "||" } else { "|o" };
    format!(
        "{} {parent_end}--o{{ {} : \"{}\"",
        entity(&key.parent_table),
        entity(child),
        quoted(&key.columns.join(", "))
    )
}

fn entity(name: &str) -> String {
    format!("\"{}\"", quoted(name))
}

/// What may stand in Mermaid's double quotes.
fn quoted(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '"' => '\'',
            '%' | '\\' | ';' | '#' | '{' | '}' => '_',
            character if is_hidden(character) => ' ',
            character => character,
        })
        .collect()
}

/// A type or an attribute's name, which Mermaid takes without quotes.
fn word(text: &str, empty: &str) -> String {
    let mut word: String = text
        .chars()
        .map(|character| {
            if character.is_ascii_alphanumeric() || character == '_' {
                character
            } else {
                '_'
            }
        })
        .collect();
    if word.is_empty() {
        word.push_str(empty);
    }
    if word.starts_with(|first: char| first.is_ascii_digit()) {
        word.insert(0, '_');
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(sql: &str) -> String {
        let connection = crate::sqlite::connection::open_scratch().unwrap();
        connection.execute_batch(sql).unwrap();
        mermaid(&connection, &Snapshot::read(&connection).unwrap()).unwrap()
    }

    #[test]
    fn tables_columns_and_foreign_keys_are_drawn() {
        let text = drawn(
            "CREATE TABLE rooms (room_id TEXT PRIMARY KEY, topic TEXT NOT NULL, active INTEGER DEFAULT 1);
             CREATE TABLE votes (room_id TEXT NOT NULL REFERENCES rooms, voter TEXT, by TEXT REFERENCES gone (x),
             PRIMARY KEY (room_id, voter));
             CREATE VIEW v AS SELECT 1;",
        );
        insta::assert_snapshot!(text, @r#"
        erDiagram
            "rooms" {
                TEXT room_id PK
                TEXT topic "not null"
                INTEGER active "default 1"
            }
            "votes" {
                TEXT room_id PK, FK "not null"
                TEXT voter PK
                TEXT by FK
            }
            "rooms" ||--o{ "votes" : "room_id"
            "gone" |o--o{ "votes" : "by"
        "#);
    }

    #[test]
    fn no_name_breaks_out_of_its_place() {
        let text = drawn(
            "CREATE TABLE \"a\"\"} \n b\" (\"x y\" VARYING CHAR(5) DEFAULT '\"};%%', \"1\" DEFAULT 1, \"größe\");",
        );
        insta::assert_snapshot!(text, @r#"
        erDiagram
            "a'_   b" {
                VARYING_CHAR_5_ x_y "default ''____'"
                ANY _1 "default 1"
                ANY gr__e
            }
        "#);
    }
}
