//! Puts the tables into the documentation, between two marks.

use std::path::Path;

use xtask::{error::Error, project};

const BEGIN: &str = "<!-- cargo xtask bench --write: begin -->";
const END: &str = "<!-- cargo xtask bench --write: end -->";

/// Replaces what stands between the marks of a file.
///
/// # Errors
/// When the file cannot be read or written, or has no marks.
pub(crate) fn write(path: &Path, lines: &[String]) -> Result<(), Error> {
    let text = project::read(path)?;
    let text = replaced(&text, &lines.join("\n")).ok_or_else(|| {
        Error::new(format!("{} has no place for the tables", path.display()))
            .hint(format!("add the lines `{BEGIN}` and `{END}`"))
    })?;
    project::replace(path, &text)
}

fn replaced(text: &str, tables: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{tables}\n\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let text = format!("# Benchmarks\n\n{BEGIN}\nold\n{END}\n\nmore\n");
        let expected = format!("# Benchmarks\n\n{BEGIN}\n\nnew\n\n{END}\n\nmore\n");
        assert_eq!(replaced(&text, "new"), Some(expected.clone()));
        assert_eq!(
            replaced(&expected, "new"),
            Some(expected),
            "again changes nothing"
        );
        assert_eq!(replaced("no marks", "new"), None);
        assert_eq!(replaced(&format!("{END}{BEGIN}"), "new"), None);
    }
}
