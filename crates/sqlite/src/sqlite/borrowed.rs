//! Values on their way from a row to another.

use rusqlite::types::ValueRef;

/// A value as it stands in a row, bound again without a change, valid UTF-8 or not.
pub(crate) struct Borrowed<'a>(pub(crate) ValueRef<'a>);

impl rusqlite::ToSql for Borrowed<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(rusqlite::types::ToSqlOutput::Borrowed(self.0))
    }
}
