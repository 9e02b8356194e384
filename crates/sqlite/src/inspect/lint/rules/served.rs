//! Whether each schema serves the servers that may meet it.

use super::super::{Found, Linted, Place, schema_of, scratch};
use crate::catalog::contracts::{Breach, breaches, served};
use crate::schema::Snapshot;
use bridge_migrate_core::{Result, Severity};

/// What was found so far: a breach is reported on the migration that brings it, and not again.
#[derive(Debug, Default)]
pub(in super::super) struct Served {
    seen: Vec<Breach>,
}

impl Served {
    /// Runs what the servers of each release run on the schema after the migration. `schemas` are those of the
    /// versions up to it.
    pub(in super::super) fn check(
        &mut self,
        linted: &Linted<'_>,
        schemas: &[Snapshot],
    ) -> Result<Vec<Found>> {
        let (catalog, migration) = (linted.catalog, linted.migration);
        let mut found = Vec::new();
        if catalog.contracts().is_empty() {
            return Ok(found);
        }
        if catalog.ends_release(migration.version) && catalog.contract(migration.release).is_none() {
            found.push(Found::error(
                "BM308",
                Place::Whole,
                format!(
                    "it completes release {}, and nothing says what servers of that release run",
                    migration.release
                ),
                format!(
                    "write contracts/{}.sql; if they run nothing new, it holds its first directive only",
                    migration.release
                ),
            ));
        }
        for release in served(catalog, migration.version) {
            if catalog.contract(release).is_none() {
                continue;
            }
            let known = schema_of(catalog, release, schemas);
            let connection = scratch(&linted.after)?;
            for breach in breaches(catalog, release, known, &connection)? {
                if self.seen.contains(&breach) {
                    continue;
                }
                found.push(Found {
                    code: breach.code,
                    severity: Severity::Error,
                    place: Place::Whole,
                    message: format!("servers of {release} ({}): {}", breach.statement, breach.message),
                    fix: breach.fix(),
                });
                self.seen.push(breach);
            }
        }
        Ok(found)
    }
}
