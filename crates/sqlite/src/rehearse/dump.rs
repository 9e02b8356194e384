//! The content of tables as digests, so that two moments can be compared without keeping either.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, types::ValueRef};
use sha2::{Digest, Sha256};

use crate::schema::{Hidden, ObjectKind, Snapshot, TableDefinition, TableDetail};
use crate::sqlite::{ask::Ask, quote::identifier, sqlite_error::SqliteContext};
use bridge_migrate_core::Result;

/// What is compared: tables and their columns.
pub(super) type Extent = BTreeMap<String, Vec<String>>;

/// The content of tables; one that is not there, or lacks a column, is missing.
pub(super) type Dump = BTreeMap<String, Option<TableDump>>;

/// The content of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TableDump {
    pub(super) rows: u64,
    digest: [u64; 4],
}

/// The tables of `schema` with all columns that hold values. Virtual tables are left out: what they hold is
/// in ordinary ones.
pub(super) fn extent(connection: &Connection, schema: &Snapshot) -> Result<Extent> {
    let mut extent = Extent::new();
    for table in schema.of_kind(ObjectKind::Table) {
        if TableDefinition::parse(&table.sql).is_none() {
            continue;
        }
        let detail = TableDetail::read(connection, &table.name)
            .while_doing(format_args!("read the columns of {}", table.name))?;
        let columns = detail
            .columns
            .into_iter()
            .filter(|column| column.hidden == Hidden::No)
            .map(|column| column.name)
            .collect();
        extent.insert(table.name.clone(), columns);
    }
    Ok(extent)
}

/// Reads the content of `extent`.
pub(super) fn dump(connection: &Connection, extent: &Extent) -> Result<Dump> {
    extent
        .iter()
        .map(|(table, columns)| {
            let present = columns.iter().all(|column| {
                connection
                    .column_exists(Some("main"), table, column)
                    .unwrap_or(false)
            });
            let content = if present {
                Some(dump_table(connection, table, columns)?)
            } else {
                None
            };
            Ok((table.clone(), content))
        })
        .collect()
}

/// The sum of the rows' digests: rows may come in any order, since a rebuild may number them anew.
fn dump_table(connection: &Connection, table: &str, columns: &[String]) -> Result<TableDump> {
    let doing = format_args!("read {table}");
    let names: Vec<String> = columns.iter().map(|column| identifier(column)).collect();
    let select = format!("SELECT {} FROM main.{}", names.join(", "), identifier(table));
    let mut content = TableDump {
        rows: 0,
        digest: [0; 4],
    };
    let read = |row: &Row<'_>| {
        let mut hasher = Sha256::new();
        for index in 0..columns.len() {
            feed(&mut hasher, row.get_ref(index)?);
        }
        add(&mut content.digest, &hasher.finalize());
        content.rows += 1;
        Ok(())
    };
    connection.rows(&select, [], read).while_doing(doing)?;
    Ok(content)
}

/// Each value with its type and length, so that no two rows read alike.
fn feed(hasher: &mut Sha256, value: ValueRef<'_>) {
    let mut put = |kind: u8, bytes: &[u8]| {
        hasher.update([kind]);
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    match value {
        ValueRef::Null => put(0, &[]),
        ValueRef::Integer(number) => put(1, &number.to_le_bytes()),
        ValueRef::Real(number) => put(2, &number.to_bits().to_le_bytes()),
        ValueRef::Text(bytes) => put(3, bytes),
        ValueRef::Blob(bytes) => put(4, bytes),
    }
}

/// Adds modulo 2^256. Unlike a sum, exclusive or would not see two equal rows more or less.
fn add(sum: &mut [u64; 4], digest: &[u8]) {
    let mut carry = false;
    for (limb, bytes) in sum.iter_mut().zip(digest.as_chunks::<8>().0) {
        let (half, first) = limb.overflowing_add(u64::from_le_bytes(*bytes));
        let (whole, second) = half.overflowing_add(u64::from(carry));
        *limb = whole;
        carry = first || second;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sqlite::connection::open_scratch;

    fn content(rows: &[String]) -> TableDump {
        let connection = open_scratch().unwrap();
        connection.execute_batch("CREATE TABLE t (a, b)").unwrap();
        for row in rows {
            connection
                .execute_batch(&format!("INSERT INTO t VALUES ({row})"))
                .unwrap();
        }
        dump_table(&connection, "t", &["a".to_owned(), "b".to_owned()]).unwrap()
    }

    #[test]
    fn types_and_borders_between_values_count() {
        let forms = [
            "1, 2", "1.0, 2", "'1', 2", "x'31', 2", "NULL, 2", "'12', ''", "'1', '2'",
        ];
        for (index, one) in forms.iter().enumerate() {
            for other in forms.iter().skip(index + 1) {
                assert_ne!(
                    content(&[(*one).to_owned()]),
                    content(&[(*other).to_owned()]),
                    "{one} {other}"
                );
            }
        }
    }

    #[test]
    fn a_row_twice_is_not_no_row() {
        let row = "1, 2".to_owned();
        let twice = content(&[row.clone(), row]);
        let mut none = content(&[]);
        none.rows = twice.rows;
        assert_ne!(none, twice);
    }

    proptest! {
        #[test]
        fn the_order_of_rows_does_not_matter(mut rows in proptest::collection::vec("[0-9]{1,3}, [0-9]{1,3}", 0..8)) {
            let forward = content(&rows);
            rows.reverse();
            prop_assert_eq!(content(&rows), forward);
        }
    }
}
