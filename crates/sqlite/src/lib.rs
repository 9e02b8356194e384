//! The migration engine: plans, locks, backups, steps and history for any catalog on SQLite.
//!
//! It knows SQLite and refinery. It must never know a terminal, arguments, environment variables, barrel,
//! or the tables of any application. Its rooms stand in this order, each on those before it:
//!
//! 1. `files`: which file a path means, raw reading, the migration lock
//! 2. `sqlite`: connections, the rollback journal, quoting, foreign keys, pace, counting, disk space
//! 3. `schema`: what a schema is: normalised, compared, expected by replay; what statements touch; our own tables
//! 4. `catalog`: how declarations run here: data steps, the journal of old values, companion rows, contracts
//! 5. `records`: what we keep in the database: history, runs, progress, kept rows; transactions and their log
//! 6. `backup`: copying, verifying, listing, pruning
//! 7. `capture`: large tables that change beside servers: rows written meanwhile, root swap, an index built
//! 8. `plan`: the plan, adoption, drift, the receipt
//! 9. `migrate`: the run: steps, batches, checks, the ledger
//! 10. `going_back`: rollback, undo, restore
//! 11. `inspect`: status, wait, verify, lint, checklist, doctor, repair
//! 12. `rehearse`: the whole on a copy

pub mod backup;
mod capture;
mod catalog;
mod files;
mod going_back;
mod inspect;
mod migrate;
mod plan;
mod records;
pub mod rehearse;
pub mod schema;
mod sqlite;

pub use capture::online::{Online, OnlineKind};
pub use catalog::{companion_rows::read as read_companion_rows, contracts};
pub use files::database_file::{FileState, for_catalog, inspect, with_suffix};
pub use files::lock::{MigrationLock, current_holder, lock_path, with_who_locks};
pub use going_back::import::{ImportedAgain, import_again};
pub use going_back::{restore, rollback, undo};
pub use inspect::repair::{Defect, Repaired, repair};
pub use inspect::{checklist, doctor, lint, status, verify, wait::wait};
pub use migrate::way_up::{MigrateOptions, MigrateOutcome, adopt, migrate, plan, plan_fresh};
pub use plan::adoption::{Adoption, AdoptionOptions};
pub use plan::{Plan, PlanOptions, Start, Step, receipt};
pub use records::run_log::{find as find_log, with_failures};
pub use records::runs::{RecordedRun, RecordedStep, StepOutcome, read_runs, read_steps};
pub use records::state::{Progress, State};
pub use records::{history::History, kept};
pub use sqlite::quote::{identifier, literal};
pub use sqlite::{connection, sqlite_error::SqliteContext};
