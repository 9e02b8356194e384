//! Differences between realistic pairs of schemas, and what always holds of them.

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::samples::{RELEASE_1_0_0, snapshot};
use crate::schema::{Difference, Object, ObjectKind, Snapshot, diff, render_diff};

/// The differences that an operator's database would show after `replace` in the statements and `more` of them.
fn found(replace: &[(&str, &str)], more: &str) -> Vec<Difference> {
    let changed = replace.iter().fold(RELEASE_1_0_0.to_owned(), |sql, (from, to)| {
        assert!(sql.contains(from), "{from}");
        sql.replacen(from, to, 1)
    });
    diff(&snapshot(RELEASE_1_0_0), &snapshot(&format!("{changed} {more}")))
}

#[test]
fn a_schema_does_not_differ_from_itself_in_another_spelling() {
    let spelt = found(
        &[
            (
                "CREATE TABLE IF NOT EXISTS rooms (",
                "create /* rooms */ table main.[Rooms](",
            ),
            ("type TEXT DEFAULT 'message'", "`type` text default \"message\""),
            (
                "REFERENCES rooms(room_id)",
                "references \"Rooms\" ( \"room_id\" )",
            ),
        ],
        "",
    );
    assert_eq!(spelt, []);
}

#[test]
fn each_difference_of_a_table_is_one_line_with_its_definitions() {
    let differences = found(
        &[
            ("type TEXT DEFAULT 'message',", "type TEXT DEFAULT 'msg',"),
            ("channel TEXT DEFAULT 'main',", "channel TEXT NOT NULL,"),
            ("reply_to TEXT,", "reply_to INTEGER UNIQUE, edited_at TEXT,"),
            (
                "topic TEXT NOT NULL,\n                created_at TEXT NOT NULL,",
                "created_at TEXT NOT NULL, topic TEXT NOT NULL,",
            ),
            (
                "vote_weight REAL DEFAULT 1.0,",
                "weight REAL DEFAULT 1.0, CHECK (weight >= 0),",
            ),
            (
                ",\n                FOREIGN KEY (decision_id) REFERENCES decisions(id)\n            )",
                ") WITHOUT ROWID",
            ),
            (
                "completed INTEGER DEFAULT 0",
                "completed INTEGER DEFAULT 0 NOT NULL",
            ),
            ("approved INTEGER DEFAULT 0", "approved INTEGER DEFAULT 0 NULL"),
            (
                "created_at TEXT NOT NULL,\n\n                PRIMARY KEY (room_id, channel_id),\n                FOREIGN KEY (room_id) REFERENCES rooms(room_id)",
                "created_at TEXT NOT NULL, FOREIGN KEY (room_id) REFERENCES rooms(room_id), PRIMARY KEY (room_id, channel_id)",
            ),
        ],
        "",
    );
    insta::assert_snapshot!(render_diff(&differences), @r#"
    channels: table differs from the expected one
      - create table channels(channel_id text not null, room_id text not null, name text not null, topic text, created_at text not null, primary key (room_id, channel_id), foreign key (room_id) references rooms(room_id))
      + create table channels(channel_id text not null, room_id text not null, name text not null, topic text, created_at text not null, foreign key (room_id) references rooms(room_id), primary key (room_id, channel_id))
    decisions.approved: constraint is null, expected none
      - approved integer default 0
      + approved integer default 0 null
    members: column vote_weight is missing
      - vote_weight real default 1.0
    members: column weight is not expected
      + weight real default 1.0
    members: constraint check (weight >= 0) is not expected
      + check (weight >= 0)
    messages.type: default is 'msg', expected 'message'
      - type text default 'message'
      + type text default 'msg'
    messages.channel: is not null, expected nullable; has no default, expected 'main'
      - channel text default 'main'
      + channel text not null
    messages.reply_to: type is integer, expected text; constraint is unique, expected none
      - reply_to text
      + reply_to integer unique
    messages: column edited_at is not expected
      + edited_at text
    rooms: columns are in the order room_id, created_at, topic, active, expected room_id, topic, created_at, active
      - room_id, topic, created_at, active
      + room_id, created_at, topic, active
    tasks.completed: is not null, expected nullable
      - completed integer default 0
      + completed integer default 0 not null
    votes: constraint foreign key (decision_id) references decisions(id) is missing
      - foreign key (decision_id) references decisions(id)
    votes: options are without rowid, expected none
      + without rowid
    "#);
}

#[test]
fn whole_objects_are_missing_unexpected_or_changed() {
    let differences = found(
        &[
            ("CREATE INDEX IF NOT EXISTS idx_active ON rooms(active);", ""),
            (
                "messages(room_id, timestamp)",
                "messages(room_id, timestamp DESC)",
            ),
            ("CREATE TABLE IF NOT EXISTS channels (", "CREATE TABLE audit ("),
        ],
        "CREATE VIEW active_rooms AS SELECT * FROM rooms WHERE active = 1;
         CREATE TRIGGER watch AFTER INSERT ON rooms BEGIN SELECT 'x
y'; END;",
    );
    insta::assert_snapshot!(render_diff(&differences), @r#"
    channels: table is missing
      - create table channels(channel_id text not null, room_id text not null, name text not null, topic text, created_at text not null, primary key (room_id, channel_id), foreign key (room_id) references rooms(room_id))
    idx_active: index on rooms is missing
      - create index idx_active on rooms(active)
    idx_room_time: index on messages differs from the expected one
      - create index idx_room_time on messages(room_id, timestamp)
      + create index idx_room_time on messages(room_id, timestamp desc)
    audit: table is not expected
      + create table audit(channel_id text not null, room_id text not null, name text not null, topic text, created_at text not null, primary key (room_id, channel_id), foreign key (room_id) references rooms(room_id))
    active_rooms: view is not expected
      + create view active_rooms as select * from rooms where active = 1
    watch: trigger on rooms is not expected
      + create trigger watch after insert on rooms begin select 'x\ny'; end
    "#);
    let extra: Vec<_> = differences
        .iter()
        .filter(|one| matches!(one, Difference::ObjectUnexpected { .. }))
        .map(Difference::subject)
        .collect();
    assert_eq!(extra, ["audit", "active_rooms", "watch"]);
}

#[test]
fn an_additional_column_is_told_from_all_else() {
    let extra = found(
        &[(
            "active INTEGER DEFAULT 1",
            "colour TEXT, active INTEGER DEFAULT 1",
        )],
        "",
    );
    assert_eq!(extra.len(), 1);
    assert!(extra[0].is_additional_column());
    assert_eq!(extra[0].subject(), "rooms.colour");

    // The order of the constraints differs too, and must not be accepted along with the column.
    let more = found(
        &[(
            "voted_at TEXT NOT NULL,\n\n                PRIMARY KEY (decision_id, voter),\n                FOREIGN KEY (decision_id) REFERENCES decisions(id)",
            "voted_at TEXT NOT NULL, note, FOREIGN KEY (decision_id) REFERENCES decisions(id), PRIMARY KEY (decision_id, voter)",
        )],
        "",
    );
    assert!(more.iter().any(Difference::is_additional_column));
    assert!(!more.iter().all(Difference::is_additional_column));
}

#[test]
fn a_table_in_the_place_of_a_view_is_missing_and_unexpected() {
    let lines =
        |differences: Vec<Difference>| differences.iter().map(ToString::to_string).collect::<Vec<_>>();
    let differences = diff(
        &snapshot("CREATE TABLE a (x)"),
        &snapshot("CREATE VIEW a AS SELECT 1 AS x"),
    );
    assert_eq!(
        lines(differences),
        ["a: table is missing", "a: view is not expected"]
    );
}

#[test]
fn control_characters_of_a_database_do_not_reach_a_terminal() {
    let differences = diff(&snapshot(""), &snapshot("CREATE TABLE \"a\u{1b}[2J\n\" (x)"));
    assert_eq!(
        differences[0].to_string(),
        "a\\u{1b}[2j\\n: table is not expected".replace("[2j", "[2J")
    );
    assert!(!render_diff(&differences).contains('\u{1b}'));
}

#[test]
fn programs_read_the_kind_and_the_parts() {
    let differences = found(
        &[("type TEXT DEFAULT 'message'", "type TEXT DEFAULT 'msg'")],
        "CREATE TABLE audit (x)",
    );
    insta::assert_snapshot!(serde_json::to_string_pretty(&differences).unwrap(), @r#"
    [
      {
        "kind": "column_changed",
        "table": "messages",
        "column": "type",
        "expected": {
          "name": "type",
          "declared_type": "text",
          "not_null": false,
          "default": "'message'",
          "constraints": [],
          "sql": "type text default 'message'"
        },
        "actual": {
          "name": "type",
          "declared_type": "text",
          "not_null": false,
          "default": "'msg'",
          "constraints": [],
          "sql": "type text default 'msg'"
        }
      },
      {
        "kind": "object_unexpected",
        "object": "table",
        "name": "audit",
        "table": "audit",
        "actual": "create table audit(x)"
      }
    ]
    "#);
}

fn any_schema() -> impl Strategy<Value = Snapshot> {
    let tables = prop::collection::vec(
        (
            subsequence(vec!["x", "y", "z text", "w int default 1"], 1..=4).prop_shuffle(),
            0..3usize,
        ),
        0..4,
    );
    tables.prop_map(|tables| {
        tables
            .into_iter()
            .enumerate()
            .map(|(number, (columns, constraints))| {
                let constraints = [", CHECK (1)", ", UNIQUE (x), CHECK (1)", ""][constraints];
                let name = format!("t{number}");
                let sql = format!("CREATE TABLE {name} ({}{constraints})", columns.join(", "));
                Object::new(ObjectKind::Table, name.clone(), name, sql)
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn there_is_a_difference_exactly_when_the_schemas_differ(one in any_schema(), other in any_schema()) {
        let forms = |schema: &Snapshot| schema.iter().map(|object| object.normal().to_owned()).collect::<Vec<_>>();
        let there = diff(&one, &other);
        prop_assert_eq!(there.is_empty(), forms(&one) == forms(&other));
        // What is missing on the way there is additional on the way back.
        let back = diff(&other, &one);
        let count = |all: &[Difference], test: fn(&Difference) -> bool| all.iter().filter(|one| test(one)).count();
        prop_assert_eq!(there.len(), back.len());
        prop_assert_eq!(
            count(&there, Difference::is_additional_column),
            count(&back, |one| matches!(one, Difference::ColumnMissing { .. }))
        );
        for difference in &there {
            prop_assert_eq!(difference.to_string().lines().count(), 1);
            prop_assert!(difference.to_string().starts_with(difference.subject().split('.').next().unwrap()));
        }
    }
}
