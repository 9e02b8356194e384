//! Adoption: an unversioned database is recognised by its schema and taken into management.

use std::path::Path;

use naming::Release;
use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::records::state::State;
use crate::schema::{Difference, Object, ObjectKind, Snapshot, diff, refusal::refusal, render_diff};
use bridge_migrate_core::{Catalog, Error, ErrorKind, Hint, Position, Result};

/// What a caller allows and claims.
#[derive(Debug, Clone, Copy, Default)]
pub struct AdoptionOptions {
    /// The release that the database is said to have; another match is refused.
    pub release: Option<Release>,
    /// Whether columns that the catalog does not know are accepted.
    pub accept_additions: bool,
}

/// How an unversioned database is taken into management.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adoption {
    /// The version whose schema it has.
    pub version: u32,
    /// The release that is complete at it.
    pub release: Option<Release>,
    /// Objects of the operators' own. They stay and are no drift.
    pub kept: Vec<Object>,
    /// Columns of the operators' own, as `table.column` with their definitions. They stay and are no drift.
    pub additional_columns: Vec<(String, String)>,
    /// Objects that are missing and that the server would create at its next start.
    pub created: Vec<Object>,
}

impl Serialize for Adoption {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Adoption", 4)?;
        let Position { version, release } = self.position();
        object.serialize_field("version", &version)?;
        object.serialize_field("release", &release.map(|release| release.to_string()))?;
        object.serialize_field("kept", &self.kept())?;
        object.serialize_field("created", &self.created())?;
        object.end()
    }
}

fn named(objects: &[Object]) -> impl Iterator<Item = String> {
    let name = |object: &Object| format!("{} {}", object.kind, object.name);
    objects.iter().map(name)
}

/// One version that the database may be at, and what speaks against it.
struct Candidate {
    version: u32,
    adoption: Adoption,
    objections: Vec<Difference>,
}

impl Adoption {
    /// Where the database stands once it is adopted.
    pub fn position(&self) -> Position {
        Position {
            version: self.version,
            release: self.release,
        }
    }

    /// What stays of the operators' own: `table notes`, `column rooms.colour`.
    pub fn kept(&self) -> Vec<String> {
        let columns = self.additional_columns.iter();
        let columns = columns.map(|(column, _)| format!("column {column}"));
        named(&self.kept).chain(columns).collect()
    }

    /// What is missing and is made: `table channels`.
    pub fn created(&self) -> Vec<String> {
        named(&self.created).collect()
    }

    /// Matches a database against the schema of every version of the catalog.
    ///
    /// Of several versions with the same schema, those that differ by a data step, the lowest is taken unless
    /// `schema_version` or the caller says more: a data step that runs twice changes nothing the second
    /// time, and one that is wrongly believed done never runs.
    ///
    /// # Errors
    /// [`ErrorKind::SchemaMismatch`] with a readable diff when no version matches or claims contradict the
    /// schema; [`ErrorKind::ForeignDatabase`] when the database is of another application.
    pub fn find(
        catalog: &Catalog,
        expected: &[Snapshot],
        state: &State,
        options: AdoptionOptions,
        database: &Path,
    ) -> Result<Self> {
        let claimed = claimed_release(catalog, state, options)?;
        let known_tables: Vec<&Object> = expected
            .iter()
            .flat_map(|schema| schema.of_kind(ObjectKind::Table))
            .collect();
        if !state
            .schema
            .of_kind(ObjectKind::Table)
            .any(|table| known_tables.iter().any(|known| known.is_named(&table.name)))
        {
            return Err(foreign(catalog, &state.schema));
        }
        let mut candidates: Vec<Candidate> = (1..=catalog.last_version())
            .rev()
            .filter_map(|version| Some((version, expected.get(usize::try_from(version).ok()?)?)))
            .map(|(version, schema)| judge(catalog, version, schema, &state.schema, options.accept_additions))
            .collect();
        let best = candidates
            .iter()
            .filter(|candidate| candidate.objections.is_empty())
            .map(|c| c.version)
            .max();
        let Some(best) = best else {
            candidates.sort_by_key(|candidate| candidate.objections.len());
            return Err(mismatch(catalog, candidates.first(), options, database));
        };
        // Versions with the schema of the best one, from the lowest.
        let same: Vec<Candidate> = candidates
            .into_iter()
            .rev()
            .filter(|candidate| {
                candidate.objections.is_empty() && same_schema(expected, candidate.version, best)
            })
            .collect();
        let chosen = same.into_iter().find(|candidate| {
            let release = catalog.release_at(candidate.version);
            match (options.release, claimed) {
                (Some(asked), _) => release == Some(asked),
                // Rows of hand-made migrations may lag behind the schema, but never be ahead of it.
                (None, Some(claim)) => release >= Some(claim),
                (None, None) => true,
            }
        });
        match chosen {
            Some(candidate) => Ok(candidate.adoption),
            None => Err(contradiction(catalog, best, claimed, options)),
        }
    }
}

fn same_schema(expected: &[Snapshot], left: u32, right: u32) -> bool {
    let get = |version: u32| {
        usize::try_from(version)
            .ok()
            .and_then(|index| expected.get(index))
    };
    match (get(left), get(right)) {
        (Some(left), Some(right)) => diff(left, right).is_empty(),
        _ => false,
    }
}

fn claimed_release(catalog: &Catalog, state: &State, options: AdoptionOptions) -> Result<Option<Release>> {
    if let Some(release) = options.release {
        return Ok(Some(release));
    }
    let Some(text) = &state.schema_version else {
        return Ok(None);
    };
    match Release::parse(text) {
        Ok(release) if catalog.releases().last().is_some_and(|last| release > *last) => {
            Err(Error::unchanged(
                ErrorKind::Newer,
                format!("schema_version says release {release}, which this program does not know"),
            )
            .with_hint(Hint::ProgramVersion))
        }
        Ok(release) => Ok(Some(release)),
        Err(_) => Err(Error::unchanged(
            ErrorKind::SchemaMismatch,
            "schema_version was filled in by hand with a version that is not of the form 1.0.0",
        )
        .with_hint(Hint::SchemaShow)),
    }
}

fn judge(
    catalog: &Catalog,
    version: u32,
    schema: &Snapshot,
    live: &Snapshot,
    accept_additions: bool,
) -> Candidate {
    let mut adoption = Adoption {
        version,
        release: Position::of(catalog, version).release,
        kept: Vec::new(),
        additional_columns: Vec::new(),
        created: Vec::new(),
    };
    let mut objections = Vec::new();
    let is_server_created = |table: &str| {
        catalog
            .server_created_tables()
            .iter()
            .any(|known| known.eq_ignore_ascii_case(table))
    };
    for difference in diff(schema, live) {
        match &difference {
            Difference::ObjectMissing {
                object, name, table, ..
            } if is_server_created(table) => {
                // An index or trigger of a table that is there is no part of a missing table.
                match schema.get(*object, name) {
                    Some(object) if live.get(ObjectKind::Table, table).is_none() => {
                        adoption.created.push(object.clone());
                    }
                    _ => objections.push(difference),
                }
            }
            Difference::ObjectUnexpected { object, name, .. } => {
                adoption.kept.extend(live.get(*object, name).cloned());
            }
            Difference::ColumnExtra {
                table,
                column,
                actual,
            } if accept_additions => {
                adoption
                    .additional_columns
                    .push((format!("{table}.{column}"), actual.clone()));
            }
            _ => objections.push(difference),
        }
    }
    Candidate {
        version,
        adoption,
        objections,
    }
}

fn foreign(catalog: &Catalog, live: &Snapshot) -> Error {
    let mut tables: Vec<&str> = live
        .of_kind(ObjectKind::Table)
        .map(|table| table.name.as_str())
        .collect();
    let more = tables.len().saturating_sub(5);
    tables.truncate(5);
    let mut list = tables.join(", ");
    if more > 0 {
        list.push_str(&format!(" and {more} more"));
    }
    Error::new(
        ErrorKind::ForeignDatabase,
        format!(
            "this is not a database of the {}: none of its tables is there",
            catalog.application()
        ),
    )
    .with_truth(format!("It has the tables: {list}. Nothing was changed."))
}

fn mismatch(
    catalog: &Catalog,
    nearest: Option<&Candidate>,
    options: AdoptionOptions,
    database: &Path,
) -> Error {
    let Some(nearest) = nearest else {
        return Error::new(ErrorKind::CatalogInvalid, "this program has no migrations");
    };
    let position = Position::of(catalog, nearest.version);
    let error = Error::unchanged(
        ErrorKind::SchemaMismatch,
        format!(
            "the schema is not that of any version. The nearest is {position}; expected (-) and actual (+):\n{}",
            render_diff(&nearest.objections).trim_end()
        ),
    );
    if !options.accept_additions && nearest.objections.iter().all(Difference::is_additional_column) {
        error.with_hint(Hint::Adopt {
            release: None,
            accept_additions: true,
        })
    } else {
        // Additional columns are accepted once the rest is mended.
        let rest: Vec<Difference> = nearest
            .objections
            .iter()
            .filter(|difference| !difference.is_additional_column())
            .cloned()
            .collect();
        // A column that is missing may be there under another name: nobody but a person can tell.
        let is_renamed = rest.len() < nearest.objections.len()
            && rest
                .iter()
                .any(|difference| matches!(difference, Difference::ColumnMissing { .. }));
        match refusal("", &rest, database).hint() {
            mends @ Hint::Sql { .. } if !is_renamed => error.with_hint(mends.clone()),
            _ => error.with_hint(Hint::SchemaDiff),
        }
    }
}

fn contradiction(catalog: &Catalog, best: u32, claimed: Option<Release>, options: AdoptionOptions) -> Error {
    let claim = claimed.map_or_else(String::new, |release| release.to_string());
    let position = Position::of(catalog, best);
    let message = if options.release.is_some() {
        format!("the schema is that of {position}, not of release {claim}")
    } else {
        format!("schema_version says release {claim}, but the schema is that of {position}")
    };
    Error::unchanged(ErrorKind::SchemaMismatch, message).with_hint(Hint::Adopt {
        release: position.release.filter(|_| options.release.is_none()),
        accept_additions: false,
    })
}
