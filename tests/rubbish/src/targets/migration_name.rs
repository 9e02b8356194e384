//! Names of migration files, and texts that people type for them.

use std::collections::BTreeSet;

use naming::{
    MAX_NAME_LENGTH, MAX_VERSION, MigrationName, NameError, SequenceError, scan, to_migration_name,
};

use super::one_line::assert_one_line;

/// The migrations of a folder in order, or what is wrong with it.
pub type Sequence = Result<Vec<MigrationName>, Vec<SequenceError>>;

/// What reads names.
#[derive(Debug, Clone, Copy)]
pub struct Readers {
    /// The name of one file.
    pub parse: fn(&str) -> Result<MigrationName, NameError>,
    /// The names of a folder.
    pub scan: fn(Vec<String>) -> Sequence,
    /// What a person types.
    pub to_name: fn(&str) -> Result<String, NameError>,
}

/// The product's.
pub const OURS: Readers = Readers {
    parse: MigrationName::parse,
    scan: |names| scan(names),
    to_name: to_migration_name,
};

/// Reads each line as a file name, all of them as a folder, and the whole as what a person types.
///
/// # Panics
/// As [`check`].
pub fn migration_name(data: &[u8]) {
    check(&OURS, data);
}

/// The same with those readers.
///
/// # Panics
/// When a name is read otherwise than the grammar says, is not printed as it was read, or when refinery reads it
/// otherwise.
pub fn check(readers: &Readers, data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    for line in &lines {
        check_file_name(readers, line);
    }
    check_folder(readers, &lines);
    check_typed(readers, &text);
}

fn check_typed(readers: &Readers, text: &str) {
    let letters = |text: &str| {
        text.replace(|character: char| !character.is_ascii_alphanumeric(), "")
            .to_ascii_lowercase()
    };
    match (readers.to_name)(text) {
        Ok(name) => {
            assert!(MigrationName::new(1, &name).is_ok(), "{text:?} became {name:?}");
            assert_eq!(letters(&name), letters(text), "{text:?} lost or changed a letter");
            assert_eq!(
                (readers.to_name)(&name).as_ref(),
                Ok(&name),
                "{text:?}, done twice"
            );
        }
        Err(error) => {
            assert!(!is_name_in_words(text), "{text:?} is refused: {error}");
            assert_one_line(&error.to_string());
        }
    }
}

/// Words with blanks, hyphens and underscores between them, of which nothing is wrong.
fn is_name_in_words(text: &str) -> bool {
    let is_separator = |character: char| character.is_whitespace() || matches!(character, '-' | '_');
    let is_numbered = text
        .strip_prefix(['v', 'V'])
        .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()) && rest.contains("__"));
    text.trim_start_matches(is_separator)
        .starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .chars()
            .all(|character| is_separator(character) || character.is_ascii_alphanumeric())
        // Each capital letter may begin a word.
        && text.len() * 2 <= MAX_NAME_LENGTH
        && !is_numbered
}

fn check_file_name(readers: &Readers, text: &str) {
    let expected = parts(text);
    match (readers.parse)(text) {
        Ok(name) => {
            assert_eq!(
                expected,
                Some((name.version(), name.name())),
                "{text:?} is read as another"
            );
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

fn check_folder(readers: &Readers, lines: &[String]) {
    match (readers.scan)(lines.to_vec()) {
        Ok(names) => {
            assert!(
                names
                    .iter()
                    .map(MigrationName::version)
                    .eq(1..=names.len() as u32),
                "no sequence: {lines:?}"
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
            for error in &errors {
                check_sequence_error(lines, error);
                assert_one_line(&error.to_string());
            }
        }
    }
}

/// What is found wrong with a folder is wrong with it.
fn check_sequence_error(lines: &[String], error: &SequenceError) {
    let versions: BTreeSet<u32> = lines.iter().filter_map(|line| Some(parts(line)?.0)).collect();
    let repeated = |files: &[String], what: fn((u32, &str)) -> String| {
        let whats: BTreeSet<Option<String>> = files.iter().map(|file| parts(file).map(what)).collect();
        files.len() > 1 && files.iter().all(|file| lines.contains(file)) && whats.len() == 1
    };
    let is_true = match error {
        SequenceError::Name(error) => {
            lines.iter().any(|line| line == error.text()) && parts(error.text()).is_none()
        }
        SequenceError::Gap {
            first,
            last,
            before,
            after,
        } => {
            first <= last
                && versions.range(first..=last).next().is_none()
                && parts(after).is_some_and(|(version, _)| version == last + 1)
                && before.as_ref().map_or(Some(0), |file| Some(parts(file)?.0)) == Some(first - 1)
        }
        SequenceError::DuplicateVersion { files, free } => {
            repeated(files, |(version, _)| version.to_string())
                && versions.last().is_some_and(|last| *free == last + 1)
        }
        SequenceError::DuplicateName { files } => repeated(files, |(_, name)| name.to_owned()),
        _ => false,
    };
    assert!(is_true, "of {lines:?}: {error}");
}
