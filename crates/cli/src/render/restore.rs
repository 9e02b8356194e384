//! What a restore did, or would do.

use std::path::PathBuf;

use bridge_migrate_core::{EntryCounts, serial::optional_path};
use bridge_migrate_sqlite::backup::Backup;
use bridge_migrate_sqlite::restore::{CompanionChange, Placement, RestoreOutcome, Secured, TableRows};
use serde::Serialize;

use super::backup::BackupFiles;
use crate::output::Report;
use crate::text::{count, field, line, safe, shown, table::table};

/// The answer of `restore`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RestoreReport {
    pub(crate) dry_run: bool,
    /// What was put back.
    pub(crate) backup: BackupFiles,
    /// The backup that the state before went into.
    pub(crate) secured: Option<BackupFiles>,
    /// Copies of the files before, when they were too damaged for a backup.
    pub(crate) damaged: Vec<String>,
    pub(crate) placement: Placement,
    pub(crate) tables: Vec<TableRows>,
    pub(crate) tokens: CompanionChange,
    pub(crate) token_counts: EntryCounts,
    /// The token file, where it changed.
    #[serde(serialize_with = "optional_path")]
    pub(crate) tokens_path: Option<PathBuf>,
    pub(crate) written_since: bool,
    /// How long other processes were kept out, if it was restored in place.
    pub(crate) lock_ms: Option<u64>,
}

impl RestoreReport {
    /// A report on an outcome; `tokens` is where the token file belongs.
    pub(crate) fn new(outcome: &RestoreOutcome, tokens: PathBuf) -> Self {
        let secured: Option<&Backup> = match &outcome.secured {
            Secured::Backup { backup } => Some(backup),
            Secured::Nothing | Secured::Damaged { .. } => None,
        };
        let damaged = match &outcome.secured {
            Secured::Damaged { files } => files
                .iter()
                .map(|file| file.to_string_lossy().into_owned())
                .collect(),
            Secured::Nothing | Secured::Backup { .. } => Vec::new(),
        };
        let touches_tokens = matches!(
            outcome.companion,
            CompanionChange::Replaced | CompanionChange::Created | CompanionChange::Merged
        );
        Self {
            dry_run: outcome.dry_run,
            backup: BackupFiles::from(&outcome.backup),
            secured: secured.map(BackupFiles::from),
            damaged,
            placement: outcome.placement,
            tables: outcome.tables.clone(),
            tokens: outcome.companion,
            token_counts: outcome.entries,
            tokens_path: touches_tokens.then_some(tokens),
            written_since: outcome.written_since,
            lock_ms: outcome.lock_ms,
        }
    }
}

impl Report for RestoreReport {
    fn render(&self) -> String {
        let mut page = String::new();
        let verb = if self.dry_run { "would restore" } else { "restored" };
        line!(page, "{verb} {}", shown(&self.backup.database));
        if let Some(secured) = &self.secured {
            field!(page, "before", "secured in {}", shown(&secured.database));
        }
        for file in &self.damaged {
            field!(page, "before", "damaged, copied to {}", safe(file));
        }
        let tokens = match self.tokens {
            CompanionChange::Same => "as in the backup",
            CompanionChange::Replaced => "replaced by the backup's",
            CompanionChange::Created => "put back",
            CompanionChange::Merged => "the backup's and the present ones",
            CompanionChange::Kept => "as they are at present",
            CompanionChange::NotInBackup => "not in the backup; what is there stays",
        };
        field!(page, "tokens", "{tokens}");
        token_counts(&mut page, &self.token_counts, self.dry_run);
        if self.placement == Placement::NewFile {
            let text = "a new file: servers that have the old one open must open it again";
            field!(page, "database", "{text}");
        }
        if self.written_since {
            let text = "another process wrote since, so the rows could not be compared exactly";
            field!(page, "note", "{text}");
        }
        let changed: Vec<&TableRows> = self
            .tables
            .iter()
            .filter(|rows| rows.now != rows.backup)
            .collect();
        if changed.is_empty() {
            line!(page, "Every table has as many rows as before.");
        } else {
            page.push_str(&rows_table(&changed));
        }
        page
    }
}

/// How many tokens come back, go, stay revoked and stay, if any do.
pub(super) fn token_counts(page: &mut String, counts: &EntryCounts, dry_run: bool) {
    let verb = |past: &'static str, future: &'static str| if dry_run { future } else { past };
    let parts: Vec<String> = [
        (counts.came_back, verb("came back", "would come back")),
        (counts.went, verb("went", "would go")),
        (counts.stay_revoked, verb("stayed revoked", "would stay revoked")),
        (
            counts.kept,
            verb("issued since stayed", "issued since would stay"),
        ),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| format!("{} {what}", count(number)))
    .collect();
    if !parts.is_empty() {
        field!(page, "", "{}", parts.join(", "));
    }
}

fn rows_table(rows: &[&TableRows]) -> String {
    let columns = ["TABLE", ">ROWS BEFORE", ">ROWS IN BACKUP"];
    let number = |rows: Option<u64>| rows.map_or_else(|| "none".to_owned(), count);
    table(
        &columns,
        rows.iter()
            .map(|rows| vec![rows.table.clone(), number(rows.now), number(rows.backup)]),
    )
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn a_dry_run_shows_which_rows_would_go() {
        let rows = |table: &str, now, backup| TableRows {
            table: table.to_owned(),
            now,
            backup,
        };
        let report = RestoreReport {
            dry_run: true,
            backup: BackupFiles {
                database: "data/collab.db.backup.20260222_153045".into(),
                tokens: None,
                manifest: "data/collab.db.backup.20260222_153045.json".into(),
            },
            secured: None,
            damaged: Vec::new(),
            placement: Placement::NewFile,
            tables: vec![
                rows("messages", Some(1_200), Some(1_000)),
                rows("reactions", Some(3), None),
                rows("rooms", Some(4), Some(4)),
            ],
            tokens: CompanionChange::Merged,
            token_counts: EntryCounts {
                came_back: 3,
                went: 0,
                stay_revoked: 1,
                kept: 2,
            },
            tokens_path: Some("data/tokens.json".into()),
            written_since: false,
            lock_ms: None,
        };
        insta::assert_snapshot!(strip_str(&report.render()), @"
        would restore data/collab.db.backup.20260222_153045
        tokens       the backup's and the present ones
                     3 would come back, 1 would stay revoked, 2 issued since would stay
        database     a new file: servers that have the old one open must open it again
        TABLE      ROWS BEFORE  ROWS IN BACKUP
        messages         1,200           1,000
        reactions            3            none
        ");
    }
}
