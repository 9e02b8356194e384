//! Every command block of every page in `docs/runbooks/`, run in order against a database in that very state. The pages
//! are the snapshots: `BLESS=1` rewrites their outputs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

mod page;
mod shell;
mod states;

use std::path::{Path, PathBuf};

use page::Page;
use states::State;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/runbooks")
}

/// Runs the page's commands in the state that the page is about.
fn check(name: &str, mut state: State) {
    let path = folder().join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let ran = Page::parse(&text).run(&mut state);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, ran).unwrap();
        return;
    }
    assert!(text == ran, "{}", first_difference(name, &text, &ran));
}

fn first_difference(name: &str, page: &str, ran: &str) -> String {
    let (mut expected, mut actual) = (page.lines(), ran.lines());
    let mut number = 0;
    loop {
        number += 1;
        match (expected.next(), actual.next()) {
            (Some(a), Some(b)) if a == b => {}
            (a, b) => {
                return format!(
                    "{name}, line {number}: the page says\n  {}\nand the command says\n  {}\nBLESS=1 rewrites the page",
                    a.unwrap_or("(end)"),
                    b.unwrap_or("(end)")
                );
            }
        }
    }
}

#[test]
fn a_migration_failed() {
    check("migration-failed.md", State::failing_migration());
}

#[test]
fn it_finished_but_the_server_misbehaves() {
    check("server-misbehaves.md", State::migrated_and_used());
}

#[test]
fn some_records_are_wrong() {
    check("wrong-records.md", State::wrong_records());
}

#[test]
fn the_disk_is_full() {
    check("disk-full.md", State::full_disk());
}

#[test]
fn a_process_holds_the_lock() {
    check("lock-held.md", State::held_lock());
}

#[test]
fn the_database_is_newer_than_the_program() {
    check("newer-database.md", State::newer_database());
}

#[test]
fn the_database_is_corrupt() {
    check("corrupt-database.md", State::corrupt_database());
}

#[test]
fn every_page_is_run() {
    let mut pages: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    assert_eq!(
        pages,
        [
            "README.md",
            "corrupt-database.md",
            "disk-full.md",
            "lock-held.md",
            "migration-failed.md",
            "newer-database.md",
            "server-misbehaves.md",
            "wrong-records.md",
        ]
    );
    let index = std::fs::read_to_string(folder().join("README.md")).unwrap();
    for page in &pages[1..] {
        assert!(index.contains(&format!("({page})")), "{page} is not in the index");
        let text = std::fs::read_to_string(folder().join(page)).unwrap();
        assert!(text.contains("$ bridge-migrate "), "{page} has no command");
    }
}
