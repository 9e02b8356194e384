//! Where a plan is to end, as the command line writes it.

use std::{fmt, str::FromStr};

use crate::limits::MAX_VERSION;
use crate::quoted::quoted;
use crate::release::Release;

/// Where a database is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// The last migration of the catalog.
    Latest,
    /// Just after the migration with this number; 0 is the state before the first one.
    Version(u32),
    /// Just after the last migration of this release.
    Release(Release),
    /// This many migrations back from where the database is.
    Back(u32),
    /// This many migrations forward from where the database is.
    Forward(u32),
}

impl Target {
    /// Reads `latest`, a migration's number (`5`, `005`, `V005`, `v5`, or `0`), a release (`1.1.0`), or a
    /// distance (`-1`, `+1`).
    ///
    /// # Errors
    /// When the text is anything else: a distance of 0, a number above [`MAX_VERSION`], and a name after the
    /// number (`V005__x`) too, since the name would have to be believed or ignored.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let refused = |problem| TargetError {
            text: text.to_owned(),
            problem,
        };
        if text == "latest" {
            return Ok(Self::Latest);
        }
        if let Some(distance) = text.strip_prefix('-') {
            return parse_distance(distance).map(Self::Back).map_err(refused);
        }
        if let Some(distance) = text.strip_prefix('+') {
            return parse_distance(distance).map(Self::Forward).map_err(refused);
        }
        let digits = text.strip_prefix(['V', 'v']).unwrap_or(text);
        if let Some((number, _)) = digits.split_once("__")
            && parse_number(number).is_ok()
        {
            return Err(refused(Problem::Named));
        }
        if text.contains('.') {
            return Release::parse(text)
                .map(Self::Release)
                .map_err(|_| refused(Problem::Release));
        }
        parse_number(digits).map(Self::Version).map_err(refused)
    }
}

fn parse_distance(digits: &str) -> Result<u32, Problem> {
    match parse_number(digits)? {
        0 => Err(Problem::NoDistance),
        distance => Ok(distance),
    }
}

fn parse_number(digits: &str) -> Result<u32, Problem> {
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(Problem::Unknown);
    }
    match digits.trim_start_matches('0') {
        "" => Ok(0),
        significant => match significant.parse() {
            Ok(number) if number <= MAX_VERSION => Ok(number),
            _ => Err(Problem::TooLarge),
        },
    }
}

/// Writes the form that [`Target::parse`] reads back to the same value.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Version(0) => f.write_str("0"),
            Self::Version(version) => write!(f, "V{version:03}"),
            Self::Release(release) => release.fmt(f),
            Self::Back(distance) => write!(f, "-{distance}"),
            Self::Forward(distance) => write!(f, "+{distance}"),
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        Self::parse(text)
    }
}

/// A text that is no target; the message says what is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetError {
    text: String,
    problem: Problem,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Problem {
    Unknown,
    TooLarge,
    NoDistance,
    Named,
    Release,
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a target", quoted(&self.text))?;
        match self.problem {
            Problem::Unknown => {}
            Problem::TooLarge => write!(f, ": numbers end at {MAX_VERSION}")?,
            Problem::NoDistance => f.write_str(": a distance is at least 1")?,
            Problem::Named => f.write_str(": give the number without the name")?,
            Problem::Release => f.write_str(": a release is three numbers without leading zeros")?,
        }
        f.write_str(
            "; accepted are `latest`, a migration (`5` or `V005`; `0` is before the first), a release (`1.1.0`: \
             its last migration), and `-1` or `+1` from where the database is",
        )
    }
}

impl std::error::Error for TargetError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_of_the_command_line_is_read() {
        for (text, target) in [
            ("latest", Target::Latest),
            ("5", Target::Version(5)),
            ("005", Target::Version(5)),
            ("V005", Target::Version(5)),
            ("v5", Target::Version(5)),
            ("0", Target::Version(0)),
            ("V000", Target::Version(0)),
            ("9999999", Target::Version(MAX_VERSION)),
            ("1.1.0", Target::Release(Release::new(1, 1, 0))),
            ("-1", Target::Back(1)),
            ("-12", Target::Back(12)),
            ("+1", Target::Forward(1)),
        ] {
            assert_eq!(Target::parse(text), Ok(target), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "Latest",
            "newest",
            "V",
            "v",
            "+",
            "-",
            "-0",
            "+0",
            "--1",
            "+-1",
            "-V1",
            "-1.0.0",
            "1.1",
            "v1.1.0",
            "1.1.0.0",
            "10000000",
            "99999999999999999999",
            " 5",
            "5 ",
            "0x5",
            "٥",
            "V005__x",
            "V005_x",
            "x__y",
        ] {
            assert!(Target::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_error_says_what_is_wrong_and_what_is_accepted() {
        assert_eq!(
            Target::parse("V005__normalize_timestamps")
                .unwrap_err()
                .to_string(),
            "`V005__normalize_timestamps` is not a target: give the number without the name; accepted are \
             `latest`, a migration (`5` or `V005`; `0` is before the first), a release (`1.1.0`: its last \
             migration), and `-1` or `+1` from where the database is"
        );
        for (text, start) in [
            ("newest", "`newest` is not a target; accepted"),
            ("-0", "`-0` is not a target: a distance is at least 1; accepted"),
            (
                "1.1",
                "`1.1` is not a target: a release is three numbers without leading zeros; accepted",
            ),
            (
                "10000000",
                "`10000000` is not a target: numbers end at 9999999; accepted",
            ),
        ] {
            let message = Target::parse(text).unwrap_err().to_string();
            assert!(message.starts_with(start), "{message}");
        }
    }

    fn targets() -> impl Strategy<Value = Target> {
        prop_oneof![
            Just(Target::Latest),
            (0..=MAX_VERSION).prop_map(Target::Version),
            any::<[u32; 3]>()
                .prop_map(|[major, minor, patch]| Target::Release(Release::new(major, minor, patch))),
            (1..=MAX_VERSION).prop_map(Target::Back),
            (1..=MAX_VERSION).prop_map(Target::Forward),
        ]
    }

    proptest! {
        #[test]
        fn any_target_survives_the_way_through_text(target in targets()) {
            prop_assert_eq!(Target::parse(&target.to_string()), Ok(target));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-+vV]?[0-9._]{0,12}|.*") {
            if let Ok(target) = Target::parse(&text) {
                prop_assert_eq!(Target::parse(&target.to_string()), Ok(target));
            }
        }
    }
}
