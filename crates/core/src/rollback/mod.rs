//! `rollback`: takes a database back to an earlier version, in the way that loses least.

mod dropped;
mod execute;
pub(crate) mod kept;
mod losses;
mod plan;

use std::path::PathBuf;

use naming::Target;
use serde::Serialize;

use crate::apply::resolved;
use crate::backup::{self, Backup, BackupFacts};
use crate::catalog::Catalog;
use crate::connection;
use crate::error::{Error, ErrorKind, Hint, Result};
use crate::event::{Event, Observer};
use crate::lock::MigrationLock;
use crate::position::Position;
use crate::restore::{self, RestoreOptions};
use crate::run_log::RunLog;
use crate::runs::Run;
use crate::settings::Settings;
use crate::step::StepOutcome;
use crate::undo::Conflict;

pub use losses::Loss;
pub(crate) use losses::is_not_default;
pub use plan::{Alternative, RollbackPlan, StepBack};

/// How to go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The one that loses least.
    Auto,
    /// The stored statements, and the journal for data steps.
    Down,
    /// The journal only: every migration on the way must be a journaled data step.
    Undo,
    /// The backup that the run began with.
    Restore,
}

/// What a rollback is asked for.
#[derive(Debug, Clone, Copy)]
pub struct RollbackOptions {
    /// Where to go.
    pub target: Target,
    /// How.
    pub strategy: Strategy,
}

/// What a rollback did.
#[derive(Debug)]
pub struct RollbackOutcome {
    /// Where the database stood.
    pub from: Position,
    /// Where it stands now.
    pub to: Position,
    /// How it went back.
    pub strategy: Strategy,
    /// The migrations that were taken back, newest first.
    pub reverted: Vec<StepOutcome>,
    /// What was lost, or is only in the files of `kept`.
    pub loses: Vec<Loss>,
    /// Records that keep what they have because they were edited since.
    pub conflicts: Vec<Conflict>,
    /// Files with what was dropped.
    pub kept: Vec<PathBuf>,
    /// The backup that secured the state before.
    pub secured: Option<PathBuf>,
    /// The run's name; `None` when there was nothing to do.
    pub run: Option<String>,
}

/// Plans the way back, reading only.
///
/// # Errors
/// When the target is unknown or ahead, or when no way leads back.
pub fn plan(catalog: &Catalog, settings: &Settings, options: RollbackOptions) -> Result<RollbackPlan> {
    let settings = &resolved(settings)?;
    let reader = connection::open_reader(&settings.database, settings.busy_timeout)?;
    plan::plan(catalog, settings, &reader, options)
}

/// Goes back. `confirm` is shown the plan when something would be lost, and decides.
///
/// # Errors
/// As [`plan`]; [`ErrorKind::ConfirmationNeeded`] when `confirm` says no.
pub fn rollback(
    catalog: &Catalog,
    settings: &Settings,
    options: RollbackOptions,
    confirm: &mut dyn FnMut(&RollbackPlan) -> bool,
    observer: &dyn Observer,
) -> Result<RollbackOutcome> {
    let settings = &resolved(settings)?;
    // Asked before the lock is taken, so that nobody waits for a person's answer; what is confirmed is
    // compared with the plan that is made under the lock.
    let asked = plan(catalog, settings, options)?;
    if !asked.loses.is_empty() && !confirm(&asked) {
        return Err(needs_confirmation(&asked));
    }
    let Some(_lock) = MigrationLock::acquire(settings, "rollback", observer, || Ok(false))? else {
        return Err(Error::new(ErrorKind::Locked, "the migration lock was not taken"));
    };
    let plan = plan(catalog, settings, options)?;
    if plan.strategy != asked.strategy || plan.from != asked.from {
        return Err(Error::new(
            ErrorKind::Busy,
            "another program changed the database in the meantime",
        )
        .with_truth("Nothing was changed.")
        .with_hint(Hint::tool([
            "rollback",
            "--to",
            &options.target.to_string(),
            "--dry-run",
        ])));
    }
    if plan.from.version == plan.to.version && plan.steps.is_empty() {
        return Ok(RollbackOutcome {
            from: plan.from,
            to: plan.to,
            strategy: plan.strategy,
            reverted: Vec::new(),
            loses: Vec::new(),
            conflicts: Vec::new(),
            kept: Vec::new(),
            secured: None,
            run: None,
        });
    }
    let mut run = Run::begin(settings, "rollback", plan.from.version, plan.to.version);
    let log = RunLog::create(settings, &run, observer);
    log.observe(&Event::RunStarted {
        run: run.name.clone(),
        command: run.command.clone(),
        from: run.from,
        to: run.to,
        time_zone: settings.time_zone.to_string(),
    });
    let outcome = match &plan.restore_point {
        Some(point) if plan.strategy == Strategy::Restore => {
            restore_point(settings, &plan, point, &run, &log)
        }
        _ => go_down(catalog, settings, &plan, &mut run, &log),
    };
    let reached = match &outcome {
        Ok(_) => plan.to.version,
        Err(error) => error
            .reached()
            .map_or(plan.from.version, |reached| reached.version),
    };
    log.observe(&Event::RunFinished {
        run: run.name.clone(),
        version: reached,
        error: outcome.as_ref().err().map(Error::kind),
    });
    outcome
}

fn go_down(
    catalog: &Catalog,
    settings: &Settings,
    plan: &RollbackPlan,
    run: &mut Run,
    observer: &dyn Observer,
) -> Result<RollbackOutcome> {
    let facts = facts(plan, run, "before rollback");
    let secured = backup::create(settings, &facts, observer)?;
    run.backup = Some(secured.backup.manifest_path.clone());
    let writer = connection::open_writer(&settings.database, settings.busy_timeout)?;
    let done = execute::execute(catalog, settings, &writer, plan, run, observer)?;
    Ok(RollbackOutcome {
        from: plan.from,
        to: plan.to,
        strategy: plan.strategy,
        reverted: done.reverted,
        loses: plan.loses.clone(),
        conflicts: done.conflicts,
        kept: done.kept,
        secured: Some(secured.backup.database),
        run: Some(run.name.clone()),
    })
}

fn restore_point(
    settings: &Settings,
    plan: &RollbackPlan,
    point: &Backup,
    run: &Run,
    observer: &dyn Observer,
) -> Result<RollbackOutcome> {
    let present = facts(plan, run, "before rollback");
    let options = RestoreOptions {
        present,
        ..RestoreOptions::default()
    };
    let restored = restore::restore(settings, point, &options, observer)?;
    let secured = match restored.secured {
        restore::Secured::Backup { backup } => Some(backup.database),
        restore::Secured::Damaged { files } => files.into_iter().next(),
        restore::Secured::Nothing => None,
    };
    Ok(RollbackOutcome {
        from: plan.from,
        to: plan.to,
        strategy: plan.strategy,
        reverted: Vec::new(),
        loses: plan.loses.clone(),
        conflicts: Vec::new(),
        kept: Vec::new(),
        secured,
        run: Some(run.name.clone()),
    })
}

fn facts(plan: &RollbackPlan, run: &Run, reason: &str) -> BackupFacts {
    BackupFacts {
        version: Some(plan.from.version),
        release: plan.from.release.map(|release| release.to_string()),
        run: Some(run.name.clone()),
        reason: reason.to_owned(),
    }
}

fn needs_confirmation(plan: &RollbackPlan) -> Error {
    let list: Vec<String> = plan.loses.iter().map(Loss::to_string).collect();
    Error::new(
        ErrorKind::ConfirmationNeeded,
        format!("going back would lose: {}", list.join("; ")),
    )
    .with_truth("Nothing was changed.")
    .with_hint(Hint::tool([
        "rollback",
        "--to",
        &plan.to.version.to_string(),
        "--yes",
    ]))
}
