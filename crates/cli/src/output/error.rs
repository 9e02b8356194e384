//! A failure: what went wrong, why, what is true now, and what to type next.

use std::fmt::Write as _;

use bridge_migrate_core::Error;

use super::json::causes;
use crate::hint::in_text;
use crate::text::{COMMAND, LABEL, WRONG, safe_lines};

/// The lines of a failure; `hint` is the command that helps.
pub(crate) fn render_error(error: &Error, hint: &str) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(page, "{WRONG}error:{WRONG:#} {}", safe_lines(error.message()));
    for cause in causes(error) {
        let _ = writeln!(page, "  {LABEL}caused by:{LABEL:#} {}", safe_lines(&cause));
    }
    if let Some(truth) = truth(error) {
        let _ = writeln!(page, "  {}", safe_lines(&truth));
    }
    let _ = writeln!(
        page,
        "  {LABEL}try:{LABEL:#} {COMMAND}{}{COMMAND:#}",
        safe_lines(hint)
    );
    page
}

/// What is true now, and what could be done instead.
pub(super) fn truth(error: &Error) -> Option<String> {
    let way = error
        .other_way()
        .map(|(way, does)| format!("{} {does}", in_text(way)));
    let sentences: Vec<&str> = error.truth().into_iter().chain(way.as_deref()).collect();
    (!sentences.is_empty()).then(|| sentences.join(" "))
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use bridge_migrate_core::ErrorKind;

    use super::*;

    #[test]
    fn an_error_says_what_why_what_is_true_and_what_to_type() {
        let error = Error::new(ErrorKind::DiskFull, "cannot write data/collab.db")
            .with_source(std::io::Error::other("no space left on device"))
            .with_truth("The database is whole, at 1.1.0 (V005).");
        let text = render_error(&error, "bridge-migrate --db data/collab.db status");
        insta::assert_snapshot!(strip_str(&text), @"
        error: cannot write data/collab.db
          caused by: no space left on device
          The database is whole, at 1.1.0 (V005).
          try: bridge-migrate --db data/collab.db status
        ");
    }

    #[test]
    fn a_name_cannot_draw_on_the_terminal() {
        let error = Error::new(ErrorKind::Missing, "there is no database at \u{1b}[31mx");
        let text = render_error(&error, "ls");
        insta::assert_snapshot!(strip_str(&text), @r"
        error: there is no database at \u{1b}[31mx
          try: ls
        ");
    }
}
