//! The parts of a rehearsal on its copy: up, back, up again, and use; each ends with checks.

use std::path::{Path, PathBuf};

use naming::{Release, Target};
use rusqlite::Connection;

use super::changes::{self, TableChange};
use super::check::{Check, CheckName, CheckOutcome};
use super::meter::{Measured, Meter};
use super::outcome::{SmokeTest, TableShape, shapes};
use super::{RunSmokeTest, compare::Moment, copy::Copy};
use crate::catalog::contracts;
use crate::going_back::rollback::{RollbackOptions, Strategy, rollback};
use crate::migrate::way_up::{MigrateOptions, migrate};
use crate::plan::{Plan, PlanOptions, Start};
use crate::schema::{Difference, diff};
use crate::sqlite::{connection::open_writer, page_check::check_pages, sqlite_error::SqliteContext};
use bridge_migrate_core::{Catalog, Error, Event, Observer, Result, Stage};

/// What the stages saw.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) up: Vec<Measured>,
    pub(super) back: Vec<Measured>,
    pub(super) again: Vec<Measured>,
    pub(super) tables: Vec<TableChange>,
    pub(super) tables_before: Vec<TableShape>,
    pub(super) tables_after: Vec<TableShape>,
    pub(super) differences: Vec<Difference>,
    pub(super) checks: Vec<Check>,
    pub(super) smoke_test: Option<SmokeTest>,
    /// The releases whose statements were run.
    pub(super) served: Vec<String>,
}

impl Seen {
    fn failed(&self) -> bool {
        self.checks
            .iter()
            .any(|check| check.outcome == CheckOutcome::Failed)
    }
}

/// A rehearsal at work.
pub(super) struct Stages<'a> {
    catalog: &'a Catalog,
    copy: &'a Copy,
    plan: &'a Plan,
    options: MigrateOptions,
    observer: &'a dyn Observer,
    seen: Seen,
}

impl<'a> Stages<'a> {
    pub(super) fn new(
        catalog: &'a Catalog,
        copy: &'a Copy,
        plan: &'a Plan,
        options: PlanOptions,
        allow_drift: bool,
        observer: &'a dyn Observer,
    ) -> Self {
        Self {
            catalog,
            copy,
            plan,
            options: MigrateOptions {
                plan: options,
                allow_drift,
                ..MigrateOptions::default()
            },
            observer,
            seen: Seen::default(),
        }
    }

    /// Runs every stage until one fails: what comes after it would say nothing.
    pub(super) fn run(mut self, smoke_test: Option<&mut RunSmokeTest<'_>>) -> Result<Seen> {
        let start = {
            let reader = self.reader()?;
            self.seen.tables_before = shapes(&reader)?;
            Moment::read(&reader)?
        };
        let Some(restore_point) = self.up(&start)? else {
            return Ok(self.seen);
        };
        let first = Moment::read(&self.reader()?)?;
        let start = match &self.plan.start {
            Start::Adopt(adoption) => start.with_created(&adoption.created),
            Start::Managed | Start::Fresh => start,
        };
        if self.back(&start, restore_point.as_deref())? && self.again(&first)? {
            self.used(smoke_test)?;
        }
        Ok(self.seen)
    }

    /// The plan, once; the copy of the start that it began with, or `None` when it failed.
    fn up(&mut self, start: &Moment) -> Result<Option<Option<PathBuf>>> {
        self.enter(Stage::Up);
        let (ended, measured) = self.migrate();
        self.seen.up = measured;
        let backup = match ended {
            Ok(backup) => backup,
            Err(error) => {
                self.fail(CheckName::Up, self.reached(self.seen.up.len()), &error);
                return Ok(None);
            }
        };
        let steps = self.plan.steps.len();
        self.seen
            .checks
            .push(Check::passed(CheckName::Up, format!("{steps} steps applied")));
        self.seen.checks.push(self.lock_budget());

        let reader = self.reader()?;
        self.seen.tables_after = shapes(&reader)?;
        self.seen.differences = diff(&start.schema, &crate::schema::expected::read(&reader)?);
        // Without anything to do there is no backup, and the start is what is there.
        let unchanged = self.plan.is_empty().then_some(&self.copy.settings.database);
        let before = backup.as_ref().or(unchanged).map(PathBuf::as_path);
        self.seen.tables = changes::compare(self.catalog, &reader, before, &self.rebuilt())?;
        Ok(Some(backup))
    }

    /// The way back; false when it did not lead to where it should.
    fn back(&mut self, start: &Moment, restore_point: Option<&Path>) -> Result<bool> {
        self.enter(Stage::Back);
        let meter = Meter::new(&self.copy.settings.database, self.observer);
        let options = RollbackOptions {
            target: Target::Version(self.plan.from.version),
            strategy: Strategy::Down,
            companion: Default::default(),
        };
        let ended = rollback(self.catalog, &self.copy.settings, options, &mut |_| true, &meter);
        self.seen.back = meter.into_measured();
        let outcome = match ended {
            Ok(outcome) => outcome,
            Err(error) => {
                let done = self.seen.back.len();
                let subject = self.reached(self.plan.steps.len().saturating_sub(done + 1));
                self.fail(CheckName::Back, subject, &error);
                return Ok(false);
            }
        };
        let findings = outcome
            .conflicts
            .iter()
            .map(|conflict| {
                CheckName::Back.finding(
                    format!("{} {}", conflict.table, conflict.key),
                    conflict.why.clone(),
                    "let nothing after the data step change what it wrote",
                )
            })
            .collect();
        let evidence = format!("{} steps taken back", outcome.reverted.len());
        self.seen
            .checks
            .push(Check::of(CheckName::Back, evidence, findings));

        let reader = self.reader()?;
        let rebuilt = self.rebuilt();
        let schema = start.check_schema(CheckName::BackSchema, &reader)?;
        let data = start.check_data(CheckName::BackData, &reader, |table| {
            self.explain(&reader, restore_point, &rebuilt, table)
        })?;
        self.seen.checks.extend([schema, data]);
        drop(reader);
        self.copy.remove_backups(None);
        Ok(!self.seen.failed())
    }

    /// The plan a second time, which must end where the first did.
    fn again(&mut self, first: &Moment) -> Result<bool> {
        self.enter(Stage::Again);
        let (ended, measured) = self.migrate();
        self.seen.again = measured;
        if let Err(error) = ended {
            self.fail(CheckName::Again, self.reached(self.seen.again.len()), &error);
            return Ok(false);
        }
        let steps = self.plan.steps.len();
        let ran = Check::passed(CheckName::Again, format!("{steps} steps applied"));
        let reader = self.reader()?;
        let schema = first.check_schema(CheckName::AgainSchema, &reader)?;
        let data = first.check_data(CheckName::AgainData, &reader, |_| {
            "values differ from those of the first run".to_owned()
        })?;
        self.seen.checks.extend([ran, schema, data]);
        Ok(!self.seen.failed())
    }

    /// What uses the migrated database. The user's own test comes last: it may write.
    fn used(&mut self, smoke_test: Option<&mut RunSmokeTest<'_>>) -> Result<()> {
        self.enter(Stage::Use);
        let integrity = self.integrity()?;
        self.seen.checks.push(integrity);
        self.contracts()?;
        if let Some(run) = smoke_test {
            let settings = &self.copy.settings;
            let test = run(&settings.database, &settings.companion)?;
            let findings = if test.passed() {
                Vec::new()
            } else {
                let how = match test.exit_code {
                    Some(code) => format!("it ended with exit code {code}"),
                    None => "a signal ended it".to_owned(),
                };
                let fix = "find out what the application misses, with a copy that is kept";
                vec![CheckName::SmokeTest.finding("smoke test", how, fix)]
            };
            let evidence = format!("it took {} ms", test.duration_ms);
            self.seen
                .checks
                .push(Check::of(CheckName::SmokeTest, evidence, findings));
            self.seen.smoke_test = Some(test);
        }
        Ok(())
    }

    fn migrate(&self) -> (Result<Option<PathBuf>>, Vec<Measured>) {
        let meter = Meter::new(&self.copy.settings.database, self.observer);
        let ended = migrate(self.catalog, &self.copy.settings, self.options, &meter)
            .map(|outcome| outcome.backup.map(|created| created.backup.database));
        (ended, meter.into_measured())
    }

    fn lock_budget(&self) -> Check {
        let budget = u64::try_from(self.copy.settings.lock_budget.as_millis()).unwrap_or(u64::MAX);
        let over = self
            .seen
            .up
            .iter()
            .filter(|step| step.measures.max_lock_ms > budget);
        let findings = over
            .map(|step| {
                CheckName::LockBudget.warning(
                    self.stem(step.version),
                    format!(
                        "it held the write lock for {} ms; the budget is {budget} ms",
                        step.measures.max_lock_ms
                    ),
                    "run it while few servers write, or make it a data step in batches",
                )
            })
            .collect();
        let longest = self.seen.up.iter().map(|step| step.measures.max_lock_ms).max();
        let evidence = format!("longest {} ms, budget {budget} ms", longest.unwrap_or(0));
        Check::of(CheckName::LockBudget, evidence, findings)
    }

    fn integrity(&self) -> Result<Check> {
        let doing = "check the copy";
        let reader = self.reader()?;
        // Only a full check compares indexes with tables that came from elsewhere.
        let is_full =
            !self.rebuilt().is_empty() || self.plan.steps.iter().any(|step| !step.online.is_empty());
        let checked = check_pages(&reader, is_full, 10).while_doing(doing)?;
        let findings = checked
            .lines
            .iter()
            .map(|line| {
                CheckName::Integrity.finding("copy", line.as_str(), "look for what is wrong with `verify`")
            })
            .collect();
        let pragma = if is_full { "integrity_check" } else { "quick_check" };
        Ok(Check::of(CheckName::Integrity, pragma, findings))
    }

    /// What servers run, on the migrated copy with all its rows; nothing of it stays.
    ///
    /// Servers of the release that the database is at stay until the last of them is replaced, even when the
    /// plan passes over a release.
    fn contracts(&mut self) -> Result<()> {
        let version = self.plan.to.version;
        let mut releases = contracts::served(self.catalog, version);
        releases.extend(
            self.plan
                .from
                .release
                .filter(|release| !self.is_retired(*release)),
        );
        releases.sort_unstable();
        releases.dedup();
        releases.retain(|release| self.catalog.contract(*release).is_some());
        if releases.is_empty() {
            return Ok(());
        }
        let settings = &self.copy.settings;
        let writer = open_writer(&settings.database, settings.busy_timeout)?;
        let mut findings = Vec::new();
        for release in &releases {
            findings.extend(contracts::check(self.catalog, version, *release, &writer)?);
        }
        let names: Vec<String> = releases.iter().map(ToString::to_string).collect();
        let evidence = format!("the statements of {}", names.join(", "));
        self.seen
            .checks
            .push(Check::of(CheckName::Contracts, evidence, findings));
        self.seen.served = names;
        Ok(())
    }

    fn is_retired(&self, release: Release) -> bool {
        self.catalog
            .migrations()
            .iter()
            .filter(|migration| migration.version <= self.plan.to.version)
            .any(|migration| migration.retires >= Some(release))
    }

    /// What differs in a table's data after the way back.
    fn explain(&self, reader: &Connection, start: Option<&Path>, rebuilt: &[String], table: &str) -> String {
        let changes = start
            .and_then(|start| changes::compare(self.catalog, reader, Some(start), rebuilt).ok())
            .unwrap_or_default();
        let columns: Vec<String> = changes
            .iter()
            .filter(|change| change.table == table)
            .flat_map(|change| &change.columns)
            .map(|column| format!("{} values of {}", column.rows, column.column))
            .collect();
        if columns.is_empty() {
            "its values differ".to_owned()
        } else {
            format!("{} differ", columns.join(", "))
        }
    }

    fn rebuilt(&self) -> Vec<String> {
        self.plan
            .steps
            .iter()
            .flat_map(|step| &step.rebuilds)
            .cloned()
            .collect()
    }

    /// The copy is nobody else's: there is no server to leave alone.
    fn reader(&self) -> Result<Connection> {
        open_writer(&self.copy.settings.database, self.copy.settings.busy_timeout)
    }

    fn enter(&self, stage: Stage) {
        self.observer.observe(&Event::Rehearsing { stage });
    }

    fn fail(&mut self, name: CheckName, subject: String, error: &Error) {
        self.seen.checks.push(Check::ended(name, &subject, error));
    }

    /// The step at `index` of the plan, which is where a run stopped.
    fn reached(&self, index: usize) -> String {
        self.plan
            .steps
            .get(index)
            .map_or_else(|| "the copy".to_owned(), |step| step.stem.clone())
    }

    fn stem(&self, version: u32) -> String {
        self.plan
            .steps
            .iter()
            .find(|step| step.version == version)
            .map_or_else(|| format!("V{version:03}"), |step| step.stem.clone())
    }
}
