//! Names of migration files, and texts that people type for them.

use std::collections::BTreeSet;

use naming::{MAX_NAME_LENGTH, MAX_VERSION, MigrationName, scan, to_migration_name};

use super::one_line::assert_one_line;

/// Reads each line as a file name, all of them as a folder, and the first as what a person types.
///
/// # Panics
/// When a name is read otherwise than the grammar says, is not printed as it was read, or when refinery reads it
/// otherwise.
pub fn migration_name(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    for line in &lines {
        check_file_name(line);
    }
    check_folder(&lines);
    match to_migration_name(&text) {
        Ok(name) => {
            assert!(MigrationName::new(1, &name).is_ok(), "{text:?} became {name:?}");
            assert_eq!(
                to_migration_name(&name).as_ref(),
                Ok(&name),
                "{text:?}, done twice"
            );
        }
        Err(error) => assert_one_line(&error.to_string()),
    }
}

fn check_file_name(text: &str) {
    let expected = parts(text);
    match MigrationName::parse(text) {
        Ok(name) => {
            assert_eq!(expected, Some((name.version(), name.name())), "{text:?}");
            assert_eq!(name.file_name(), text);
            assert_eq!(MigrationName::new(name.version(), name.name()), Ok(name.clone()));
            let migration = refinery::Migration::unapplied(&name.stem(), "").expect(text);
            assert_eq!(migration.name(), name.name());
            assert_eq!(i64::from(migration.version()), i64::from(name.version()));
        }
        Err(error) => {
            assert_eq!(expected, None, "{text:?} is refused: {error}");
            assert_eq!(error.text(), text);
            assert_one_line(&error.to_string());
        }
    }
}

/// The grammar, read from both ends.
fn parts(text: &str) -> Option<(u32, &str)> {
    let (number, name) = text.strip_prefix('V')?.strip_suffix(".rs")?.split_once("__")?;
    let is_padded_to_three = number.len() == 3 || (number.len() > 3 && !number.starts_with('0'));
    let version = number
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| number.parse().ok())??;
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'));
    let is_name = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.split('_').all(is_word)
        && name.len() <= MAX_NAME_LENGTH;
    (is_padded_to_three && (1..=MAX_VERSION).contains(&version) && is_name).then_some((version, name))
}

fn check_folder(lines: &[String]) {
    match scan(lines.iter().cloned()) {
        Ok(names) => {
            assert!(
                names
                    .iter()
                    .map(MigrationName::version)
                    .eq(1..=names.len() as u32),
                "{lines:?}"
            );
            let found: BTreeSet<String> = names.iter().map(MigrationName::file_name).collect();
            let right = lines.iter().filter(|line| parts(line).is_some());
            assert!(
                right.eq(lines.iter().filter(|line| found.contains(*line))),
                "{lines:?} gave {found:?}"
            );
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            errors
                .iter()
                .for_each(|error| assert_one_line(&error.to_string()));
        }
    }
}
