//! The rooms of the engine stand in one order, each on those before it. The list at the top of `lib.rs` has the order;
//! what the code imports has to agree.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where its ground gives way"
)]

use std::fs;
use std::path::{Path, PathBuf};

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The rooms, as `lib.rs` lists them: `//! 1. `files`: …`.
fn rooms() -> Vec<String> {
    let text = fs::read_to_string(source().join("lib.rs")).unwrap();
    text.lines()
        .filter_map(|line| {
            let (number, rest) = line.strip_prefix("//! ")?.split_once(". `")?;
            number.parse::<u32>().ok()?;
            Some(rest.split_once('`')?.0.to_owned())
        })
        .collect()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The words that follow `crate::` in a file, also in groups, with the rest of each path.
fn imports(text: &str) -> Vec<(String, String)> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let paths: Vec<&str> = match rest.strip_prefix('{') {
            Some(group) => group[..group.find("};").expect("a group ends")]
                .split(',')
                .collect(),
            None => vec![rest],
        };
        for path in paths {
            let path: String = path
                .trim()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':')
                .collect();
            if let Some(room) = path.split("::").next().filter(|room| !room.is_empty()) {
                found.push((room.to_owned(), path.clone()));
            }
        }
    }
    found
}

#[test]
fn no_room_uses_one_that_stands_on_it() {
    let rooms = rooms();
    let mut folders: Vec<String> = fs::read_dir(source())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "lib.rs")
        .collect();
    folders.sort_unstable();
    let mut listed = rooms.clone();
    listed.sort_unstable();
    assert_eq!(listed, folders, "lib.rs lists every room once");

    let mut up = Vec::new();
    for (level, room) in rooms.iter().enumerate() {
        let mut found = Vec::new();
        files(&source().join(room), &mut found);
        for file in found {
            for (used, path) in imports(&fs::read_to_string(&file).unwrap()) {
                if let Some(above) = rooms[level + 1..].iter().find(|above| **above == used) {
                    up.push(format!(
                        "{} is in `{room}`, and uses crate::{path} of `{above}`",
                        file.strip_prefix(source()).unwrap().display()
                    ));
                }
            }
        }
    }
    assert!(up.is_empty(), "imports that point up:\n{}", up.join("\n"));
}

#[test]
fn imports_are_found_in_every_form() {
    let text = "use crate::files::lock;\nuse crate::{plan::Plan, schema::{self, diff}, inspect};\nlet x = crate::backup::find();";
    let rooms: Vec<String> = imports(text).into_iter().map(|(room, _)| room).collect();
    assert_eq!(rooms, ["files", "plan", "schema", "diff", "inspect", "backup"]);
}
