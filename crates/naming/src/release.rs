//! The semantic version that a group of migrations completes.

use std::{fmt, str::FromStr};

use crate::quoted::quoted;

/// A release of the schema, such as 1.1.0.
///
/// Semantic versioning without pre-release or build parts: the strategy's `schema_version` table holds nothing
/// else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    /// Changes when old servers no longer work.
    pub major: u32,
    /// Changes when something is added.
    pub minor: u32,
    /// Changes when something is corrected.
    pub patch: u32,
}

impl Release {
    /// Joins the three parts.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// Reads a release such as `1.1.0`.
    ///
    /// # Errors
    /// When the text is not three numbers below 2³² joined by dots, or a number has a leading zero.
    pub fn parse(text: &str) -> Result<Self, ReleaseError> {
        let refused = || ReleaseError {
            text: text.to_owned(),
        };
        let mut parts = text.split('.').map(parse_part);
        let mut next = || parts.next().flatten().ok_or_else(refused);
        let release = Self {
            major: next()?,
            minor: next()?,
            patch: next()?,
        };
        if parts.next().is_some() {
            Err(refused())
        } else {
            Ok(release)
        }
    }
}

fn parse_part(digits: &str) -> Option<u32> {
    let plain = digits.bytes().all(|digit| digit.is_ascii_digit());
    let padded = digits.len() > 1 && digits.starts_with('0');
    if plain && !padded {
        digits.parse().ok()
    } else {
        None
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}.{}", self.major, self.minor, self.patch))
    }
}

impl FromStr for Release {
    type Err = ReleaseError;

    fn from_str(text: &str) -> Result<Self, ReleaseError> {
        Self::parse(text)
    }
}

/// A text that is no release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseError {
    text: String,
}

impl fmt::Display for ReleaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is not a release: write three numbers without leading zeros, as in `1.1.0`",
            quoted(&self.text)
        )
    }
}

impl std::error::Error for ReleaseError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn releases_compare_by_number_not_by_text() {
        assert!(Release::parse("1.9.0").unwrap() < Release::parse("1.10.0").unwrap());
        assert!(Release::new(1, 99, 99) < Release::new(2, 0, 0));
        assert!(Release::new(1, 1, 0) < Release::new(1, 1, 1));
    }

    #[test]
    fn what_is_not_three_plain_numbers_is_refused() {
        for text in [
            "",
            "1",
            "1.1",
            "1.1.0.0",
            "1.1.",
            ".1.1",
            "1..1",
            "01.1.0",
            "1.1.00",
            "v1.1.0",
            "1.1.0-rc1",
            "1.1.0+5",
            "+1.1.0",
            " 1.1.0",
            "1.1.0\n",
            "1.1.4294967296",
            "1.1.١",
        ] {
            assert!(Release::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_error_names_the_text_and_shows_a_right_one() {
        assert_eq!(
            Release::parse("1.1").unwrap_err().to_string(),
            "`1.1` is not a release: write three numbers without leading zeros, as in `1.1.0`"
        );
    }

    proptest! {
        #[test]
        fn any_release_survives_the_way_through_text(major: u32, minor: u32, patch: u32) {
            let release = Release::new(major, minor, patch);
            prop_assert_eq!(Release::parse(&release.to_string()), Ok(release));
        }

        #[test]
        fn what_parses_is_written_back_letter_for_letter(text in "[0-9]{0,3}([.][0-9]{0,3}){1,4}|.*") {
            if let Ok(release) = Release::parse(&text) {
                prop_assert_eq!(release.to_string(), text);
            }
        }
    }
}
