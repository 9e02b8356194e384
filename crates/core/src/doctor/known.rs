//! Texts from rows and logs, let through only when they are what this program itself would have written.

use chrono::{DateTime, NaiveDateTime, Utc};
use naming::{Phase, Release};

use crate::clock::timestamp;

/// Commands that runs are recorded under.
const COMMANDS: [&str; 4] = ["migrate", "rollback", "undo", "adopt"];

/// A command of the tool.
pub(super) fn command(text: &str) -> Option<&'static str> {
    COMMANDS.into_iter().find(|known| *known == text)
}

/// A release number, written anew.
pub(super) fn release(text: &str) -> Option<String> {
    Release::parse(text).ok().map(|release| release.to_string())
}

/// A phase, written anew.
pub(super) fn phase(text: &str) -> Option<String> {
    Phase::parse(text).ok().map(|phase| phase.to_string())
}

/// A time, written anew: what is no time does not come through.
pub(super) fn time(text: &str) -> Option<String> {
    let parsed = DateTime::parse_from_rfc3339(text)
        .map(|time| time.with_timezone(&Utc))
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").map(|time| time.and_utc()));
    parsed.ok().map(timestamp)
}

/// The name of a run: eight hexadecimal digits.
pub(super) fn run(text: &str) -> Option<String> {
    let is_name = text.len() == 8
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    is_name.then(|| text.to_owned())
}

/// Name and version of the program that wrote a row: `bridge-migrate 0.1.0`.
pub(super) fn tool(text: &str) -> Option<String> {
    let version = text.strip_prefix("bridge-migrate ")?;
    release(version).map(|version| format!("bridge-migrate {version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_program_writes_comes_through() {
        assert_eq!(command("migrate"), Some("migrate"));
        assert_eq!(command("migrate; secret"), None);
        assert_eq!(release("1.2.0").as_deref(), Some("1.2.0"));
        assert_eq!(release("1.2.0-secret"), None);
        assert_eq!(
            time("2026-02-22 10:00:00.5").as_deref(),
            Some("2026-02-22T10:00:00.500000Z")
        );
        assert_eq!(time("2026-02-22T10:00:00Z secret"), None);
        assert_eq!(run("00ff12ab").as_deref(), Some("00ff12ab"));
        assert_eq!(run("secret!!"), None);
        assert_eq!(
            tool("bridge-migrate 0.1.0").as_deref(),
            Some("bridge-migrate 0.1.0")
        );
        assert_eq!(tool("bridge-migrate secret"), None);
        assert_eq!(phase("secret"), None);
    }
}
