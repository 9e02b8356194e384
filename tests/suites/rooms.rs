//! The rooms of each crate stand in one order, each on those before it. The list at the top of its `lib.rs` has the
//! order; what the code imports has to agree.

use std::fs;
use std::path::{Path, PathBuf};

fn crates() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let mut crates: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("src"))
        .collect();
    crates.sort_unstable();
    crates
}

/// The rooms, as `lib.rs` lists them: `//! 1. `files`: …`.
fn rooms(source: &Path) -> Vec<String> {
    let text = fs::read_to_string(source.join("lib.rs")).unwrap();
    text.lines()
        .filter_map(|line| {
            let (number, rest) = line.strip_prefix("//! ")?.split_once(". `")?;
            number.parse::<u32>().ok()?;
            Some(rest.split_once('`')?.0.to_owned())
        })
        .collect()
}

/// The files of a room: `room.rs`, or all in its folder, without its tests, which may begin on what stands on it.
fn files(room: &Path, found: &mut Vec<PathBuf>) {
    let alone = room.with_extension("rs");
    if alone.is_file() {
        found.push(alone);
    }
    for entry in fs::read_dir(room).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            let name = path.file_name().unwrap().to_string_lossy();
            if name.ends_with(".rs") && name != "tests.rs" && !name.ends_with("_tests.rs") {
                found.push(path);
            }
        }
    }
}

/// What a file takes from `root` (`crate::`, or the `super::super::` that leads there), also in groups.
fn imports<'a>(text: &'a str, root: &str) -> Vec<&'a str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for (at, _) in line.match_indices(root) {
            let before = line[..at].chars().next_back();
            if before.is_some_and(|before| is_name(before) || before == ':') {
                continue;
            }
            let mut nested = 0;
            let start = line.as_ptr() as usize - text.as_ptr() as usize + at + root.len();
            // A name counts where a path begins: at once, or in a group behind its brace and its commas.
            let mut begins = true;
            for (offset, character) in text[start..].char_indices() {
                match character {
                    '{' => nested += 1,
                    '}' => nested -= 1,
                    c if is_name(c) && begins => {
                        let rest = &text[start + offset..];
                        found.push(&rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())]);
                    }
                    _ => {}
                }
                begins =
                    nested == 1 && (matches!(character, '{' | ',') || begins && character.is_whitespace());
                if nested == 0 && !begins {
                    break;
                }
            }
        }
    }
    found
}

#[test]
fn no_room_uses_one_that_stands_on_it() {
    let mut wrong = Vec::new();
    for source in crates() {
        let rooms = rooms(&source);
        let mut modules: Vec<String> = fs::read_dir(&source)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "lib.rs" && name != "main.rs")
            .map(|name| name.trim_end_matches(".rs").to_owned())
            .collect();
        modules.sort_unstable();
        modules.dedup();
        let mut listed = rooms.clone();
        listed.sort_unstable();
        let root = source.join("lib.rs");
        assert_eq!(listed, modules, "{} lists every room once", root.display());

        for (level, room) in rooms.iter().enumerate() {
            let mut found = Vec::new();
            files(&source.join(room), &mut found);
            for file in found {
                let text = fs::read_to_string(&file).unwrap();
                let name = file.strip_prefix(&source).unwrap();
                let depth = name.components().count() - usize::from(name.ends_with("mod.rs"));
                let named = imports(&text, "crate::");
                for used in named.iter().chain(&imports(&text, &"super::".repeat(depth))) {
                    if rooms[level + 1..].iter().any(|above| above == used) {
                        let above = source.join(used);
                        wrong.push(format!(
                            "{} uses {}, which stands on it",
                            file.display(),
                            above.display()
                        ));
                    }
                }
                // `crate::Plan` does not say from which room it is.
                for used in named
                    .iter()
                    .filter(|used| !rooms.iter().any(|room| room == *used))
                {
                    wrong.push(format!("{} uses crate::{used}, which is no room", file.display()));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "imports that point up, or nowhere:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn imports_are_found_in_every_form() {
    let text = "use crate::files::lock;\nuse crate::{plan::Plan, schema::{self, diff},\n    inspect,\n};\n\
                let x = crate::backup::find(a, b);\nuse super::super::wait;\nuse super::own;\n// use crate::no;";
    assert_eq!(
        imports(text, "crate::"),
        ["files", "plan", "schema", "inspect", "backup"]
    );
    assert_eq!(imports(text, "super::super::"), ["wait"]);
}
