//! Every lint rule has a page, whose bad example it fires on and on whose good example nothing is found.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test, a panic is the report"
)]

use std::{collections::BTreeSet, path::PathBuf};

use bridge_migrate_core::{Catalog, Finding, Migration, Phase, Release, RowChange, RowChangeKind};
use bridge_migrate_sqlite::lint::{RULES, lint};
use bridge_migrate_sqlite::schema::{ObjectKind, Snapshot};
use rusqlite::Connection;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/lints")
}

/// The fenced blocks under a heading: what stands after the fence, and the text.
fn blocks<'a>(page: &'a str, heading: &str) -> Vec<(&'a str, &'a str)> {
    let Some((_, section)) = page.split_once(&format!("\n## {heading}\n")) else {
        return Vec::new();
    };
    let section = section.split("\n## ").next().unwrap();
    section
        .split("```")
        .skip(1)
        .step_by(2)
        .map(|block| block.split_once('\n').unwrap())
        .collect()
}

fn migration(version: u32, sql: &str) -> Migration {
    let mut migration = Migration::new(version, format!("m{version}"), Release::new(1, 1, 0))
        .rollback("Said.")
        .up(sql.find("-- rebuild\n").map_or(sql, |start| &sql[start..]));
    for line in sql
        .lines()
        .map_while(|line| line.strip_prefix("-- ").filter(|line| *line != "rebuild"))
    {
        let (key, value) = line.split_once(": ").unwrap();
        let rows = |kind| RowChange {
            table: value.to_owned(),
            kind,
        };
        match key {
            "release" => migration.release = Release::parse(value).unwrap(),
            "phase" => migration.phase = Phase::parse(value).unwrap(),
            "retires" => migration.retires = Some(Release::parse(value).unwrap()),
            "adds rows to" => migration.row_changes.push(rows(RowChangeKind::Adds)),
            "removes rows from" => migration.row_changes.push(rows(RowChangeKind::Removes)),
            "rollback" => {
                migration.rollback = if value == "none" {
                    String::new()
                } else {
                    value.to_owned()
                }
            }
            "allow" => {
                let (code, reason) = value.split_once(':').unwrap();
                migration
                    .allowed
                    .push((code.to_owned(), reason.trim().to_owned()));
            }
            _ => panic!("{line}"),
        }
    }
    migration
}

/// The schema before, as the migration of release 1.0.0 that makes it.
fn first(sql: &str) -> Migration {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(sql).unwrap();
    let schema = Snapshot::read(&connection).unwrap();
    let down = schema
        .iter()
        .filter(|object| matches!(object.kind, ObjectKind::Table | ObjectKind::View))
        .map(|object| format!("DROP {} \"{}\";", object.kind, object.name))
        .collect();
    Migration {
        release: Release::new(1, 0, 0),
        down,
        ..migration(1, sql)
    }
}

fn found(code: &str, page: &str, heading: &str) -> Vec<Finding> {
    let before = blocks(page, "Before");
    let mut migrations: Vec<Migration> = before.iter().map(|(_, sql)| first(sql)).collect();
    let mut contracts = Vec::new();
    for (kind, text) in blocks(page, heading) {
        if let Some(release) = kind.strip_prefix("sql contract ") {
            contracts.push((Release::parse(release).unwrap(), text.to_owned()));
        } else if kind == "sql down" {
            migrations.last_mut().unwrap().down = text.to_owned();
        } else {
            assert_eq!(kind, "sql up", "{code}");
            let version = u32::try_from(migrations.len()).unwrap() + 1;
            migrations.push(migration(version, text));
        }
    }
    assert!(migrations.len() > before.len(), "{code} has no {heading} example");
    if contracts.len() == 1 && code != "BM308" {
        contracts.push((Release::new(1, 1, 0), "-- foreign keys: off".to_owned()));
    }
    let catalog = Catalog::new("example", migrations)
        .unwrap()
        .with_contracts(contracts);
    lint(&catalog).unwrap().findings
}

#[test]
fn every_rule_has_a_page_and_every_page_a_rule() {
    let pages: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let expected: BTreeSet<String> = RULES
        .iter()
        .map(|rule| format!("{}.md", rule.code))
        .chain(["README.md".to_owned()])
        .collect();
    assert_eq!(pages, expected);
    let index = std::fs::read_to_string(folder().join("README.md")).unwrap();
    for rule in RULES {
        let page = std::fs::read_to_string(folder().join(format!("{}.md", rule.code))).unwrap();
        assert!(
            page.starts_with(&format!("# {}: {}\n", rule.code, rule.title)),
            "{}",
            rule.code
        );
        let entry = format!("- [{0}]({0}.md): {1}\n", rule.code, rule.title);
        assert!(index.contains(&entry), "{entry}");
    }
}

#[test]
fn every_rule_fires_on_its_bad_example_and_nothing_on_its_good_one() {
    let mut wrong = Vec::new();
    for rule in RULES {
        let page = std::fs::read_to_string(folder().join(format!("{}.md", rule.code))).unwrap();
        let bad = found(rule.code, &page, "Bad");
        if !bad.iter().any(|finding| finding.code == rule.code) {
            wrong.push(format!("{} does not fire on its bad example: {bad:?}", rule.code));
        }
        let good = found(rule.code, &page, "Good");
        if !good.is_empty() {
            wrong.push(format!(
                "{}: its good example is found fault with: {good:?}",
                rule.code
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
