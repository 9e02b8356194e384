//! Texts from rows and logs, let through only when they are what this program itself would have written.

use chrono::{DateTime, NaiveDateTime, Utc};
use naming::{Phase, Release};

use crate::schema::token::{TokenKind, tokenize};
use bridge_migrate_core::clock::timestamp;

/// Commands that runs are recorded under.
const COMMANDS: [&str; 11] = [
    "migrate",
    "rollback",
    "undo",
    "adopt",
    "restore",
    "tokens import",
    "backup prune",
    "log prune",
    "kept reclaim",
    "kept prune",
    "repair",
];
/// What the program and SQLite say when a run fails, but for names.
const WORDS: &str = "a again aborted add an and another apply as at back backup be become begin but cannot change \
    changed changes check checks code column columns commit constraint copy count could create data database datatype \
    date declare declared delete did differ disk does drop dropped error failed file fill find for foreign found from \
    full has have held history i import in index input insert into is it its journal key leave lock locked look \
    malformed migration mismatch no not null of on only open or other output page pages plan prepare primary \
    prune put read record records refused rewrite roll rolled row rows rowid run schema should sqlite statements step \
    steps store such table take tables text that the there those to too trigger unable unique update uses value values \
    view violations was were where which with without write writes wrong";

/// A command of the tool.
pub(super) fn command(text: &str) -> Option<&'static str> {
    COMMANDS.into_iter().find(|known| *known == text)
}

/// A failure's message with what is neither a word of ours nor a name left out.
pub(super) fn message(text: &str, is_name: impl Fn(&str) -> bool) -> String {
    let keeps = |word: &str| {
        let word = word.to_ascii_lowercase();
        WORDS.split_whitespace().any(|known| known == word) || is_name(&word)
    };
    let mut shown = String::new();
    let mut end = 0;
    for token in tokenize(text) {
        // White space, or what the tokenizer takes for a comment.
        let gap = text.get(end..token.start).unwrap_or_default();
        shown.push_str(if gap.trim().is_empty() { gap } else { " … " });
        end = token.end();
        let keep = match token.kind {
            TokenKind::Word => keeps(token.text),
            TokenKind::Operator => true,
            TokenKind::Number => token.text.len() <= 4,
            _ => token.text == ":",
        };
        shown.push_str(if keep { token.text } else { "…" });
    }
    shown
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
        let said =
            "cannot write messages: hunter2 -- secret\n constraint failed: messages.\"secret\" 'secret'";
        assert_eq!(
            message(said, |name| name == "messages"),
            "cannot write messages: … … constraint failed: messages.… …"
        );
    }
}
