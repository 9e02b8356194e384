//! The check that runs the program's own `lint` on the migrations that are compiled into it.

use std::process::Command;

use serde_json::Value;

use crate::check::{Finding, Subject};
use xtask::cargo;
use xtask::error::Error;

/// Builds the program and takes over what its `lint` finds; what a migration's file allows is not found.
pub(crate) fn lint(subject: &Subject<'_>) -> Result<Vec<Finding>, Error> {
    let [program] = cargo::build(
        subject.project,
        &["--package=bridge-migrate-cli", "--bin=bridge-migrate"],
        ["bridge-migrate"],
    )?;
    let output = cargo::output(Command::new(program).args(["lint", "--json"]))?;
    let answer = String::from_utf8_lossy(&output.stdout);
    Ok(findings(&answer).unwrap_or_else(|| {
        vec![Finding {
            code: "XT901".into(),
            subject: "migrations".to_owned(),
            message: format!("lint does not run:\n{}", cargo::text(&output)),
            fix: "bridge-migrate lint".to_owned(),
        }]
    }))
}

/// The findings of an answer of `lint --json`; none when it is no such answer.
fn findings(answer: &str) -> Option<Vec<Finding>> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    let list = answer.get("findings")?.as_array()?;
    list.iter()
        .filter(|finding| finding.get("severity").and_then(Value::as_str) != Some("note"))
        .map(|finding| {
            let text = |key: &str| finding.get(key)?.as_str().map(str::to_owned);
            Some(Finding {
                code: text("code")?.into(),
                subject: text("subject")?,
                message: text("message")?,
                fix: text("fix")?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_keep_their_codes_and_notes_are_left_out() {
        let answer = r#"{"ok":false,"command":"lint","findings":[
            {"code":"BM201","severity":"error","subject":"V010__x, up, line 1","message":"m","fix":"f"},
            {"code":"BM210","severity":"note","subject":"V006","message":"allowed","fix":""}]}"#;
        let found = findings(answer).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].to_string(),
            "BM201 V010__x, up, line 1: m\n             fix: f"
        );
    }

    #[test]
    fn what_is_no_answer_is_not_taken_for_an_empty_one() {
        for answer in ["", "error: no", "{}", r#"{"findings":[{"code":1}]}"#] {
            assert!(findings(answer).is_none(), "{answer}");
        }
    }
}
