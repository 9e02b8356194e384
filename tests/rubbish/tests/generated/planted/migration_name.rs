//! Names that are read otherwise than the grammar says, and folders with a hole.

use naming::{MigrationName, NameError, SequenceError, scan, to_migration_name};
use rubbish::targets::migration_name::{OURS, Readers, Sequence, check};

use super::assert_noticed;
use crate::words;

type ToName = fn(&str) -> Result<String, NameError>;

/// `V1__x.rs` is `V001__x.rs`.
fn unpadded(text: &str) -> Result<MigrationName, NameError> {
    let padded = text
        .strip_prefix('V')
        .and_then(|rest| rest.split_once('_'))
        .map(|(number, rest)| format!("V{number:0>3}_{rest}"));
    MigrationName::parse(text).or_else(|error| MigrationName::parse(&padded.ok_or(error)?))
}

fn of_three_digits(text: &str) -> Result<MigrationName, NameError> {
    MigrationName::parse(text).and_then(|name| match name.version() {
        1000.. => MigrationName::parse(""),
        _ => Ok(name),
    })
}

/// The first file of each number.
fn deduplicated(mut files: Vec<String>) -> Sequence {
    let version = |file: &String| MigrationName::parse(file).map(|name| name.version()).ok();
    let mut seen = Vec::new();
    files.retain(|file| match version(file) {
        Some(version) if seen.contains(&version) => false,
        other => {
            seen.extend(other);
            true
        }
    });
    scan(files)
}

/// Those whose names can be read, in order.
fn only_right_ones(files: Vec<String>) -> Sequence {
    let mut names: Vec<MigrationName> = files
        .iter()
        .filter_map(|file| MigrationName::parse(file).ok())
        .collect();
    names.sort();
    Ok(names)
}

/// A sequence that must begin at 2.
fn beginning_late(files: Vec<String>) -> Sequence {
    let names = scan(files)?;
    match names.first() {
        Some(first) => Err(vec![SequenceError::Gap {
            first: 1,
            last: 1,
            before: None,
            after: first.file_name(),
        }]),
        None => Ok(names),
    }
}

#[test]
fn another_name_is_noticed() {
    let mistakes = [
        (
            "a number without its zeros",
            Readers {
                parse: unpadded,
                ..OURS
            },
            "is read as another",
        ),
        (
            "never a thousand migrations",
            Readers {
                parse: of_three_digits,
                ..OURS
            },
            "is refused",
        ),
        (
            "the second of a number left out",
            Readers {
                scan: deduplicated,
                ..OURS
            },
            " gave ",
        ),
        (
            "a gap passed over",
            Readers {
                scan: only_right_ones,
                ..OURS
            },
            "no sequence: ",
        ),
        (
            "a gap invented",
            Readers {
                scan: beginning_late,
                ..OURS
            },
            "number",
        ),
    ];
    for (mistake, readers, why) in mistakes {
        assert_noticed(
            &words::migration_name(),
            mistake,
            |data| check(&readers, data),
            why,
        );
    }
}

#[test]
fn another_text_of_a_person_is_noticed() {
    let mistakes: [(&str, ToName, &str); 3] = [
        (
            "a digit mistaken",
            |text| to_migration_name(text).map(|name| name.replace('2', "x")),
            " lost or changed a letter",
        ),
        (
            "each blank an underscore",
            |text| to_migration_name(text).map(|_| text.to_lowercase().replace([' ', '-', '\n'], "_")),
            " became ",
        ),
        (
            "no hyphen allowed",
            |text| to_migration_name(if text.contains('-') { "" } else { text }),
            "is refused",
        ),
    ];
    for (mistake, to_name, why) in mistakes {
        let readers = Readers { to_name, ..OURS };
        assert_noticed(
            &words::migration_name(),
            mistake,
            |data| check(&readers, data),
            why,
        );
    }
}
