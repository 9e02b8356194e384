//! What a migration did, after the lines that told of it while it ran.

use std::path::PathBuf;

use bridge_migrate_core::{Position, SkippedRow, serial::optional_path};
use bridge_migrate_sqlite::{Adoption, StepOutcome};
use serde::Serialize;

use super::backup::BackupFiles;
use super::kept::{KeptWaiting, ReclaimedReport};
use crate::output::Report;
use crate::text::{CAUTION, STRONG, count, counted, line, safe, shown, styled, version};

/// The answer of `migrate` and `adopt`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct MigrateReport {
    pub(crate) from: Position,
    pub(crate) to: Position,
    /// Whether there was no database before.
    pub(crate) created: bool,
    pub(crate) adopted: Option<Adoption>,
    pub(crate) applied: Vec<StepOutcome>,
    pub(crate) backup: Option<BackupFiles>,
    pub(crate) waited_ms: u64,
    /// The run's name; nothing when there was nothing to do.
    pub(crate) run: Option<String>,
    /// How many migrations stay pending.
    pub(crate) pending: usize,
    /// What came back of what earlier rollbacks kept, with `--reclaim`.
    pub(crate) reclaimed: Option<ReclaimedReport>,
    /// What has not come back.
    pub(crate) kept: Option<KeptWaiting>,
    /// The first rows that were left as they are.
    pub(crate) skipped: Vec<SkippedRow>,
    #[serde(serialize_with = "optional_path")]
    pub(crate) log: Option<PathBuf>,
}

impl Report for MigrateReport {
    fn render(&self) -> String {
        let mut page = String::new();
        for step in &self.applied {
            self.skipped_by(step, &mut page);
        }
        let place = styled(STRONG, &self.to.to_string());
        let rest = match self.pending as u64 {
            0 => String::new(),
            number => format!("; {} pending", counted(number, "migration")),
        };
        if self.run.is_none() {
            line!(page, "nothing to do: database is at {place}{rest}");
        } else {
            line!(page, "database is at {place}{rest}");
        }
        if let Some(reclaimed) = &self.reclaimed {
            page.push_str(&reclaimed.render());
        }
        if let Some(kept) = &self.kept {
            kept.fields(&mut page);
        }
        page
    }
}

impl MigrateReport {
    fn skipped_by(&self, step: &StepOutcome, page: &mut String) {
        if step.rows_skipped == 0 {
            return;
        }
        let rows = counted(step.rows_skipped, "row");
        let left = format!("{} left {rows} as they were:", version(step.version));
        line!(page, "{}", styled(CAUTION, &left));
        let mut named = 0;
        for row in self.skipped.iter().filter(|row| row.version == step.version) {
            line!(
                page,
                "  {} {}: {}",
                safe(&row.table),
                safe(&row.key),
                safe(&row.why)
            );
            named += 1;
        }
        let more = step.rows_skipped.saturating_sub(named);
        let log = self.log.as_deref().map(shown);
        match (more, log) {
            (0, None) => {}
            (0, Some(log)) => line!(page, "  as the log says: {log}"),
            (_, None) => line!(page, "  and {} more", count(more)),
            (_, Some(log)) => line!(page, "  and {} more: {log}", count(more)),
        }
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use bridge_migrate_core::Release;

    use super::*;

    fn done() -> MigrateReport {
        let position = |version, release: &str| Position {
            version,
            release: Release::parse(release).ok(),
        };
        MigrateReport {
            created: false,
            from: position(1, "1.0.0"),
            to: position(9, "1.2.0"),
            adopted: None,
            applied: vec![StepOutcome {
                version: 5,
                name: "normalize_timestamps".to_owned(),
                duration_ms: 812,
                rows_changed: 1_000,
                rows_skipped: 12,
                max_lock_ms: 40,
            }],
            backup: None,
            waited_ms: 0,
            run: Some("5f2c01aa".to_owned()),
            pending: 0,
            reclaimed: None,
            kept: None,
            skipped: ["m-17", "m-\u{1b}x"]
                .map(|key| SkippedRow {
                    version: 5,
                    table: "messages".to_owned(),
                    key: key.to_owned(),
                    why: "not a timestamp".to_owned(),
                })
                .into(),
            log: Some("logs/migration_20260222_153045_5f2c01aa.log".into()),
        }
    }

    #[test]
    fn rows_that_were_left_are_counted_and_named() {
        insta::assert_snapshot!(strip_str(&done().render()), @r"
        V005 left 12 rows as they were:
          messages m-17: not a timestamp
          messages m-\u{1b}x: not a timestamp
          and 10 more: logs/migration_20260222_153045_5f2c01aa.log
        database is at 1.2.0 (V009)
        ");
    }

    #[test]
    fn nothing_to_do_is_one_line() {
        let report = MigrateReport {
            applied: Vec::new(),
            run: None,
            ..done()
        };
        let text = strip_str(&report.render()).to_string();
        assert_eq!(text, "nothing to do: database is at 1.2.0 (V009)\n");
    }

    #[test]
    fn what_another_phase_has_to_do_is_not_forgotten() {
        let report = MigrateReport {
            applied: Vec::new(),
            pending: 2,
            ..done()
        };
        let text = strip_str(&report.render()).to_string();
        assert_eq!(text, "database is at 1.2.0 (V009); 2 migrations pending\n");
    }

    #[test]
    fn scripts_find_the_keys_of_the_contract() {
        let value = serde_json::to_value(done()).unwrap();
        for key in ["from", "to", "adopted", "applied", "backup", "waited_ms", "run"] {
            assert!(value.get(key).is_some(), "{key}");
        }
        for key in ["version", "name", "duration_ms", "rows_changed", "max_lock_ms"] {
            assert!(value["applied"][0].get(key).is_some(), "{key}");
        }
    }
}
