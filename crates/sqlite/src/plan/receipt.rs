//! The receipt of a rehearsal: which migrations were tried on which database, and what came of it.
//!
//! It stands beside the backups. It holds no value of user data: counts of rows only by their magnitude.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::backup::file_name;
use crate::files::json_file;
use crate::plan::{Plan, Start, Step};
use crate::records::way_back::WayBack;
use crate::schema::{Fingerprint, ObjectKind, TableDefinition, expected};
use crate::sqlite::{connection::with_reader, count::count_rows};
use bridge_migrate_core::{
    Catalog, Error, ErrorKind, Hint, Result, Settings, Target, clock::for_people, digest::hex,
};

/// The form of receipt that this program writes and reads.
const FORMAT: u32 = 1;
/// A receipt holds a line per table and step; more than this is none.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// A receipt that is older says little about today's data.
const MAX_AGE: TimeDelta = TimeDelta::days(7);
/// Clocks may differ by this much.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(5);
/// Row counts below this are one magnitude: nothing takes long there, and small tables grow by the hour.
const SMALL: u32 = 3;

/// What was tried, on what, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The receipt's form, 1.
    pub format: u32,
    /// Its name: eight hexadecimal digits.
    pub id: String,
    /// When the rehearsal began, in UTC.
    pub created_at: String,
    /// Whether every check held.
    pub ok: bool,
    /// Name and version of the program.
    pub tool: String,
    /// The version of its SQLite.
    pub sqlite: String,
    /// What a timestamp without an offset meant.
    pub time_zone: String,
    /// SHA-256 over all migrations of the program.
    pub catalog: String,
    /// The fingerprint of the database's schema before the migration.
    pub schema: String,
    /// The version that the plan started from.
    pub from: u32,
    /// The version that it went to.
    pub to: u32,
    /// The magnitude of each table's row count: its decimal digits, at least 3 unless there are no rows.
    pub magnitudes: BTreeMap<String, u32>,
    /// The releases whose statements were run on the migrated copy.
    pub served: Vec<String>,
    /// What each step cost.
    pub steps: Vec<StepReceipt>,
    /// What was wrong or to be looked at: the code and the sentence of each finding.
    pub findings: Vec<String>,
}

/// What a step cost on the copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measures {
    /// From the first begin to the last commit, in milliseconds.
    pub duration_ms: u64,
    /// Rows that it changed.
    pub rows_changed: u64,
    /// Rows that it left as they were because they could not be converted.
    pub rows_skipped: u64,
    /// The longest time that one of its transactions held the write lock, in milliseconds.
    pub max_lock_ms: u64,
    /// The largest that `-wal` and `-journal` were together, in bytes, as far as that was seen.
    pub peak_journal_bytes: u64,
    /// The largest that the database file was, in bytes.
    pub peak_database_bytes: u64,
    /// The most memory that the process had held by the end of the step, in bytes; known on Linux only.
    pub peak_memory_bytes: Option<u64>,
}

/// What one step cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReceipt {
    /// The migration's number.
    pub version: u32,
    /// Applied.
    pub up: Option<Measures>,
    /// Taken back.
    pub back: Option<Measures>,
    /// Applied again.
    pub again: Option<Measures>,
}

/// What a receipt says of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DatabaseOutline {
    pub(crate) schema: String,
    pub(crate) magnitudes: BTreeMap<String, u32>,
}

impl DatabaseOutline {
    pub(crate) fn read(connection: &Connection) -> Result<Self> {
        let schema = expected::read(connection)?;
        let mut magnitudes = BTreeMap::new();
        for table in schema.of_kind(ObjectKind::Table) {
            if TableDefinition::parse(&table.sql).is_some() {
                magnitudes.insert(
                    table.name.clone(),
                    magnitude(count_rows(connection, &table.name)?),
                );
            }
        }
        Ok(Self {
            schema: Fingerprint::of(&schema).to_string(),
            magnitudes,
        })
    }
}

fn magnitude(rows: u64) -> u32 {
    match rows.checked_ilog10() {
        None => 0,
        Some(power) => (power + 1).max(SMALL),
    }
}

/// SHA-256 over everything that decides what the catalog's migrations do and how they go back.
pub(crate) fn catalog_digest(catalog: &Catalog) -> String {
    let mut hasher = Sha256::new();
    let mut put = |text: &str| {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    };
    put(catalog.application());
    for migration in catalog.migrations() {
        put(&migration.stem());
        put(&migration.release.to_string());
        put(migration.phase.as_str());
        put(&migration.recorded_sql());
        put(&migration.down);
        put(&WayBack::of(migration).to_string());
        put(&migration
            .import
            .as_ref()
            .map_or_else(String::new, |import| import.describe()));
        for change in &migration.row_changes {
            put(&format!("{} {:?}", change.table, change.kind));
        }
    }
    hex(&hasher.finalize())
}

/// `collab.db.receipt.json` beside the backups.
///
/// # Errors
/// When the database's path names no file.
pub fn path(settings: &Settings) -> Result<PathBuf> {
    let mut name = file_name(&settings.database)?.to_owned();
    name.push(".receipt.json");
    Ok(settings.backup_dir.join(name))
}

impl Receipt {
    /// The form that this program writes.
    pub(crate) const FORMAT: u32 = FORMAT;

    /// Puts the receipt in the place of the one before.
    pub(crate) fn write(&self, settings: &Settings) -> Result<PathBuf> {
        let path = path(settings)?;
        json_file::write(&settings.backup_dir, self, read)?.publish_over(&path)?;
        Ok(path)
    }
}

/// The receipt of the last rehearsal of the database that `settings` name; `None` when there is none.
///
/// # Errors
/// [`ErrorKind::ReceiptInvalid`] when it is malformed or of a later form.
pub fn last(settings: &Settings) -> Result<Option<Receipt>> {
    read(&path(settings)?)
}

fn read(path: &Path) -> Result<Option<Receipt>> {
    json_file::read(path, MAX_BYTES, FORMAT, |why| {
        invalid(format!("the receipt {} {why}", path.display()), Target::Latest)
    })
}

/// Refuses unless exactly this plan was rehearsed with success on exactly this database, by this program, within
/// the last seven days. A database that is about to be created has nothing to rehearse.
///
/// # Errors
/// [`ErrorKind::ReceiptInvalid`], saying everything that does not match.
pub fn require(catalog: &Catalog, settings: &Settings, plan: &Plan) -> Result<()> {
    matching(catalog, settings, plan).map(drop)
}

/// The receipt that allows the plan; `None` when there is nothing to rehearse on.
pub(crate) fn matching(catalog: &Catalog, settings: &Settings, plan: &Plan) -> Result<Option<Receipt>> {
    if plan.start == Start::Fresh {
        return Ok(None);
    }
    let target = Target::Version(plan.to.version);
    let Some(receipt) = last(settings).map_err(|error| error.with_hint(Hint::Rehearse(Some(target))))? else {
        return Err(invalid(
            format!("there is no receipt at {}", path(settings)?.display()),
            target,
        ));
    };
    let outline = with_reader(&settings.database, settings.busy_timeout, |reader| {
        DatabaseOutline::read(reader)
    })?;
    let mismatches = receipt.mismatches(catalog, settings, plan, &outline);
    if mismatches.is_empty() {
        return Ok(Some(receipt));
    }
    Err(invalid(
        format!(
            "the receipt {} does not allow this migration: {}",
            receipt.id,
            mismatches.join("; ")
        ),
        target,
    ))
}

fn invalid(message: String, target: Target) -> Error {
    Error::unchanged(ErrorKind::ReceiptInvalid, message).with_hint(Hint::Rehearse(Some(target)))
}

impl Receipt {
    /// Everything that speaks against migrating with this receipt.
    fn mismatches(
        &self,
        catalog: &Catalog,
        settings: &Settings,
        plan: &Plan,
        outline: &DatabaseOutline,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        if !self.ok {
            wrong.push(match self.findings.first() {
                Some(finding) => format!("the rehearsal failed ({finding})"),
                None => "the rehearsal failed".to_owned(),
            });
        }
        wrong.extend(age_problem(&self.created_at, settings.clock.now()));
        if self.catalog != catalog_digest(catalog) {
            wrong.push("other migrations were rehearsed than this program has".to_owned());
        }
        let sqlite = rusqlite::version();
        if self.tool != settings.tool || self.sqlite != sqlite {
            wrong.push(format!(
                "{} with SQLite {} rehearsed, this is {} with SQLite {sqlite}",
                self.tool, self.sqlite, settings.tool
            ));
        }
        let time_zone = settings.time_zone.to_string();
        let reads_times = |step: &Step| {
            let migration = catalog.get(step.version);
            migration.is_some_and(|migration| migration.reads_times() || migration.import.is_some())
        };
        if self.time_zone != time_zone && plan.steps.iter().any(reads_times) {
            wrong.push(format!(
                "the time zone was {} and is {time_zone} now",
                self.time_zone
            ));
        }
        if self.from != plan.from.version {
            wrong.push(format!(
                "it started from V{:03}, and the database is at V{:03}",
                self.from, plan.from.version
            ));
        }
        if self.to != plan.to.version {
            wrong.push(format!(
                "it went to V{:03}, and V{:03} is wanted",
                self.to, plan.to.version
            ));
        }
        if self.schema != outline.schema {
            wrong.push("the database has another schema than the one that was rehearsed on".to_owned());
        } else {
            let differ = |(table, digits): (&String, &u32)| {
                let then = self.magnitudes.get(table).copied().unwrap_or(0);
                (then != *digits).then(|| {
                    format!(
                        "{table} had {} then and has {} now",
                        rows_of(then),
                        rows_of(*digits)
                    )
                })
            };
            wrong.extend(outline.magnitudes.iter().filter_map(differ));
        }
        wrong
    }
}

fn age_problem(created_at: &str, now: DateTime<Utc>) -> Option<String> {
    let Ok(created) = DateTime::parse_from_rfc3339(created_at) else {
        return Some("it does not say when it was made".to_owned());
    };
    let age = now.signed_duration_since(created);
    if age > MAX_AGE {
        return Some(format!(
            "it is from {} and counts for {} days",
            for_people(created_at),
            MAX_AGE.num_days()
        ));
    }
    (age < -CLOCK_TOLERANCE).then(|| "it was made in the future: a clock is wrong".to_owned())
}

/// A magnitude in words.
fn rows_of(digits: u32) -> String {
    match digits {
        0 => "no rows".to_owned(),
        1..=SMALL => format!("fewer than {} rows", 10_u64.pow(SMALL)),
        digits => format!("{digits} digits of rows"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn magnitudes_tell_no_rows_few_rows_and_tenfold_rows_apart() {
        assert_eq!(
            [0, 1, 999, 1_000, 9_999, 10_000, u64::MAX].map(magnitude),
            [0, 3, 3, 4, 4, 5, 20]
        );
    }

    #[test]
    fn a_receipt_counts_for_seven_days_and_not_from_the_future() {
        let made = DateTime::parse_from_rfc3339("2026-02-22T15:30:45Z")
            .unwrap()
            .to_utc();
        let at = |delta| age_problem("2026-02-22T15:30:45.000000Z", made + delta);
        assert_eq!(at(TimeDelta::zero()), None);
        assert_eq!(at(TimeDelta::days(7)), None);
        assert_eq!(
            at(TimeDelta::days(7) + TimeDelta::seconds(1)).unwrap(),
            "it is from 2026-02-22 15:30:45 UTC and counts for 7 days"
        );
        assert_eq!(at(-TimeDelta::minutes(5)), None);
        assert!(at(-TimeDelta::minutes(6)).unwrap().contains("clock"));
        assert!(age_problem("", made).is_some());
    }

    proptest! {
        #[test]
        fn no_file_makes_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), form in 0..3_u32) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x.receipt.json");
            for text in [bytes.clone(), format!("{{\"format\":{form}}}").into_bytes()] {
                std::fs::write(&path, text).unwrap();
                prop_assert_eq!(read(&path).unwrap_err().kind(), ErrorKind::ReceiptInvalid);
            }
        }
    }
}
