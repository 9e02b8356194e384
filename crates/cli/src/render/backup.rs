//! Backups: made, listed, verified and pruned.

use std::path::PathBuf;

use bridge_migrate_core::disk::size;
use bridge_migrate_core::serial::{optional_path, path};
use bridge_migrate_sqlite::backup::{Backup, Completeness, Created, Manifest, Problem};
use serde::Serialize;

use crate::output::{Report, json::DatabaseKey};
use crate::text::{CAUTION, counted, duration, line, safe, shown, styled, table::table, time, version};

/// The files of a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct BackupFiles {
    #[serde(serialize_with = "path")]
    pub(crate) database: PathBuf,
    #[serde(serialize_with = "optional_path")]
    pub(crate) tokens: Option<PathBuf>,
    #[serde(serialize_with = "path")]
    pub(crate) manifest: PathBuf,
}

impl From<&Backup> for BackupFiles {
    fn from(backup: &Backup) -> Self {
        Self {
            database: backup.database.clone(),
            tokens: backup.companion.clone(),
            manifest: backup.manifest_path.clone(),
        }
    }
}

/// The answer of `backup create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CreatedReport {
    #[serde(flatten)]
    pub(crate) files: BackupFiles,
    /// Of the copy of the database.
    pub(crate) bytes: u64,
    /// Of the copy of the database.
    pub(crate) sha256: String,
    /// The longest time that writers had to wait, in milliseconds.
    pub(crate) lock_ms: u64,
}

impl From<&Created> for CreatedReport {
    fn from(created: &Created) -> Self {
        let digest = &created.manifest.database.digest;
        Self {
            files: BackupFiles::from(&created.backup),
            bytes: digest.bytes,
            sha256: digest.sha256.clone(),
            lock_ms: u64::try_from(created.lock_held.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl Report for CreatedReport {
    fn render(&self) -> String {
        let mut page = String::new();
        line!(
            page,
            "{} of the database, verified; writers waited {} at most",
            size(self.bytes),
            duration(self.lock_ms)
        );
        line!(page, "sha256 {}", self.sha256);
        page
    }

    fn database_key(&self) -> DatabaseKey {
        DatabaseKey::Source
    }
}

/// A backup in a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct BackupEntry {
    pub(crate) stamp: Option<String>,
    #[serde(flatten)]
    pub(crate) files: BackupFiles,
    pub(crate) created_at: Option<String>,
    pub(crate) bytes: Option<u64>,
    pub(crate) sha256: Option<String>,
    pub(crate) version: Option<u32>,
    pub(crate) release: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) run: Option<String>,
    /// Whether it secures the state before a restore or a rollback, and so is never the `latest`.
    pub(crate) securing: bool,
    /// `complete`, `incomplete`, `unreadable` or `foreign`.
    pub(crate) state: &'static str,
    /// Why it is not complete.
    pub(crate) problem: Option<String>,
}

impl From<&Backup> for BackupEntry {
    fn from(backup: &Backup) -> Self {
        let says = backup.manifest.as_ref();
        let text = |get: fn(&Manifest) -> &String| says.map(|manifest| get(manifest).clone());
        Self {
            stamp: backup.stamp.map(|stamp| stamp.to_string()),
            files: backup.into(),
            created_at: text(|manifest| &manifest.created_at),
            bytes: says.map(|manifest| manifest.database.digest.bytes),
            sha256: text(|manifest| &manifest.database.digest.sha256),
            version: says.and_then(|manifest| manifest.version),
            release: says.and_then(|manifest| manifest.release.clone()),
            reason: text(|manifest| &manifest.reason),
            run: says.and_then(|manifest| manifest.run.clone()),
            securing: backup.is_securing(),
            state: match backup.state {
                Completeness::Complete => "complete",
                Completeness::Incomplete => "incomplete",
                Completeness::Unreadable => "unreadable",
                Completeness::Foreign => "foreign",
            },
            problem: backup.problem.clone(),
        }
    }
}

impl BackupEntry {
    /// When it was made, for people.
    pub(crate) fn when(&self) -> String {
        match (&self.created_at, &self.stamp) {
            (Some(created_at), _) => time(created_at),
            (None, Some(stamp)) => safe(stamp),
            (None, None) => "unknown".to_owned(),
        }
    }

    /// `1.1.0 (V005)`.
    fn position(&self) -> String {
        match (self.version, &self.release) {
            (Some(number), Some(release)) => format!("{release} ({})", version(number)),
            (Some(number), None) => version(number),
            (None, Some(release)) => release.clone(),
            (None, None) => "not managed".to_owned(),
        }
    }
}

/// The answer of `backup list`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ListReport {
    #[serde(serialize_with = "path")]
    pub(crate) backup_dir: PathBuf,
    pub(crate) backups: Vec<BackupEntry>,
}

impl Report for ListReport {
    fn render(&self) -> String {
        if self.backups.is_empty() {
            return format!("there is no backup in {}\n", shown(&self.backup_dir));
        }
        let columns = ["BACKUP", "MADE", ">SIZE", "DATABASE AT", "TOKENS", "WHY"];
        let rows = self.backups.iter().map(|backup| {
            let name = backup.stamp.clone().unwrap_or_else(|| {
                let name = backup.files.database.file_name().unwrap_or_default();
                name.to_string_lossy().into_owned()
            });
            let why = match (&backup.problem, &backup.reason) {
                (Some(problem), _) => format!("{}: {problem}", backup.state),
                (None, Some(reason)) if backup.securing => format!("secured {reason}"),
                (None, Some(reason)) => reason.clone(),
                (None, None) => backup.state.to_owned(),
            };
            let known = backup.created_at.is_some();
            vec![
                name,
                if known { backup.when() } else { String::new() },
                backup.bytes.map_or_else(String::new, size),
                if known { backup.position() } else { String::new() },
                if backup.files.tokens.is_some() {
                    "yes"
                } else {
                    "no"
                }
                .to_owned(),
                why,
            ]
        });
        table(&columns, rows)
    }
}

/// The answer of `backup verify`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct VerifiedReport {
    pub(crate) backup: BackupFiles,
    pub(crate) problems: Vec<Problem>,
}

impl Report for VerifiedReport {
    fn render(&self) -> String {
        if self.problems.is_empty() {
            return format!("{} is sound\n", shown(&self.backup.database));
        }
        let mut page = String::new();
        for problem in &self.problems {
            line!(page, "{} {}", styled(CAUTION, "found:"), safe(&problem.message));
        }
        page
    }
}

/// The answer of `backup prune`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PrunedReport {
    pub(crate) dry_run: bool,
    pub(crate) removed: Vec<BackupEntry>,
    /// Of the removed files.
    pub(crate) bytes: u64,
    /// Beyond the limits, but a run can still go back to them.
    pub(crate) kept_for_runs: Vec<BackupEntry>,
}

impl Report for PrunedReport {
    fn render(&self) -> String {
        let mut page = String::new();
        let verb = if self.dry_run { "would remove" } else { "removed" };
        for backup in &self.removed {
            line!(page, "{verb} {}", shown(&backup.files.database));
        }
        for backup in &self.kept_for_runs {
            let run = backup.run.as_deref().unwrap_or("a run");
            line!(
                page,
                "keeps {}: run {} can go back to it",
                shown(&backup.files.database),
                safe(run)
            );
        }
        let removed = counted(self.removed.len() as u64, "backup");
        line!(page, "{verb} {removed}, {}", size(self.bytes));
        page
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    fn entry() -> BackupEntry {
        BackupEntry {
            stamp: Some("20260222_153045".to_owned()),
            files: BackupFiles {
                database: "data/collab.db.backup.20260222_153045".into(),
                tokens: Some("data/tokens.json.backup.20260222_153045".into()),
                manifest: "data/collab.db.backup.20260222_153045.json".into(),
            },
            created_at: Some("2026-02-22T15:30:45.123456Z".to_owned()),
            bytes: Some(60_817_408),
            sha256: Some("ab".repeat(32)),
            version: Some(1),
            release: Some("1.0.0".to_owned()),
            reason: Some("before migrate".to_owned()),
            run: Some("5f2c01aa".to_owned()),
            securing: false,
            state: "complete",
            problem: None,
        }
    }

    #[test]
    fn a_list_says_what_can_be_trusted() {
        let report = ListReport {
            backup_dir: "data".into(),
            backups: vec![
                entry(),
                BackupEntry {
                    reason: Some("before restore".to_owned()),
                    securing: true,
                    ..entry()
                },
                BackupEntry {
                    stamp: Some("20260221_090000".to_owned()),
                    state: "incomplete",
                    problem: Some("it has no manifest".to_owned()),
                    ..BackupEntry::default()
                },
                BackupEntry {
                    files: BackupFiles {
                        database: "data/collab.db.backup.old".into(),
                        ..BackupFiles::default()
                    },
                    state: "foreign",
                    problem: Some("its name is not one that this program gives".to_owned()),
                    ..BackupEntry::default()
                },
            ],
        };
        insta::assert_snapshot!(strip_str(&report.render()), @"
        BACKUP                MADE                         SIZE  DATABASE AT   TOKENS  WHY
        20260222_153045       2026-02-22 15:30:45 UTC  58.0 MiB  1.0.0 (V001)  yes     before migrate
        20260222_153045       2026-02-22 15:30:45 UTC  58.0 MiB  1.0.0 (V001)  yes     secured before restore
        20260221_090000                                                        no      incomplete: it has no manifest
        collab.db.backup.old                                                   no      foreign: its name is not one that this program gives
        ");
    }

    #[test]
    fn an_empty_list_names_the_folder() {
        let report = ListReport {
            backup_dir: "data".into(),
            backups: Vec::new(),
        };
        assert_eq!(report.render(), "there is no backup in data\n");
    }

    #[test]
    fn pruning_says_what_stays_and_why() {
        let report = PrunedReport {
            dry_run: true,
            removed: vec![entry()],
            bytes: 60_817_408,
            kept_for_runs: vec![entry()],
        };
        insta::assert_snapshot!(strip_str(&report.render()), @"
        would remove data/collab.db.backup.20260222_153045
        keeps data/collab.db.backup.20260222_153045: run 5f2c01aa can go back to it
        would remove 1 backup, 58.0 MiB
        ");
    }

    #[test]
    fn the_copy_is_what_scripts_find_under_database() {
        let report = CreatedReport {
            files: BackupFiles {
                database: "b.db".into(),
                tokens: None,
                manifest: "b.json".into(),
            },
            bytes: 4096,
            sha256: "00".to_owned(),
            lock_ms: 3,
        };
        let line =
            crate::output::json::success("backup create", "a.db", report.database_key(), &report).unwrap();
        insta::assert_snapshot!(line, @r#"{"ok":true,"command":"backup create","source":"a.db","database":"b.db","tokens":null,"manifest":"b.json","bytes":4096,"sha256":"00","lock_ms":3}"#);
    }
}
