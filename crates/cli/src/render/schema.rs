//! The schema, and how it differs from another.

use bridge_migrate_sqlite::schema::{Difference, render_diff};
use serde::Serialize;

use crate::output::Report;
use crate::text::{line, safe, safe_lines};

/// The answer of `schema show`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ShownReport {
    pub(crate) objects: Vec<SchemaObject>,
}

/// One object of a schema.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SchemaObject {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) table: String,
    pub(crate) sql: String,
}

impl Report for ShownReport {
    fn render(&self) -> String {
        let mut page = String::new();
        for (index, object) in self.objects.iter().enumerate() {
            if index > 0 {
                line!(page);
            }
            let sql = object.sql.trim_end().trim_end_matches(';');
            // A trigger's body may end in a comment.
            let end = if sql.lines().next_back().is_some_and(|last| last.contains("--")) {
                "\n;"
            } else {
                ";"
            };
            line!(page, "{}{end}", safe_lines(sql));
        }
        page
    }
}

/// The answer of `schema diff`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DiffReport {
    /// What the schema is compared with.
    pub(crate) against: String,
    pub(crate) differences: Vec<Difference>,
}

impl Report for DiffReport {
    fn render(&self) -> String {
        if self.differences.is_empty() {
            return format!("the schema is that of {}\n", safe(&self.against));
        }
        format!(
            "compared with {}, expected (-) and actual (+):\n{}",
            safe(&self.against),
            render_diff(&self.differences)
        )
    }
}

/// The answer of `schema diagram`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DiagramReport {
    /// Mermaid text.
    pub(crate) mermaid: String,
}

impl Report for DiagramReport {
    fn render(&self) -> String {
        self.mermaid.clone()
    }
}

#[cfg(test)]
mod tests {
    use bridge_migrate_sqlite::schema::ObjectKind;

    use super::*;

    #[test]
    fn statements_can_be_run_as_they_are_shown() {
        let object = |sql: &str| SchemaObject {
            kind: "table",
            name: String::new(),
            table: String::new(),
            sql: sql.to_owned(),
        };
        let report = ShownReport {
            objects: vec![
                object("CREATE TABLE a (\n  b\n)"),
                object("CREATE TABLE c (d) -- e"),
            ],
        };
        insta::assert_snapshot!(report.render(), @"
        CREATE TABLE a (
          b
        );

        CREATE TABLE c (d) -- e
        ;
        ");
    }

    #[test]
    fn a_difference_shows_both_sides() {
        let report = DiffReport {
            against: "1.0.0 (V001)".to_owned(),
            differences: vec![Difference::ObjectMissing {
                object: ObjectKind::Index,
                name: "idx_channel".to_owned(),
                table: "messages".to_owned(),
                expected: "CREATE INDEX idx_channel ON messages (room_id, channel)".to_owned(),
            }],
        };
        insta::assert_snapshot!(report.render(), @"
        compared with 1.0.0 (V001), expected (-) and actual (+):
        idx_channel: index on messages is missing
          - CREATE INDEX idx_channel ON messages (room_id, channel)
        ");
    }
}
