//! Snapshots of real databases, ordinary and odd.

use super::samples::{RELEASE_1_0_0, database, snapshot};
use crate::schema::{Fingerprint, ObjectKind, Snapshot, TableDefinition, TableDetail, diff, mermaid};
use crate::sqlite::quote;

fn names(snapshot: &Snapshot) -> Vec<String> {
    snapshot
        .iter()
        .map(|object| format!("{} {}", object.kind, object.name))
        .collect()
}

#[test]
fn the_schema_of_release_1_0_0_is_read_in_a_stable_order() {
    insta::assert_snapshot!(names(&snapshot(RELEASE_1_0_0)).join("\n"), @r#"
    table channels
    table code_executions
    table decisions
    table files
    table members
    table messages
    table rooms
    table tasks
    table votes
    index idx_active
    index idx_channel
    index idx_room_time
    "#);
}

#[test]
fn the_normal_form_of_release_1_0_0_stays() {
    let schema = snapshot(RELEASE_1_0_0);
    let normals: Vec<_> = schema.iter().map(|object| object.normal()).collect();
    insta::assert_snapshot!(normals.join("\n"), @r#"
    create table channels(channel_id text not null, room_id text not null, name text not null, topic text, created_at text not null, primary key (room_id, channel_id), foreign key (room_id) references rooms(room_id))
    create table code_executions(id text primary key, room_id text not null, executed_by text not null, executed_at text not null, language text not null, code text not null, output text, error text, exit_code integer default 0, execution_time_ms real, foreign key (room_id) references rooms(room_id))
    create table decisions(id text primary key, room_id text not null, text text not null, proposed_by text not null, proposed_at text not null, vote_type text not null, required_votes integer, approved integer default 0, vetoed integer default 0, foreign key (room_id) references rooms(room_id))
    create table files(id text primary key, room_id text not null, name text not null, uploaded_by text not null, uploaded_at text not null, size integer not null, content_type text, channel text default 'main', content blob not null, foreign key (room_id) references rooms(room_id))
    create table members(room_id text not null, client_id text not null, role text not null, joined_at text not null, active integer default 1, contributions integer default 0, vote_weight real default 1.0, primary key (room_id, client_id), foreign key (room_id) references rooms(room_id))
    create table messages(id text primary key, room_id text not null, from_client text not null, text text not null, timestamp text not null, type text default 'message', channel text default 'main', reply_to text, foreign key (room_id) references rooms(room_id))
    create table rooms(room_id text primary key, topic text not null, created_at text not null, active integer default 1)
    create table tasks(id text primary key, room_id text not null, text text not null, assignee text, assigned_by text not null, assigned_at text not null, completed integer default 0, completed_at text, foreign key (room_id) references rooms(room_id))
    create table votes(decision_id text not null, voter text not null, approve integer default 1, veto integer default 0, voted_at text not null, primary key (decision_id, voter), foreign key (decision_id) references decisions(id))
    create index idx_active on rooms(active)
    create index idx_channel on messages(room_id, channel)
    create index idx_room_time on messages(room_id, timestamp)
    "#);
    insta::assert_snapshot!(Fingerprint::of(&schema), @"e482fd9b98710b02ebde153d21314c5a6181317f8ced7cf8a7e5eaceb5f0c163");
}

#[test]
fn objects_are_found_by_kind_and_name_in_any_case() {
    let schema =
        snapshot("CREATE TABLE Rooms (a); CREATE TRIGGER rooms AFTER INSERT ON rooms BEGIN SELECT 1; END");
    assert_eq!(schema.len(), 2);
    assert_eq!(
        schema
            .get(ObjectKind::Table, "ROOMS")
            .map(|object| object.name.as_str()),
        Some("Rooms")
    );
    assert_eq!(
        schema
            .get(ObjectKind::Trigger, "rooms")
            .map(|object| object.table.as_str()),
        Some("rooms")
    );
    assert_eq!(schema.get(ObjectKind::View, "rooms"), None);
    let tables = schema.without(|object| object.kind == ObjectKind::Trigger);
    assert_eq!(names(&tables), ["table Rooms"]);
    assert!(snapshot("").is_empty());
}

#[test]
fn sqlites_own_objects_are_left_out_and_no_others() {
    let schema = snapshot(
        "CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, a UNIQUE);
         CREATE TABLE sqlitestore (a); CREATE INDEX i ON counted (a); ANALYZE",
    );
    assert_eq!(names(&schema), ["table counted", "table sqlitestore", "index i"]);
}

#[test]
fn odd_names_are_read_and_looked_into() {
    for name in [
        "",
        " ",
        "a\"b",
        "a'b",
        "a]b`c",
        "naïve 表",
        "select",
        "line\nbreak",
        "main",
        "a.b",
        "%_;--",
        "temp",
    ] {
        let connection = database(&format!("CREATE TABLE {0} ({0} TEXT)", quote::identifier(name)));
        let schema = Snapshot::read(&connection).unwrap();
        assert_eq!(names(&schema), [format!("table {name}")]);
        let table = schema.get(ObjectKind::Table, name).unwrap();
        assert_eq!(TableDefinition::parse(&table.sql).unwrap().columns[0].name, name);
        assert_eq!(
            TableDetail::read(&connection, name).unwrap().columns[0].name,
            name
        );
    }
}

#[test]
fn virtual_tables_are_read_without_their_module_and_so_are_views_that_do_not_work() {
    let connection = database(
        "CREATE VIEW broken AS SELECT gone FROM nowhere; CREATE TABLE shadow_content (a);
         PRAGMA writable_schema = ON;
         INSERT INTO sqlite_schema VALUES ('table', 'f', 'f', 0, 'CREATE VIRTUAL TABLE f USING absent(Body, x=''--'')');
         PRAGMA writable_schema = RESET",
    );
    let schema = Snapshot::read(&connection).unwrap();
    assert_eq!(names(&schema), ["table f", "table shadow_content", "view broken"]);
    let normal = schema.get(ObjectKind::Table, "f").unwrap().normal();
    assert_eq!(normal, "create virtual table f USING absent(Body, x='--')");
    assert!(TableDetail::read(&connection, "f").is_err());
    assert!(
        mermaid(&connection, &schema)
            .unwrap()
            .contains("\"f\" {\n    }\n")
    );
    assert!(TableDetail::read(&connection, "broken").is_err());
}

#[test]
fn rows_that_only_writable_schema_can_make_are_read_or_skipped() {
    let connection = database(
        "PRAGMA writable_schema = ON;
         INSERT INTO sqlite_schema VALUES
         (NULL, NULL, NULL, NULL, NULL), ('table', 'no_sql', 'no_sql', 0, NULL), ('other', 'o', 'o', 0, 'x'),
         ('view', 7, 1.5, 0, 42), ('table', X'ff61', X'ff61', 0, X'ff'), (X'7461626c65', 'b', 'b', 0, '')",
    );
    assert_eq!(
        names(&Snapshot::read(&connection).unwrap()),
        ["table b", "table \u{fffd}a", "view 7"]
    );
}

#[test]
fn a_column_that_sqlite_adds_stands_before_the_table_constraints() {
    let added = snapshot(&format!(
        r#"{RELEASE_1_0_0} ALTER TABLE members ADD COLUMN "metadata" TEXT DEFAULT '{{}}'"#
    ));
    let written = RELEASE_1_0_0.replace(
        "vote_weight REAL DEFAULT 1.0,",
        "vote_weight REAL DEFAULT 1.0, -- new in 1.1.0\n metadata TEXT DEFAULT '{}',",
    );
    assert_eq!(diff(&snapshot(&written), &added), []);
}

#[test]
fn a_renamed_table_equals_one_that_had_the_name_from_the_start() {
    let renamed =
        snapshot("CREATE TABLE a (x REFERENCES a (x)); ALTER TABLE a RENAME TO b; CREATE INDEX i ON b (x)");
    let direct = snapshot("CREATE TABLE b (x REFERENCES b (x)); CREATE INDEX i ON b (x)");
    assert_eq!(Fingerprint::of(&renamed), Fingerprint::of(&direct));
}
