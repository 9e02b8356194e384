//! What interrupted runs, crashes and copies made by hand left behind.

use std::path::Path;

use crate::backup::{self, Completeness};
use crate::files::database_file::{FileState, SIDECARS, has_hot_journal, with_suffix};
use crate::files::lock;
use crate::records::unfinished::Unfinished;
use crate::schema::tool_tables;
use crate::sqlite::{ask::Ask, sqlite_error::SqliteContext};
use bridge_migrate_core::{Result, Settings, folder_of, whole_file::abandoned};

use super::{Context, codes, report::Report};

/// Looks at the files around the database.
pub(super) fn around(settings: &Settings, state: FileState, report: &mut Report) -> Result<()> {
    if lock::current_holder(&settings.database).is_some() {
        report.add(&codes::RUNNING, "migration lock", "a migration is running");
    } else {
        unfinished(settings, report);
    }
    let name = |path: &Path| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    let exists = |path: &Path| path.metadata().is_ok_and(|metadata| metadata.len() > 0);
    let wal = with_suffix(&settings.database, "-wal");
    if state != (FileState::Database { wal: true }) && exists(&wal) {
        report.add(
            &codes::STALE_SIDECAR,
            name(&wal),
            "a write-ahead log lies beside a database that is not in that mode",
        );
    }
    let journal = with_suffix(&settings.database, "-journal");
    if state == (FileState::Database { wal: true })
        && exists(&journal)
        && !has_hot_journal(&settings.database)
    {
        report.add(
            &codes::STALE_SIDECAR,
            name(&journal),
            "a rollback journal lies beside a database in write-ahead mode",
        );
    }
    let mut folders = vec![folder_of(&settings.database)];
    if !folders.contains(&settings.backup_dir) {
        folders.push(settings.backup_dir.clone());
    }
    for file in folders.iter().flat_map(|folder| abandoned(folder)) {
        report.add(&codes::ABANDONED, name(&file), "a killed run left it");
    }
    for backup in backup::list(settings)? {
        let code = match backup.state {
            Completeness::Complete | Completeness::Foreign => None,
            Completeness::Incomplete => Some(&codes::BACKUP_INCOMPLETE),
            Completeness::Unreadable => Some(&codes::BACKUP_UNREADABLE),
        };
        if let Some(code) = code {
            report.add(code, name(&backup.database), backup.problem.unwrap_or_default());
        }
        for suffix in SIDECARS {
            let sidecar = with_suffix(&backup.database, suffix);
            if exists(&sidecar) {
                report.add(
                    &codes::STALE_SIDECAR,
                    name(&sidecar),
                    "a program has opened the backup as a database",
                );
            }
        }
    }
    Ok(())
}

/// Looks at the note of a rollback that puts a restore point back.
fn unfinished(settings: &Settings, report: &mut Report) {
    let (message, next) = match Unfinished::read(settings) {
        Ok(None) => return,
        Ok(Some(note)) => (
            format!("a way back to V{:03} by a restore point stopped", note.to),
            format!("complete it with `rollback --to {}`", note.to),
        ),
        Err(error) => (error.message().to_owned(), codes::INTERRUPTED.fix.to_owned()),
    };
    report.add_with_fix(&codes::INTERRUPTED, "rollback", message, next);
}

/// Looks at the work that the database itself records as half done.
pub(super) fn inside(context: &Context<'_>, report: &mut Report) -> Result<()> {
    if context.is_running || !tool_tables::exists(context.connection, tool_tables::PROGRESS)? {
        return Ok(());
    }
    let rows: rusqlite::Result<Vec<(i64, bool, i64)>> = context
        .connection
        .rows("SELECT version, direction = 'down', CAST(visited AS INTEGER) FROM migration_progress ORDER BY version", [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    for (version, down, visited) in rows.while_doing("read where an interrupted step stopped")? {
        let (what, next) = if down {
            ("taking it back", format!("`rollback --to {}`", version - 1))
        } else {
            ("applying it", "`migrate`".to_owned())
        };
        report.add_with_fix(
            &codes::INTERRUPTED,
            format!("V{version:03}"),
            format!("{what} stopped after {visited} rows"),
            format!("complete it with {next}: it goes on there, and nothing is lost"),
        );
    }
    Ok(())
}
