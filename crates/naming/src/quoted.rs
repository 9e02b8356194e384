//! Texts from anywhere in errors.

/// A text as an error message shows it: between backticks, with line breaks and control characters escaped,
/// since names come from anywhere and an error is one line on a terminal.
pub(crate) fn quoted(text: &str) -> String {
    format!(
        "`{}`",
        text.escape_debug()
            .to_string()
            .replace("\\'", "'")
            .replace("\\\"", "\"")
    )
}
