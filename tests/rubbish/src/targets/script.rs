//! The statements of a migration, as `lint` cuts and runs them.

use bridge_migrate_core::catalog::{Catalog, Migration};
use bridge_migrate_core::lint::{RULES, lint};
use bridge_migrate_core::schema::token::{TokenKind, tokenize};
use bridge_migrate_core::{Phase, Release};
use rusqlite::Connection;

/// Lints a migration whose statements are the text, with another that takes them back.
///
/// # Panics
/// When a token is lost, when SQLite reads what the tokenizer calls no token, or when a finding names a line that is
/// not there.
pub fn script(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    check_tokens(text);
    // What runs for ever would do so in any program.
    if text.is_empty() || tokenize(text).iter().any(|token| token.is_word("recursive")) {
        return;
    }
    let catalog = Catalog::new("Rubbish", vec![migration(text)]).unwrap();
    let report = lint(&catalog).unwrap();
    let lines = text.split('\n').count();
    for finding in report.findings {
        assert!(
            RULES.iter().any(|rule| rule.code == finding.code),
            "{}",
            finding.code
        );
        assert!(!finding.message.is_empty() && !finding.fix.is_empty());
        if let Some((_, line)) = finding.subject.split_once("up, line ") {
            let line: usize = line.parse().unwrap();
            assert!((1..=lines).contains(&line), "{finding:?}");
        }
    }
}

fn check_tokens(text: &str) {
    let tokens = tokenize(text);
    let mut end = 0;
    for token in &tokens {
        assert!(token.start >= end && !token.text.is_empty());
        assert_eq!(&text[token.start..token.end()], token.text);
        end = token.end();
    }
    // Its text ends at a NUL.
    if text.contains('\0') || !tokens.iter().any(|token| token.kind == TokenKind::Invalid) {
        return;
    }
    if tokens
        .iter()
        .any(|token| token.is_word("attach") || token.is_word("vacuum"))
    {
        return;
    }
    let error = Connection::open_in_memory().unwrap().execute_batch(text);
    assert!(error.is_err(), "SQLite runs {text:?}");
}

fn migration(up: &str) -> Migration {
    Migration {
        version: 1,
        name: "rubbish".to_owned(),
        release: Release::new(1, 0, 0),
        phase: Phase::Expand,
        summary: "Rubbish.".to_owned(),
        rollback: "Nothing.".to_owned(),
        up: up.to_owned(),
        down: "DROP TABLE a;".to_owned(),
        data: None,
        import: None,
        row_changes: Vec::new(),
        retires: None,
        allowed: Vec::new(),
    }
}
