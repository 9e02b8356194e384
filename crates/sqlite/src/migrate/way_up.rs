//! `migrate`: plan → lock → back up → adopt → apply → record.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::backup::{self, BackupFacts, Created};
use crate::capture::beside;
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
use crate::sqlite::connection::{self, create_writer, open_writer, with_reader_in_place};
use crate::sqlite::{rollback_journal::RollbackJournal, sqlite_error::SqliteContext};
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
    let way_up = WayUp {
        catalog,
        settings,
        options,
    };
    let waiting_since = Instant::now();
    let at_once = settings.without_waiting();
    let briefly = WayUp {
        settings: &at_once,
        ..way_up
    };
    let done_by_another = || match briefly.nothing_to_do(waiting_since.elapsed(), false) {
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
    beside::finish_earlier(settings, observer)?;
    if let Some(outcome) = way_up.nothing_to_do(lock.waited(), true)? {
        return Ok(outcome);
    }
    let began = Instant::now();
    loop {
        let planned = way_up.plan();
        let was_fresh = planned.as_ref().is_ok_and(|(plan, _)| plan.start == Start::Fresh);
        match planned.and_then(|(plan, writer)| way_up.go(&plan, writer, observer)) {
            Err(error)
                if began.elapsed() < first_start::PATIENCE
                    && first_start::explains(&error, was_fresh, catalog, settings) =>
            {
                std::thread::sleep(first_start::PAUSE);
            }
            result => {
                return result.map(|outcome| MigrateOutcome {
                    waited: lock.waited(),
                    ..outcome
                });
            }
        }
    }
}

/// The way up of one database, and what was asked for.
#[derive(Clone, Copy)]
struct WayUp<'a> {
    catalog: &'a Catalog,
    settings: &'a Settings,
    options: MigrateOptions,
}

impl WayUp<'_> {
    /// The outcome of a run that finds the database where it should be; `None` when there is work.
    ///
    /// This is the path of every server's every start: one read, no lock, no schema.
    fn nothing_to_do(self, waited: Duration, holds_lock: bool) -> Result<Option<MigrateOutcome>> {
        let (path, timeout) = (&self.settings.database, self.settings.busy_timeout);
        let look = || match inspect(path)? {
            FileState::Database { .. } => {
                with_reader_in_place(path, timeout, |reader| self.look_for_work(reader, waited))
            }
            FileState::Missing | FileState::Empty => Ok(Some(None)),
        };
        let mut seen = look()?;
        if seen.is_none() && holds_lock {
            // A crash left something undone, which whoever has the migration lock finishes.
            let _recovered = connection::recover(path, timeout)?;
            seen = look()?;
        }
        let is_all = |outcome: &MigrateOutcome| !self.options.reclaim || outcome.kept.is_empty();
        Ok(seen.flatten().filter(is_all))
    }

    fn look_for_work(self, reader: &Connection, waited: Duration) -> Result<Option<MigrateOutcome>> {
        let Some(history) = History::read(reader)? else {
            return Ok(None);
        };
        history.check(self.catalog)?;
        let version = history.version();
        let target = self.catalog.resolve(self.options.plan.target, version)?;
        let next_is_of_another_phase = match (self.options.plan.phase, self.catalog.get(version + 1)) {
            (Some(phase), Some(next)) => next.phase != phase,
            _ => false,
        };
        if (target != version && !next_is_of_another_phase) || Progress::is_any(reader)? {
            return Ok(None);
        }
        let at = Position::of(self.catalog, version);
        let kept = kept::left(reader, self.settings)?;
        Ok(Some(MigrateOutcome::of_nothing(self.catalog, at, waited, kept)))
    }

    /// The plan that holds while nobody else migrates, and the connection that it was made on, if there is a database.
    fn plan(self) -> Result<(Plan, Option<Connection>)> {
        let (settings, options) = (self.settings, self.options);
        let writer = match inspect(&settings.database)? {
            FileState::Missing | FileState::Empty => None,
            FileState::Database { .. } => Some(open_writer(&settings.database, settings.busy_timeout)?),
        };
        let plan = plan::plan(self.catalog, settings, writer.as_ref(), options.plan)?;
        if !options.allow_drift {
            drift::refuse(&plan)?;
        }
        if options.must_exist && plan.start == Start::Fresh {
            return Err(not_there(settings));
        }
        if let Some(connection) = &writer {
            if options.strict {
                preconditions::refuse_unconvertible(self.catalog, settings, connection, &plan)?;
            }
            preconditions::refuse_unfit(self.catalog, connection, &plan)?;
        }
        if options.require_receipt {
            receipt::require(self.catalog, settings, &plan)?;
        }
        let of_step = |step: &plan::Step| self.catalog.get(step.version)?.import.as_ref();
        for import in plan.steps.iter().filter_map(of_step) {
            // A malformed companion file is found before anything is written.
            import.read(settings.inputs())?;
        }
        Ok((plan, writer))
    }

    /// Goes the planned way as a run, if there is disk space for it.
    fn go(self, plan: &Plan, writer: Option<Connection>, observer: &dyn Observer) -> Result<MigrateOutcome> {
        let mut space = plan.disk_space;
        if self.options.without_backup {
            space.backup = 0;
        }
        if let (Some(writer), true) = (&writer, self.options.reclaim) {
            let reclaims = kept::disk_space(self.settings, writer)?.beside_database;
            space.beside_database = space.beside_database.saturating_add(reclaims);
        }
        space.require(self.settings, "the migration")?;
        let run = Run::begin(self.settings, "migrate", plan.from.version, plan.to.version);
        run.with_log(self.settings, observer, |run, log| {
            self.run(plan, writer, run, log)
        })
    }

    fn run(
        self,
        plan: &Plan,
        writer: Option<Connection>,
        run: &mut Run,
        log: &RunLog<'_>,
    ) -> Result<MigrateOutcome> {
        let settings = self.settings;
        let state = inspect(&settings.database)?;
        for difference in plan.drift.iter().map(ToString::to_string) {
            log.warn(format!(
                "the schema was changed by hand, which is allowed here: {difference}"
            ));
            run.allowed_drift.push(difference);
        }
        preconditions::warn_of_missing_file(self.catalog, settings, plan, log);
        let backup = match &writer {
            Some(_) => self.back_up(plan, run, log)?,
            None => None,
        };
        run.backup = backup.as_ref().map(|made| made.backup.manifest_path.clone());
        let writer = match writer {
            Some(writer) => writer,
            None => {
                let writer = create_writer(&settings.database, settings.busy_timeout)?;
                if state == FileState::Missing {
                    let database = settings.database.clone();
                    log.observe(&Event::DatabaseCreated { database });
                }
                writer
            }
        };
        let _rollback_journal = RollbackJournal::keep(&writer);
        let applied = self.apply(plan, &writer, run, log)?;
        let reclaimed = match self.options.reclaim {
            true => Some(self.reclaim_after(plan, &writer, run, log)?),
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
            ..MigrateOutcome::of_nothing(
                self.catalog,
                plan.to,
                Duration::ZERO,
                kept::left(&writer, settings)?,
            )
        })
    }

    /// Backs the database up; without a backup, which would find damage, somebody has to look for that.
    fn back_up(self, plan: &Plan, run: &Run, observer: &dyn Observer) -> Result<Option<Created>> {
        if self.options.without_backup {
            preconditions::refuse_damaged(self.settings, observer)?;
            return Ok(None);
        }
        if plan.start == Start::Fresh {
            return Ok(None);
        }
        let facts = BackupFacts {
            version: (plan.start == Start::Managed).then_some(plan.from.version),
            release: plan.from.release.map(|release| release.to_string()),
            run: Some(run.name.clone()),
            reason: "before migrate".to_owned(),
        };
        backup::create(self.settings, &facts, observer).map(Some)
    }

    fn apply(
        self,
        plan: &Plan,
        connection: &Connection,
        run: &Run,
        observer: &dyn Observer,
    ) -> Result<Vec<StepOutcome>> {
        let mut wrote = false;
        if let Start::Adopt(adoption) = &plan.start {
            adopt::write(self.catalog, self.settings, connection, adoption, run)?;
            wrote = true;
            observer.observe(&adopt::event(adoption));
        }
        let context = StepContext {
            catalog: self.catalog,
            settings: self.settings,
            connection,
            schemas: SchemaReader::new(connection),
            observer,
            plan,
            run,
            reclaim: self.options.reclaim,
        };
        let mut applied = Vec::new();
        let outcome = match plan.start {
            Start::Fresh => context.apply_together(&plan.steps).map(|steps| applied = steps),
            _ => apply_steps(&context, wrote, &mut applied),
        };
        // What a step measured of itself in its transaction lacks the commit.
        if let Err(error) = runs::amend_steps(connection, self.settings, run, &applied) {
            observer.warn(format!("the durations in the history lack the commits: {error}"));
        }
        outcome.map(|()| applied)
    }

    /// Takes back what is kept when every step is applied.
    fn reclaim_after(
        self,
        plan: &Plan,
        writer: &Connection,
        run: &Run,
        observer: &dyn Observer,
    ) -> Result<Reclaimed> {
        let everything = ReclaimOptions::default();
        kept::take_back(self.settings, writer, &everything, run, observer).map_err(|error| {
            if plan.steps.is_empty() && run.committed_at.get().is_none() {
                return error;
            }
            let truth = format!("The database is whole, at {}; the rest stays kept.", plan.to);
            error
                .with_truth(truth)
                .with_other_way(Hint::KeptReclaim(false), "takes it back.")
                .with_reached(plan.to.into())
        })
    }
}

/// What was to be migrated, and not made, is not there or empty.
fn not_there(settings: &Settings) -> Error {
    let database = settings.database.display();
    Error::new(
        ErrorKind::Missing,
        format!("there is no database with tables at {database}"),
    )
    .with_truth("It must exist, as was asked; nothing was made.")
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
                    truth.push_str(&match step.online.is_empty() {
                        true => format!(" {} is done in part and goes on where it stopped.", step.stem),
                        false => format!(" {} is prepared in part, and goes on or begins again.", step.stem),
                    });
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
    let writer = open_writer(&settings.database, settings.busy_timeout)?;
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
