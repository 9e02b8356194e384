//! Tokens that are lost or mistaken, and findings that are not there.

use bridge_migrate_sqlite::schema::token::{Token, TokenKind, tokenize};
use rubbish::targets::script::{OURS, Readers, check};

use super::assert_noticed;
use crate::sql;

fn without_invalid(text: &str) -> Vec<Token<'_>> {
    let mut tokens = tokenize(text);
    tokens.retain(|token| token.kind != TokenKind::Invalid);
    tokens
}

fn without_quoted(text: &str) -> Vec<Token<'_>> {
    let mut tokens = tokenize(text);
    for token in &mut tokens {
        if token.kind == TokenKind::Quoted {
            token.kind = TokenKind::Invalid;
        }
    }
    tokens
}

#[test]
fn wrong_tokens_and_findings_are_noticed() {
    let mistakes = [
        (
            "an unended string dropped",
            Readers {
                tokenize: without_invalid,
                ..OURS
            },
            "a token is lost",
        ),
        (
            "a quoted name called invalid",
            Readers {
                tokenize: without_quoted,
                ..OURS
            },
            "SQLite runs",
        ),
        (
            "silent on what does not run",
            Readers {
                lint: |catalog| {
                    let mut report = (OURS.lint)(catalog)?;
                    report.findings.clear();
                    Ok(report)
                },
                ..OURS
            },
            "nothing is found on",
        ),
        (
            "lines from 0",
            Readers {
                lint: |catalog| {
                    let mut report = (OURS.lint)(catalog)?;
                    for finding in &mut report.findings {
                        finding.subject = finding.subject.replace("up, line 1", "up, line 0");
                    }
                    Ok(report)
                },
                ..OURS
            },
            "no such line",
        ),
    ];
    for (mistake, readers, why) in mistakes {
        assert_noticed(&sql::script(), mistake, |data| check(&readers, data), why);
    }
}
