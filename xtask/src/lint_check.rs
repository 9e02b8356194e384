//! The check that runs the program's own `lint` on the migrations that are compiled into it.

use std::process::Command;

use serde_json::Value;

use crate::check::Finding;
use crate::tool_checks;
use xtask::{cargo, error::Error, project::Project};

/// Builds the program and takes over what its `lint` finds; what a migration's file allows is not found. The inner
/// error is what is found where the migrations do not compile or contradict themselves: then there is nothing to run.
///
/// # Errors
/// When a program cannot be started.
pub(crate) fn lint(project: &Project) -> Result<Result<Vec<Finding>, Vec<Finding>>, Error> {
    let program = match tool_checks::program(project)? {
        Ok(program) => program,
        Err(found) => return Ok(Err(found)),
    };
    let output = cargo::output(Command::new(program).args(["lint", "--json"]))?;
    let answer = String::from_utf8_lossy(&output.stdout);
    if let Some(found) = findings(&answer) {
        return Ok(Ok(found));
    }
    let message = message(&answer).unwrap_or_else(|| cargo::text(&output));
    let found = tool_checks::contradiction(project, &message).unwrap_or_else(|| {
        Finding::new(
            "XT901",
            "migrations",
            format!("lint does not run: {message}"),
            "put right what it says",
        )
    });
    Ok(Err(vec![found]))
}

/// What an answer says went wrong.
fn message(answer: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    Some(answer.pointer("/error/message")?.as_str()?.to_owned())
}

/// The findings of an answer of `lint --json`; none when it is no such answer.
fn findings(answer: &str) -> Option<Vec<Finding>> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    let list = answer.get("findings")?.as_array()?;
    list.iter()
        .filter(|finding| finding.get("severity").and_then(Value::as_str) != Some("note"))
        .map(|finding| {
            let text = |key: &str| finding.get(key)?.as_str().map(str::to_owned);
            Some(Finding::new(
                text("code")?,
                text("subject")?,
                text("message")?,
                text("fix")?,
            ))
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
    fn a_refusal_is_told_in_its_own_words() {
        let answer = r#"{"ok":false,"error":{"kind":"catalog_invalid","message":"migration V010__x: why"}}"#;
        assert!(findings(answer).is_none());
        assert_eq!(message(answer).as_deref(), Some("migration V010__x: why"));
    }

    #[test]
    fn what_is_no_answer_is_not_taken_for_an_empty_one() {
        for answer in ["", "error: no", "{}", r#"{"findings":[{"code":1}]}"#] {
            assert!(findings(answer).is_none(), "{answer}");
        }
    }
}
