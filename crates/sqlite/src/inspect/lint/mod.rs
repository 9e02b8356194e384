//! Findings on the migrations themselves, before any database is touched.
//!
//! Each rule looks at the statements as SQLite's tokenizer reads them, at what they do to an empty copy of the
//! schema, and at the schema before and after. Rules about file names, seals and documentation belong to
//! `cargo xtask check`, which reads files that do not compile.

mod allowed;
mod linted;
mod rules;
mod statement;

use naming::Release;
use serde::Serialize;

pub use rules::RULES;

use crate::schema::{Snapshot, expected};
use bridge_migrate_core::{Catalog, Finding, Migration, Result, Severity};
use linted::Linted;

/// What lint knows of one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The stable code.
    pub code: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
}

/// What was found on a catalog.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What nobody has allowed, in the order of the migrations.
    pub findings: Vec<Finding>,
    /// What a migration's file allows.
    pub allowed: Vec<Allowed>,
}

/// A finding that a migration's file allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Allowed {
    /// What was found.
    #[serde(flatten)]
    pub finding: Finding,
    /// Why it may stay.
    pub reason: String,
}

impl Report {
    /// How many findings must be put right.
    pub fn errors(&self) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .count()
    }
}

/// Where in a migration something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nowhere in particular.
    Whole,
    /// In this line of its statements, from 1.
    Up(usize),
    /// In this line of the statements of its way back.
    Down(usize),
}

/// What a rule found on a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    code: &'static str,
    severity: Severity,
    place: Place,
    message: String,
    fix: String,
}

impl Found {
    fn error(code: &'static str, place: Place, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            place,
            message: message.into(),
            fix: fix.into(),
        }
    }

    fn warning(code: &'static str, place: Place, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, place, message, fix)
        }
    }

    fn finding(self, migration: &Migration) -> Finding {
        let stem = migration.stem();
        Finding {
            code: self.code,
            severity: self.severity,
            subject: match self.place {
                Place::Whole => stem,
                Place::Up(line) => format!("{stem}, up, line {line}"),
                Place::Down(line) => format!("{stem}, down, line {line}"),
            },
            message: self.message,
            fix: self.fix,
        }
    }
}

/// Looks at every migration of a catalog. Nothing but memory is read and written.
///
/// When a migration does not run, those after it cannot be looked at; the finding says so.
///
/// # Errors
/// When SQLite fails for reasons of its own.
pub fn lint(catalog: &Catalog) -> Result<Report> {
    let mut report = Report::default();
    let mut schemas = vec![Snapshot::default()];
    let mut contracts = rules::served::Served::default();
    for migration in catalog.migrations() {
        let before = schemas.last().cloned().unwrap_or_default();
        let mut found = Vec::new();
        let (linted, failure) = Linted::new(catalog, migration, &before)?;
        found.extend(rules::of_text(&linted));
        let runs = failure.is_none();
        match failure {
            Some(failure) => found.extend(rules::run::does_not_run(&linted, failure)),
            None => {
                found.extend(rules::of_schema(&linted)?);
                schemas.push(linted.after.clone());
                found.extend(contracts.check(&linted, &schemas)?);
            }
        }
        allowed::sort(migration, found, &mut report);
        if !runs {
            break;
        }
    }
    Ok(report)
}

/// The schemas that the versions of a catalog lead to, for rules that look back at a release.
fn schema_of<'a>(catalog: &Catalog, release: Release, schemas: &'a [Snapshot]) -> Option<&'a Snapshot> {
    crate::catalog::contracts::known_schema(catalog, release, schemas)
}

/// A database in memory with the objects of a schema.
fn scratch(schema: &Snapshot) -> Result<rusqlite::Connection> {
    expected::replay(schema)
}
