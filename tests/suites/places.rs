//! Which file a name means, and that a wrong name does not become a new database in silence.

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::{BridgeMigrate, CommandOutput, TestDatabase};

use crate::common::{assert_output, tree};

/// Runs a command in the root folder without naming a database, unless the arguments do.
fn bare(database: &TestDatabase, arguments: &[&str]) -> CommandOutput {
    BridgeMigrate::bare(database).args(arguments).run()
}

fn answer(database: &TestDatabase, arguments: &[&str], code: i32) -> Value {
    let output = BridgeMigrate::bare(database).args(arguments).arg("--json").run();
    output.assert_code(code);
    output.json()
}

/// An empty folder, as on a fresh machine.
fn fresh_machine() -> TestDatabase {
    let database = TestDatabase::nothing();
    fs::remove_dir(database.folder()).unwrap();
    database
}

#[test]
fn a_database_that_is_made_says_so_in_the_first_line() {
    let database = fresh_machine();
    let output = bare(&database, &["migrate"]);
    output.assert_code(0);
    let first = output.stdout.lines().next().unwrap();
    assert!(
        first.starts_with("made a new database at ") && first.ends_with("/data/collab.db"),
        "{first}"
    );
    assert_eq!(answer(&database, &["migrate"], 0)["created"], false);
    let named = answer(&database, &["--db", "other.db", "migrate"], 0);
    assert_eq!(named["created"], true);
    let log = fs::read_dir(database.root().join("logs")).unwrap().count();
    assert_eq!(log, 2);
    let facts = answer(&database, &["log"], 0).to_string();
    assert!(facts.contains("database_created"), "{facts}");
}

#[test]
fn what_must_exist_is_not_made_and_not_filled() {
    let database = fresh_machine();
    let error = answer(&database, &["migrate", "--must-exist"], 1);
    assert_eq!(error["error"]["kind"], "missing");
    assert!(tree(database.root()).is_empty(), "something was made");
    let named = ["--db", "colab.db", "migrate", "--must-exist"];
    assert_output("places_must_exist", &bare(&database, &named));
    assert!(tree(database.root()).is_empty(), "something was made");

    fs::write(database.root().join("colab.db"), "").unwrap();
    answer(&database, &named, 1);
    assert_eq!(fs::read(database.root().join("colab.db")).unwrap(), b"");

    // One that SQLite made, and in which there is nothing.
    let connection = rusqlite::Connection::open(database.root().join("colab.db")).unwrap();
    connection.execute_batch("PRAGMA user_version = 1").unwrap();
    drop(connection);
    let before = fs::read(database.root().join("colab.db")).unwrap();
    answer(&database, &named, 1);
    assert_eq!(fs::read(database.root().join("colab.db")).unwrap(), before);

    answer(&database, &["--db", "colab.db", "migrate"], 0);
    answer(&database, &named, 0);
}

#[test]
fn a_url_means_the_file_that_other_tools_take_it_for() {
    let database = TestDatabase::populated(321);
    let absolute = database.path();
    let absolute = absolute.to_str().unwrap();
    fs::write(
        database.root().join("sqlite.toml"),
        "db = 'sqlite:///data/collab.db'",
    )
    .unwrap();
    for named in [
        "sqlite:///data/collab.db",
        &format!("sqlite:///{absolute}"),
        "file:data/collab.db",
        &format!("file://{absolute}"),
        "file:data%2Fcollab.db",
    ] {
        for arguments in [&["--db", named, "status"][..], &["status"]] {
            let output = BridgeMigrate::bare(&database)
                .env("DATABASE_PATH", named)
                .args(arguments)
                .arg("--json")
                .run();
            output.assert_code(0);
            assert_eq!(output.json()["presence"], "adoptable", "{named}: {output}");
        }
    }
    let told = answer(&database, &["--config", "sqlite.toml", "status"], 0);
    assert_eq!(told["presence"], "adoptable");
}

#[test]
fn a_url_that_names_no_file_becomes_no_file() {
    let database = TestDatabase::nothing();
    for named in [
        "postgres://localhost/bridge",
        "sqlite://data/collab.db",
        "sqlite:///data/collab.db?mode=rw",
        "file://server/collab.db",
        "https://example.org/collab.db",
        ":memory:",
    ] {
        let toml = format!("db = '{named}'");
        for way in [&["--db", named, "migrate"][..], &["migrate"]] {
            let output = BridgeMigrate::bare(&database)
                .env("DATABASE_PATH", named)
                .args(way)
                .arg("--json")
                .run();
            output.assert_code(2);
            assert_eq!(output.json()["error"]["kind"], "usage", "{output}");
            assert_eq!(tree(database.root()).len(), 1, "{named}");
        }
        fs::write(database.root().join("url.toml"), toml).unwrap();
        answer(&database, &["--config", "url.toml", "migrate"], 2);
        fs::remove_file(database.root().join("url.toml")).unwrap();
    }
    // Nor does a password get anywhere.
    let url = "postgres://bridge:secret@localhost/bridge";
    let told = answer(&database, &["--db", url, "migrate"], 2);
    assert!(!told.to_string().contains("secret"), "{told}");
    let refused = bare(&database, &["--db", url, "migrate"]);
    assert_output("places_postgres", &refused);
}

/// A machine whose servers have their database somewhere else than at the default place.
fn machine_with(place: &str) -> TestDatabase {
    let database = TestDatabase::populated(322);
    let target = database.root().join(place);
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    fs::rename(database.path(), target).unwrap();
    database
}

/// `migrate` must name the other database, make nothing, and give a hint that leads to it.
#[track_caller]
fn assert_pointed_out(database: &TestDatabase, other: &str) {
    let before = tree(database.root());
    let told = answer(database, &["migrate"], 1);
    assert_eq!(told["error"]["kind"], "missing");
    assert!(
        told["error"]["message"].as_str().unwrap().contains(other),
        "{told}"
    );
    assert_eq!(
        told["error"]["hint"],
        format!("bridge-migrate --db {other} status")
    );
    assert_eq!(answer(database, &["status"], 0)["others"][0], other);
    assert!(tree(database.root()) == before, "something was made");
}

#[test]
fn a_database_beside_the_empty_default_place_is_pointed_out() {
    for other in ["data/bridge.db", "collab.db", "data/old/../chat.sqlite3"] {
        let database = machine_with(other);
        let name = other.replace("old/../", "");
        assert_pointed_out(&database, &name);
        // Neither is one there that is empty.
        fs::write(database.path(), "").unwrap();
        assert_pointed_out(&database, &name);
        fs::remove_file(database.path()).unwrap();
        // Whoever names the default place means it.
        let made = answer(&database, &["--db", "data/collab.db", "migrate"], 0);
        assert_eq!(made["created"], true);
        // And then it is there.
        answer(&database, &["migrate"], 0);
        assert_eq!(
            answer(&database, &["status"], 0)["others"],
            Value::Array(Vec::new())
        );
    }
    let database = machine_with("data/bridge.db");
    assert_output("places_pointed_out", &bare(&database, &["migrate"]));
    assert_output("places_status", &bare(&database, &["status"]));
}

#[test]
fn the_database_that_the_servers_are_told_of_is_pointed_out() {
    for (line, other, is_there) in [
        ("DATABASE_PATH=srv/bridge.db\n", "srv/bridge.db", true),
        (
            "# DATABASE_PATH=no\nexport DATABASE_PATH='srv/bridge.db' # there\n",
            "srv/bridge.db",
            true,
        ),
        ("DATABASE_PATH=/nowhere/bridge.db", "/nowhere/bridge.db", false),
    ] {
        let database = if is_there {
            machine_with(other)
        } else {
            TestDatabase::nothing()
        };
        fs::write(database.root().join(".env"), line).unwrap();
        assert_pointed_out(&database, other);
    }
    // The default itself may be named there.
    let database = fresh_machine();
    fs::write(database.root().join(".env"), "DATABASE_PATH=./data/collab.db\n").unwrap();
    assert_eq!(answer(&database, &["migrate"], 0)["created"], true);
}

#[test]
fn what_is_none_of_the_bridges_keeps_nobody_from_beginning() {
    let database = fresh_machine();
    let root = database.root();
    fs::write(root.join("notes.db"), "no database\n").unwrap();
    fs::write(root.join(".env"), [0xff; 100]).unwrap();
    let other = rusqlite::Connection::open(root.join("other.db")).unwrap();
    other
        .execute_batch("CREATE TABLE rooms (x); CREATE TABLE beds (x)")
        .unwrap();
    drop(other);
    std::os::unix::fs::symlink("/dev/zero", root.join("zero.db")).unwrap();
    assert_eq!(answer(&database, &["migrate"], 0)["created"], true);
    assert!(Path::new(&database.path()).exists());
}
