//! What is compared before and after a step, inside its transaction.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::catalog::Migration;
use crate::effects::Effects;
use crate::error::{Error, ErrorKind, Hint, Result};
use crate::foreign_keys::{self, Violations};
use crate::ledger::{self, Counts};
use crate::plan::Plan;
use crate::schema::Snapshot;
use crate::schema::{Difference, diff, render_diff};
use crate::{expected, tool_tables};

/// The schema, the row counts and the violations before a step.
pub(super) struct Before {
    schema: Snapshot,
    counted: BTreeSet<String>,
    counts: Counts,
    linked: BTreeSet<String>,
    violations: Violations,
}

impl Before {
    /// Counts what the step's statements can reach.
    pub(super) fn read(connection: &Connection, effects: &Effects) -> Result<Self> {
        let schema = expected::read(connection)?;
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
    pub(super) fn check(
        &self,
        connection: &Connection,
        plan: &Plan,
        migration: &Migration,
    ) -> Result<Snapshot> {
        let after = expected::read(connection)?;
        let at = |version: u32| {
            usize::try_from(version)
                .ok()
                .and_then(|index| plan.expected.get(index))
        };
        let (Some(expected_before), Some(expected_after)) =
            (at(migration.version - 1), at(migration.version))
        else {
            return Err(Error::new(
                ErrorKind::CatalogInvalid,
                format!("{} is not in the plan", migration.stem()),
            ));
        };
        // What differed before the step, such as objects of the operators' own, may differ after it.
        let old: Vec<Difference> = diff(expected_before, &self.schema);
        let new: Vec<Difference> = diff(expected_after, &after)
            .into_iter()
            .filter(|difference| !old.contains(difference))
            .collect();
        if !new.is_empty() {
            return Err(Error::new(
                ErrorKind::SchemaMismatch,
                format!(
                    "{} did not lead to the schema it should; expected (-) and actual (+):\n{}",
                    migration.stem(),
                    render_diff(&new).trim_end()
                ),
            )
            .with_truth("The step was rolled back.")
            .with_hint(Hint::tool(["schema", "diff"])));
        }
        let counts = ledger::count(connection, &after, &self.counted)?;
        ledger::compare(migration, expected_before, &self.counts, &counts)?;
        let violations = foreign_keys::count(connection, &self.linked)?;
        foreign_keys::compare(&migration.stem(), &self.violations, &violations)?;
        Ok(after)
    }
}
