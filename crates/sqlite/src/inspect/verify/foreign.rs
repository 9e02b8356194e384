//! Rows without their parent, counted by foreign key: the server never had foreign keys on, so that old
//! databases have some.

use rusqlite::Connection;

use crate::schema::{ObjectKind, expected};
use crate::sqlite::{foreign_keys, sqlite_error::SqliteContext};
use bridge_migrate_core::Result;

use super::{Context, codes, report::Report};

pub(super) fn check(context: &Context<'_>, report: &mut Report) -> Result<()> {
    let schema = expected::read(context.connection)?;
    for table in schema.of_kind(ObjectKind::Table) {
        // One table at a time: a table that cannot be read must not hide the others.
        let outcome = foreign_keys::of_child(context.connection, &table.name).and_then(|violations| {
            for ((child, parent, constraint), rows) in violations {
                if constraint < 0 {
                    report.add(
                        &codes::FOREIGN_KEY_MISMATCH,
                        child,
                        "a foreign key of it names parent columns that are not unique",
                    );
                    continue;
                }
                let columns = columns(context.connection, &child, constraint)?;
                let plural = if rows == 1 { "row has" } else { "rows have" };
                report.add(
                    &codes::ORPHANS,
                    format!("{child}.{columns}"),
                    format!("{rows} {plural} no parent in {parent}"),
                );
            }
            Ok(())
        });
        report.absorb(&table.name, outcome)?;
    }
    Ok(())
}

fn columns(connection: &Connection, child: &str, constraint: i64) -> Result<String> {
    let doing = "read the foreign keys";
    let mut columns: Vec<String> = Vec::new();
    connection
        .pragma(Some("main"), "foreign_key_list", child, |row| {
            if row.get::<_, i64>("id")? == constraint {
                columns.push(row.get("from")?);
            }
            Ok(())
        })
        .while_doing(doing)?;
    Ok(columns.join(", "))
}
