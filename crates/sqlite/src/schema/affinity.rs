//! What values a column's declared type makes into others.

use super::table_definition::TableDefinition;

/// What SQLite turns values into: <https://sqlite.org/datatype3.html#determination_of_column_affinity>. The later ones hold
/// more values as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Affinity {
    Integer,
    Real,
    Numeric,
    Text,
    /// Values stay as they are.
    Blob,
}

impl Affinity {
    /// That of a declared type, in a table that is STRICT or not.
    pub(crate) fn of(declared: &str, is_strict: bool) -> Self {
        let declared = declared.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
        if has(&["int"]) {
            Self::Integer
        } else if has(&["char", "clob", "text"]) {
            Self::Text
        } else if has(&["blob"]) || declared.is_empty() || (is_strict && declared == "any") {
            Self::Blob
        } else if has(&["real", "floa", "doub"]) {
            Self::Real
        } else {
            Self::Numeric
        }
    }

    /// That of a column of `table`; `None` when it has no such column.
    pub(crate) fn of_column(table: &TableDefinition, column: &str) -> Option<Self> {
        Some(Self::of(&table.column(column)?.declared_type, is_strict(table)))
    }
}

/// Whether the table lets in only values of its columns' types.
pub(crate) fn is_strict(table: &TableDefinition) -> bool {
    table.options.split([' ', ',']).any(|word| word == "strict")
}

/// SQL that tells whether a value became another: not whether only its class did, as that of `'7'` and `1.0`.
pub(crate) fn is_another(old: &str, new: &str) -> String {
    format!("NOT (+{old} IS +{new} OR CAST({old} AS TEXT) IS CAST({new} AS TEXT))")
}
