//! `rollback`: takes a database back to an earlier version, in the way that loses least.

mod execute;
mod kept;
mod losses;
mod plan;
mod point;
mod since;
mod steps;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use naming::Target;
use rusqlite::Connection;
use serde::Serialize;

use crate::backup::{self, Backup, BackupFacts, Manifest};
use crate::capture::beside;
use crate::files::{database_file::for_catalog, lock::MigrationLock};
use crate::going_back::restore::{self, Decision, RestoreOptions, RestoreOutcome};
use crate::going_back::undo::Conflict;
use crate::migrate::adopt;
use crate::plan::{self as plan_up, PlanOptions, Start, adoption::AdoptionOptions};
use crate::records::runs::{Run, StepOutcome};
use crate::records::{failed_run::after_replacing, history::History, transaction::WriteTransaction};
use crate::sqlite::connection::{self, with_reader};
use crate::sqlite::rollback_journal::{RollbackJournal, remove_left};
use crate::sqlite::sqlite_error::SqliteContext;
use bridge_migrate_core::{
    Catalog, EntryCounts, Error, ErrorKind, Hint, Keep, Loss, Observer, Position, Result, Settings,
    serial::{optional_path, paths},
};

use crate::records::unfinished::{Unfinished, half_done};
pub use bridge_migrate_core::Strategy;
pub use plan::{Alternative, RollbackPlan};
use plan::{Weigh, changed_meanwhile};
pub use steps::StepBack;

/// What a rollback is asked for.
#[derive(Debug, Clone, Copy)]
pub struct RollbackOptions {
    /// Where to go.
    pub target: Target,
    /// How.
    pub strategy: Strategy,
    /// Which companion there is after a restore point is put back.
    pub companion: Keep,
}

/// What a rollback did.
#[derive(Debug, Serialize)]
pub struct RollbackOutcome {
    /// Where the database stood.
    pub from: Position,
    /// Where it stands now.
    pub to: Position,
    /// How it went back.
    pub strategy: Strategy,
    /// The migrations that were taken back, newest first.
    pub reverted: Vec<TakenBack>,
    /// What was lost, or is only in the files of `kept`.
    pub loses: Vec<Loss>,
    /// Records that keep what they have because they were edited since.
    pub conflicts: Vec<Conflict>,
    /// Files with what was dropped.
    #[serde(serialize_with = "paths")]
    pub kept: Vec<PathBuf>,
    /// The backup that secured the state before.
    #[serde(rename = "backup", serialize_with = "optional_path")]
    pub secured: Option<PathBuf>,
    /// What became of the companion's entries when a restore point was put back.
    #[serde(rename = "token_counts")]
    pub entries: Option<EntryCounts>,
    /// How long other processes were kept out while a restore point was put back in place, in milliseconds.
    pub lock_ms: Option<u64>,
    /// The run's name; `None` when there was nothing to do.
    pub run: Option<String>,
}

/// A migration that went back, and what it measured of itself if it went back on its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TakenBack {
    /// The migration's number.
    pub version: u32,
    /// The migration's name.
    pub name: String,
    /// From the first begin to the last commit, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Rows that it changed.
    pub rows_changed: Option<u64>,
    /// The longest time that one of its transactions held the write lock, in milliseconds.
    pub max_lock_ms: Option<u64>,
}

impl From<StepOutcome> for TakenBack {
    fn from(step: StepOutcome) -> Self {
        Self {
            version: step.version,
            name: step.name,
            duration_ms: Some(step.duration_ms),
            rows_changed: Some(step.rows_changed),
            max_lock_ms: Some(step.max_lock_ms),
        }
    }
}

impl RollbackOutcome {
    /// What `plan` says of it before anything is done.
    fn of(plan: &RollbackPlan, run: Option<&Run>) -> Self {
        Self {
            from: plan.from,
            to: plan.to,
            strategy: plan.strategy,
            reverted: plan
                .takes_back
                .iter()
                .map(|(version, name)| TakenBack {
                    version: *version,
                    name: name.clone(),
                    duration_ms: None,
                    rows_changed: None,
                    max_lock_ms: None,
                })
                .collect(),
            loses: plan.loses.clone(),
            conflicts: Vec::new(),
            kept: Vec::new(),
            secured: None,
            entries: None,
            lock_ms: None,
            run: run.map(|run| run.name.clone()),
        }
    }
}

/// Plans the way back, reading only.
///
/// # Errors
/// When the target is unknown or ahead, or when no way leads back.
pub fn plan(catalog: &Catalog, settings: &Settings, options: RollbackOptions) -> Result<RollbackPlan> {
    let settings = &for_catalog(catalog, settings)?;
    Unfinished::refuse(settings)?;
    Rollback { catalog, settings }.plan(options, Weigh::Every)
}

/// Goes back. `confirm` is shown the plan before anything changes; when something would be lost, it decides.
///
/// Servers write until they are kept out. When more would then be lost than `confirm` was shown, it decides again, at
/// once, on an [urgent](RollbackPlan::is_urgent) plan.
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
    let settings = &for_catalog(catalog, settings)?;
    let back = Rollback { catalog, settings };
    back.complete(observer)?;
    // Asked before the lock is taken, so that nobody waits for a person's answer; what is confirmed is
    // compared with the plan that is made under the lock.
    let asked = plan(catalog, settings, options)?;
    if asked.is_empty() {
        if beside::is_to_be_finished(settings)? {
            let _lock = MigrationLock::take(settings, "rollback", observer)?;
            beside::finish_earlier(settings, observer)?;
        }
        remove_left(settings, "rollback", observer)?;
        return Ok(RollbackOutcome::of(&asked, None));
    }
    if !confirm(&asked) && !asked.loses.is_empty() {
        return Err(needs_confirmation(&asked, options));
    }
    let _lock = MigrationLock::take(settings, "rollback", observer)?;
    beside::finish_earlier(settings, observer)?;
    let of_that_kind = RollbackOptions {
        strategy: asked.strategy,
        ..options
    };
    let mut plan = back.plan(of_that_kind, Weigh::OnlyTheAsked)?;
    if plan.from != asked.from || plan.to != asked.to {
        return Err(changed_meanwhile(asked.to));
    }
    plan.is_urgent = true;
    let mut decide = |plan: &RollbackPlan| match !loses_more(&plan.loses, &asked.loses) || confirm(plan) {
        true => Ok(()),
        false => Err(needs_confirmation(plan, options)),
    };
    let point = plan.restore_point.clone();
    if point.is_none() {
        decide(&plan)?;
        plan.disk_space(settings)?.require(settings, "the rollback")?;
    }
    let run = Run::begin(settings, "rollback", plan.from.version, plan.to.version);
    run.with_log(settings, observer, |run, log| match point {
        Some(point) => back.restore_point(&mut plan, &point, &mut decide, run, log),
        None => back.go_down(&plan, run, log),
    })
}

/// Whether something is lost that was not announced.
fn loses_more(now: &[Loss], announced: &[Loss]) -> bool {
    now.iter().any(|loss| {
        let same = |known: &&Loss| known.subject == loss.subject && known.what == loss.what;
        announced.iter().find(same).map_or(0, |known| known.count) < loss.count
    })
}

/// The way back of one database.
#[derive(Clone, Copy)]
struct Rollback<'a> {
    catalog: &'a Catalog,
    settings: &'a Settings,
}

impl Rollback<'_> {
    fn plan(self, options: RollbackOptions, weigh: Weigh) -> Result<RollbackPlan> {
        with_reader(&self.settings.database, self.settings.busy_timeout, |reader| {
            // Of one moment, where nobody has to wait for that.
            let moment = reader
                .is_wal()
                .then(|| connection::begin_reading(reader))
                .transpose();
            let _moment = moment.while_doing("read the database")?;
            plan::plan(self.catalog, self.settings, reader, options, weigh)
        })
    }

    fn go_down(self, plan: &RollbackPlan, run: &mut Run, observer: &dyn Observer) -> Result<RollbackOutcome> {
        let facts = BackupFacts {
            version: Some(plan.from.version),
            release: plan.from.release.map(|release| release.to_string()),
            run: Some(run.name.clone()),
            reason: backup::BEFORE_ROLLBACK.to_owned(),
        };
        let secured = backup::create(self.settings, &facts, observer)?;
        run.backup = Some(secured.backup.manifest_path.clone());
        let writer = self.writer()?;
        let _rollback_journal = RollbackJournal::keep(&writer);
        let done = execute::execute(self.catalog, self.settings, &writer, plan, run, observer)?;
        Ok(RollbackOutcome {
            reverted: done.reverted.into_iter().map(Into::into).collect(),
            conflicts: done.conflicts,
            kept: done.kept,
            secured: Some(secured.backup.database),
            ..RollbackOutcome::of(plan, Some(run))
        })
    }

    fn writer(self) -> Result<Connection> {
        connection::open_writer(&self.settings.database, self.settings.busy_timeout)
    }

    /// Completes a restore that an interrupted rollback had begun: what was confirmed then holds.
    fn complete(self, observer: &dyn Observer) -> Result<()> {
        let settings = self.settings;
        if Unfinished::read(settings)?.is_none() {
            return Ok(());
        }
        let _lock = MigrationLock::take(settings, "rollback", observer)?;
        // Whoever held the lock before may have done the work.
        let Some(unfinished) = Unfinished::read(settings)? else {
            return Ok(());
        };
        let is_it = |manifest: &Manifest| {
            unfinished.sha256.is_none()
                || unfinished.sha256.as_ref() == Some(&manifest.database.digest.sha256)
        };
        let point = backup::find_again(settings, &unfinished.backup, is_it)?
            .ok_or_else(|| gone(settings, &unfinished))?;
        // The database comes first: nothing was done yet. What was written since, nobody has agreed to lose.
        if unfinished.from != unfinished.to && self.is_still_at(unfinished.from) {
            return Unfinished::forget(settings);
        }
        observer.warn(format!(
            "a rollback to V{:03} was interrupted; it is completed first",
            unfinished.to
        ));
        let run = Run::begin(settings, "rollback", unfinished.from, unfinished.to);
        run.with_log(settings, observer, |run, log| {
            self.put_back(&point, &unfinished, run, None, log).map(drop)
        })
    }

    /// Restores between the note that says so and the records, so that a killed run can be completed.
    fn put_back(
        self,
        point: &Backup,
        note: &Unfinished,
        run: &Run,
        decision: Option<Decision<'_>>,
        observer: &dyn Observer,
    ) -> Result<RestoreOutcome> {
        let settings = self.settings;
        let options = RestoreOptions {
            // Where the database stands, its own records tell.
            present: BackupFacts {
                run: Some(run.name.clone()),
                reason: backup::BEFORE_ROLLBACK.to_owned(),
                ..BackupFacts::default()
            },
            companion: note.companion,
            ..RestoreOptions::default()
        };
        // After the restore point took the database's place; the note leads the same command to the rest.
        let half_back = |error| {
            let rest = "The same command completes the records and the companion file.";
            after_replacing(error, settings, &point.database, rest).with_hint(note.completed_by())
        };
        note.write(settings)?;
        let restored = match restore::put_back(settings, point, &options, decision, observer) {
            Ok(restored) => restored,
            Err(error) => {
                if self.is_still_at(note.from)
                    && let Err(left) = Unfinished::forget(settings)
                {
                    // What failed first is what has to be mended; the note leads the same command on from there.
                    let truth = format!("The database was not changed. A note of it stays: {left}.");
                    return Err(error.with_truth(truth).with_hint(note.completed_by()));
                }
                return Err(match error.reached() {
                    Some(_) => half_back(error),
                    None => error,
                });
            }
        };
        self.record_restored(run, observer)
            .and_then(|()| Unfinished::forget(settings))
            .map_err(half_back)?;
        Ok(restored)
    }

    /// Whether the database is untouched by a restore that failed.
    fn is_still_at(self, version: u32) -> bool {
        let (path, timeout) = (&self.settings.database, self.settings.busy_timeout);
        with_reader(path, timeout, |reader| History::read(reader))
            .is_ok_and(|history| history.is_some_and(|history| history.version() == version))
    }

    fn restore_point(
        self,
        plan: &mut RollbackPlan,
        point: &Backup,
        decide: &mut dyn FnMut(&RollbackPlan) -> Result<()>,
        run: &Run,
        observer: &dyn Observer,
    ) -> Result<RollbackOutcome> {
        let digest = point.manifest.as_ref().map(|manifest| &manifest.database.digest);
        let note = Unfinished {
            backup: point.database.clone(),
            sha256: digest.map(|digest| digest.sha256.clone()),
            companion: plan.companion,
            from: plan.from.version,
            to: plan.to.version,
        };
        // Of what is there when nobody can write any more, not of what was there when it was planned.
        let lost = OnceLock::new();
        let (way, keep) = ((plan.from, plan.to), plan.companion);
        let look = |copy: &Path| {
            let copy = connection::open_immutable(copy)?;
            let loses = plan::lost_by_restoring(self.catalog, self.settings, &copy, point, way, keep)?;
            let _ = lost.set(loses);
            Ok(())
        };
        let decision = Decision {
            look: &look,
            decide: &mut || {
                if let Some(loses) = lost.get() {
                    plan.loses.clone_from(loses);
                }
                decide(plan)
            },
        };
        let restored = self.put_back(point, &note, run, Some(decision), observer)?;
        let secured = match restored.secured {
            restore::Secured::Backup { backup } => Some(backup.database),
            restore::Secured::Damaged { files } => files.into_iter().next(),
            restore::Secured::Nothing => None,
        };
        Ok(RollbackOutcome {
            secured,
            entries: Some(restored.entries),
            lock_ms: restored.lock_ms,
            ..RollbackOutcome::of(plan, Some(run))
        })
    }

    /// Writes the run into the restored database. One that dates from before the adoption is adopted again, so that
    /// its version is on record as it was before.
    fn record_restored(self, run: &Run, observer: &dyn Observer) -> Result<()> {
        let (catalog, settings) = (self.catalog, self.settings);
        let writer = self.writer()?;
        if History::read(&writer)?.is_some() {
            let transaction = WriteTransaction::begin(&writer, settings.busy_timeout)?;
            run.record(&writer, settings, run.to)?;
            transaction.commit()?;
            return Ok(());
        }
        let options = PlanOptions {
            target: Target::Forward(0),
            phase: None,
            adoption: AdoptionOptions {
                release: None,
                // What the operators accepted once is accepted.
                accept_additions: true,
            },
        };
        let plan = plan_up::plan(catalog, settings, Some(&writer), options)?;
        if let Start::Adopt(adoption) = &plan.start {
            adopt::write(catalog, settings, &writer, adoption, run)?;
            observer.observe(&adopt::event(adoption));
        }
        Ok(())
    }
}

/// The restore point of an interrupted rollback is not there any more.
fn gone(settings: &Settings, unfinished: &Unfinished) -> Error {
    let (to, point) = (unfinished.to, unfinished.backup.display());
    let half = half_done(settings);
    Error::new(
        ErrorKind::NotReversible,
        format!("an interrupted rollback to V{to:03} cannot be completed: its restore point {point} is gone"),
    )
    .with_truth(format!("{half} A restore of another backup puts both right."))
    .with_hint(Hint::Repair)
}

fn needs_confirmation(plan: &RollbackPlan, options: RollbackOptions) -> Error {
    let list: Vec<String> = plan.loses.iter().map(Loss::to_string).collect();
    let more = if plan.is_urgent { " more by now" } else { "" };
    Error::unchanged(
        ErrorKind::ConfirmationNeeded,
        format!("going back would lose{more}: {}", list.join("; ")),
    )
    .with_hint(Hint::RollbackBy {
        to: plan.to.version,
        strategy: options.strategy,
        companion: options.companion,
        confirmed: true,
    })
}
