//! The commands, as the library offers them.

use bridge_migrate_core::{Error, ErrorKind, Result, Settings, Severity, Silent, Target};
use bridge_migrate_sqlite::MigrateOptions;
use bridge_migrate_sqlite::MigrationLock;
use bridge_migrate_sqlite::PlanOptions;
use bridge_migrate_sqlite::SqliteContext;
use bridge_migrate_sqlite::backup::{self, BackupFacts};
use bridge_migrate_sqlite::checklist::checklist;
use bridge_migrate_sqlite::rehearse::{RehearseOptions, rehearse};
use bridge_migrate_sqlite::rollback::{self, RollbackOptions, Strategy};
use bridge_migrate_sqlite::schema::mermaid;
use bridge_migrate_sqlite::status::status;
use bridge_migrate_sqlite::undo::{UndoOptions, undo};
use bridge_migrate_sqlite::verify::{VerifyOptions, verify};
use bridge_migrate_sqlite::wait;
use bridge_migrate_sqlite::{AdoptionOptions, adopt, migrate, plan, read_runs, read_steps};
use bridge_migrate_sqlite::{connection, doctor, schema::expected};
use rubbish::ground::CATALOG;
use support::engine::without_backup;

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Status,
    Plan,
    Verify,
    Doctor,
    Checklist,
    SchemaShow,
    History,
    Wait,
    RollbackPlan,
    UndoPreview,
    Rehearse,
    BackupCreate,
    Migrate,
    MigrateWithoutBackup,
    Adopt,
    Rollback,
    Undo,
}

impl Command {
    /// Runs it. What `verify` and `doctor` find wrong counts as an error here.
    pub(crate) fn run(self, settings: &Settings) -> Result<()> {
        let back = |strategy| RollbackOptions {
            target: Target::Version(1),
            strategy,
            companion: Default::default(),
        };
        match self {
            Self::Status => status(&CATALOG, settings).map(drop),
            Self::Plan => plan(&CATALOG, settings, PlanOptions::default()).map(drop),
            Self::Verify => {
                let found = verify(&CATALOG, settings, VerifyOptions { full: true }, &Silent)?;
                let is_wrong = found.iter().any(|finding| finding.severity == Severity::Error);
                if is_wrong {
                    Err(Error::new(ErrorKind::VerificationFailed, "findings"))
                } else {
                    Ok(())
                }
            }
            Self::Doctor => {
                let bundle = doctor::gather(&CATALOG, settings, &Silent)?;
                serde_json::to_string(&bundle).expect("a bundle is JSON");
                Ok(())
            }
            Self::Checklist => checklist(&CATALOG, settings, None).map(drop),
            Self::SchemaShow => {
                connection::with_reader(&settings.database, settings.busy_timeout, |reader| {
                    let schema = expected::read(reader)?;
                    mermaid(reader, &schema).map(drop).while_doing("draw the schema")
                })
            }
            Self::History => connection::with_reader(&settings.database, settings.busy_timeout, |reader| {
                read_steps(reader)?;
                read_runs(reader).map(drop)
            }),
            Self::Wait => match wait(&CATALOG, settings, Target::Version(1), std::time::Duration::ZERO) {
                Err(error) if error.kind() == ErrorKind::Timeout => Ok(()),
                waited => waited.map(drop),
            },
            Self::RollbackPlan => rollback::plan(&CATALOG, settings, back(Strategy::Auto)).map(drop),
            Self::UndoPreview => {
                let options = UndoOptions {
                    dry_run: true,
                    ..UndoOptions::default()
                };
                undo(settings, 5, &options, &Silent).map(drop)
            }
            Self::Rehearse => {
                let options = RehearseOptions {
                    target: Target::Latest,
                    adoption: AdoptionOptions::default(),
                    allow_drift: false,
                    keep: false,
                    smoke_test: None,
                };
                rehearse(&CATALOG, settings, options, &Silent).map(drop)
            }
            Self::BackupCreate => {
                let _lock = MigrationLock::take(settings, "backup", &Silent)?;
                let created = backup::create(settings, &BackupFacts::default(), &Silent)?;
                let problems = backup::verify(settings, &created.backup, false, &Silent)?;
                assert!(
                    problems.is_empty(),
                    "a backup was made that is none: {problems:?}"
                );
                Ok(())
            }
            Self::Migrate => migrate(&CATALOG, settings, MigrateOptions::default(), &Silent).map(drop),
            Self::MigrateWithoutBackup => migrate(&CATALOG, settings, without_backup(), &Silent).map(drop),
            Self::Adopt => adopt(&CATALOG, settings, AdoptionOptions::default(), &Silent).map(drop),
            Self::Rollback => {
                rollback::rollback(&CATALOG, settings, back(Strategy::Down), &mut |_| true, &Silent).map(drop)
            }
            Self::Undo => undo(settings, 5, &UndoOptions::default(), &Silent).map(drop),
        }
    }

    /// Whether it changes nothing of the database, whatever it answers.
    pub(crate) fn only_reads(self) -> bool {
        !matches!(
            self,
            Self::Migrate | Self::MigrateWithoutBackup | Self::Adopt | Self::Rollback | Self::Undo
        )
    }
}
