//! What is lost, or put aside, as a value.

use std::fmt;

use serde::Serialize;

/// Something that going back would lose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The table, or the column as `table.column`.
    pub subject: String,
    /// How many values or rows.
    pub count: u64,
    /// What they are, in the plural.
    pub what: String,
    /// Whether they go to a file from which a later migration can take them back.
    pub kept: bool,
    /// The records, one line each, where somebody has to be told of each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<String>,
}

impl Loss {
    /// `count` values or rows of `subject` that no file keeps.
    pub fn for_good(subject: &str, count: u64, what: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            count,
            what: what.to_owned(),
            kept: false,
            items: Vec::new(),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (noun, rest) = self.what.split_once(' ').unwrap_or((&self.what, ""));
        let noun = match (self.count, noun) {
            (1, "rows") => "row",
            (1, "values") => "value",
            (1, "entries") => "entry",
            _ => noun,
        };
        write!(f, "{}: {} {noun}", self.subject, self.count)?;
        if !rest.is_empty() {
            write!(f, " {rest}")?;
        }
        if self.kept {
            f.write_str(", kept in a file")
        } else {
            Ok(())
        }
    }
}
