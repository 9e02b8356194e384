//! `plan` says what `migrate` will do, and does none of it.

use serde_json::Value;
use support::{BridgeMigrate, TestDatabase};

use crate::common::{assert_output, json, refused, run, tree};

/// Number and name of each entry.
fn steps(list: &Value) -> Vec<(u64, String)> {
    let entries = list.as_array().unwrap().iter();
    entries
        .map(|step| {
            (
                step["version"].as_u64().unwrap(),
                step["name"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

#[test]
fn the_plan_is_what_migrate_then_does() {
    for (made, arguments) in [
        (TestDatabase::populated(71), &[][..]),
        (TestDatabase::nasty(72), &["--to", "1.1.0"]),
        (TestDatabase::populated(73), &["--phase", "expand"]),
        (TestDatabase::fresh_1_0_0(), &["--to", "+2"]),
        (TestDatabase::nothing(), &["--to", "V003"]),
    ] {
        let before = tree(made.root());
        let plan = json(&made, &[&["plan"], arguments].concat());
        assert_eq!(tree(made.root()), before, "{arguments:?}");
        let done = json(&made, &[&["migrate"], arguments].concat());
        assert_eq!(steps(&plan["steps"]), steps(&done["applied"]), "{arguments:?}");
        for key in ["from", "to"] {
            assert_eq!(plan[key], done[key], "{key} of {arguments:?}");
        }
        assert_eq!(plan["adopts"], done["adopted"], "{arguments:?}");
    }
}

#[test]
fn the_plans_sql_makes_the_schema_that_migrate_makes() {
    let (by_hand, migrated) = (TestDatabase::populated(74), TestDatabase::populated(74));
    let plan = json(&by_hand, &["plan"]);
    for step in plan["steps"].as_array().unwrap() {
        by_hand.execute(step["sql"].as_str().unwrap());
    }
    run(&migrated, &["migrate"]);
    let path = by_hand.path();
    let difference = json(&migrated, &["schema", "diff", path.to_str().unwrap()]);
    assert_eq!(difference["differences"], serde_json::json!([]));
    // What people get is the same text.
    let fresh = TestDatabase::populated(74);
    let shown = run(&fresh, &["plan", "--sql"]).stdout;
    for step in plan["steps"].as_array().unwrap() {
        for line in step["sql"].as_str().unwrap().lines() {
            assert!(shown.contains(line.trim()), "{line}\n{shown}");
        }
    }
}

#[test]
fn people_see_steps_time_zone_backup_and_disk() {
    let database = TestDatabase::populated(75);
    assert_output("plan", &run(&database, &["plan", "--to", "1.2.0"]));
    assert_output("plan_sql", &run(&database, &["plan", "--to", "V003", "--sql"]));
    run(&database, &["migrate"]);
    let before = tree(database.root());
    assert_output("plan_nothing", &run(&database, &["plan"]));
    assert_eq!(tree(database.root()), before);
}

#[test]
fn the_time_zone_is_stated_in_every_plan() {
    let database = TestDatabase::fresh_1_0_0();
    for zone in ["UTC", "Europe/Berlin", "local"] {
        let output = BridgeMigrate::new(&database)
            .timezone(zone)
            .args(["plan", "--json"])
            .run();
        output.assert_code(0);
        assert_eq!(output.json()["timezone"], zone);
    }
    let output = BridgeMigrate::new(&database)
        .timezone("Mars/Olympus")
        .arg("plan")
        .run();
    output.assert_code(2);
    assert!(output.stderr.contains("Mars/Olympus"), "{output}");
}

#[test]
fn the_disk_that_it_needs_grows_with_the_database() {
    let small = json(&TestDatabase::fresh_1_0_0(), &["plan"]);
    let database = TestDatabase::populated(76);
    let large = json(&database, &["plan"]);
    let bytes = |plan: &Value| plan["disk_needed_bytes"].as_u64().unwrap();
    assert!(bytes(&large) > bytes(&small));
    let before = database.path().metadata().unwrap().len();
    run(&database, &["migrate"]);
    let after: u64 = std::fs::read_dir(database.folder())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(bytes(&large) >= after - before, "{large}");
}

#[test]
fn a_target_that_does_not_exist_has_no_plan() {
    let database = TestDatabase::populated(77);
    let before = tree(database.root());
    for target in ["V099", "99", "9.9.9", "1.1.1"] {
        let error = refused(&database, &["plan", "--to", target], 2);
        assert_eq!(error["kind"], "unknown_target", "{target}");
    }
    assert_eq!(tree(database.root()), before);
}
