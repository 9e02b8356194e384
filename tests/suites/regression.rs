//! What once went wrong, each told by what its users saw.

use support::TestDatabase;

use crate::common::{json, refused, run};

/// `log` showed the run before the last when both began within one second: their names are random.
#[test]
fn the_newest_log_is_that_of_the_last_run_also_within_a_second() {
    let database = TestDatabase::populated(182);
    for version in 2..=7 {
        let target = version.to_string();
        let answer = json(&database, &["migrate", "--no-backup", "--to", &target]);
        let newest = json(&database, &["log"]);
        assert_eq!(newest["file"], answer["log"], "after V00{version}");
        assert_eq!(newest["events"][0]["run"], answer["run"]);
    }
}

/// A damaged database was answered with `ls -ld`, which shows nothing of it.
#[test]
fn a_damaged_database_is_answered_with_the_backups() {
    let database = TestDatabase::populated(183);
    run(&database, &["backup", "create"]);
    database.damage(100, &[0xff; 200]);
    let error = refused(&database, &["migrate"], 6);
    assert!(
        error["hint"].as_str().unwrap().ends_with("backup list"),
        "{error}"
    );
    // And that leads on.
    run(&database, &["backup", "list"]);
    run(&database, &["restore", "latest"]);
    assert_eq!(json(&database, &["migrate"])["to"]["release"], "1.2.0");
}
