//! What a rollback would lose, and what it did.

use bridge_migrate_core::Loss;
use bridge_migrate_sqlite::rollback::{Alternative, RollbackOutcome, RollbackPlan, Strategy};
use bridge_migrate_sqlite::{Online, undo::Conflict};
use serde::Serialize;

use super::plan::beside_servers;
use super::restore::token_counts;
use crate::output::Report;
use crate::text::{CAUTION, STRONG, count, counted, duration, field, line, safe, shown, styled, version};

/// How many lines of a list people see.
const SHOWN: usize = 10;

/// The answer of `rollback --dry-run`.
#[derive(Debug, Serialize)]
pub(crate) struct RollbackPlanReport<'a> {
    pub(crate) dry_run: bool,
    #[serde(flatten)]
    pub(crate) plan: &'a RollbackPlan,
    /// What would go back, newest first.
    pub(crate) reverted: Vec<Reverted>,
    pub(crate) lock_budget_ms: u64,
}

/// A migration that goes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Reverted {
    pub(crate) version: u32,
    pub(crate) name: String,
    /// Whether only a part of it was applied.
    pub(crate) partial: bool,
    /// How: statements, journal or clear; nothing when a restore point is put back.
    pub(crate) way_back: Option<String>,
    pub(crate) rows: u64,
    pub(crate) lock_ms: u64,
    pub(crate) over_budget: Option<String>,
    pub(crate) online: Vec<Online>,
}

impl<'a> RollbackPlanReport<'a> {
    pub(crate) fn new(plan: &'a RollbackPlan, lock_budget_ms: u64) -> Self {
        let reverted = plan.takes_back.iter().map(|(number, name)| {
            let step = plan.steps.iter().find(|step| step.recorded.version == *number);
            Reverted {
                version: *number,
                name: name.clone(),
                partial: step.is_some_and(|step| step.partial),
                way_back: step.map(|step| step.way_back.to_string()),
                rows: step.map_or(0, |step| step.rows),
                lock_ms: step.map_or(0, |step| step.lock_ms),
                over_budget: step.and_then(|step| step.over_budget.clone()),
                online: step.map_or(Vec::new(), |step| step.online.clone()),
            }
        });
        Self {
            dry_run: true,
            plan,
            reverted: reverted.collect(),
            lock_budget_ms,
        }
    }
}

impl Report for RollbackPlanReport<'_> {
    fn render(&self) -> String {
        if self.reverted.is_empty() {
            return format!("nothing to do: database is at {}\n", self.plan.from);
        }
        let mut page = String::new();
        field!(page, "from", "{}", self.plan.from);
        field!(page, "to", "{}", styled(STRONG, &self.plan.to.to_string()));
        for (index, step) in self.reverted.iter().enumerate() {
            let part = if step.partial {
                ", the part that is done"
            } else {
                ""
            };
            let label = if index == 0 { "takes back" } else { "" };
            field!(
                page,
                label,
                "{} {}{part}",
                version(step.version),
                safe(&step.name)
            );
        }
        for way in &self.plan.alternatives {
            self.way(way, &mut page);
        }
        if let Some(point) = &self.plan.restore_point {
            field!(page, "restores", "{}", shown(&point.database));
        }
        if let Some(counts) = &self.plan.entries {
            token_counts(&mut page, counts, true);
        }
        for step in &self.reverted {
            for online in &step.online {
                beside_servers(&mut page, step.version, online);
            }
            let Some(why) = &step.over_budget else { continue };
            line!(
                page,
                "{} {} holds the write lock for about {}, over the budget of {}: {}",
                styled(CAUTION, "note:"),
                version(step.version),
                duration(step.lock_ms),
                duration(self.lock_budget_ms),
                safe(why)
            );
        }
        page
    }
}

impl RollbackPlanReport<'_> {
    fn way(&self, way: &Alternative, page: &mut String) {
        let name = way.strategy.to_string();
        let chosen = if way.strategy == self.plan.strategy {
            styled(STRONG, " (chosen)")
        } else {
            String::new()
        };
        match &way.closed {
            Some(why) => field!(page, &name, "closed: {}", safe(why)),
            None if way.loses.is_empty() => field!(page, &name, "loses nothing{chosen}"),
            None => {
                field!(page, &name, "loses{chosen}:");
                for loss in &way.loses {
                    lost(loss, page);
                }
            }
        }
    }
}

fn lost(loss: &Loss, page: &mut String) {
    line!(page, "{:<13}  {}", "", styled(CAUTION, &safe(&loss.to_string())));
    for item in loss.items.iter().take(SHOWN) {
        line!(page, "{:<13}    {}", "", safe(item));
    }
    let more = loss.items.len().saturating_sub(SHOWN) as u64;
    if more > 0 {
        line!(page, "{:<13}    and {} more", "", count(more));
    }
}

/// The answer of `rollback`.
#[derive(Debug, Serialize)]
pub(crate) struct RollbackReport<'a> {
    pub(crate) dry_run: bool,
    #[serde(flatten)]
    pub(crate) outcome: &'a RollbackOutcome,
}

impl Report for RollbackReport<'_> {
    fn render(&self) -> String {
        let place = styled(STRONG, &self.outcome.to.to_string());
        if self.outcome.run.is_none() {
            return format!("nothing to do: database is at {place}\n");
        }
        let mut page = String::new();
        if self.outcome.strategy == Strategy::Restore
            && let Some(backup) = &self.outcome.secured
        {
            line!(page, "secured the state before in {}", shown(backup));
        }
        if let Some(counts) = &self.outcome.entries {
            token_counts(&mut page, counts, false);
        }
        for file in &self.outcome.kept {
            line!(page, "kept what was dropped in {}", shown(file));
        }
        conflicts(
            &self.outcome.conflicts,
            self.outcome.conflicts.len() as u64,
            &mut page,
        );
        line!(page, "database is at {place}");
        page
    }
}

/// Records that were left as they are.
pub(super) fn conflicts(conflicts: &[Conflict], all: u64, page: &mut String) {
    if conflicts.is_empty() {
        return;
    }
    let left = format!("left as before: {}", counted(all, "record"));
    line!(page, "{}", styled(CAUTION, &left));
    for conflict in conflicts.iter().take(SHOWN) {
        line!(
            page,
            "  {} {}: {}",
            safe(&conflict.table),
            safe(&conflict.key),
            safe(&conflict.why)
        );
    }
    let named = conflicts.len().min(SHOWN) as u64;
    if all > named {
        line!(page, "  and {} more", count(all - named));
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use bridge_migrate_core::{Keep, Position, Release};

    use super::*;

    fn position(version: u32, release: &str) -> Position {
        Position {
            version,
            release: Release::parse(release).ok(),
        }
    }

    fn loss(subject: &str, count: u64, what: &str, kept: bool, items: &[&str]) -> Loss {
        Loss {
            subject: subject.to_owned(),
            count,
            what: what.to_owned(),
            kept,
            items: items.iter().map(|item| (*item).to_owned()).collect(),
        }
    }

    fn plan() -> RollbackPlan {
        let down = vec![
            loss("rooms.preferences", 2, "values other than the default", true, &[]),
            loss(
                "auth_tokens, revoked_tokens",
                1,
                "entries not in tokens.json",
                true,
                &["alice\u{1b}, issued 2026-02-22 15:30:45 UTC"],
            ),
        ];
        RollbackPlan {
            from: position(9, "1.2.0"),
            to: position(1, "1.0.0"),
            strategy: Strategy::Down,
            takes_back: Vec::new(),
            steps: Vec::new(),
            loses: down.clone(),
            alternatives: vec![
                Alternative {
                    strategy: Strategy::Down,
                    loses: down,
                    closed: None,
                },
                Alternative {
                    strategy: Strategy::Undo,
                    loses: Vec::new(),
                    closed: Some("a migration on the way changes the schema".to_owned()),
                },
                Alternative {
                    strategy: Strategy::Restore,
                    loses: vec![loss(
                        "messages",
                        12,
                        "rows written since the restore point",
                        false,
                        &[],
                    )],
                    closed: None,
                },
            ],
            restore_point: None,
            companion: Keep::Merge,
            entries: None,
            is_urgent: false,
        }
    }

    #[test]
    fn a_plan_says_what_each_way_would_lose() {
        let report = RollbackPlanReport {
            dry_run: true,
            plan: &plan(),
            reverted: vec![Reverted {
                version: 9,
                name: "message_edits_and_deletes".to_owned(),
                partial: false,
                way_back: Some("statements".to_owned()),
                rows: 10_000_000,
                lock_ms: 50_000,
                over_budget: Some("dropping messages.deleted_at rewrites 5000000 rows".to_owned()),
                online: Vec::new(),
            }],
            lock_budget_ms: 250,
        };
        insta::assert_snapshot!(strip_str(&report.render()), @r"
        from         1.2.0 (V009)
        to           1.0.0 (V001)
        takes back   V009 message_edits_and_deletes
        down         loses (chosen):
                       rooms.preferences: 2 values other than the default, kept in a file
                       auth_tokens, revoked_tokens: 1 entry not in tokens.json, kept in a file
                         alice\u{1b}, issued 2026-02-22 15:30:45 UTC
        undo         closed: a migration on the way changes the schema
        restore      loses:
                       messages: 12 rows written since the restore point
        note: V009 holds the write lock for about 50.0 s, over the budget of 250 ms: dropping messages.deleted_at rewrites 5000000 rows
        ");
    }

    #[test]
    fn a_rollback_names_what_it_left_and_where_it_put_what_it_dropped() {
        let outcome = RollbackOutcome {
            from: position(9, "1.2.0"),
            to: position(1, "1.0.0"),
            strategy: Strategy::Down,
            reverted: Vec::new(),
            loses: Vec::new(),
            conflicts: vec![Conflict {
                table: "messages".to_owned(),
                key: "m-1".to_owned(),
                why: "the value was changed after the migration".to_owned(),
            }],
            kept: vec!["data/collab.db.kept.20260222_153045_5f2c01aa.V009".into()],
            secured: Some("data/collab.db.backup.20260222_153045".into()),
            entries: None,
            lock_ms: None,
            run: Some("5f2c01aa".to_owned()),
        };
        let report = RollbackReport {
            dry_run: false,
            outcome: &outcome,
        };
        insta::assert_snapshot!(strip_str(&report.render()), @r"
        kept what was dropped in data/collab.db.kept.20260222_153045_5f2c01aa.V009
        left as before: 1 record
          messages m-1: the value was changed after the migration
        database is at 1.0.0 (V001)
        ");
        let value = serde_json::to_value(&report).unwrap();
        for key in ["from", "to", "strategy", "reverted", "loses"] {
            assert!(value.get(key).is_some(), "{key}");
        }
    }
}
