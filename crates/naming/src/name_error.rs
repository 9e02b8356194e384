//! Why a file name or a text is not a migration's name, and how that is said.

use std::fmt;

use crate::limits::{MAX_NAME_LENGTH, MAX_VERSION};
use crate::quoted::quoted;

/// Why a text is not a migration's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameProblem {
    /// The file name does not end in `.rs`.
    Extension,
    /// The file name does not start with a capital `V`.
    Prefix,
    /// No digits follow the `V`.
    NumberMissing,
    /// Fewer than three digits.
    TooFewDigits,
    /// Zeros that pad the number beyond three digits.
    TooManyZeros,
    /// The number is 0, which stands for the state before the first migration.
    Zero,
    /// The number is above [`MAX_VERSION`].
    TooLarge,
    /// Not exactly two underscores between number and name.
    Separator,
    /// Nothing is left to be a name.
    Empty,
    /// The name starts with this character, which is no lower-case letter.
    Start(char),
    /// The name holds this character.
    Character(char),
    /// Two underscores in a row inside the name.
    DoubleUnderscore,
    /// The name ends with an underscore.
    TrailingUnderscore,
    /// The name is longer than [`MAX_NAME_LENGTH`].
    TooLong,
    /// A text that should become a name carries a number already.
    Numbered,
}

impl fmt::Display for NameProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Extension => f.write_str("it must end in `.rs`"),
            Self::Prefix => f.write_str("it must start with a capital `V`"),
            Self::NumberMissing => f.write_str("a number must follow the `V`"),
            Self::TooFewDigits => f.write_str("the number must have at least three digits, as in `V007`"),
            Self::TooManyZeros => f.write_str("the number is padded with zeros to three digits, not more"),
            Self::Zero => {
                f.write_str("numbers start at 1; 0 stands for the state before the first migration")
            }
            Self::TooLarge => write!(f, "the number must be at most {MAX_VERSION}"),
            Self::Separator => f.write_str("exactly two underscores must stand between number and name"),
            Self::Empty => f.write_str("the name is missing"),
            Self::Start(first) => write!(
                f,
                "the name must start with a lower-case letter, not with {}",
                quoted(&first.to_string())
            ),
            Self::Character(stray) => write!(
                f,
                "the name may hold letters, digits and underscores, but not {}",
                quoted(&stray.to_string())
            ),
            Self::DoubleUnderscore => f.write_str("the name must not hold two underscores in a row"),
            Self::TrailingUnderscore => f.write_str("the name must not end with an underscore"),
            Self::TooLong => write!(f, "the name must have at most {MAX_NAME_LENGTH} characters"),
            Self::Numbered => f.write_str("the number is chosen by the tool: give the name alone"),
        }
    }
}

/// A file name, or a text that should have become one, that breaks the grammar.
///
/// The message names the text, says what is wrong with it, and shows a right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameError {
    text: String,
    is_file: bool,
    problem: NameProblem,
}

impl NameError {
    pub(crate) fn in_file(file_name: &str, problem: NameProblem) -> Self {
        Self {
            text: file_name.to_owned(),
            is_file: true,
            problem,
        }
    }

    pub(crate) fn in_text(text: &str, problem: NameProblem) -> Self {
        Self {
            text: text.to_owned(),
            is_file: false,
            problem,
        }
    }

    /// The file name or text that was refused.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is wrong with it.
    pub fn problem(&self) -> NameProblem {
        self.problem
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = quoted(&self.text);
        let problem = self.problem;
        if self.is_file {
            write!(
                f,
                "{text} is not the file name of a migration: {problem}; a right one is `V001__initial_schema.rs`"
            )
        } else {
            write!(
                f,
                "{text} cannot name a migration: {problem}; a right name is `add_room_topic`"
            )
        }
    }
}

impl std::error::Error for NameError {}
