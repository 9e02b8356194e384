//! Compares the copy with what it was at an earlier moment of the rehearsal.

use rusqlite::Connection;

use super::check::{Check, CheckName};
use super::dump::{Dump, Extent, dump, extent};
use crate::schema::{Snapshot, diff, expected};
use bridge_migrate_core::Result;

/// Schema and data at one moment.
pub(super) struct Moment {
    pub(super) schema: Snapshot,
    extent: Extent,
    dump: Dump,
}

impl Moment {
    /// Reads everything but the tool's own tables.
    pub(super) fn read(connection: &Connection) -> Result<Self> {
        let schema = expected::read(connection)?;
        let extent = extent(connection, &schema)?;
        let dump = dump(connection, &extent)?;
        Ok(Self { schema, extent, dump })
    }

    /// What adoption would have created belongs to the start, since going back ends at the adopted version.
    pub(super) fn with_created(mut self, created: &[crate::schema::Object]) -> Self {
        self.schema = self.schema.iter().chain(created).cloned().collect();
        self
    }

    /// Whether the schema is that of this moment.
    pub(super) fn check_schema(&self, name: CheckName, connection: &Connection) -> Result<Check> {
        let differences = diff(&self.schema, &expected::read(connection)?);
        let findings = differences
            .iter()
            .map(|difference| {
                name.finding(
                    difference.subject(),
                    difference.to_string(),
                    "make the migration's `down` undo all that its `up` does",
                )
            })
            .collect();
        let evidence = format!("{} objects compared", self.schema.len());
        Ok(Check::of(name, evidence, findings))
    }

    /// Whether the data that was there at this moment is still the same; `explain` says of a table what
    /// differs.
    pub(super) fn check_data(
        &self,
        name: CheckName,
        connection: &Connection,
        explain: impl Fn(&str) -> String,
    ) -> Result<Check> {
        let now = dump(connection, &self.extent)?;
        let mut findings = Vec::new();
        for (table, then) in &self.dump {
            let message = match (then, now.get(table).copied().flatten()) {
                (Some(then), Some(now)) if *then == now => continue,
                (Some(then), Some(now)) if then.rows != now.rows => {
                    format!("{} rows before, {} after", then.rows, now.rows)
                }
                (Some(_), Some(_)) => explain(table),
                (_, None) => "the table or one of its columns is gone".to_owned(),
                (None, Some(_)) => continue,
            };
            findings.push(name.finding(
                table,
                message,
                "make the change journaled, or its way back exact, and rehearse again",
            ));
        }
        let rows: u64 = self.dump.values().flatten().map(|content| content.rows).sum();
        let evidence = format!("{rows} rows in {} tables compared", self.dump.len());
        Ok(Check::of(name, evidence, findings))
    }
}
