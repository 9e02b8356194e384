//! Rows without their parent, counted by foreign key: the server never had foreign keys on, so that old
//! databases have some.

use crate::schema::{ObjectKind, expected};
use crate::sqlite::foreign_keys;
use bridge_migrate_core::Result;

use super::{Context, codes, report::Report};

pub(super) fn check(context: &Context<'_>, report: &mut Report) -> Result<()> {
    let schema = expected::read(context.connection)?;
    for table in schema.of_kind(ObjectKind::Table) {
        // One table at a time: a table that cannot be read must not hide the others.
        let outcome = foreign_keys::of_child(context.connection, &table.name).map(|violations| {
            for ((child, parent, columns), rows) in violations {
                if columns.is_empty() {
                    report.add(
                        &codes::FOREIGN_KEY_MISMATCH,
                        child,
                        "a foreign key of it names parent columns that are not unique",
                    );
                    continue;
                }
                let plural = if rows == 1 { "row has" } else { "rows have" };
                report.add(
                    &codes::ORPHANS,
                    format!("{child}.{columns}"),
                    format!("{rows} {plural} no parent in {parent}"),
                );
            }
        });
        report.absorb(&table.name, outcome)?;
    }
    Ok(())
}
