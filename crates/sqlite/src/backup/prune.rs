//! Removes old backups, never the last one that could still help.

use std::path::{Path, PathBuf};

use chrono::Duration;
use serde::Serialize;

use super::{Backup, Completeness, list};
use crate::files::lock::MigrationLock;
use crate::records::runs::{self, Run};
use bridge_migrate_core::regular_file::if_there;
use bridge_migrate_core::{
    Error, ErrorKind, Event, Hint, IoContext, Observer, Result, Settings, whole_file::sync_folder_of,
};

/// Which backups to remove. When both limits are given, a backup must be beyond both.
#[derive(Debug, Clone, Default)]
pub struct PruneOptions {
    /// Removes all that are older than this many complete backups. Those that [secure](Backup::is_securing) a state
    /// do not count: they must not drive out what operators and runs made.
    pub keep_last: Option<usize>,
    /// Removes backups that were made longer ago than this.
    pub older_than: Option<Duration>,
    /// Manifests of backups that a run can still go back to.
    pub pinned: Vec<PathBuf>,
    /// Only says what would be removed.
    pub dry_run: bool,
}

/// What pruning did, or would do.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Pruned {
    /// Backups that are gone, newest first.
    pub removed: Vec<Backup>,
    /// Bytes that this freed.
    pub bytes: u64,
    /// Backups that are beyond the limits and stay because a run can still go back to them.
    pub pinned: Vec<Backup>,
}

/// Removes backups beyond the limits.
///
/// The newest complete backup stays, whatever the limits, and so does the newest that does not
/// [secure](Backup::is_securing) a state: it is the `latest`. So do pinned ones, foreign files, and copies
/// without a manifest, which may be an operator's own. The manifest goes last: it alone knows all files of
/// the backup, so that after a crash the next pruning removes the rest.
///
/// # Errors
/// [`ErrorKind::Usage`] without a limit; [`ErrorKind::Locked`] while a run is under way; when a file cannot be removed.
pub fn prune(settings: &Settings, options: &PruneOptions, observer: &dyn Observer) -> Result<Pruned> {
    if options.keep_last.is_none() && options.older_than.is_none() {
        return Err(Error::new(
            ErrorKind::Usage,
            "pruning needs to know how many backups to keep, or for how long",
        )
        .with_truth("Nothing was removed.")
        .with_hint(Hint::BackupPrune));
    }
    if options.dry_run {
        return remove_beyond(settings, options);
    }
    // The backup of a run that is under way is not on record yet.
    let _lock = MigrationLock::take(settings, "backup prune", observer)?;
    let looked = runs::version_of(settings);
    let settings = &settings.after(&looked);
    let version = looked.unwrap_or_default();
    Run::begin(settings, "backup prune", version, version).with_log(settings, observer, |run, log| {
        let pruned = remove_beyond(settings, options)?;
        for backup in &pruned.removed {
            log.observe(&Event::BackupRemoved {
                database: backup.database.clone(),
            });
        }
        run.record_afterwards(settings, log);
        Ok(pruned)
    })
}

fn remove_beyond(settings: &Settings, options: &PruneOptions) -> Result<Pruned> {
    let now = settings.clock.now();
    let mut pruned = Pruned::default();
    let (mut newer_complete, mut newer_made) = (0, 0);
    for backup in list(settings)? {
        let (Some(_), Some(stamp)) = (&backup.manifest, backup.stamp) else {
            continue;
        };
        let beyond_count = options.keep_last.is_none_or(|keep| newer_made >= keep);
        let beyond_age = options.older_than.is_none_or(|limit| now - stamp.time() > limit);
        let newest = newer_complete == 0 || (newer_made == 0 && !backup.is_securing());
        let complete = usize::from(backup.state == Completeness::Complete);
        newer_complete += complete;
        newer_made += if backup.is_securing() { 0 } else { complete };
        if !(beyond_count && beyond_age) || newest {
            continue;
        }
        // By name: databases move together with their backups, and a container knows other paths than its host.
        let name = backup.manifest_path.file_name();
        if options.pinned.iter().any(|pinned| pinned.file_name() == name) {
            pruned.pinned.push(backup);
            continue;
        }
        pruned.bytes += files(&backup)
            .filter_map(|path| path.metadata().ok())
            .map(|metadata| metadata.len())
            .sum::<u64>();
        if !options.dry_run {
            remove(&backup).map_err(|error| {
                error.with_truth(format!(
                    "Backups removed before it: {}. Of {} files may be missing now. Run the same command again to go on.",
                    pruned.removed.len(),
                    backup.database.display()
                ))
            })?;
        }
        pruned.removed.push(backup);
    }
    Ok(pruned)
}

/// The backup's files in the order in which they may go.
fn files(backup: &Backup) -> impl Iterator<Item = &Path> {
    [
        Some(&backup.database),
        backup.companion.as_ref(),
        Some(&backup.manifest_path),
    ]
    .into_iter()
    .flatten()
    .map(PathBuf::as_path)
}

fn remove(backup: &Backup) -> Result<()> {
    for path in files(backup) {
        if_there(std::fs::remove_file(path)).on_file("remove", path)?;
        // In this order on disk, too.
        sync_folder_of(path)?;
    }
    Ok(())
}
