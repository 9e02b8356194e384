//! One difference between two schemas, as a value that a program can act on and a line that a person can read.

use std::fmt::{self, Write as _};

use serde::Serialize;

use super::{object::ObjectKind, table_definition::ColumnDefinition};
use crate::sqlite::quote::identifier;
use bridge_migrate_core::visible;

/// One difference between the schema that is expected and the actual one.
///
/// All SQL is in normal form; [`Display`](fmt::Display) is one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Difference {
    /// An object is not there.
    ObjectMissing {
        /// What it is.
        object: ObjectKind,
        /// Its name.
        name: String,
        /// The table that it belongs to.
        table: String,
        /// Its statement.
        expected: String,
    },
    /// An object is there that is not expected.
    ObjectUnexpected {
        /// What it is.
        object: ObjectKind,
        /// Its name.
        name: String,
        /// The table that it belongs to.
        table: String,
        /// Its statement.
        actual: String,
    },
    /// An object differs, in a way that no other kind of difference describes.
    ObjectChanged {
        /// What it is.
        object: ObjectKind,
        /// Its name.
        name: String,
        /// The table that it belongs to.
        table: String,
        /// The statement that is expected.
        expected: String,
        /// The statement that is there.
        actual: String,
    },
    /// A table lacks a column.
    ColumnMissing {
        /// The table.
        table: String,
        /// The column's name.
        column: String,
        /// The column's definition.
        expected: String,
    },
    /// A table has a column that is not expected.
    ColumnExtra {
        /// The table.
        table: String,
        /// The column's name.
        column: String,
        /// The column's definition.
        actual: String,
    },
    /// A column is defined in another way.
    ColumnChanged {
        /// The table.
        table: String,
        /// The column's name.
        column: String,
        /// The definition that is expected.
        expected: Box<ColumnDefinition>,
        /// The definition that is there.
        actual: Box<ColumnDefinition>,
    },
    /// The columns that both have come in another order.
    ColumnOrder {
        /// The table.
        table: String,
        /// The names in the order that is expected.
        expected: Vec<String>,
        /// The names in the order that is there.
        actual: Vec<String>,
    },
    /// A table lacks a table constraint.
    ConstraintMissing {
        /// The table.
        table: String,
        /// The constraint.
        expected: String,
    },
    /// A table has a table constraint that is not expected.
    ConstraintExtra {
        /// The table.
        table: String,
        /// The constraint.
        actual: String,
    },
    /// WITHOUT ROWID or STRICT differ.
    OptionsChanged {
        /// The table.
        table: String,
        /// The options that are expected; empty for none.
        expected: String,
        /// The options that are there; empty for none.
        actual: String,
    },
}

impl Difference {
    /// What differs: an object's name, or `table.column`.
    pub fn subject(&self) -> String {
        match self {
            Self::ObjectMissing { name, .. }
            | Self::ObjectUnexpected { name, .. }
            | Self::ObjectChanged { name, .. } => name.clone(),
            Self::ColumnMissing { table, column, .. }
            | Self::ColumnExtra { table, column, .. }
            | Self::ColumnChanged { table, column, .. } => format!("{table}.{column}"),
            Self::ColumnOrder { table, .. }
            | Self::ConstraintMissing { table, .. }
            | Self::ConstraintExtra { table, .. }
            | Self::OptionsChanged { table, .. } => table.clone(),
        }
    }

    /// Whether `later` says the same of a schema that has changed in other respects since.
    pub(crate) fn is_still(&self, later: &Self) -> bool {
        match (self, later) {
            // A whole definition changes with each part of it.
            (
                Self::ObjectChanged { object, name, .. },
                Self::ObjectChanged {
                    object: kind,
                    name: again,
                    ..
                },
            ) => *object == ObjectKind::Table && object == kind && name == again,
            (Self::ColumnOrder { table, .. }, Self::ColumnOrder { table: again, .. }) => table == again,
            _ => self == later,
        }
    }

    /// Whether this is nothing but a column that the expected table lacks.
    pub(crate) fn is_additional_column(&self) -> bool {
        matches!(self, Self::ColumnExtra { .. })
    }

    /// The definition that is expected and the one that is there, as far as there are any.
    pub(crate) fn definitions(&self) -> (Option<String>, Option<String>) {
        match self {
            Self::ObjectMissing { expected, .. }
            | Self::ColumnMissing { expected, .. }
            | Self::ConstraintMissing { expected, .. } => (Some(expected.clone()), None),
            Self::ObjectUnexpected { actual, .. }
            | Self::ColumnExtra { actual, .. }
            | Self::ConstraintExtra { actual, .. } => (None, Some(actual.clone())),
            Self::ObjectChanged { expected, actual, .. } => (Some(expected.clone()), Some(actual.clone())),
            Self::ColumnChanged { expected, actual, .. } => {
                (Some(expected.sql.clone()), Some(actual.sql.clone()))
            }
            Self::ColumnOrder { expected, actual, .. } => {
                (Some(expected.join(", ")), Some(actual.join(", ")))
            }
            Self::OptionsChanged { expected, actual, .. } => {
                (some(expected).map(str::to_owned), some(actual).map(str::to_owned))
            }
        }
    }

    /// The statements, in one line, that make it what is expected; `None` where no few statements do.
    pub(crate) fn mended_by(&self) -> Option<String> {
        let drop = |kind: ObjectKind, name: &str| {
            format!(
                "DROP {} {};",
                kind.as_str().to_ascii_uppercase(),
                identifier(name)
            )
        };
        let statements = match self {
            Self::ObjectMissing { expected, .. } => format!("{expected};"),
            Self::ObjectUnexpected { object, name, .. } => drop(*object, name),
            Self::ObjectChanged {
                object,
                name,
                expected,
                ..
            } if *object != ObjectKind::Table => format!("{} {expected};", drop(*object, name)),
            Self::ColumnMissing { table, expected, .. } => {
                format!("ALTER TABLE {} ADD COLUMN {expected};", identifier(table))
            }
            Self::ColumnExtra { table, column, .. } => format!(
                "ALTER TABLE {} DROP COLUMN {};",
                identifier(table),
                identifier(column)
            ),
            Self::ObjectChanged { .. }
            | Self::ColumnChanged { .. }
            | Self::ColumnOrder { .. }
            | Self::ConstraintMissing { .. }
            | Self::ConstraintExtra { .. }
            | Self::OptionsChanged { .. } => return None,
        };
        Some(visible(&statements, &[]))
    }

    /// Whether the statements of [`Difference::mended_by`] remove rows or values.
    pub(crate) fn mending_loses(&self) -> bool {
        matches!(
            self,
            Self::ColumnExtra { .. }
                | Self::ObjectUnexpected {
                    object: ObjectKind::Table,
                    ..
                }
        )
    }

    fn describe(&self) -> String {
        match self {
            Self::ObjectMissing { object, table, .. } => format!("{} is missing", phrase(*object, table)),
            Self::ObjectUnexpected { object, table, .. } => {
                format!("{} is not expected", phrase(*object, table))
            }
            Self::ObjectChanged { object, table, .. } => {
                format!("{} differs from the expected one", phrase(*object, table))
            }
            Self::ColumnMissing { column, .. } => format!("column {column} is missing"),
            Self::ColumnExtra { column, .. } => format!("column {column} is not expected"),
            Self::ColumnChanged { expected, actual, .. } => describe_column(expected, actual),
            Self::ColumnOrder { expected, actual, .. } => {
                format!(
                    "columns are in the order {}, expected {}",
                    actual.join(", "),
                    expected.join(", ")
                )
            }
            Self::ConstraintMissing { expected, .. } => format!("constraint {expected} is missing"),
            Self::ConstraintExtra { actual, .. } => format!("constraint {actual} is not expected"),
            Self::OptionsChanged { expected, actual, .. } => {
                format!(
                    "options are {}, expected {}",
                    or_none(some(actual)),
                    or_none(some(expected))
                )
            }
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = match self {
            // The text names the column.
            Self::ColumnMissing { table, .. } | Self::ColumnExtra { table, .. } => table.clone(),
            _ => self.subject(),
        };
        formatter.write_str(&visible(&format!("{subject}: {}", self.describe()), &[]))
    }
}

/// Several lines for people: each difference, then what is expected after `-` and what is there after `+`.
pub fn render_diff(differences: &[Difference]) -> String {
    let mut text = String::new();
    for difference in differences {
        let (expected, actual) = difference.definitions();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{difference}");
        for (sign, definition) in [('-', expected), ('+', actual)] {
            if let Some(definition) = definition {
                let _ = writeln!(text, "  {sign} {}", visible(&definition, &[]));
            }
        }
    }
    text
}

fn phrase(object: ObjectKind, table: &str) -> String {
    match object {
        ObjectKind::Table | ObjectKind::View => object.to_string(),
        ObjectKind::Index | ObjectKind::Trigger => format!("{object} on {table}"),
    }
}

fn describe_column(expected: &ColumnDefinition, actual: &ColumnDefinition) -> String {
    let mut parts = Vec::new();
    if expected.declared_type != actual.declared_type {
        parts.push(aspect(
            "type",
            some(&actual.declared_type),
            some(&expected.declared_type),
        ));
    }
    if expected.not_null != actual.not_null {
        let [actual, expected] =
            [actual, expected].map(|column| if column.not_null { "not null" } else { "nullable" });
        parts.push(format!("is {actual}, expected {expected}"));
    }
    if expected.default != actual.default {
        parts.push(aspect(
            "default",
            actual.default.as_deref(),
            expected.default.as_deref(),
        ));
    }
    if expected.constraints != actual.constraints {
        let [actual, expected] = [actual, expected].map(|column| column.constraints.join(" "));
        parts.push(aspect("constraint", some(&actual), some(&expected)));
    }
    if parts.is_empty() {
        return format!("is defined as {}, expected {}", actual.sql, expected.sql);
    }
    parts.join("; ")
}

fn aspect(name: &str, actual: Option<&str>, expected: Option<&str>) -> String {
    let expected = or_none(expected);
    match actual {
        Some(actual) => format!("{name} is {actual}, expected {expected}"),
        None => format!("has no {name}, expected {expected}"),
    }
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn or_none(text: Option<&str>) -> &str {
    text.unwrap_or("none")
}
