//! TARGET: where a plan is to end.

use naming::{MAX_VERSION, Release, Target, TargetError};

use super::one_line::assert_one_line;

/// Reads a TARGET.
///
/// # Panics
/// As [`check`].
pub fn target(data: &[u8]) {
    check(Target::parse, data);
}

/// Reads a TARGET with that reader.
///
/// # Panics
/// When it is read otherwise than the command-line contract says, or is not printed as something that means the same.
pub fn check(parse: impl Fn(&str) -> Result<Target, TargetError>, data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let expected = meaning(&text);
    match parse(&text) {
        Ok(target) => {
            assert_eq!(Some(target), expected, "{text:?} is read as another");
            assert_eq!(parse(&target.to_string()), Ok(target), "{text:?}, printed");
        }
        Err(error) => {
            assert_eq!(expected, None, "{text:?} is refused: {error}");
            assert_one_line(&error.to_string());
        }
    }
}

fn meaning(text: &str) -> Option<Target> {
    if text == "latest" {
        return Some(Target::Latest);
    }
    if let [major, minor, patch] = text.split('.').collect::<Vec<_>>()[..] {
        let part = |digits: &str| {
            let number: u32 = number(digits)?.try_into().ok()?;
            (number.to_string() == digits).then_some(number)
        };
        return Some(Target::Release(Release::new(
            part(major)?,
            part(minor)?,
            part(patch)?,
        )));
    }
    let version = |digits: &str| {
        let number = u32::try_from(number(digits)?).ok()?;
        (number <= MAX_VERSION).then_some(number)
    };
    match text.chars().next()? {
        '-' => version(&text[1..])
            .filter(|distance| *distance > 0)
            .map(Target::Back),
        '+' => version(&text[1..])
            .filter(|distance| *distance > 0)
            .map(Target::Forward),
        'V' | 'v' => version(&text[1..]).map(Target::Version),
        _ => version(text).map(Target::Version),
    }
}

/// A number that may be longer than any type: what is too long for one is the largest of it.
fn number(digits: &str) -> Option<u128> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(u128::MAX))
}
