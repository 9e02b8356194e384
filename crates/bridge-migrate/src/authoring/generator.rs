//! barrel's SQL for today's SQLite, with every name and text quoted.
//!
//! barrel's own generator for SQLite panics on what SQLite has learnt since, and quotes no text default.

use std::fmt::Write;

use barrel::backend::SqlGenerator;
use barrel::types::{BaseType, Type, WrappedDefault};
use bridge_migrate_sqlite::{identifier, literal};

/// Generates SQL for SQLite 3.37 and later; what it writes into a schema, those versions can read.
#[derive(Debug, Clone, Copy)]
pub struct Sqlite;

impl SqlGenerator for Sqlite {
    fn create_table(name: &str, schema: Option<&str>) -> String {
        format!("CREATE TABLE {}", qualified(schema, name))
    }

    fn create_table_if_not_exists(name: &str, schema: Option<&str>) -> String {
        format!("CREATE TABLE IF NOT EXISTS {}", qualified(schema, name))
    }

    fn drop_table(name: &str, schema: Option<&str>) -> String {
        format!("DROP TABLE {}", qualified(schema, name))
    }

    fn drop_table_if_exists(name: &str, schema: Option<&str>) -> String {
        format!("DROP TABLE IF EXISTS {}", qualified(schema, name))
    }

    fn rename_table(old: &str, new: &str, schema: Option<&str>) -> String {
        format!(
            "ALTER TABLE {} RENAME TO {}",
            qualified(schema, old),
            identifier(new)
        )
    }

    fn alter_table(name: &str, schema: Option<&str>) -> String {
        format!("ALTER TABLE {}", qualified(schema, name))
    }

    fn add_column(ex: bool, _: Option<&str>, name: &str, column: &Type) -> String {
        let mut sql = String::new();
        if ex {
            sql.push_str("ADD COLUMN ");
        }
        sql.push_str(&identifier(name));
        sql.push(' ');
        sql.push_str(type_name(&column.inner));
        if column.primary {
            sql.push_str(" PRIMARY KEY");
        }
        if !column.nullable {
            sql.push_str(" NOT NULL");
        }
        if column.unique {
            sql.push_str(" UNIQUE");
        }
        if let Some(default) = &column.default {
            sql.push_str(" DEFAULT ");
            sql.push_str(&default_value(default));
        }
        sql
    }

    fn drop_column(name: &str) -> String {
        format!("DROP COLUMN {}", identifier(name))
    }

    fn rename_column(old: &str, new: &str) -> String {
        format!("RENAME COLUMN {} TO {}", identifier(old), identifier(new))
    }

    fn create_index(table: &str, schema: Option<&str>, name: &str, columns: &Type) -> String {
        format!(
            "CREATE {}INDEX {} ON {} ({})",
            if columns.unique { "UNIQUE " } else { "" },
            qualified(schema, name),
            identifier(table),
            identifiers(column_names(columns))
        )
    }

    fn create_constraint(name: &str, columns: &Type) -> String {
        // UNIQUE is the only constraint that barrel knows.
        format!(
            "CONSTRAINT {} UNIQUE ({})",
            identifier(name),
            identifiers(column_names(columns))
        )
    }

    fn drop_index(name: &str) -> String {
        format!("DROP INDEX {}", identifier(name))
    }

    fn add_foreign_key(columns: &[String], table: &str, related: &[String], _: Option<&str>) -> String {
        format!(
            "FOREIGN KEY ({}) REFERENCES {} ({})",
            identifiers(columns),
            identifier(table),
            identifiers(related)
        )
    }

    fn add_primary_key(columns: &[String]) -> String {
        format!("PRIMARY KEY ({})", identifiers(columns))
    }
}

/// Why SQLite cannot have this column as it is declared.
pub(super) fn unsupported(column: &Type) -> Option<&'static str> {
    match &column.inner {
        BaseType::Text | BaseType::Integer | BaseType::Float | BaseType::Double | BaseType::Binary => {}
        BaseType::Foreign(..) => return Some("a foreign key is declared on the table: foreign_key(…)"),
        BaseType::Index(_) => return Some("an index is no column: create_index(…)"),
        BaseType::Boolean | BaseType::Serial | BaseType::Primary => {
            return Some("SQLite has no such type: use integer()");
        }
        _ => return Some("SQLite has no such type: use text()"),
    }
    match &column.default {
        Some(WrappedDefault::Foreign(_) | WrappedDefault::Array(_)) => {
            return Some("its default is no value");
        }
        Some(WrappedDefault::Double(number)) if !number.is_finite() => {
            return Some("its default is no finite number");
        }
        Some(WrappedDefault::Float(number)) if !number.is_finite() => {
            return Some("its default is no finite number");
        }
        Some(WrappedDefault::Date(_)) => return Some("a date is text: give the default as text"),
        _ => {}
    }
    if column.indexed {
        return Some("an index has a name: create_index(…)");
    }
    if column.increments || column.size.is_some() {
        return Some("SQLite knows neither sizes nor counters that are no primary key");
    }
    None
}

fn qualified(schema: Option<&str>, name: &str) -> String {
    match schema {
        Some(schema) => format!("{}.{}", identifier(schema), identifier(name)),
        None => identifier(name),
    }
}

pub(super) fn identifiers(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| identifier(name)).collect();
    names.join(", ")
}

fn column_names(columns: &Type) -> &[String] {
    match &columns.inner {
        BaseType::Index(names) | BaseType::Constraint(_, names) => names,
        _ => &[],
    }
}

/// One of SQLite's own storage classes, whatever barrel calls the type.
fn type_name(base: &BaseType) -> &str {
    match base {
        BaseType::Integer | BaseType::Boolean | BaseType::Serial | BaseType::Primary => "INTEGER",
        BaseType::Float | BaseType::Double => "REAL",
        BaseType::Binary => "BLOB",
        BaseType::Custom(sql) => sql,
        _ => "TEXT",
    }
}

fn default_value(default: &WrappedDefault<'_>) -> String {
    match default {
        WrappedDefault::AnyText(text) => literal(text),
        WrappedDefault::UUID(text) => literal(text),
        WrappedDefault::Custom(text) => literal(text),
        WrappedDefault::Integer(number) => number.to_string(),
        // `{:?}` keeps the point of 1.0, which `{}` drops.
        WrappedDefault::Float(number) if number.is_finite() => format!("{number:?}"),
        WrappedDefault::Double(number) if number.is_finite() => format!("{number:?}"),
        WrappedDefault::Boolean(value) => u8::from(*value).to_string(),
        WrappedDefault::Binary(bytes) => blob(bytes),
        WrappedDefault::Function(_) => "CURRENT_TIMESTAMP".to_owned(),
        _ => "NULL".to_owned(),
    }
}

fn blob(bytes: &[u8]) -> String {
    let mut sql = String::from("X'");
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(sql, "{byte:02X}");
    }
    sql.push('\'');
    sql
}

#[cfg(test)]
mod tests {
    use barrel::types::{self, boolean, double, integer, text};
    use proptest::prelude::*;

    use super::*;

    fn column(name: &str, column: &Type) -> String {
        Sqlite::add_column(false, None, name, column)
    }

    #[test]
    fn a_column_is_written_in_the_order_that_the_server_uses() {
        assert_eq!(
            column("room_id", &text().primary(true).nullable(true)),
            r#""room_id" TEXT PRIMARY KEY"#
        );
        assert_eq!(column("topic", &text()), r#""topic" TEXT NOT NULL"#);
        assert_eq!(
            column("active", &integer().nullable(true).default(1_i64)),
            r#""active" INTEGER DEFAULT 1"#
        );
        assert_eq!(
            column("vote_weight", &double().nullable(true).default(1.0)),
            r#""vote_weight" REAL DEFAULT 1.0"#
        );
    }

    #[test]
    fn quotes_in_names_and_defaults_are_escaped() {
        assert_eq!(
            column("a\"b", &text().default("it's")),
            r#""a""b" TEXT NOT NULL DEFAULT 'it''s'"#
        );
        assert_eq!(Sqlite::drop_index("a\"b"), r#"DROP INDEX "a""b""#);
    }

    #[test]
    fn types_that_sqlite_lacks_are_refused_and_never_panic() {
        for column_type in [
            types::uuid(),
            types::json(),
            types::serial(),
            types::primary(),
            types::date(),
            types::array(&text()),
            types::index(["a"]),
            types::unique_constraint(["a"]),
            types::foreign(
                "t",
                "id",
                types::ReferentialAction::Unset,
                types::ReferentialAction::Unset,
            ),
            boolean(),
            text().indexed(true),
            text().size(3),
            double().default(f64::NAN),
        ] {
            assert!(unsupported(&column_type).is_some(), "{column_type:?}");
            assert!(column("c", &column_type).starts_with("\"c\" "));
        }
        assert_eq!(unsupported(&text().default("x").unique(true)), None);
    }

    proptest! {
        #[test]
        fn a_default_comes_back_as_it_was_given(value in "[^\0]{0,40}") {
            let leaked: &'static str = Box::leak(value.clone().into_boxed_str());
            let connection = rusqlite::Connection::open_in_memory().unwrap();
            let sql = format!(
                "CREATE TABLE t ({}, {})",
                column("id", &integer()),
                column(&value, &text().default(leaked))
            );
            prop_assume!(!value.eq_ignore_ascii_case("id"));
            connection.execute_batch(&sql).unwrap();
            connection.execute("INSERT INTO t (id) VALUES (1)", []).unwrap();
            let stored: String = connection.query_row("SELECT * FROM t", [], |row| row.get(1)).unwrap();
            prop_assert_eq!(stored, value);
        }
    }
}
