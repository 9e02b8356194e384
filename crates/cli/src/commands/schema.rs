//! `schema show` and `schema diff`: the schema as SQL, and how it differs from another.

use std::{ffi::OsString, path::Path};

use bridge_migrate_core::{Catalog, Error, ErrorKind, Hint, Position, Result, Target};
use bridge_migrate_sqlite::connection::Reader;
use bridge_migrate_sqlite::schema::{Snapshot, diff, mermaid};
use bridge_migrate_sqlite::{SqliteContext, State, connection, schema::expected};

use crate::context::Context;
use crate::output::Failure;
use crate::render::schema::{DiagramReport, DiffReport, SchemaObject, ShownReport};

/// The schema as SQL, and how it differs from another
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Action {
    /// Shows the database's schema as SQL
    Show {
        /// The tool's own tables too
        #[arg(long)]
        all: bool,
    },
    /// Compares the schema with that of a version, a release or another database
    Diff {
        /// A migration, a release or a database file [default: what the history implies, or the nearest version]
        #[arg(allow_hyphen_values = true)]
        against: Option<OsString>,
        /// Ends with 6 when there is a difference
        #[arg(long)]
        exit_code: bool,
    },
    /// Draws the schema as a Mermaid diagram
    Diagram {
        /// The tool's own tables too
        #[arg(long)]
        all: bool,
    },
}

pub(crate) fn run(context: &Context, action: &Action) -> std::result::Result<u8, Failure> {
    match action {
        Action::Show { all } => show(context, *all),
        Action::Diff { against, exit_code } => compare(context, against.as_ref(), *exit_code),
        Action::Diagram { all } => diagram(context, *all),
    }
}

fn show(context: &Context, all: bool) -> std::result::Result<u8, Failure> {
    let schema = context.read(|reader| read(reader, all))?;
    let objects = schema
        .iter()
        .map(|object| SchemaObject {
            kind: object.kind.as_str(),
            name: object.name.clone(),
            table: object.table.clone(),
            sql: object.sql.clone(),
        })
        .collect();
    context.output.report(&ShownReport { objects })
}

fn read(reader: &Reader, all: bool) -> Result<Snapshot> {
    if all {
        Snapshot::read(reader).while_doing("read the schema")
    } else {
        expected::read(reader)
    }
}

fn diagram(context: &Context, all: bool) -> std::result::Result<u8, Failure> {
    let mermaid =
        context.read(|reader| mermaid(reader, &read(reader, all)?).while_doing("read the schema"))?;
    context.output.report(&DiagramReport { mermaid })
}

fn compare(
    context: &Context,
    against: Option<&OsString>,
    wants_code: bool,
) -> std::result::Result<u8, Failure> {
    let catalog = context.catalog()?;
    let state = context.read(|reader| State::read(reader))?;
    let (against, other) = match against {
        Some(named) => other_schema(context, &catalog, &state, named)?,
        None => implied_schema(&catalog, &state)?,
    };
    let report = DiffReport {
        against,
        differences: diff(&other, &state.schema),
    };
    if wants_code && !report.differences.is_empty() {
        let error = Error::new(
            ErrorKind::VerificationFailed,
            format!("the schema is not that of {}", report.against),
        )
        .with_truth("Nothing was changed.")
        .with_hint(Hint::SchemaShow);
        return context.output.findings(&report, error);
    }
    context.output.report(&report)
}

/// A target, or else the file of a database.
fn other_schema(
    context: &Context,
    catalog: &Catalog,
    state: &State,
    named: &OsString,
) -> Result<(String, Snapshot)> {
    let target = named.to_str().map(Target::parse);
    if let Some(Ok(target)) = target {
        return at(catalog, catalog.resolve(target, state.version())?);
    }
    let path = Path::new(named);
    if !path.exists() {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("{} is no migration, no release and no file", path.display()),
        )
        .with_truth("Nothing was changed.")
        .with_hint(Hint::Help(vec!["schema".to_owned(), "diff".to_owned()])));
    }
    let other = connection::with_reader(path, context.settings.busy_timeout, |reader| {
        expected::read(reader)
    })?;
    Ok((path.to_string_lossy().into_owned(), other))
}

/// What the history implies; for a database without one, the version with the fewest differences.
fn implied_schema(catalog: &Catalog, state: &State) -> Result<(String, Snapshot)> {
    if state.history.is_some() {
        return at(catalog, state.version());
    }
    let schemas = expected::schemas(catalog)?;
    let nearest = (1..=catalog.last_version())
        .zip(schemas.into_iter().skip(1))
        .min_by_key(|(_, schema)| diff(schema, &state.schema).len());
    match nearest {
        Some((version, schema)) => Ok((Position::of(catalog, version).to_string(), schema)),
        None => at(catalog, 0),
    }
}

fn at(catalog: &Catalog, version: u32) -> Result<(String, Snapshot)> {
    let schema = expected::schema_at(catalog, version)?;
    Ok((Position::of(catalog, version).to_string(), schema))
}
