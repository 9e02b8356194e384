//! `plan` says what `migrate` will do, and does none of it.

use std::path::Path;

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
    for zone in ["UTC", "Europe/Berlin"] {
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

/// A rule with which a machine has a zone that no database names.
const RULE: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

#[test]
fn local_is_what_it_means_on_this_machine_or_is_refused() {
    let database = TestDatabase::populated(78);
    let with = |zone: &str, arguments: &[&str]| {
        BridgeMigrate::new(&database)
            .timezone("local")
            .env("TZ", zone)
            .args(arguments)
            .run()
    };
    let is_known = Path::new("/usr/share/zoneinfo/Europe/Berlin").is_file();
    let berlin = is_known.then_some("Europe/Berlin");
    for (zone, means) in [
        ("", Some("UTC")),
        ("UTC", Some("UTC")),
        (RULE, Some(RULE)),
        ("Europe/Berlin", berlin),
        (":Europe/Berlin", berlin),
        ("/usr/share/zoneinfo/Europe/Berlin", berlin),
        ("Europe/Berln", None),
        ("CET-1CEST,tomorrow", None),
    ] {
        let output = with(zone, &["plan", "--json"]);
        if let Some(means) = means {
            output.assert_code(0);
            assert_eq!(output.json()["timezone"], means, "{zone}");
        } else {
            output.assert_code(2);
            let error = &output.json()["error"];
            assert!(error["message"].as_str().unwrap().contains(zone), "{output}");
            assert!(
                error["hint"].as_str().unwrap().contains("--timezone UTC"),
                "{output}"
            );
        }
    }
    let before = database.dump();
    assert_output("timezone_unknown", &with("Europe/Berln", &["migrate"]));
    assert_eq!(database.dump(), before);

    // A rehearsal in one zone says nothing of another.
    with("UTC", &["rehearse"]).assert_code(0);
    let output = with(RULE, &["migrate", "--require-receipt"]);
    output.assert_code(1);
    assert!(
        output.stderr.contains("UTC") && output.stderr.contains(RULE),
        "{output}"
    );
    with("UTC", &["migrate", "--require-receipt"]).assert_code(0);
    let zones = "SELECT DISTINCT time_zone FROM migration_runs";
    assert_eq!(database.query_strings(zones), ["UTC"]);
}

/// Where `TZ` means nothing, as on a machine without the zones, only what needs a zone is refused.
#[test]
fn a_zone_that_means_nothing_stops_only_what_reads_timestamps_without_an_offset() {
    let elsewhere = |database: &TestDatabase, arguments: &[&str], code: i32| {
        let output = BridgeMigrate::new(database)
            .timezone("local")
            .env("TZ", "Nowhere/Else")
            .args(arguments)
            .run();
        output.assert_code(code);
        output
    };
    let database = TestDatabase::populated(77);
    let before = database.dump();
    for arguments in [
        &["plan"][..],
        &["migrate"],
        &["migrate", "--strict"],
        &["rehearse"],
    ] {
        let output = elsewhere(&database, arguments, 2);
        assert!(output.stderr.contains("Nowhere/Else"), "{output}");
    }
    assert_eq!(database.dump(), before);
    // The steps up to here read no time.
    elsewhere(&database, &["plan", "--to", "V001"], 0);
    elsewhere(&database, &["migrate", "--to", "V001"], 0);
    run(&database, &["migrate", "--to", "1.1.0"]);
    let normalised = database.query_strings("SELECT timestamp FROM messages ORDER BY id");
    elsewhere(&database, &["rehearse"], 0);
    elsewhere(&database, &["migrate", "--require-receipt"], 0);
    for arguments in [
        &["migrate"][..],
        &["plan"],
        &["status"],
        &["history"],
        &["verify"],
        &["checklist"],
        &["doctor"],
        &["backup", "create"],
        &["backup", "list"],
        &["kept", "list"],
        &["log"],
        &["undo", "V005", "--dry-run"],
        &["rollback", "--to", "1.2.0", "--yes"],
        &["migrate"],
    ] {
        elsewhere(&database, arguments, 0);
    }
    // The times in the token file have no offset.
    for arguments in [&["tokens", "verify"], &["restore", "latest"]] {
        let output = elsewhere(&database, arguments, 2);
        assert!(output.stderr.contains("Nothing was changed."), "{output}");
    }
    assert_eq!(
        database.query_strings("SELECT timestamp FROM messages ORDER BY id"),
        normalised
    );
    // Records say what was given, and no zone that nobody meant.
    let zones = database.query_strings("SELECT DISTINCT time_zone FROM migration_runs ORDER BY 1");
    assert_eq!(zones, ["UTC", "unknown (Nowhere/Else)"]);
    // A server that makes its database has no times yet.
    elsewhere(&TestDatabase::nothing(), &["migrate"], 0);
}

/// Older programs recorded `local`, which nothing can be compared with.
#[test]
fn a_step_that_began_in_a_zone_without_a_name_goes_on_in_the_one_that_the_operator_names() {
    let database = TestDatabase::populated(80);
    run(&database, &["migrate", "--to", "V004"]);
    let times = "SELECT timestamp FROM messages ORDER BY id";
    let before = database.query_strings(times);
    database.execute(&interrupted("local"));
    let local = |arguments: &[&str]| {
        BridgeMigrate::new(&database)
            .timezone("local")
            .env("TZ", RULE)
            .args(arguments)
            .run()
    };
    assert_output("timezone_not_on_record", &local(&["migrate"]));
    local(&["plan"]).assert_code(2);
    assert_eq!(database.query_strings(times), before);
    run(&database, &["migrate"]);
    let zones =
        "SELECT time_zone FROM migration_runs WHERE finished_at IS NOT NULL ORDER BY rowid DESC LIMIT 1";
    assert_eq!(database.query_strings(zones), ["UTC"]);
    run(&database, &["verify"]);
}

/// V005 as a killed run leaves it that began in this zone.
fn interrupted(zone: &str) -> String {
    format!(
        "INSERT INTO migration_runs SELECT 'aaaaaaaa', 'migrate', started_at, NULL, 4, 9, 4, host, pid, tool, \
         '{zone}', NULL FROM migration_runs LIMIT 1; \
         INSERT INTO migration_progress VALUES (5, 'normalize_timestamps', '1.1.0', 'journal', 'up', '0', 0, 0, 0, 1, \
         '2026-01-01T00:00:00+00:00')"
    )
}

#[test]
fn a_step_that_began_in_one_zone_does_not_go_on_in_another() {
    let database = TestDatabase::populated(79);
    run(&database, &["migrate", "--to", "V004"]);
    let times = "SELECT timestamp FROM messages ORDER BY id";
    let before = database.query_strings(times);
    database.execute(&interrupted("Europe/Berlin"));
    for command in ["plan", "migrate"] {
        let error = refused(&database, &[command], 2);
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains("Europe/Berlin") && message.contains("UTC"),
            "{message}"
        );
        assert!(
            error["hint"]
                .as_str()
                .unwrap()
                .ends_with("migrate --timezone Europe/Berlin"),
            "{error}"
        );
    }
    assert_eq!(database.query_strings(times), before);
    let same = BridgeMigrate::new(&database)
        .timezone("Europe/Berlin")
        .arg("migrate")
        .run();
    same.assert_code(0);
    run(&database, &["verify"]);
}

/// A rule has no name that `--timezone` takes; the hint can be typed all the same.
#[test]
fn a_step_that_began_under_a_rule_goes_on_as_the_hint_says() {
    let database = TestDatabase::populated(81);
    run(&database, &["migrate", "--to", "V004"]);
    database.execute(&interrupted(RULE));
    let hint = refused(&database, &["migrate"], 2)["hint"]
        .as_str()
        .unwrap()
        .to_owned();
    let program = support::command::binary();
    let typed = hint.replace(" bridge-migrate ", &format!(" '{}' ", program.display()));
    assert!(typed.ends_with(" migrate --timezone local"), "{hint}");
    let done = std::process::Command::new("sh")
        .args(["-c", &typed])
        .current_dir(database.root())
        .output()
        .unwrap();
    assert!(done.status.success(), "{hint}: {done:?}");
    let zones = "SELECT DISTINCT time_zone FROM migration_runs WHERE to_version = 9";
    assert_eq!(database.query_strings(zones), [RULE]);
    run(&database, &["verify"]);
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
