//! Rows of the tables that hold what the companion file holds, as values.

use std::hash::{Hash, Hasher};

/// A table that holds what the companion file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompanionTable {
    /// Its name.
    pub name: &'static str,
    /// The columns that are read and written, the key first.
    pub columns: &'static [&'static str],
}

/// Rows of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRows {
    /// The table.
    pub table: CompanionTable,
    /// The rows, each with a value for every column of the table; of rows that go, the key is enough.
    pub rows: Vec<Vec<Value>>,
}

/// A value in a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// None.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number with a fraction; never NaN, which a database stores as NULL.
    Real(f64),
    /// Text. It ought to be UTF-8, but databases do not see to it.
    Text(Vec<u8>),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Value {
    /// The text; `None` when the value is something else, or no UTF-8.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into_bytes())
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Integer(number) => number.hash(state),
            Self::Text(bytes) | Self::Blob(bytes) => bytes.hash(state),
            // 0.0 and -0.0 are equal.
            Self::Null | Self::Real(_) => {}
        }
    }
}
