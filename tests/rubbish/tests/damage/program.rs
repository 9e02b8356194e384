//! The program itself on damaged databases: its exit codes are those that the contract promises for its errors.

use std::fs;

use rubbish::ground::{LATEST, ORIGINAL};
use support::{BridgeMigrate, CommandOutput, TestDatabase, proof};

use crate::damage::{Damage, some};

/// What the contract says of an error's kind.
fn exit_code(kind: &str) -> Option<i32> {
    match kind {
        "corrupt" | "history_damaged" | "divergent" | "verification_failed" => Some(6),
        "newer" => Some(5),
        "not_a_database" | "foreign_database" | "schema_mismatch" | "backup_invalid" | "not_reversible" => {
            Some(1)
        }
        _ => None,
    }
}

#[track_caller]
fn check(output: &CommandOutput, name: &str) {
    assert!(!output.stderr.contains("panicked"), "{name}: {output}");
    let answer = output.json();
    if output.code == Some(0) {
        assert_eq!(answer["ok"], true, "{name}: {output}");
        return;
    }
    assert_eq!(answer["ok"], false, "{name}: {output}");
    // A step met the damage when others were committed; the error says where the database is.
    if output.code == Some(3) {
        let text = answer["error"].to_string();
        assert!(text.contains("V00"), "{name}: {output}");
        return;
    }
    let kind = answer["error"]["kind"].as_str().unwrap_or_default();
    assert_eq!(exit_code(kind), output.code, "{name}: {output}");
    assert_eq!(
        answer["error"]["exit_code"],
        output.code.unwrap(),
        "{name}: {output}"
    );
    assert!(
        answer["error"]["hint"]
            .as_str()
            .is_some_and(|hint| !hint.is_empty()),
        "{name}: {output}"
    );
}

#[test]
fn the_exit_code_says_what_is_wrong_with_a_damaged_database() {
    let reading: &[&[&str]] = &[
        &["status"],
        &["verify"],
        &["schema", "show"],
        &["history"],
        &["backup", "create"],
        &["lint"],
        &["doctor"],
    ];
    let writing: &[&[&str]] = &[&["migrate"], &["adopt"], &["plan"], &["checklist"]];
    let mut runs = 0;
    for (files, commands) in [(&*LATEST, reading), (&*ORIGINAL, writing)] {
        let damages: Vec<Damage> = some(&files.database, 0, 1);
        // The first page, which every command needs, and a sample of the others.
        let sample = damages.iter().take(2).chain(damages.iter().skip(2).step_by(5));
        for (turn, damage) in sample.enumerate() {
            let Some(bytes) = damage.of(&files.database) else {
                continue;
            };
            for command in commands.iter().cycle().skip(turn).take(3) {
                let database = TestDatabase::nothing();
                fs::write(database.path(), &bytes).unwrap();
                fs::write(database.tokens(), &files.tokens).unwrap();
                let output = BridgeMigrate::new(&database).args(*command).arg("--json").run();
                check(&output, &format!("{command:?} of {damage:?}"));
                if !matches!(output.code, Some(0 | 3)) {
                    assert!(
                        fs::read(database.path()).unwrap() == bytes,
                        "{command:?} of {damage:?} changed the file"
                    );
                }
                runs += 1;
            }
        }
    }
    proof::count(runs, "runs of the program", "on damaged databases");
}
