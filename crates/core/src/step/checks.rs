//! What is compared before and after a step, inside its transaction.

use std::collections::BTreeSet;
use std::rc::Rc;

use rusqlite::Connection;

use crate::catalog::RowChange;
use crate::effects::Effects;
use crate::error::{Error, ErrorKind, Hint, Result};
use crate::foreign_keys::{self, Violations};
use crate::ledger::{self, Counts};
use crate::schema::Snapshot;
use crate::schema::{Difference, diff, render_diff};
use crate::schema_reader::SchemaReader;
use crate::tool_tables;

/// A change of the schema or of rows, and what it declares.
pub(crate) struct Change<'a> {
    /// The migration's number and name.
    pub(crate) stem: &'a str,
    /// The schema before, found by running the statements on an empty copy.
    pub(crate) schema_before: &'a Snapshot,
    /// The schema after, found likewise.
    pub(crate) schema_after: &'a Snapshot,
    /// The tables of the application, as opposed to the operators' own.
    pub(crate) managed: &'a Snapshot,
    /// The row counts that may differ.
    pub(crate) row_changes: &'a [RowChange],
}

/// The schema, the row counts and the violations before a step.
pub(crate) struct Before {
    schema: Rc<Snapshot>,
    counted: BTreeSet<String>,
    counts: Counts,
    linked: BTreeSet<String>,
    violations: Violations,
}

impl Before {
    /// Counts what the step's statements can reach.
    pub(crate) fn read(
        connection: &Connection,
        schemas: &SchemaReader<'_>,
        effects: &Effects,
    ) -> Result<Self> {
        let schema = schemas.read()?;
        let counted: BTreeSet<String> = effects
            .recounted()
            .union(&effects.dropped)
            .filter(|table| !tool_tables::is_tool_table(table))
            .cloned()
            .collect();
        let linked: BTreeSet<String> = counted.union(&effects.created).cloned().collect();
        Ok(Self {
            counts: ledger::count(connection, &schema, &counted)?,
            violations: foreign_keys::count(connection, &linked)?,
            schema,
            counted,
            linked,
        })
    }

    /// Compares with what is there now, and returns the schema that is there now.
    pub(crate) fn check(
        &self,
        connection: &Connection,
        schemas: &SchemaReader<'_>,
        change: &Change<'_>,
    ) -> Result<Rc<Snapshot>> {
        let after = schemas.read()?;
        // What differed before the step, such as an object that only the server's SQLite can make, may differ
        // after it.
        let old: Vec<Difference> = diff(change.schema_before, &self.schema);
        let new: Vec<Difference> = diff(change.schema_after, &after)
            .into_iter()
            .filter(|difference| !old.contains(difference))
            .collect();
        if !new.is_empty() {
            return Err(Error::new(
                ErrorKind::SchemaMismatch,
                format!(
                    "{} did not lead to the schema it should; expected (-) and actual (+):\n{}",
                    change.stem,
                    render_diff(&new).trim_end()
                ),
            )
            .with_truth("The step was rolled back.")
            .with_hint(Hint::tool(["schema", "diff"])));
        }
        let counts = ledger::count(connection, &after, &self.counted)?;
        ledger::compare(change, &self.counts, &counts)?;
        let violations = foreign_keys::count(connection, &self.linked)?;
        foreign_keys::compare(change.stem, &self.violations, &violations)?;
        Ok(after)
    }
}
