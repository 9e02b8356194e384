//! Turns what a person types into a migration's name.

use crate::migration_name::check_name;
use crate::name_error::{NameError, NameProblem};

/// Turns `Add room topic-index` or `addRoomTopicIndex` into `add_room_topic_index`.
///
/// White space, hyphens and underscores separate words, and so does a capital letter after a small one or
/// before the last capital of a run (`importHTTPLog` gives `import_http_log`). A valid name stays as it is.
///
/// # Errors
/// When nothing is left, the first word does not start with a letter, a character is neither an ASCII letter
/// or digit nor a separator, the text already carries a number (`V005__x`), or the result is too long.
pub fn to_migration_name(text: &str) -> Result<String, NameError> {
    let refused = |problem| NameError::in_text(text, problem);
    if carries_number(text) {
        return Err(refused(NameProblem::Numbered));
    }
    let letters: Vec<char> = text.chars().collect();
    let mut name = String::with_capacity(text.len());
    let mut pending_separator = false;
    let mut previous: Option<char> = None;
    for (at, &letter) in letters.iter().enumerate() {
        if letter.is_whitespace() || matches!(letter, '-' | '_') {
            pending_separator = true;
        } else if letter.is_ascii_alphanumeric() {
            let starts_word = pending_separator || is_hump(previous, letter, letters.get(at + 1).copied());
            if starts_word && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_lowercase());
            pending_separator = false;
        } else {
            return Err(refused(NameProblem::Character(letter)));
        }
        previous = Some(letter);
    }
    check_name(&name).map_err(refused)?;
    Ok(name)
}

fn is_hump(previous: Option<char>, letter: char, next: Option<char>) -> bool {
    let Some(previous) = previous else { return false };
    let ends_run = previous.is_ascii_uppercase() && next.is_some_and(|next| next.is_ascii_lowercase());
    letter.is_ascii_uppercase() && (!previous.is_ascii_uppercase() || ends_run)
}

fn carries_number(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(['v', 'V']) else {
        return false;
    };
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    after.len() < rest.len() && after.starts_with("__")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::MAX_NAME_LENGTH;
    use crate::migration_name::MigrationName;

    #[test]
    fn what_people_type_becomes_snake_case() {
        for (text, name) in [
            ("Add room topic-index", "add_room_topic_index"),
            ("addRoomTopic", "add_room_topic"),
            ("AddRoomTopic", "add_room_topic"),
            ("add_room_topic", "add_room_topic"),
            ("  add   room -- topic  ", "add_room_topic"),
            ("__add__room__", "add_room"),
            ("ADD ROOM", "add_room"),
            ("importHTTPLog", "import_http_log"),
            ("sha256Digest", "sha256_digest"),
            ("v2_rooms", "v2_rooms"),
            ("add\troom", "add_room"),
        ] {
            assert_eq!(to_migration_name(text).as_deref(), Ok(name), "{text:?}");
        }
    }

    #[test]
    fn what_cannot_become_a_name_is_refused() {
        for (text, problem) in [
            ("", NameProblem::Empty),
            (" - ", NameProblem::Empty),
            ("2nd try", NameProblem::Start('2')),
            ("add räume", NameProblem::Character('ä')),
            ("../etc/passwd", NameProblem::Character('.')),
            ("add_room.rs", NameProblem::Character('.')),
            ("rooms'; DROP", NameProblem::Character('\'')),
            ("V005__add_room", NameProblem::Numbered),
        ] {
            assert_eq!(
                to_migration_name(text).unwrap_err().problem(),
                problem,
                "{text:?}"
            );
        }
        let long = "a".repeat(MAX_NAME_LENGTH + 1);
        assert_eq!(
            to_migration_name(&long).unwrap_err().problem(),
            NameProblem::TooLong
        );
    }

    #[test]
    fn the_error_names_the_text_the_mistake_and_a_right_name() {
        assert_eq!(
            to_migration_name("2nd try").unwrap_err().to_string(),
            "`2nd try` cannot name a migration: the name must start with a lower-case letter, not with `2`; \
             a right name is `add_room_topic`"
        );
    }

    proptest! {
        #[test]
        fn what_comes_out_is_a_valid_name_and_comes_out_again(text in "[a-zA-Z0-9_ -]{0,40}|.*") {
            if let Ok(name) = to_migration_name(&text) {
                prop_assert!(MigrationName::new(1, &name).is_ok());
                prop_assert_eq!(to_migration_name(&name), Ok(name));
            }
        }
    }
}
