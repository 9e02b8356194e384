//! refinery as the runner of one migration, on a connection type of our own, inside a transaction of ours.
//!
//! refinery would begin and commit by itself, with DEFERRED transactions and its history row apart from the
//! statements. Here the engine has begun before refinery is called and commits after its own checks, so the
//! statements, the history row and our records are one transaction.

use refinery_core::traits::sync::{Migrate, Query, Transaction};
use rusqlite::Connection;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::records::history::as_refinery;
use crate::sqlite::ask::Ask;
use crate::sqlite::sqlite_error::{SqliteContext, sqlite_error};
use bridge_migrate_core::{Catalog, Error, ErrorKind, Hint, Result, Settings, clock::timestamp};

/// Runs a migration's text.
type RunText<'a> = &'a dyn Fn(&str) -> Result<()>;

/// How refinery takes part.
#[derive(Clone, Copy)]
pub(crate) enum Mode<'a> {
    /// Runs the text of the one pending migration in this way and writes its history row.
    Apply(RunText<'a>),
    /// Writes history rows only: the schema is there already.
    Adopt,
}

/// Lets refinery bring the history to `version`.
pub(crate) fn run(
    connection: &Connection,
    catalog: &Catalog,
    settings: &Settings,
    version: u32,
    mode: Mode<'_>,
) -> Result<()> {
    let migration = catalog.get(version);
    let stem = migration.map_or_else(|| format!("V{version:03}"), |migration| migration.stem());
    let migrations: Vec<_> = catalog
        .migrations()
        .iter()
        .filter(|migration| migration.version <= version)
        .map(as_refinery)
        .collect::<Result<_>>()?;
    let number = i32::try_from(version).map_err(|source| {
        Error::new(ErrorKind::CatalogInvalid, "the number is too large").with_source(source)
    })?;
    let (target, own) = match mode {
        Mode::Apply(run) => (
            refinery::Target::Version(number),
            migration.map(|migration| (migration.recorded_sql(), run)),
        ),
        Mode::Adopt => (refinery::Target::FakeVersion(number), None),
    };
    let before = last_version(connection)?;
    let mut within = WithinTransaction {
        connection,
        stem: &stem,
        own,
        failure: None,
    };
    let outcome = refinery::Runner::new(&migrations)
        .set_grouped(true)
        .set_abort_divergent(true)
        .set_abort_missing(true)
        .set_target(target)
        .run(&mut within);
    match (outcome, within.failure) {
        (Ok(_), None) => {}
        (_, Some(failure)) => return Err(failure),
        (Err(source), None) => {
            return Err(
                Error::new(ErrorKind::Divergent, format!("refinery refuses to run {stem}"))
                    .with_hint(Hint::History)
                    .with_source(source),
            );
        }
    }
    // refinery reads the machine's clock; time is an input here.
    connection
        .execute(
            "UPDATE refinery_schema_history SET applied_on = ?1 WHERE version > ?2",
            rusqlite::params![timestamp(settings.clock.now()), before],
        )
        .while_doing("date the history")?;
    Ok(())
}

fn last_version(connection: &Connection) -> Result<u32> {
    if !crate::schema::tool_tables::exists(connection, crate::schema::tool_tables::HISTORY)? {
        return Ok(0);
    }
    connection
        .value(
            "SELECT coalesce(max(version), 0) FROM refinery_schema_history",
            [],
        )
        .while_doing("read the history")
}

struct WithinTransaction<'a> {
    connection: &'a Connection,
    stem: &'a str,
    /// The migration's own text, and how it is run.
    own: Option<(String, RunText<'a>)>,
    failure: Option<Error>,
}

/// Tells refinery to stop; the cause is kept beside it, with its result code.
#[derive(Debug)]
struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SQLite refused a statement")
    }
}

impl std::error::Error for Stopped {}

impl WithinTransaction<'_> {
    fn stop(&mut self, failure: Error) -> Stopped {
        self.failure = Some(failure);
        Stopped
    }

    fn refused(&self, source: rusqlite::Error) -> Error {
        sqlite_error(format_args!("run the statements of {}", self.stem), source)
    }
}

impl Transaction for WithinTransaction<'_> {
    type Error = Stopped;

    fn execute<'a, T: Iterator<Item = &'a str>>(
        &mut self,
        queries: T,
    ) -> std::result::Result<usize, Stopped> {
        let mut count = 0;
        for query in queries {
            let outcome = match &self.own {
                Some((text, run)) if text == query => run(query),
                _ => self
                    .connection
                    .execute_batch(query)
                    .map_err(|source| self.refused(source)),
            };
            outcome.map_err(|failure| self.stop(failure))?;
            count += 1;
        }
        Ok(count)
    }
}

impl Query<Vec<refinery::Migration>> for WithinTransaction<'_> {
    fn query(&mut self, query: &str) -> std::result::Result<Vec<refinery::Migration>, Stopped> {
        // The rows were validated by `History::read` under the same lock; refinery's own parsing panics.
        let read = || {
            let mut select = self.connection.prepare(query)?;
            let rows = select.query_map([], |row| {
                let applied_on: String = row.get(2)?;
                let checksum: String = row.get(3)?;
                let applied_on = OffsetDateTime::parse(&applied_on, &Rfc3339)
                    .map_err(|_| rusqlite::Error::InvalidColumnName("applied_on".to_owned()))?;
                let checksum = checksum
                    .parse()
                    .map_err(|_| rusqlite::Error::InvalidColumnName("checksum".to_owned()))?;
                Ok(refinery::Migration::applied(
                    row.get(0)?,
                    row.get(1)?,
                    applied_on,
                    checksum,
                ))
            })?;
            rows.collect()
        };
        let rows: rusqlite::Result<_> = read();
        rows.map_err(|source| self.stop(self.refused(source)))
    }
}

impl Migrate for WithinTransaction<'_> {}
