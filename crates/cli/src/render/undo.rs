//! Records that were put back, and old values that were given up.

use bridge_migrate_sqlite::undo::{Pruned, UndoOutcome};
use serde::Serialize;

use super::rollback::conflicts;
use crate::output::Report;
use crate::text::{CAUTION, count, counted, line, safe, styled, table::table, version};

/// How many records people see.
const SHOWN: usize = 20;

/// The answer of `undo`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct UndoReport {
    pub(crate) dry_run: bool,
    #[serde(flatten)]
    pub(crate) outcome: UndoOutcome,
}

impl Report for UndoReport {
    fn render(&self) -> String {
        let outcome = &self.outcome;
        let mut page = String::new();
        if !outcome.reverted.is_empty() {
            let columns = ["KEY", "COLUMN", "FROM", "TO"];
            let rows = outcome.reverted.iter().take(SHOWN).map(|record| {
                vec![
                    record.key.clone(),
                    format!("{}.{}", record.table, record.column),
                    record.from.clone(),
                    record.to.clone(),
                ]
            });
            page.push_str(&table(&columns, rows));
            let named = outcome.reverted.len().min(SHOWN) as u64;
            if outcome.reverted_count > named {
                line!(page, "and {} more", count(outcome.reverted_count - named));
            }
        }
        conflicts(&outcome.conflicts, outcome.conflict_count, &mut page);
        let verb = if self.dry_run {
            "would be put back"
        } else {
            "put back"
        };
        line!(
            page,
            "{} {}: {} {verb}, {} left; {} can still be put back",
            version(outcome.version),
            safe(&outcome.name),
            counted(outcome.reverted_count, "record"),
            count(outcome.conflict_count),
            count(outcome.remaining)
        );
        page
    }
}

/// The answer of `log prune`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PruneReport {
    pub(crate) dry_run: bool,
    pub(crate) pruned: Vec<Pruned>,
}

impl Report for PruneReport {
    fn render(&self) -> String {
        if self.pruned.is_empty() {
            return "nothing to prune\n".to_owned();
        }
        let mut page = String::new();
        let (removed, no_longer) = if self.dry_run {
            ("would be removed", "could no longer be put back one by one")
        } else {
            ("removed", "can no longer be put back one by one")
        };
        for pruned in &self.pruned {
            let what = format!(
                "{}: {} {removed}",
                version(pruned.version),
                counted(pruned.records, "old value")
            );
            let lost = format!("{} {no_longer}", counted(pruned.no_longer_undoable, "record"));
            line!(page, "{what}; {}", styled(CAUTION, &lost));
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use bridge_migrate_sqlite::undo::{Conflict, Reverted};

    use super::*;

    fn report() -> UndoReport {
        UndoReport {
            dry_run: true,
            outcome: UndoOutcome {
                version: 5,
                name: "normalize_timestamps".to_owned(),
                run: None,
                reverted: vec![Reverted {
                    table: "messages".to_owned(),
                    column: "timestamp".to_owned(),
                    key: "m-1".to_owned(),
                    from: "2026-02-22T15:30:45+00:00".to_owned(),
                    to: "2026-02-22T15:30:45Z\u{1b}".to_owned(),
                }],
                reverted_count: 1,
                conflicts: vec![Conflict {
                    table: "messages".to_owned(),
                    key: "m-2".to_owned(),
                    why: "the row is gone".to_owned(),
                }],
                conflict_count: 1,
                remaining: 2,
            },
        }
    }

    #[test]
    fn old_and_new_are_shown_before_anything_changes() {
        insta::assert_snapshot!(strip_str(&report().render()), @r"
        KEY  COLUMN              FROM                       TO
        m-1  messages.timestamp  2026-02-22T15:30:45+00:00  2026-02-22T15:30:45Z\u{1b}
        left as before: 1 record
          messages m-2: the row is gone
        V005 normalize_timestamps: 1 record would be put back, 1 left; 2 can still be put back
        ");
    }

    #[test]
    fn scripts_find_the_keys_of_the_contract() {
        let value = serde_json::to_value(report()).unwrap();
        assert_eq!(value["reverted"][0]["key"], "m-1");
        assert_eq!(value["conflicts"][0]["why"], "the row is gone");
        assert_eq!(value["remaining"], 2);
    }

    #[test]
    fn pruning_says_what_can_no_longer_be_undone() {
        let report = PruneReport {
            dry_run: false,
            pruned: vec![Pruned {
                version: 5,
                records: 1200,
                no_longer_undoable: 1,
            }],
        };
        insta::assert_snapshot!(strip_str(&report.render()), @r"
        V005: 1,200 old values removed; 1 record can no longer be put back one by one
        ");
    }
}
