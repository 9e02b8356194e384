//! A rehearsal for tests: of everything a little, and with texts that try to become markup.

use std::path::PathBuf;

use bridge_migrate_core::{Finding, Phase, Position, Release};
use bridge_migrate_sqlite::rehearse::{
    Check, CheckName, CheckOutcome, ColumnChange, LeftRow, Measures, Rehearsal, RehearsedStep, Sample,
    SmokeTest, TableChange, TableShape,
};
use bridge_migrate_sqlite::schema::{
    Column, Difference, ForeignKey, ForeignKeyAction, Hidden, ObjectKind, TableDetail,
};

/// Markup in disguise.
pub(crate) const HOSTILE: &str = "<script>document.title='taken'</script>";

/// A rehearsal that passed.
pub(crate) fn passed() -> Rehearsal {
    let position = |version, release| Position {
        version,
        release: Some(release),
    };
    Rehearsal {
        id: "5f2c01aa".to_owned(),
        created_at: "2026-02-22T15:30:45.123456Z".to_owned(),
        application: "Claude Multi-Agent Bridge".to_owned(),
        database: PathBuf::from("data/collab.db"),
        from: position(1, Release::new(1, 0, 0)),
        to: position(9, Release::new(1, 2, 0)),
        adopted: None,
        time_zone: "UTC".to_owned(),
        tool: "bridge-migrate 0.1.0".to_owned(),
        sqlite: "3.54.1".to_owned(),
        catalog: "c".repeat(64),
        schema: "5".repeat(64),
        database_bytes: 12_582_912,
        source_lock_ms: 8,
        lock_budget_ms: 250,
        steps: steps(),
        tables: tables(),
        tables_before: vec![rooms(), messages(false)],
        tables_after: vec![rooms(), messages(true), auth_tokens()],
        differences: vec![Difference::ObjectUnexpected {
            object: ObjectKind::Index,
            name: "idx_thread".to_owned(),
            table: "messages".to_owned(),
            actual: "create index idx_thread on messages(thread_id)".to_owned(),
        }],
        checks: checks(),
        served: vec!["1.1.0".to_owned(), "1.2.0".to_owned()],
        smoke_test: Some(SmokeTest {
            command: "pytest -q".to_owned(),
            exit_code: Some(0),
            duration_ms: 1_234,
            output: format!("3 passed {HOSTILE}\n"),
        }),
        receipt: PathBuf::from("data/collab.db.receipt.json"),
        copy: None,
    }
}

/// A rehearsal that failed on the way up.
pub(crate) fn failed() -> Rehearsal {
    let mut rehearsal = passed();
    rehearsal.checks = vec![Check {
        name: CheckName::Up,
        outcome: CheckOutcome::Failed,
        evidence: "it was ended by an error".to_owned(),
        findings: vec![Finding::error(
            "RH101",
            "V005__normalize_timestamps",
            "changes rows that it does not declare: messages: 5 rows before, 4 after",
            "correct the migration and rehearse again",
        )],
        error: Some(bridge_migrate_core::ErrorKind::ConservationViolated),
    }];
    rehearsal.steps.truncate(2);
    for step in &mut rehearsal.steps {
        (step.back, step.again) = (None, None);
    }
    if let Some(step) = rehearsal.steps.get_mut(1) {
        step.up = None;
    }
    rehearsal.tables.clear();
    rehearsal.tables_after.clear();
    rehearsal.smoke_test = None;
    rehearsal
}

fn steps() -> Vec<RehearsedStep> {
    let measures = |duration_ms, rows_changed, rows_skipped, max_lock_ms| {
        Some(Measures {
            duration_ms,
            rows_changed,
            rows_skipped,
            max_lock_ms,
            peak_journal_bytes: 524_288,
            peak_database_bytes: 12_582_912,
            peak_memory_bytes: Some(20_971_520),
        })
    };
    let step = |version, name: &str, phase| RehearsedStep {
        version,
        name: name.to_owned(),
        release: Release::new(1, 1, 0),
        phase,
        summary: format!("Does {}.", name.replace('_', " ")),
        sql: String::new(),
        data: None,
        down: String::new(),
        way_back: "statements".to_owned(),
        rollback: "Takes it back and loses nothing.".to_owned(),
        rebuilds: Vec::new(),
        rows: 0,
        planned_lock_ms: 1,
        up: measures(3, 0, 0, 3),
        back: measures(2, 0, 0, 2),
        again: measures(3, 0, 0, 3),
        left: Vec::new(),
    };
    vec![
        RehearsedStep {
            sql: format!(
                "CREATE TABLE auth_tokens (token_hash TEXT PRIMARY KEY, note TEXT DEFAULT '{HOSTILE}');\n"
            ),
            down: "DROP TABLE auth_tokens;\n".to_owned(),
            ..step(4, "auth_tokens", Phase::Expand)
        },
        RehearsedStep {
            data: Some("data step: rewrite messages.timestamp: to the normal form".to_owned()),
            way_back: "journal messages.timestamp".to_owned(),
            rows: 1_000_000,
            up: measures(12_345, 999_988, 12, 201),
            back: measures(9_876, 999_988, 0, 180),
            again: measures(12_001, 999_988, 12, 190),
            left: vec![LeftRow {
                table: "messages".to_owned(),
                key: "m-17".to_owned(),
                why: "not a timestamp".to_owned(),
            }],
            ..step(5, "normalize_timestamps", Phase::Backfill)
        },
        RehearsedStep {
            sql: "CREATE INDEX idx_thread ON messages(thread_id);\n".to_owned(),
            down: "DROP INDEX idx_thread;\n".to_owned(),
            rows: 1_000_000,
            up: measures(640, 0, 0, 640),
            ..step(6, "message_threading", Phase::Expand)
        },
    ]
}

fn tables() -> Vec<TableChange> {
    let unchanged = |table: &str, rows| TableChange {
        table: table.to_owned(),
        rows_before: Some(rows),
        rows_after: Some(rows),
        secret: false,
        columns: Vec::new(),
    };
    let text = |text: &str| Some(text.to_owned());
    vec![
        TableChange {
            rows_before: None,
            secret: true,
            ..unchanged("auth_tokens", 40)
        },
        TableChange {
            columns: vec![ColumnChange {
                column: "timestamp".to_owned(),
                added: false,
                rows: 999_988,
                samples: vec![
                    Sample {
                        key: "m-1".to_owned(),
                        before: text("2026-02-22T15:30:45Z"),
                        after: text("2026-02-22T15:30:45+00:00"),
                    },
                    Sample {
                        key: HOSTILE.to_owned(),
                        before: text(HOSTILE),
                        after: None,
                    },
                ],
            }],
            ..unchanged("messages", 1_000_000)
        },
        unchanged("rooms", 12),
    ]
}

fn checks() -> Vec<Check> {
    let check = |name, evidence: &str| Check {
        name,
        outcome: CheckOutcome::Passed,
        evidence: evidence.to_owned(),
        findings: Vec::new(),
        error: None,
    };
    vec![
        check(CheckName::Up, "3 steps applied"),
        Check {
            outcome: CheckOutcome::Warned,
            findings: vec![Finding::warning(
                "RH102",
                "V006__message_threading",
                "it held the write lock for 640 ms; the budget is 250 ms",
                "run it while few servers write, or make it a data step in batches",
            )],
            ..check(CheckName::LockBudget, "longest 640 ms, budget 250 ms")
        },
        check(CheckName::Back, "3 steps taken back"),
        check(CheckName::BackSchema, "14 objects compared"),
        check(CheckName::BackData, "1000012 rows in 2 tables compared"),
        check(CheckName::Again, "3 steps applied"),
        check(CheckName::AgainSchema, "16 objects compared"),
        check(CheckName::AgainData, "1000052 rows in 3 tables compared"),
        check(CheckName::Integrity, "quick_check"),
        check(CheckName::SmokeTest, "it took 1234 ms"),
    ]
}

fn column(name: &str, declared_type: &str, primary_key: Option<u32>) -> Column {
    Column {
        name: name.to_owned(),
        declared_type: declared_type.to_owned(),
        not_null: false,
        default: None,
        primary_key,
        hidden: Hidden::No,
    }
}

fn rooms() -> TableShape {
    TableShape {
        name: "rooms".to_owned(),
        detail: TableDetail {
            columns: vec![column("room_id", "TEXT", Some(1)), column("topic", "TEXT", None)],
            foreign_keys: Vec::new(),
        },
    }
}

fn messages(threaded: bool) -> TableShape {
    let mut columns = vec![
        column("id", "TEXT", Some(1)),
        column("room_id", "TEXT", None),
        column("timestamp", "TEXT", None),
    ];
    if threaded {
        columns.push(column("thread_id", "TEXT", None));
    }
    TableShape {
        name: "messages".to_owned(),
        detail: TableDetail {
            columns,
            foreign_keys: vec![ForeignKey {
                columns: vec!["room_id".to_owned()],
                parent_table: "rooms".to_owned(),
                parent_columns: Vec::new(),
                on_delete: ForeignKeyAction::NoAction,
                on_update: ForeignKeyAction::NoAction,
            }],
        },
    }
}

fn auth_tokens() -> TableShape {
    TableShape {
        name: "auth_tokens".to_owned(),
        detail: TableDetail {
            columns: vec![
                column("token_hash", "TEXT", Some(1)),
                column("note", "TEXT", None),
            ],
            foreign_keys: Vec::new(),
        },
    }
}
