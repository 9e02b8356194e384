//! A migration's number and name, as its file name carries them.

use std::{fmt, str::FromStr};

use crate::limits::{MAX_NAME_LENGTH, MAX_VERSION};
use crate::name_error::{NameError, NameProblem};

/// The number and the name of a migration, both valid.
///
/// Ordered by number first. The source of the rule is refinery's file naming, made stricter: one way to write
/// each name, so that names sort and compare as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MigrationName {
    version: u32,
    name: String,
}

impl MigrationName {
    /// Joins a number and a snake_case name.
    ///
    /// # Errors
    /// When the number is 0 or above [`MAX_VERSION`], or the name breaks the grammar.
    pub fn new(version: u32, name: &str) -> Result<Self, NameError> {
        let found = if version == 0 {
            Err(NameProblem::Zero)
        } else if version > MAX_VERSION {
            Err(NameProblem::TooLarge)
        } else {
            check_name(name)
        };
        match found {
            Ok(()) => Ok(Self {
                version,
                name: name.to_owned(),
            }),
            Err(problem) => Err(NameError::in_file(&format!("V{version:03}__{name}.rs"), problem)),
        }
    }

    /// Reads a file name such as `V001__initial_schema.rs`.
    ///
    /// # Errors
    /// When the name is not exactly `V`, the number padded to three digits, two underscores, a snake_case name
    /// and `.rs`.
    pub fn parse(file_name: &str) -> Result<Self, NameError> {
        split(file_name).map_err(|problem| NameError::in_file(file_name, problem))
    }

    /// The number, 1 or more.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The name without its number: `initial_schema`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number as people write it: `V001`.
    pub fn label(&self) -> String {
        format!("V{:03}", self.version)
    }

    /// The file name without its extension: `V001__initial_schema`.
    pub fn stem(&self) -> String {
        format!("V{:03}__{}", self.version, self.name)
    }

    /// The file name: `V001__initial_schema.rs`.
    pub fn file_name(&self) -> String {
        format!("{}.rs", self.stem())
    }
}

impl fmt::Display for MigrationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file_name())
    }
}

impl FromStr for MigrationName {
    type Err = NameError;

    fn from_str(file_name: &str) -> Result<Self, NameError> {
        Self::parse(file_name)
    }
}

fn split(file_name: &str) -> Result<MigrationName, NameProblem> {
    let stem = file_name.strip_suffix(".rs").ok_or(NameProblem::Extension)?;
    let rest = stem.strip_prefix('V').ok_or(NameProblem::Prefix)?;
    let digits_end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, rest) = rest.split_at(digits_end);
    let version = parse_number(digits)?;
    let name = rest.strip_prefix("__").ok_or(NameProblem::Separator)?;
    if name.starts_with('_') {
        return Err(NameProblem::Separator);
    }
    check_name(name)?;
    Ok(MigrationName {
        version,
        name: name.to_owned(),
    })
}

fn parse_number(digits: &str) -> Result<u32, NameProblem> {
    if digits.is_empty() {
        return Err(NameProblem::NumberMissing);
    }
    if digits.bytes().all(|digit| digit == b'0') {
        return Err(NameProblem::Zero);
    }
    if digits.len() > 3 && digits.starts_with('0') {
        return Err(NameProblem::TooManyZeros);
    }
    if digits.len() < 3 {
        return Err(NameProblem::TooFewDigits);
    }
    match digits.parse() {
        Ok(version) if version <= MAX_VERSION => Ok(version),
        _ => Err(NameProblem::TooLarge),
    }
}

pub(crate) fn check_name(name: &str) -> Result<(), NameProblem> {
    match name.chars().next() {
        None => return Err(NameProblem::Empty),
        Some('a'..='z') => {}
        Some(first) => return Err(NameProblem::Start(first)),
    }
    let stray = name.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '_'));
    if let Some(stray) = stray {
        return Err(NameProblem::Character(stray));
    }
    if name.contains("__") {
        return Err(NameProblem::DoubleUnderscore);
    }
    if name.ends_with('_') {
        return Err(NameProblem::TrailingUnderscore);
    }
    if name.len() > MAX_NAME_LENGTH {
        return Err(NameProblem::TooLong);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problem(file_name: &str) -> NameProblem {
        MigrationName::parse(file_name).unwrap_err().problem()
    }

    #[test]
    fn a_right_file_name_gives_its_parts() {
        let name = MigrationName::parse("V001__initial_schema.rs").unwrap();
        assert_eq!((name.version(), name.name()), (1, "initial_schema"));
        assert_eq!(name.label(), "V001");
        assert_eq!(name.stem(), "V001__initial_schema");
        assert_eq!(name.file_name(), "V001__initial_schema.rs");
    }

    #[test]
    fn numbers_above_three_digits_are_not_padded() {
        assert_eq!(MigrationName::parse("V1000__x.rs").unwrap().label(), "V1000");
        assert_eq!(
            MigrationName::parse("V9999999__x.rs").unwrap().version(),
            MAX_VERSION
        );
        assert_eq!(problem("V0100__x.rs"), NameProblem::TooManyZeros);
        assert_eq!(problem("V10000000__x.rs"), NameProblem::TooLarge);
        assert_eq!(problem("V99999999999999999999__x.rs"), NameProblem::TooLarge);
    }

    #[test]
    fn each_mistake_is_told_apart() {
        for (file_name, expected) in [
            ("V001__x.sql", NameProblem::Extension),
            ("V001__x.RS", NameProblem::Extension),
            ("", NameProblem::Extension),
            ("mod.rs", NameProblem::Prefix),
            ("v001__x.rs", NameProblem::Prefix),
            ("U001__x.rs", NameProblem::Prefix),
            ("V__x.rs", NameProblem::NumberMissing),
            ("V-01__x.rs", NameProblem::NumberMissing),
            ("V1__x.rs", NameProblem::TooFewDigits),
            ("V01__x.rs", NameProblem::TooFewDigits),
            ("V0__x.rs", NameProblem::Zero),
            ("V000__x.rs", NameProblem::Zero),
            ("V001.rs", NameProblem::Separator),
            ("V001_x.rs", NameProblem::Separator),
            ("V001___x.rs", NameProblem::Separator),
            ("V001.1__x.rs", NameProblem::Separator),
            ("V001__.rs", NameProblem::Empty),
            ("V001__Xray.rs", NameProblem::Start('X')),
            ("V001__1st.rs", NameProblem::Start('1')),
            ("V001__add-room.rs", NameProblem::Character('-')),
            ("V001__addRoom.rs", NameProblem::Character('R')),
            ("V001__räume.rs", NameProblem::Character('ä')),
            ("V001__a__b.rs", NameProblem::DoubleUnderscore),
            ("V001__a_.rs", NameProblem::TrailingUnderscore),
        ] {
            assert_eq!(problem(file_name), expected, "{file_name}");
        }
    }

    #[test]
    fn the_longest_name_is_accepted_and_one_more_letter_is_not() {
        let longest = "a".repeat(MAX_NAME_LENGTH);
        assert!(MigrationName::new(1, &longest).is_ok());
        assert_eq!(
            MigrationName::new(1, &(longest + "a")).unwrap_err().problem(),
            NameProblem::TooLong
        );
    }

    #[test]
    fn a_number_outside_the_range_is_refused_however_it_is_made() {
        assert_eq!(
            MigrationName::new(0, "x").unwrap_err().problem(),
            NameProblem::Zero
        );
        assert_eq!(
            MigrationName::new(MAX_VERSION + 1, "x").unwrap_err().problem(),
            NameProblem::TooLarge
        );
    }

    #[test]
    fn the_error_names_the_file_the_mistake_and_a_right_name() {
        assert_eq!(
            MigrationName::parse("V1__add_room.rs").unwrap_err().to_string(),
            "`V1__add_room.rs` is not the file name of a migration: the number must have at least three digits, \
             as in `V007`; a right one is `V001__initial_schema.rs`"
        );
    }

    #[test]
    fn an_error_stays_on_one_line_whatever_the_name_holds() {
        let message = MigrationName::parse("V001__a\n\u{1b}[31m'.rs")
            .unwrap_err()
            .to_string();
        assert!(
            message.starts_with(r"`V001__a\n\u{1b}[31m'.rs` is not"),
            "{message}"
        );
        assert!(!message.contains(char::is_control), "{message}");
    }

    #[test]
    fn migrations_sort_by_number_not_by_text() {
        let early = MigrationName::parse("V999__z.rs").unwrap();
        let late = MigrationName::parse("V1000__a.rs").unwrap();
        assert!(early < late);
    }

    proptest! {
        #[test]
        fn any_number_and_name_survive_the_way_through_the_file_name(
            version in 1..=MAX_VERSION,
            name in "[a-z][a-z0-9]{0,9}(_[a-z0-9]{1,9}){0,5}",
        ) {
            let name = MigrationName::new(version, &name).unwrap();
            prop_assert_eq!(MigrationName::parse(&name.to_string()).unwrap(), name);
        }

        #[test]
        fn what_parses_is_written_back_letter_for_letter(text in "V[0-9]{1,8}_{1,3}[a-zA-Z0-9_]{0,6}[.]rs|.*") {
            match MigrationName::parse(&text) {
                Ok(name) => prop_assert_eq!(name.to_string(), text),
                Err(error) => prop_assert_eq!(error.text(), text),
            }
        }
    }
}
