//! A TARGET that means another.

use naming::{Release, Target, TargetError};
use rubbish::targets::target::check;

use super::assert_noticed;
use crate::words;

type Read = fn(&str) -> Result<Target, TargetError>;

fn refused() -> Result<Target, TargetError> {
    Target::parse("")
}

/// `1.2` is `1.2.0`.
fn without_patch(text: &str) -> Result<Target, TargetError> {
    match text.split('.').map(str::parse).collect::<Vec<_>>()[..] {
        [Ok(major), Ok(minor)] => Ok(Target::Release(Release::new(major, minor, 0))),
        _ => Target::parse(text),
    }
}

/// `01.2.0` is `1.2.0`.
fn with_zeros(text: &str) -> Result<Target, TargetError> {
    match text.split('.').map(str::parse).collect::<Vec<_>>()[..] {
        [Ok(major), Ok(minor), Ok(patch)] => Ok(Target::Release(Release::new(major, minor, patch))),
        _ => Target::parse(text),
    }
}

/// What is too large for a version is the lower part of it.
fn wrapping(text: &str) -> Result<Target, TargetError> {
    match text.parse::<u64>() {
        Ok(number) if !text.starts_with('+') => Ok(Target::Version((number & 0xffff_ffff) as u32)),
        _ => Target::parse(text),
    }
}

/// `V5` is a file's name, not a target.
fn without_letter(text: &str) -> Result<Target, TargetError> {
    if text.starts_with('V') {
        refused()
    } else {
        Target::parse(text)
    }
}

/// No step back is the version that is there.
fn with_no_step(text: &str) -> Result<Target, TargetError> {
    if text == "-0" {
        Ok(Target::Back(0))
    } else {
        Target::parse(text)
    }
}

#[test]
fn another_target_is_noticed() {
    let another = "is read as another";
    let mistakes: [(&str, Read, &str); 6] = [
        ("a release without its patch", without_patch, another),
        ("zeros before a number", with_zeros, another),
        ("a number that wraps", wrapping, another),
        (
            "white space around it",
            |text| Target::parse(text.trim()),
            another,
        ),
        ("no step back", with_no_step, another),
        ("a version with its letter refused", without_letter, "is refused"),
    ];
    for (mistake, read, why) in mistakes {
        assert_noticed(&words::target(), mistake, |data| check(read, data), why);
    }
}
