//! What was applied, and by which runs.

use bridge_migrate_sqlite::{RecordedRun, RecordedStep};
use serde::Serialize;

use crate::output::Report;
use crate::text::{STRONG, count, duration, line, safe, styled, table::table, time, version};

/// The answer of `history`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HistoryReport {
    /// Whether people see the ways back; scripts always do.
    #[serde(skip)]
    pub(crate) shows_rollback: bool,
    /// Applied migrations, in order.
    pub(crate) applied: Vec<RecordedStep>,
    /// Runs, oldest first.
    pub(crate) runs: Vec<RecordedRun>,
}

impl Report for HistoryReport {
    fn render(&self) -> String {
        if self.applied.is_empty() && self.runs.is_empty() {
            return "nothing is applied yet\n".to_owned();
        }
        if self.shows_rollback {
            return self.ways_back();
        }
        let mut page = String::new();
        page.push_str(&self.steps());
        line!(page);
        line!(page, "{}", styled(STRONG, "Runs"));
        page.push_str(&self.runs());
        let failed: Vec<_> = self
            .runs
            .iter()
            .filter_map(|run| Some((run, run.failure.as_ref()?)))
            .collect();
        if !failed.is_empty() {
            line!(page);
            line!(page, "{}", styled(STRONG, "Why runs failed"));
            for (run, cause) in failed {
                line!(page, "{}  {}", safe(&run.run), safe(&cause.line()));
            }
        }
        page
    }
}

impl HistoryReport {
    fn steps(&self) -> String {
        let columns = [
            "VERSION",
            "NAME",
            "RELEASE",
            "APPLIED",
            ">DURATION",
            ">ROWS",
            ">LONGEST LOCK",
            "RUN",
        ];
        let rows = self.applied.iter().map(|step| {
            let [took, changed, lock] = if step.adopted {
                ["adopted".to_owned(), String::new(), String::new()]
            } else {
                [
                    duration(step.duration_ms),
                    count(step.rows_changed),
                    duration(step.max_lock_ms),
                ]
            };
            vec![
                version(step.version),
                step.name.clone(),
                step.release.clone(),
                time(&step.applied_at),
                took,
                changed,
                lock,
                step.run.clone(),
            ]
        });
        table(&columns, rows)
    }

    /// Each migration's way back in its author's words.
    fn ways_back(&self) -> String {
        let mut page = String::new();
        for (index, step) in self.applied.iter().enumerate() {
            if index > 0 {
                line!(page);
            }
            let title = format!("{} {}", version(step.version), safe(&step.name));
            line!(page, "{}", styled(STRONG, &title));
            let by = if step.adopted {
                "it was adopted, and stays"
            } else {
                step.way_back.as_str()
            };
            line!(page, "  goes back by: {}", safe(by));
            for text in step.rollback.trim().lines() {
                line!(page, "  {}", safe(text));
            }
        }
        page
    }

    fn runs(&self) -> String {
        let columns = [
            "RUN", "COMMAND", "BEGAN", "FROM", "REACHED", "HOST", "TOOL", "NOTE",
        ];
        let rows = self.runs.iter().map(|run| {
            let mut note = match (&run.failure, &run.finished_at) {
                (Some(_), _) => vec!["failed".to_owned()],
                (None, None) => vec![format!("stopped on the way to {}", version(run.to))],
                (None, Some(_)) => Vec::new(),
            };
            if !run.allowed_drift.is_empty() {
                note.push(format!("let drift pass: {}", run.allowed_drift.join(", ")));
            }
            vec![
                run.run.clone(),
                run.command.clone(),
                time(&run.started_at),
                version(run.from),
                version(run.reached),
                run.host.clone(),
                run.tool.clone(),
                note.join("; "),
            ]
        });
        table(&columns, rows)
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use bridge_migrate_core::Cause;

    use super::*;

    fn step(version: u32, name: &str, adopted: bool) -> RecordedStep {
        RecordedStep {
            version,
            name: name.to_owned(),
            release: "1.1.0".to_owned(),
            phase: "expand".to_owned(),
            run: "5f2c01aa".to_owned(),
            adopted,
            applied_at: "2026-02-22T15:30:45.123456Z".to_owned(),
            duration_ms: 12_345,
            max_lock_ms: 201,
            rows_changed: 1_000_000,
            rows_skipped: 0,
            fingerprint: String::new(),
            way_back: String::new(),
            down_sql: String::new(),
            rollback: String::new(),
        }
    }

    #[test]
    fn a_history_says_what_when_how_long_and_by_whom() {
        let report = HistoryReport {
            shows_rollback: false,
            applied: vec![
                step(1, "initial_schema", true),
                step(5, "normalize_timestamps", false),
            ],
            runs: vec![RecordedRun {
                run: "5f2c01aa".to_owned(),
                command: "migrate".to_owned(),
                started_at: "2026-02-22T15:30:45.123456Z".to_owned(),
                finished_at: None,
                from: 1,
                to: 9,
                reached: 5,
                host: "bridge-1".to_owned(),
                tool: "bridge-migrate 0.1.0".to_owned(),
                backup: None,
                allowed_drift: vec!["idx_messages_room: index on messages is missing".to_owned()],
                failure: Some(Cause {
                    message: "cannot rewrite messages.timestamp".to_owned(),
                    because: Some("UNIQUE constraint failed: messages.timestamp".to_owned()),
                    sqlite_code: Some(2067),
                    table: Some("messages".to_owned()),
                    row: Some("m-7".to_owned()),
                    rowid: Some(7),
                }),
            }],
        };
        insta::assert_snapshot!(strip_str(&report.render()), @"
        VERSION  NAME                  RELEASE  APPLIED                  DURATION       ROWS  LONGEST LOCK  RUN
        V001     initial_schema        1.1.0    2026-02-22 15:30:45 UTC   adopted                           5f2c01aa
        V005     normalize_timestamps  1.1.0    2026-02-22 15:30:45 UTC    12.3 s  1,000,000        201 ms  5f2c01aa

        Runs
        RUN       COMMAND  BEGAN                    FROM  REACHED  HOST      TOOL                  NOTE
        5f2c01aa  migrate  2026-02-22 15:30:45 UTC  V001  V005     bridge-1  bridge-migrate 0.1.0  failed; let drift pass: idx_messages_room: index on messages is missing

        Why runs failed
        5f2c01aa  cannot rewrite messages.timestamp: UNIQUE constraint failed: messages.timestamp (messages, row m-7) [SQLite 2067]
        ");
    }

    #[test]
    fn each_migration_says_how_it_goes_back() {
        let mut journaled = step(5, "normalize_timestamps", false);
        journaled.way_back = "journal messages.timestamp".to_owned();
        journaled.rollback = "Puts the old text back.\nNothing is lost.".to_owned();
        let report = HistoryReport {
            shows_rollback: true,
            applied: vec![step(1, "initial_schema", true), journaled],
            runs: Vec::new(),
        };
        insta::assert_snapshot!(strip_str(&report.render()), @r"
        V001 initial_schema
          goes back by: it was adopted, and stays

        V005 normalize_timestamps
          goes back by: journal messages.timestamp
          Puts the old text back.
          Nothing is lost.
        ");
    }

    #[test]
    fn an_unmanaged_database_has_no_history() {
        let report = HistoryReport {
            shows_rollback: false,
            applied: Vec::new(),
            runs: Vec::new(),
        };
        assert_eq!(report.render(), "nothing is applied yet\n");
    }
}
