//! A configuration that means another, or is refused for a line that is right.

use bridge_migrate_cli::config_file::{ConfigFile, ConfigFileError};
use rubbish::targets::config::check;

use super::assert_noticed;
use crate::files;

type Read = fn(&str) -> Result<ConfigFile, ConfigFileError>;

/// Passes over what it does not know.
fn tolerant(text: &str) -> Result<ConfigFile, ConfigFileError> {
    let known: Vec<&str> = text
        .lines()
        .filter(|line| ConfigFile::parse(line).is_ok())
        .collect();
    ConfigFile::parse(text).or_else(|error| match toml::from_str::<toml::Table>(text) {
        Ok(_) => ConfigFile::parse(&known.join("\n")),
        Err(_) => Err(error),
    })
}

/// `false` is as if it were not there.
fn without_no(text: &str) -> Result<ConfigFile, ConfigFileError> {
    let mut file = ConfigFile::parse(text)?;
    file.quiet = file.quiet.filter(|is_quiet| *is_quiet);
    Ok(file)
}

fn in_line(text: &str, change: fn(usize) -> usize) -> Result<ConfigFile, ConfigFileError> {
    ConfigFile::parse(text).map_err(|error| ConfigFileError {
        line: error.line.map(change),
        ..error
    })
}

#[test]
fn another_configuration_is_noticed() {
    let mistakes: [(&str, Read, &str); 4] = [
        ("an unknown key passed over", tolerant, "was accepted"),
        ("a no forgotten", without_no, "another content is read"),
        (
            "lines from 0",
            |text| in_line(text, |line| line - 1),
            "line: Some(0)",
        ),
        (
            "always the first line",
            |text| in_line(text, |_| 1),
            "line 1 is not to blame",
        ),
    ];
    for (mistake, read, why) in mistakes {
        assert_noticed(&files::config(), mistake, |data| check(read, data), why);
    }
}
