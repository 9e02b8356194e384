//! The statements of a migration, as `lint` cuts and runs them.

use bridge_migrate_core::{Catalog, Migration, Release, Result};
use bridge_migrate_sqlite::lint::{RULES, Report, lint};
use bridge_migrate_sqlite::schema::token::{Token, TokenKind, tokenize};
use rusqlite::Connection;

/// What SQLite passes over, a byte order mark among it.
const BLANKS: [char; 7] = [' ', '\t', '\n', '\u{b}', '\u{c}', '\r', '\u{feff}'];

/// What reads statements.
#[derive(Debug, Clone, Copy)]
pub struct Readers {
    /// The tokens of a text.
    pub tokenize: fn(&str) -> Vec<Token<'_>>,
    /// What is found on the migrations of a catalog.
    pub lint: fn(&Catalog) -> Result<Report>,
}

/// The product's.
pub const OURS: Readers = Readers { tokenize, lint };

/// Lints a migration whose statements are the text, with another that takes them back.
///
/// # Panics
/// As [`check`].
pub fn script(data: &[u8]) {
    check(&OURS, data);
}

/// The same with those readers.
///
/// # Panics
/// When a token is lost, when SQLite reads what the tokenizer calls no token, when a finding names a line that is not
/// there, or when nothing is found on what SQLite does not run.
pub fn check(readers: &Readers, data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    check_tokens(readers.tokenize, text);
    // What runs for ever would do so in any program.
    if text.is_empty() || tokenize(text).iter().any(|token| token.is_word("recursive")) {
        return;
    }
    let catalog = Catalog::new("Rubbish", vec![migration(text)]).unwrap();
    let report = (readers.lint)(&catalog).unwrap();
    if runs(text) == Some(false) {
        assert!(report.errors() > 0, "nothing is found on {text:?}");
    }
    let lines = text.split('\n').count();
    for finding in report.findings {
        assert!(
            RULES.iter().any(|rule| rule.code == finding.code),
            "no rule: {}",
            finding.code
        );
        assert!(!finding.message.is_empty() && !finding.fix.is_empty());
        if let Some((_, line)) = finding.subject.split_once("up, line ") {
            let line: usize = line.parse().unwrap();
            assert!((1..=lines).contains(&line), "no such line: {finding:?}");
        }
    }
}

/// Whether SQLite runs the statements on an empty database; `None` for what could write a file.
fn runs(text: &str) -> Option<bool> {
    let words = text.to_ascii_lowercase();
    if words.contains("attach") || words.contains("vacuum") {
        return None;
    }
    Some(Connection::open_in_memory().unwrap().execute_batch(text).is_ok())
}

fn check_tokens(tokenize: fn(&str) -> Vec<Token<'_>>, text: &str) {
    let tokens = tokenize(text);
    let mut end = 0;
    for token in &tokens {
        assert!(token.start >= end && !token.text.is_empty());
        assert_eq!(&text[token.start..token.end()], token.text);
        assert_blank(&text[end..token.start]);
        end = token.end();
    }
    assert_blank(&text[end..]);
    // Its text ends at a NUL.
    if text.contains('\0') || !tokens.iter().any(|token| token.kind == TokenKind::Invalid) {
        return;
    }
    assert_ne!(
        runs(text),
        Some(true),
        "SQLite runs {text:?}, which has an invalid token"
    );
}

/// Fails unless the text is white space and comments.
fn assert_blank(text: &str) {
    let mut rest = text.trim_start_matches(BLANKS);
    while !rest.is_empty() {
        let end = match rest.get(..2) {
            Some("--") => "\n",
            Some("/*") => "*/",
            _ => panic!("a token is lost: {rest:?}"),
        };
        rest = rest[2..]
            .split_once(end)
            .map_or("", |(_, rest)| rest)
            .trim_start_matches(BLANKS);
    }
}

fn migration(up: &str) -> Migration {
    Migration::new(1, "rubbish", Release::new(1, 0, 0))
        .summary("Rubbish.")
        .rollback("Nothing.")
        .up(up)
        .down("DROP TABLE a;")
}
