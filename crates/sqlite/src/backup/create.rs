//! Makes a backup: space, copy, check, names.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::check::{Depth, check_copy};
use super::companion::{companion_bytes, copy_companion};
use super::copy::{Limits, catch_up, copy_database, copy_loosely};
use super::manifest::{CompanionEntry, DatabaseEntry, FORMAT, Manifest, is_securing};
use super::names::{Names, Stamp, lossy_name};
use super::{Backup, Completeness, contents::Contents, list::newest_first};
use crate::files::database_file::{FileState, inspect, with_suffix};
use bridge_migrate_core::clock::{self, timestamp};
use bridge_migrate_core::digest::{FileDigest, digest_file};
use bridge_migrate_core::regular_file::{if_there, make_folder};
use bridge_migrate_core::whole_file::{
    Publication, PublishedFile, VerifiedFile, WholeFile, remove_abandoned,
};
use bridge_migrate_core::{
    Error, ErrorKind, Event, Hint, IoContext, Observer, Position, Result, Settings, Silent, beside::Beside,
    disk::require_space,
};

/// What the caller knows about the database, for the manifest.
#[derive(Debug, Clone, Default)]
pub struct BackupFacts {
    /// The last migration that is applied; 0 means none. If the copy itself says otherwise, that counts.
    pub version: Option<u32>,
    /// The release of the database at that version.
    pub release: Option<String>,
    /// The run that the backup belongs to.
    pub run: Option<String>,
    /// Why the backup is made.
    pub reason: String,
}

/// A backup that was just made.
#[derive(Debug)]
pub struct Created {
    /// The backup.
    pub backup: Backup,
    /// What its manifest says.
    pub manifest: Manifest,
    /// The longest time that writers of the database had to wait for the copy.
    pub lock_held: Duration,
}

/// Makes a backup of the database and its companion while others read and write them. Not one byte of these changes,
/// not even by SQLite's own recovery of what a crash left.
///
/// The copy is byte for byte the database of one moment: page size, `user_version`, `application_id` and
/// auto-vacuum come along, and so does the flag in the header that says write-ahead log.
///
/// # Errors
/// [`ErrorKind::Missing`] and [`ErrorKind::NotADatabase`] by what stands at the database's path;
/// [`ErrorKind::DiskFull`] before anything is written; [`ErrorKind::Corrupt`] when the database is damaged;
/// [`ErrorKind::CompanionInvalid`] when the companion does not become whole within a second, unless the backup
/// secures a state; [`ErrorKind::Busy`] when another process keeps readers out. No file is left behind.
pub fn create(settings: &Settings, facts: &BackupFacts, observer: &dyn Observer) -> Result<Created> {
    create_with(settings, facts, Limits::default(), observer)
}

pub(super) fn create_with(
    settings: &Settings,
    facts: &BackupFacts,
    limits: Limits,
    observer: &dyn Observer,
) -> Result<Created> {
    if inspect(&settings.database)? == FileState::Missing {
        return Err(missing(&settings.database));
    }
    let draft = Draft::empty(settings, facts)?;
    let lock_held = copy_database(settings, &draft.whole, limits, observer)?;
    let (backup, manifest) = draft.check(observer)?.publish(observer)?;
    Ok(Created {
        backup,
        manifest,
        lock_held,
    })
}

fn backed_up(backup: &Backup, reused: bool) -> Event {
    Event::BackedUp {
        database: backup.database.clone(),
        companion: backup.companion.clone(),
        manifest: backup.manifest_path.clone(),
        reused,
    }
}

/// The newest backup, if a run made it for the same reason of exactly the state that was copied now: a run that is
/// tried again and again must not fill the disk. One that an operator asks for is always made.
fn same_state(
    settings: &Settings,
    facts: &BackupFacts,
    database: &FileDigest,
    companion: Option<&FileDigest>,
) -> Option<(Backup, Manifest)> {
    facts.run.as_ref()?;
    let backup = newest_first(settings)
        .ok()?
        .find(|backup| backup.state == Completeness::Complete)?;
    let manifest = backup.manifest.clone()?;
    // What its manifest says was true when it was made.
    let is_still = |path: &Path, wanted: &FileDigest| {
        digest_file(path, "", &Silent).is_ok_and(|digest| digest == *wanted)
    };
    let is_same = manifest.run.is_some()
        && manifest.reason == facts.reason
        && manifest.database.digest == *database
        && manifest.companion.as_ref().map(|entry| &entry.digest) == companion
        && is_still(&backup.database, database)
        && match (&backup.companion, companion) {
            (Some(path), Some(digest)) => is_still(path, digest),
            (path, digest) => path.is_none() && digest.is_none(),
        };
    is_same.then_some((backup, manifest))
}

/// A backup in the making: a copy without a name. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    settings: &'a Settings,
    facts: &'a BackupFacts,
    began: DateTime<Utc>,
    whole: WholeFile,
}

impl<'a> Draft<'a> {
    fn empty(settings: &'a Settings, facts: &'a BackupFacts) -> Result<Self> {
        let folder = &settings.backup_dir;
        make_folder(folder)?;
        remove_abandoned(folder);
        require_space(folder, space_needed(settings)?, "the backup")?;
        Ok(Self {
            settings,
            facts,
            began: clock::checked(&*settings.clock)?,
            whole: WholeFile::create_in(folder)?,
        })
    }

    /// A copy that is made while others write, for [`catch_up`](Self::catch_up): nearly all that has to be copied
    /// is then copied while nobody waits.
    ///
    /// # Errors
    /// [`ErrorKind::DiskFull`] before anything is written; when the database cannot be read.
    pub(crate) fn of_what_is_written_to(
        settings: &'a Settings,
        facts: &'a BackupFacts,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let draft = Self::empty(settings, facts)?;
        copy_loosely(&settings.database, &draft.whole, observer)?;
        Ok(draft)
    }

    /// Makes the copy the database as it is now. The caller holds SQLite's write lock.
    ///
    /// # Errors
    /// When the database cannot be read, or the copy cannot be written.
    pub(crate) fn catch_up(&self) -> Result<()> {
        catch_up(&self.settings.database, &self.whole)
    }

    /// Where the copy is for now.
    pub(crate) fn path(&self) -> &Path {
        self.whole.path()
    }

    /// Checks the copy, puts it on disk, and copies the companion.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] when the database is damaged; [`ErrorKind::CompanionInvalid`].
    pub(crate) fn check(self, observer: &dyn Observer) -> Result<CheckedDraft<'a>> {
        let Self {
            settings,
            facts,
            began,
            whole,
        } = self;
        // What secures a state keeps a companion that is not whole, too.
        let as_it_is = is_securing(&facts.reason);
        let (companion, database) = std::thread::scope(|scope| {
            let companion = Beside::begin(scope, || copy_companion(settings, as_it_is));
            let database = whole.verified(|whole| {
                let checked = check_copy(whole.path(), Depth::Quick, Some(whole.file()), observer)?;
                match checked.damage.first() {
                    Some(damage) => Err(damaged(&settings.database, damage)),
                    None => Ok(checked),
                }
            });
            (companion.join(), database)
        });
        let (database, checked) = database?;
        let companion = companion.map_err(|_| {
            Error::new(
                ErrorKind::Io,
                format!("the copy of {} ended early", settings.companion.display()),
            )
        })??;
        let contents = checked
            .contents
            .ok_or_else(|| damaged(&settings.database, "its tables cannot be read"))?;
        Ok(CheckedDraft {
            settings,
            facts,
            began,
            database,
            companion,
            digest: checked.digest,
            contents,
            position: checked.position,
        })
    }
}

/// A copy that is whole, sound and on disk, and lacks only its name. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct CheckedDraft<'a> {
    settings: &'a Settings,
    facts: &'a BackupFacts,
    began: DateTime<Utc>,
    database: VerifiedFile,
    companion: Option<(VerifiedFile, FileDigest)>,
    digest: FileDigest,
    contents: Contents,
    /// Where the copy stands by its own records.
    position: Option<Position>,
}

impl CheckedDraft<'_> {
    /// Gives the files their names, the manifest last.
    ///
    /// # Errors
    /// When a file cannot be named. No file is left behind.
    pub(crate) fn publish(self, observer: &dyn Observer) -> Result<(Backup, Manifest)> {
        let Self {
            settings,
            facts,
            began,
            ..
        } = self;
        let (companion, companion_digest) = self.companion.unzip();
        if let Some((backup, manifest)) = same_state(settings, facts, &self.digest, companion_digest.as_ref())
        {
            observer.observe(&backed_up(&backup, true));
            return Ok((backup, manifest));
        }
        let (version, release) = match self.position {
            // Another process has migrated since the caller looked.
            Some(found) if facts.version != Some(found.version) => (
                Some(found.version),
                found.release.map(|release| release.to_string()),
            ),
            _ => (facts.version, facts.release.clone()),
        };

        let named = name_files(settings, Stamp::at(began), self.database, companion)?;
        let companion = named.companion.as_ref().map(|file| file.path().to_owned());
        let manifest = Manifest {
            format: FORMAT,
            created_at: timestamp(began),
            tool: settings.tool.clone(),
            reason: facts.reason.clone(),
            run: facts.run.clone(),
            source: lossy_name(&settings.database),
            stamp: named.stamp.to_string(),
            version,
            release,
            database: DatabaseEntry {
                file: lossy_name(named.database.path()),
                digest: self.digest,
                contents: self.contents,
            },
            companion: companion_entry(companion.as_deref(), companion_digest),
        };
        let backup = named.seal(&manifest)?;
        observer.observe(&backed_up(&backup, false));
        Ok((backup, manifest))
    }
}

/// Bytes that a backup of the present state takes at most.
///
/// # Errors
/// When a file cannot be looked at.
pub(crate) fn space_needed(settings: &Settings) -> Result<u64> {
    let log = with_suffix(&settings.database, "-wal")
        .metadata()
        .map_or(0, |log| log.len());
    let database = if_there(settings.database.metadata()).on_file("look at", &settings.database)?;
    let database = database.map_or(0, |metadata| metadata.len());
    Ok(database + log + companion_bytes(&settings.companion)?.unwrap_or(0))
}

fn companion_entry(path: Option<&Path>, digest: Option<FileDigest>) -> Option<CompanionEntry> {
    path.zip(digest).map(|(path, digest)| CompanionEntry {
        file: lossy_name(path),
        digest,
    })
}

/// The backup's files under their names; dropping it removes them.
#[derive(Debug)]
struct Named {
    stamp: Stamp,
    folder: PathBuf,
    names: Names,
    database: PublishedFile,
    companion: Option<PublishedFile>,
}

impl Named {
    /// Gives the manifest its name, which makes the backup complete, and keeps all files.
    fn seal(self, manifest: &Manifest) -> Result<Backup> {
        let file = manifest.write_in(&self.folder)?;
        let Publication::Done(manifest_file) = file.publish_new(&self.names.manifest)? else {
            return Err(Error::new(
                ErrorKind::Io,
                format!(
                    "{} appeared while the backup was made",
                    self.folder.join(&self.names.manifest).display()
                ),
            )
            .with_hint(Hint::BackupCreate));
        };
        Ok(Backup {
            stamp: Some(self.stamp),
            database: self.database.keep(),
            companion: self.companion.map(PublishedFile::keep),
            manifest_path: manifest_file.keep(),
            manifest: Some(manifest.clone()),
            state: Completeness::Complete,
            problem: None,
        })
    }
}

/// Finds the first stamp of which no file exists. Other processes may be doing the same.
fn name_files(
    settings: &Settings,
    mut stamp: Stamp,
    mut database: VerifiedFile,
    mut companion: Option<VerifiedFile>,
) -> Result<Named> {
    let folder = &settings.backup_dir;
    loop {
        let names = Names::new(settings, stamp)?;
        let taken = [&names.database, &names.companion, &names.manifest]
            .into_iter()
            .any(|name| folder.join(name).symlink_metadata().is_ok());
        if !taken {
            match database.publish_new(&names.database)? {
                Publication::Taken(file) => database = file,
                Publication::Done(published) => match publish(companion, &names)? {
                    Ok(companion) => {
                        return Ok(Named {
                            stamp,
                            folder: folder.clone(),
                            names,
                            database: published,
                            companion,
                        });
                    }
                    Err(file) => {
                        companion = Some(file);
                        database = published.withdraw()?;
                    }
                },
            }
        }
        stamp = stamp.next();
    }
}

fn publish(
    companion: Option<VerifiedFile>,
    names: &Names,
) -> Result<Result<Option<PublishedFile>, VerifiedFile>> {
    let Some(file) = companion else {
        return Ok(Ok(None));
    };
    Ok(match file.publish_new(&names.companion)? {
        Publication::Done(published) => Ok(Some(published)),
        Publication::Taken(file) => Err(file),
    })
}

fn missing(database: &Path) -> Error {
    Error::new(
        ErrorKind::Missing,
        format!("there is no database at {}", database.display()),
    )
    .with_truth("No backup was made; nothing was changed.")
}

fn damaged(database: &Path, damage: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("the database {} is damaged: {damage}", database.display()),
    )
    .with_truth("No backup was made; nothing was changed.")
    .with_hint(Hint::BackupList)
}
