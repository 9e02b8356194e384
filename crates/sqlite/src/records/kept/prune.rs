//! Removes files with what rollbacks kept.

use std::collections::BTreeMap;

use chrono::Duration;
use serde::Serialize;

use crate::files::{database_file::in_real_place, lock::MigrationLock};
use crate::records::{recorded_position::recorded_position, runs::Run, transaction::WriteTransaction};
use crate::sqlite::{connection, sqlite_error::SqliteContext};
use bridge_migrate_core::{
    Error, ErrorKind, Hint, IoContext, Loss, Observer, Position, Result, Settings, clock::timestamp,
    regular_file::if_there, whole_file::sync_folder_of,
};

use super::{Kept, path_of, read, require_files};

/// Which files to remove.
#[derive(Debug, Clone, Default)]
pub struct PruneOptions {
    /// Only these; they need not be on record. Empty: all that are on record.
    pub files: Vec<String>,
    /// Only those kept longer ago.
    pub older_than: Option<Duration>,
    /// Also those with rows that have not come back.
    pub lose: bool,
    /// Only tells.
    pub dry_run: bool,
}

/// What pruning removed, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// The run's name; `None` when nothing was removed.
    pub run: Option<String>,
    /// The files.
    pub removed: Vec<String>,
    /// What is lost with them.
    pub loses: Vec<Loss>,
    /// Files that stay because something would be lost.
    pub stay: Vec<String>,
}

/// Removes files of which everything has come back or was given up, and with `lose` the others, too.
///
/// # Errors
/// [`ErrorKind::ConfirmationNeeded`] when something would be lost, and nothing can be removed otherwise.
pub fn prune(settings: &Settings, options: &PruneOptions, observer: &dyn Observer) -> Result<Pruned> {
    let settings = &in_real_place(settings)?;
    let choose_now = || -> Result<Pruned> {
        connection::with_reader(&settings.database, settings.busy_timeout, |reader| {
            let kept = read(reader, settings)?;
            // One that a killed prune removed is still on record.
            let is_on_record = |file: &&String| kept.iter().any(|kept| kept.file == **file);
            require_files(settings, options.files.iter().filter(|file| !is_on_record(file)))?;
            Ok(choose(settings, options, kept))
        })
    };
    let chosen = choose_now()?;
    if chosen.removed.is_empty() && !chosen.stay.is_empty() {
        return Err(needs_confirmation(options, &chosen));
    }
    if options.dry_run || chosen.removed.is_empty() {
        return Ok(chosen);
    }
    let _lock = MigrationLock::take(settings, "kept prune", observer)?;
    let mut chosen = choose_now()?;
    let writer = connection::open_writer(&settings.database, settings.busy_timeout)?;
    let at = recorded_position(&writer)?;
    let run = Run::begin(settings, "kept prune", at.version, at.version);
    let name = run.name.clone();
    run.with_log(settings, observer, |run, _| {
        remove(settings, &writer, &chosen.removed, run, at)
    })?;
    chosen.run = Some(name);
    Ok(chosen)
}

/// The file goes first: one that is gone and still on record is known as such, and the same command goes on.
fn remove(
    settings: &Settings,
    writer: &rusqlite::Connection,
    files: &[String],
    run: &Run,
    at: Position,
) -> Result<()> {
    for path in files.iter().filter_map(|file| path_of(settings, file)) {
        if if_there(std::fs::remove_file(&path))
            .on_file("remove", &path)?
            .is_some()
        {
            sync_folder_of(&path)?;
        }
    }
    let transaction = WriteTransaction::begin(writer, settings.busy_timeout)?;
    if crate::schema::tool_tables::exists(writer, crate::schema::tool_tables::KEPT)? {
        for file in files {
            for table in ["migration_kept_back", "migration_kept"] {
                writer
                    .execute(&format!("DELETE FROM {table} WHERE file = ?1"), [file])
                    .while_doing("record what was pruned")?;
            }
        }
    }
    run.record(writer, settings, at.version)?;
    transaction.commit()?;
    Ok(())
}

fn choose(settings: &Settings, options: &PruneOptions, kept: Vec<Kept>) -> Pruned {
    let mut by_file: BTreeMap<String, Vec<Kept>> = BTreeMap::new();
    for file in &options.files {
        by_file.entry(file.clone()).or_default();
    }
    for kept in kept {
        if options.files.is_empty() || options.files.contains(&kept.file) {
            by_file.entry(kept.file.clone()).or_default().push(kept);
        }
    }
    let before = options
        .older_than
        .and_then(|age| settings.clock.now().checked_sub_signed(age))
        .map(timestamp);
    let mut pruned = Pruned::default();
    for (file, mut contents) in by_file {
        let is_old = |kept: &Kept| before.as_ref().is_none_or(|before| kept.kept_at < *before);
        if !contents.iter().all(is_old) || (contents.is_empty() && before.is_some()) {
            continue;
        }
        let is_there = path_of(settings, &file).is_some_and(|path| path.exists());
        if contents.is_empty() {
            contents = super::file::contents(settings, &file).unwrap_or_default();
        }
        let losses: Vec<Loss> = contents
            .iter()
            .filter(|kept| kept.left > 0 && is_there)
            .map(|kept| Loss {
                subject: kept.subject(),
                count: kept.left,
                what: if kept.column.is_some() { "values" } else { "rows" }.to_owned(),
                kept: false,
                items: Vec::new(),
            })
            .collect();
        // What an unknown file holds, nobody can tell.
        let is_harmless = losses.is_empty() && !contents.is_empty();
        match is_harmless || options.lose {
            true => pruned.removed.push(file),
            false => pruned.stay.push(file),
        }
        pruned.loses.extend(losses);
    }
    if !options.lose && !pruned.removed.is_empty() {
        // Of what is removed, nothing is lost.
        pruned.loses.clear();
    }
    pruned
}

fn needs_confirmation(options: &PruneOptions, chosen: &Pruned) -> Error {
    let list: Vec<String> = chosen.loses.iter().map(Loss::to_string).collect();
    let what = match list.is_empty() {
        true => chosen.stay.join(", "),
        false => list.join("; "),
    };
    Error::new(
        ErrorKind::ConfirmationNeeded,
        format!("pruning would lose: {what}"),
    )
    .with_truth("Nothing was removed.")
    .with_other_way(Hint::KeptReclaim(false), "takes back what fits.")
    .with_hint(Hint::KeptPrune {
        files: options.files.clone(),
        older_than: options.older_than,
        confirmed: true,
    })
}
