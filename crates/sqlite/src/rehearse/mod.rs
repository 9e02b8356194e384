//! `rehearse`: the whole plan on a copy of the live database, and back, and again; it leaves a receipt.

mod changes;
mod check;
mod compare;
mod copy;
mod dump;
mod meter;
mod outcome;
mod stages;

use std::path::Path;

use naming::Target;

pub use crate::plan::receipt::Measures;
pub use changes::{ColumnChange, Sample, TableChange};
pub use check::{Check, CheckName, CheckOutcome};
pub use meter::LeftRow;
pub use outcome::{Rehearsal, RehearsedStep, SmokeTest, TableShape};

use crate::backup;
use crate::files::database_file::{FileState, for_catalog, inspect};
use crate::migrate::{step::millis, way_up};
use crate::plan::receipt::{self, DatabaseOutline, Receipt, StepReceipt, catalog_digest};
use crate::plan::{Plan, PlanOptions, Start, adoption::AdoptionOptions, drift};
use crate::records::way_back::WayBack;
use crate::sqlite::connection::open_writer;
use bridge_migrate_core::{
    Catalog, Error, ErrorKind, Event, Hint, Observer, Result, Settings, Severity, Stage, clock::timestamp,
};
use copy::Copy;
use stages::Stages;

/// The user's own test of the migrated copy: it gets the copy of the database and of its companion.
pub type RunSmokeTest<'a> = dyn FnMut(&Path, &Path) -> Result<SmokeTest> + 'a;

/// What a rehearsal is asked for.
pub struct RehearseOptions<'a> {
    /// Where to go.
    pub target: Target,
    /// What adoption may accept.
    pub adoption: AdoptionOptions,
    /// Passes over a schema that somebody changed.
    pub allow_drift: bool,
    /// Leaves the copy, migrated, when all is done.
    pub keep: bool,
    /// Runs on the migrated copy at the end.
    pub smoke_test: Option<&'a mut RunSmokeTest<'a>>,
}

impl std::fmt::Debug for RehearseOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RehearseOptions")
            .field("target", &self.target)
            .field("adoption", &self.adoption)
            .field("allow_drift", &self.allow_drift)
            .field("keep", &self.keep)
            .field("smoke_test", &self.smoke_test.is_some())
            .finish()
    }
}

/// Rehearses on a copy. The database, its companion and their sidecars stay byte for byte what they are.
///
/// A migration that fails on the copy is no error here: the rehearsal says so, and so does its receipt.
///
/// # Errors
/// When there is no plan, no copy can be made, or the receipt cannot be written.
pub fn rehearse(
    catalog: &Catalog,
    settings: &Settings,
    options: RehearseOptions<'_>,
    observer: &dyn Observer,
) -> Result<Rehearsal> {
    let settings = &for_catalog(catalog, settings)?;
    if inspect(&settings.database)? == FileState::Missing {
        return Err(Error::new(
            ErrorKind::Missing,
            format!(
                "there is no database at {} to rehearse on",
                settings.database.display()
            ),
        )
        .with_truth("A new database needs no rehearsal. Nothing was changed.")
        .with_hint(Hint::Plan));
    }
    let plan_options = PlanOptions {
        target: options.target,
        phase: None,
        adoption: options.adoption,
    };
    let id = format!("{:08x}", settings.clock.nonce());
    let created_at = timestamp(settings.clock.now());
    let plan = way_up::plan(catalog, settings, plan_options)?;
    if !options.allow_drift {
        drift::refuse(&plan)?;
    }
    let bytes = space_needed(settings, &plan)?;

    observer.observe(&Event::Rehearsing { stage: Stage::Copy });
    let copy = Copy::make(settings, bytes, &meter::ProgressOnly(observer))?;
    let plan = way_up::plan(catalog, &copy.settings, plan_options)?;
    let outline = DatabaseOutline::read(&open_writer(&copy.settings.database, settings.busy_timeout)?)?;
    let seen = Stages::new(catalog, &copy, &plan, plan_options, options.allow_drift, observer)
        .run(options.smoke_test)?;

    let mut rehearsal = Rehearsal {
        id,
        created_at,
        application: catalog.application().to_owned(),
        database: settings.database.clone(),
        from: plan.from,
        to: plan.to,
        adopted: match &plan.start {
            Start::Adopt(adoption) => Some((**adoption).clone()),
            Start::Managed | Start::Fresh => None,
        },
        time_zone: settings.time_zone.to_string(),
        tool: settings.tool.clone(),
        sqlite: rusqlite::version().to_owned(),
        catalog: catalog_digest(catalog),
        schema: outline.schema.clone(),
        database_bytes: copy.bytes,
        source_lock_ms: millis(copy.source_lock),
        lock_budget_ms: u64::try_from(settings.lock_budget.as_millis()).unwrap_or(u64::MAX),
        steps: steps(catalog, &plan, &seen),
        tables: seen.tables,
        tables_before: seen.tables_before,
        tables_after: seen.tables_after,
        differences: seen.differences,
        checks: seen.checks,
        served: seen.served,
        smoke_test: seen.smoke_test,
        receipt: receipt::path(settings)?,
        copy: None,
    };
    receipt_of(&rehearsal, outline).write(settings)?;
    if options.keep {
        copy.remove_backups(None);
        rehearsal.copy = Some(copy.keep());
    }
    Ok(rehearsal)
}

/// The copy as it grows, its restore point, and one more backup while the copy goes back.
fn space_needed(settings: &Settings, plan: &Plan) -> Result<u64> {
    let start = backup::space_needed(settings)?;
    Ok(start
        .saturating_mul(2)
        .saturating_add(plan.disk_space.total().saturating_mul(2)))
}

fn steps(catalog: &Catalog, plan: &Plan, seen: &stages::Seen) -> Vec<RehearsedStep> {
    let of =
        |measured: &[meter::Measured], version| measured.iter().find(|step| step.version == version).cloned();
    plan.steps
        .iter()
        .map(|step| {
            let migration = catalog.get(step.version);
            let up = of(&seen.up, step.version);
            RehearsedStep {
                version: step.version,
                name: step.name.clone(),
                release: step.release,
                phase: step.phase,
                summary: step.summary.clone(),
                sql: step.sql.clone(),
                data: step.data.clone(),
                down: migration.map_or_else(String::new, |migration| migration.down.clone()),
                way_back: migration.map_or_else(String::new, |migration| WayBack::of(migration).to_string()),
                rollback: step.rollback.clone(),
                rebuilds: step.rebuilds.clone(),
                rows: step.rows,
                planned_lock_ms: step.lock_ms,
                up: up.as_ref().map(|step| step.measures),
                back: of(&seen.back, step.version).map(|step| step.measures),
                again: of(&seen.again, step.version).map(|step| step.measures),
                left: up.map(|step| step.left).unwrap_or_default(),
            }
        })
        .collect()
}

fn receipt_of(rehearsal: &Rehearsal, outline: DatabaseOutline) -> Receipt {
    Receipt {
        format: Receipt::FORMAT,
        id: rehearsal.id.clone(),
        created_at: rehearsal.created_at.clone(),
        ok: rehearsal.ok(),
        tool: rehearsal.tool.clone(),
        sqlite: rehearsal.sqlite.clone(),
        time_zone: rehearsal.time_zone.clone(),
        catalog: rehearsal.catalog.clone(),
        schema: outline.schema,
        from: rehearsal.from.version,
        to: rehearsal.to.version,
        magnitudes: outline.magnitudes,
        served: rehearsal.served.clone(),
        steps: rehearsal
            .steps
            .iter()
            .map(|step| StepReceipt {
                version: step.version,
                up: step.up,
                back: step.back,
                again: step.again,
            })
            .collect(),
        findings: rehearsal
            .findings()
            .filter(|finding| finding.severity != Severity::Note)
            .map(|finding| format!("{} {}: {}", finding.code, finding.subject, finding.message))
            .collect(),
    }
}
