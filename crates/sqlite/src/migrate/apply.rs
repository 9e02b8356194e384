//! `migrate`: plan → lock → back up → adopt → apply → record.

use std::{path::PathBuf, time::Duration};

use rusqlite::Connection;

use crate::backup::{self, BackupFacts, Created};
use crate::files::database_file::{FileState, for_catalog, inspect};
use crate::files::lock::{MigrationLock, Taken};
use crate::migrate::step::{StepContext, StepFailure};
use crate::migrate::{adopt, first_start, preconditions};
use crate::plan::adoption::{Adoption, AdoptionOptions};
use crate::plan::{self, Plan, PlanOptions, Start, drift, receipt};
use crate::records::kept::{self, Kept, ReclaimOptions, Reclaimed};
use crate::records::runs::{self, Run, StepOutcome};
use crate::records::{
    history::History, run_log::RunLog, schema_reader::SchemaReader, state::Progress, unfinished::Unfinished,
};
use crate::sqlite::{
    connection, disk_space::DiskSpace, rollback_journal::RollbackJournal, sqlite_error::SqliteContext,
};
use bridge_migrate_core::{
    Catalog, Error, ErrorKind, Event, Hint, Migration, Observer, Position, Result, Settings, SkippedRow,
};

/// What a migration is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct MigrateOptions {
    /// Where to go, and what adoption may accept.
    pub plan: PlanOptions,
    /// Leaves the backup out.
    pub without_backup: bool,
    /// Refuses beforehand when a data step would have to leave a row as it is.
    pub strict: bool,
    /// Takes back what earlier rollbacks kept, after the last step.
    pub reclaim: bool,
    /// Refuses unless exactly this was rehearsed, lately and with success.
    pub require_receipt: bool,
    /// Passes over a schema that somebody changed, and puts on record what differed.
    pub allow_drift: bool,
    /// Refuses to make a database, and to fill an empty one.
    pub must_exist: bool,
}

/// What a migration did.
#[derive(Debug)]
#[non_exhaustive]
pub struct MigrateOutcome {
    /// Where the database stood, after an adoption.
    pub from: Position,
    /// Where it stands now.
    pub to: Position,
    /// Whether there was no database, so that this run made it.
    pub created: bool,
    /// How it came under management, if this run did that.
    pub adopted: Option<Adoption>,
    /// The steps that this run applied.
    pub applied: Vec<StepOutcome>,
    /// The backup that it began with.
    pub backup: Option<Created>,
    /// How long the migration lock was waited for.
    pub waited: Duration,
    /// The run's name; `None` when there was nothing to do.
    pub run: Option<String>,
    /// Where its log is, unless it could not be made.
    pub log: Option<PathBuf>,
    /// The first rows that data steps left as they are; the log names all.
    pub skipped: Vec<SkippedRow>,
    /// Migrations that stay pending: another phase, or beyond the target.
    pub pending: usize,
    /// What came back of what earlier rollbacks kept, if that was asked for.
    pub reclaimed: Option<Reclaimed>,
    /// What earlier rollbacks kept and has not come back.
    pub kept: Vec<Kept>,
}

impl MigrateOutcome {
    /// Of a database that stands there, where nothing was done.
    fn of_nothing(catalog: &Catalog, at: Position, waited: Duration, kept: Vec<Kept>) -> Self {
        let later = |migration: &&Migration| migration.version > at.version;
        Self {
            from: at,
            to: at,
            created: false,
            adopted: None,
            applied: Vec::new(),
            backup: None,
            waited,
            run: None,
            log: None,
            skipped: Vec::new(),
            pending: catalog.migrations().iter().filter(later).count(),
            reclaimed: None,
            kept,
        }
    }
}

/// Makes the database's plan, reading only.
///
/// # Errors
/// When the target is unknown or lies behind the database, when history or schema contradict the catalog,
/// or when a step could not run on this schema.
pub fn plan(catalog: &Catalog, settings: &Settings, options: PlanOptions) -> Result<Plan> {
    let settings = for_catalog(catalog, settings)?;
    match inspect(&settings.database)? {
        FileState::Missing | FileState::Empty => plan_fresh(catalog, &settings, options),
        FileState::Database { .. } => {
            connection::with_reader(&settings.database, settings.busy_timeout, |reader| {
                let moment = connection::begin_reading(reader).while_doing("read the database")?;
                let plan = plan::plan(catalog, &settings, Some(&moment), options)?;
                drop(moment);
                preconditions::refuse_unfit(catalog, reader, &plan)?;
                Ok(plan)
            })
        }
    }
}

/// Makes the plan for a database that is not there yet, in a folder that need not be there either.
///
/// # Errors
/// When the target is unknown.
pub fn plan_fresh(catalog: &Catalog, settings: &Settings, options: PlanOptions) -> Result<Plan> {
    plan::plan(catalog, settings, None, options)
}

/// Takes the database to the target.
///
/// # Errors
/// Any kind. [`Error::reached`] tells where the database stands if something had been committed.
pub fn migrate(
    catalog: &Catalog,
    settings: &Settings,
    options: MigrateOptions,
    observer: &dyn Observer,
) -> Result<MigrateOutcome> {
    let settings = &for_catalog(catalog, settings)?;
    Unfinished::refuse(settings)?;
    if options.must_exist && !matches!(inspect(&settings.database)?, FileState::Database { .. }) {
        return Err(not_there(settings));
    }
    let look = |settings: &Settings, waited, holds_lock| -> Result<_> {
        let outcome = nothing_to_do(catalog, settings, options.plan, waited, holds_lock)?;
        Ok(outcome.filter(|outcome| !options.reclaim || outcome.kept.is_empty()))
    };
    let waiting_since = std::time::Instant::now();
    let at_once = settings.without_waiting();
    let done_by_another = || match look(&at_once, waiting_since.elapsed(), false) {
        // Whoever has the migration lock may keep everybody out for long. Then it is the lock that tells.
        Err(error) if error.kind() == ErrorKind::Busy => Ok(None),
        found => found,
    };
    if let Some(outcome) = done_by_another()? {
        return Ok(outcome);
    }
    let lock = match MigrationLock::take_unless(settings, "migrate", observer, done_by_another)? {
        Taken::Lock(lock) => lock,
        Taken::Needless(outcome) => return Ok(outcome),
    };
    // Whoever held the lock before may have done the work, or may have been killed in the middle of it.
    if let Some(outcome) = look(settings, lock.waited(), true)? {
        return Ok(outcome);
    }
    let began = std::time::Instant::now();
    loop {
        let planned = plan_locked(catalog, settings, options);
        let was_fresh = planned.as_ref().is_ok_and(|(plan, _)| plan.start == Start::Fresh);
        let result = planned.and_then(|(plan, writer)| {
            migrate_locked(catalog, settings, options, &plan, writer, observer, &lock)
        });
        match result {
            Err(error)
                if began.elapsed() < first_start::PATIENCE
                    && first_start::explains(&error, was_fresh, catalog, settings) =>
            {
                std::thread::sleep(first_start::PAUSE);
            }
            result => return result,
        }
    }
}

/// The plan that holds while nobody else migrates, and the connection that it was made on, if there is a database.
fn plan_locked(
    catalog: &Catalog,
    settings: &Settings,
    options: MigrateOptions,
) -> Result<(Plan, Option<Connection>)> {
    let state = inspect(&settings.database)?;
    let writer = match state {
        FileState::Missing | FileState::Empty => None,
        FileState::Database { .. } => Some(connection::open_writer(
            &settings.database,
            settings.busy_timeout,
        )?),
    };
    let plan = plan::plan(catalog, settings, writer.as_ref(), options.plan)?;
    if !options.allow_drift {
        drift::refuse(&plan)?;
    }
    if options.must_exist && plan.start == Start::Fresh {
        return Err(not_there(settings));
    }
    if options.strict
        && let Some(connection) = &writer
    {
        preconditions::refuse_unconvertible(catalog, settings, connection, &plan)?;
    }
    if let Some(connection) = &writer {
        preconditions::refuse_unfit(catalog, connection, &plan)?;
    }
    if options.require_receipt {
        receipt::require(catalog, settings, &plan)?;
    }
    for step in &plan.steps {
        if let Some(import) = catalog
            .get(step.version)
            .and_then(|migration| migration.import.as_ref())
        {
            // A malformed companion file is found before anything is written.
            import.read(settings.inputs())?;
        }
    }
    Ok((plan, writer))
}

fn migrate_locked(
    catalog: &Catalog,
    settings: &Settings,
    options: MigrateOptions,
    plan: &Plan,
    writer: Option<Connection>,
    observer: &dyn Observer,
    lock: &MigrationLock,
) -> Result<MigrateOutcome> {
    let reclaims = match &writer {
        Some(writer) if options.reclaim => kept::disk_space(settings, writer)?.beside_database,
        _ => 0,
    };
    let space = DiskSpace {
        backup: if options.without_backup {
            0
        } else {
            plan.disk_space.backup
        },
        beside_database: plan.disk_space.beside_database.saturating_add(reclaims),
        ..plan.disk_space
    };
    space.require(settings, "the migration")?;

    let run = Run::begin(settings, "migrate", plan.from.version, plan.to.version);
    run.with_log(settings, observer, |run, log| {
        let outcome = run_plan(catalog, settings, options, writer, plan, run, log)?;
        Ok(MigrateOutcome {
            waited: lock.waited(),
            ..outcome
        })
    })
}

fn run_plan(
    catalog: &Catalog,
    settings: &Settings,
    options: MigrateOptions,
    writer: Option<Connection>,
    plan: &Plan,
    run: &mut Run,
    log: &RunLog<'_>,
) -> Result<MigrateOutcome> {
    let state = inspect(&settings.database)?;
    for difference in &plan.drift {
        let difference = difference.to_string();
        log.warn(format!(
            "the schema was changed by hand, which is allowed here: {difference}"
        ));
        run.allowed_drift.push(difference);
    }
    preconditions::warn_of_missing_file(catalog, settings, plan, log);
    if options.without_backup && writer.is_some() {
        // A backup would have found damage; without one somebody has to look.
        preconditions::refuse_damaged(settings, log)?;
    }
    let backup = match &writer {
        Some(_) if !options.without_backup && plan.start != Start::Fresh => {
            let facts = BackupFacts {
                version: (plan.start == Start::Managed).then_some(plan.from.version),
                release: plan.from.release.map(|release| release.to_string()),
                run: Some(run.name.clone()),
                reason: "before migrate".to_owned(),
            };
            Some(backup::create(settings, &facts, log)?)
        }
        _ => None,
    };
    run.backup = backup
        .as_ref()
        .map(|created| created.backup.manifest_path.clone());
    let writer = match writer {
        Some(writer) => writer,
        None => {
            let writer = connection::create_writer(&settings.database, settings.busy_timeout)?;
            if state == FileState::Missing {
                log.observe(&Event::DatabaseCreated {
                    database: settings.database.clone(),
                });
            }
            writer
        }
    };
    let _rollback_journal = RollbackJournal::keep(&writer);
    let applied = apply_plan(catalog, settings, &writer, plan, run, options.reclaim, log)?;
    let reclaimed = match options.reclaim {
        true => Some(reclaim_after(settings, &writer, plan, run, log)?),
        false => None,
    };
    Ok(MigrateOutcome {
        from: plan.from,
        applied,
        created: state == FileState::Missing,
        adopted: match &plan.start {
            Start::Adopt(adoption) => Some(*adoption.clone()),
            Start::Managed | Start::Fresh => None,
        },
        backup,
        run: Some(run.name.clone()),
        log: log.path(),
        skipped: log.skipped(),
        reclaimed,
        ..MigrateOutcome::of_nothing(catalog, plan.to, Duration::ZERO, kept::left(&writer, settings)?)
    })
}

/// Takes back what is kept when every step is applied.
fn reclaim_after(
    settings: &Settings,
    writer: &Connection,
    plan: &Plan,
    run: &Run,
    observer: &dyn Observer,
) -> Result<Reclaimed> {
    kept::take_back(settings, writer, &ReclaimOptions::default(), run, observer).map_err(|error| {
        if plan.steps.is_empty() && run.committed_at.get().is_none() {
            return error;
        }
        error
            .with_truth(format!(
                "The database is whole, at {}; the rest stays kept.",
                plan.to
            ))
            .with_other_way(Hint::KeptReclaim(false), "takes it back.")
            .with_reached(plan.to.into())
    })
}

/// What was to be migrated, and not made, is not there or empty.
fn not_there(settings: &Settings) -> Error {
    Error::new(
        ErrorKind::Missing,
        format!(
            "there is no database with tables at {}",
            settings.database.display()
        ),
    )
    .with_truth("It must exist, as was asked; nothing was made.")
}

fn apply_plan(
    catalog: &Catalog,
    settings: &Settings,
    connection: &Connection,
    plan: &Plan,
    run: &Run,
    reclaim: bool,
    observer: &dyn Observer,
) -> Result<Vec<StepOutcome>> {
    let mut wrote = false;
    if let Start::Adopt(adoption) = &plan.start {
        adopt::write(catalog, settings, connection, adoption, run)?;
        wrote = true;
        observer.observe(&adopt::event(adoption));
    }
    let context = StepContext {
        catalog,
        settings,
        connection,
        schemas: SchemaReader::new(connection),
        observer,
        plan,
        run,
        reclaim,
    };
    if plan.start == Start::Fresh {
        let applied = context.apply_together(&plan.steps)?;
        amend_steps(&context, &applied);
        return Ok(applied);
    }
    let mut applied = Vec::new();
    let outcome = apply_steps(&context, wrote, &mut applied);
    amend_steps(&context, &applied);
    outcome.map(|()| applied)
}

/// What a step measured of itself in its transaction lacks the commit.
fn amend_steps(context: &StepContext<'_>, applied: &[StepOutcome]) {
    if let Err(error) = runs::amend_steps(context.connection, context.settings, context.run, applied) {
        context
            .observer
            .warn(format!("the durations in the history lack the commits: {error}"));
    }
}

fn apply_steps(context: &StepContext<'_>, wrote: bool, applied: &mut Vec<StepOutcome>) -> Result<()> {
    for step in &context.plan.steps {
        match context.apply(step) {
            Ok(outcome) => applied.push(outcome),
            Err(StepFailure {
                error,
                committed_batches,
            }) => {
                let is_untouched = !wrote && applied.is_empty() && !committed_batches;
                if is_untouched {
                    return Err(error);
                }
                // As far as this run knows; what it left is looked at where all failed runs are.
                let reached = Position::of(context.catalog, step.version - 1);
                let mut truth = format!("The database is whole, at {reached}.");
                if committed_batches {
                    truth.push_str(&format!(
                        " {} is done in part and goes on where it stopped.",
                        step.stem
                    ));
                }
                // What is true of the step that failed is not true of the run.
                let more = error.truth().unwrap_or_default();
                let more = more.replace("Nothing was changed.", "");
                truth = format!("{} {truth}", more.trim()).trim_start().to_owned();
                return Err(error.with_truth(truth).with_reached(reached.into()));
            }
        }
    }
    Ok(())
}

/// The outcome of a run that finds the database where it should be; `None` when there is work.
///
/// This is the path of every server's every start: one read, no lock, no schema.
fn nothing_to_do(
    catalog: &Catalog,
    settings: &Settings,
    options: PlanOptions,
    waited: Duration,
    holds_lock: bool,
) -> Result<Option<MigrateOutcome>> {
    let (path, timeout) = (&settings.database, settings.busy_timeout);
    let look = || {
        if !matches!(inspect(path)?, FileState::Database { .. }) {
            return Ok(Some(None));
        }
        connection::with_reader_in_place(path, timeout, |reader| {
            look_for_work(catalog, settings, reader, options, waited)
        })
    };
    let mut seen = look()?;
    if seen.is_none() && holds_lock {
        // A crash left something undone, which whoever has the migration lock finishes.
        let _recovered = connection::recover(path, timeout)?;
        seen = look()?;
    }
    Ok(seen.flatten())
}

fn look_for_work(
    catalog: &Catalog,
    settings: &Settings,
    reader: &Connection,
    options: PlanOptions,
    waited: Duration,
) -> Result<Option<MigrateOutcome>> {
    let Some(history) = History::read(reader)? else {
        return Ok(None);
    };
    history.check(catalog)?;
    let version = history.version();
    let target = catalog.resolve(options.target, version)?;
    let next_is_of_another_phase = match (options.phase, catalog.get(version + 1)) {
        (Some(phase), Some(next)) => next.phase != phase,
        _ => false,
    };
    if (target != version && !next_is_of_another_phase) || Progress::read(reader)?.is_some() {
        return Ok(None);
    }
    let (at, kept) = (Position::of(catalog, version), kept::left(reader, settings)?);
    Ok(Some(MigrateOutcome::of_nothing(catalog, at, waited, kept)))
}

/// Takes an unversioned database into management and changes nothing else.
///
/// # Errors
/// When the database matches no version, or is managed or empty already.
pub fn adopt(
    catalog: &Catalog,
    settings: &Settings,
    options: AdoptionOptions,
    observer: &dyn Observer,
) -> Result<MigrateOutcome> {
    let settings = &for_catalog(catalog, settings)?;
    let lock = MigrationLock::take(settings, "adopt", observer)?;
    if !matches!(inspect(&settings.database)?, FileState::Database { .. }) {
        return Err(Error::new(
            ErrorKind::Missing,
            format!("there is no database at {} to adopt", settings.database.display()),
        )
        .with_hint(Hint::Migrate));
    }
    let writer = connection::open_writer(&settings.database, settings.busy_timeout)?;
    // Forward(0) plans no step: only how the database comes under management.
    let plan_options = PlanOptions {
        target: naming::Target::Forward(0),
        phase: None,
        adoption: options,
    };
    let plan = plan::plan(catalog, settings, Some(&writer), plan_options)?;
    // Before anything is written: what fails afterwards must not look like an adoption that failed.
    let kept = kept::left(&writer, settings)?;
    let Start::Adopt(adoption) = &plan.start else {
        if let Some(release) = options
            .release
            .filter(|release| Some(*release) != plan.from.release)
        {
            return Err(Error::unchanged(
                ErrorKind::Usage,
                format!(
                    "the database is managed already, at {}, not at release {release}",
                    plan.from
                ),
            ));
        }
        return Ok(MigrateOutcome::of_nothing(
            catalog,
            plan.from,
            lock.waited(),
            kept,
        ));
    };
    // What no migration could follow would only be refused later.
    let onwards = PlanOptions {
        adoption: options,
        ..PlanOptions::default()
    };
    match plan::plan(catalog, settings, Some(&writer), onwards) {
        Err(error) if error.kind() == ErrorKind::SchemaMismatch => return Err(error),
        _ => {}
    }
    let run = Run::begin(settings, "adopt", plan.from.version, plan.from.version);
    run.with_log(settings, observer, |run, log| {
        adopt::write(catalog, settings, &writer, adoption, run)?;
        log.observe(&adopt::event(adoption));
        Ok(MigrateOutcome {
            adopted: Some(*adoption.clone()),
            run: Some(run.name.clone()),
            log: log.path(),
            ..MigrateOutcome::of_nothing(catalog, plan.from, lock.waited(), kept)
        })
    })
}
