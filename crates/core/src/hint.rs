//! What to do next, as a value: the engine knows no command line, and whoever shows a hint words it.

use std::path::PathBuf;

use chrono::TimeDelta;
use naming::{Release, Target};

use crate::going_back::{Keep, Strategy};

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Hint {
    /// See where the database stands.
    #[default]
    Status,
    /// See where another database stands.
    StatusOf(PathBuf),
    /// Go on with the same command: it failed when a part was done.
    Again,
    /// See what a migration would do.
    Plan,
    /// See it with its statements.
    PlanSql,
    /// Name a time zone that there is.
    NameTimeZone,
    /// Migrate to the newest release.
    Migrate,
    /// Allow drift, with the same command.
    AllowDrift,
    /// Migrate as far as this.
    MigrateTo(Target),
    /// Go on in the time zone that it began in; `None` when that is not on record.
    MigrateIn(Option<String>),
    /// Try the migration on a copy.
    Rehearse(Option<Target>),
    /// Take the database into management.
    Adopt {
        /// The release that it is said to have.
        release: Option<Release>,
        /// Whether columns that no migration made are accepted.
        accept_additions: bool,
    },
    /// Go back until this migration is the last.
    Rollback(u32),
    /// See what going back so far would do.
    RollbackDryRun(u32),
    /// See what going back as far as was asked would do.
    RollbackAsked(Target),
    /// Go back in a way that was chosen.
    RollbackBy {
        /// The last migration that stays.
        to: u32,
        /// The way.
        strategy: Strategy,
        /// What is left of the companion file.
        companion: Keep,
        /// Whether it is done, whatever it loses, or only looked at.
        confirmed: bool,
    },
    /// See what putting single records of this migration back would do.
    UndoDryRun(u32),
    /// Put this backup back, and leave of the companion file what is said.
    Restore(PathBuf, Option<Keep>),
    /// See what putting the newest backup back would do.
    RestoreLatestDryRun,
    /// Wait until whoever migrates is done.
    Wait,
    /// See what was done.
    History,
    /// See how the last run went.
    Log,
    /// Look for mistakes in the migrations.
    Lint,
    /// Look for what is wrong with the database.
    Verify,
    /// See what can be put right.
    Repair,
    /// Put it right.
    RepairConfirmed,
    /// Look at the schema.
    SchemaShow,
    /// Compare the schema with what it should be.
    SchemaDiff,
    /// Make a backup.
    BackupCreate,
    /// See the backups.
    BackupList,
    /// Remove the oldest backups.
    BackupPrune,
    /// See the rows that rollbacks kept.
    KeptList,
    /// Take kept rows back, and give up those that do not fit or not.
    KeptReclaim(bool),
    /// Give kept rows up.
    KeptPrune {
        /// In which files; empty for all.
        files: Vec<String>,
        /// Only what is older.
        older_than: Option<TimeDelta>,
        /// Whether also what would be lost by it.
        confirmed: bool,
    },
    /// Compare the companion file with its tables.
    CompanionVerify,
    /// Import the companion file again, over entries that differ or not.
    CompanionImport(bool),
    /// Find where the text of this companion file breaks off.
    CompanionText(PathBuf),
    /// See what a command takes.
    Help(Vec<String>),
    /// See which program this is.
    ProgramVersion,
    /// Check the sources of the migrations.
    CheckMigrations,
    /// Mend the schema.
    Sql {
        /// Of which database.
        database: PathBuf,
        /// By what, each with its semicolon.
        statements: Vec<String>,
    },
    /// Look at a file.
    LookAtFile(PathBuf),
    /// Look at what has a file's name, and may be anything.
    LookAtEntry(PathBuf),
    /// Look at a file together with its folder.
    LookAtPlace(PathBuf),
    /// See what a file holds.
    FileType(PathBuf),
    /// Read a file.
    ReadFile(PathBuf),
    /// Make a folder.
    MakeFolder(PathBuf),
    /// Rename a file of ours that says nothing.
    SetAside(PathBuf),
    /// Rename what has the name of a file of ours.
    SetForeignAside(PathBuf),
    /// Free space on the disk of this folder, or on whichever is full.
    FreeSpace(Option<PathBuf>),
    /// See how large a file may be.
    FileSizeLimit,
    /// See how much memory there may be.
    MemoryLimit,
    /// See what a process is.
    Process(u32),
    /// See the time that the machine has.
    MachineTime,
}
