//! An index that is built beside servers.
//!
//! Its entries are read in batches and sorted in temporary tables, where nothing is locked, and inserted in their order. So
//! that this can be done piece by piece, the index is at first one that no row meets, which servers therefore leave alone.
//! It is filled through an imposter: a table that only this connection knows and that stands on the same pages, as an index is
//! stored like a table WITHOUT ROWID (<https://sqlite.org/imposter.html>). In the end the index gets its name and its
//! statement.

mod imposter;

use rusqlite::{Connection, OptionalExtension};

use crate::capture::batches::{Batch, Batches, Ended};
use crate::capture::dirty_rows::{DirtyRows, Drained};
use crate::capture::{Eligible, all_or_nothing, edit_one, edit_schema, keys_of, rowid_of, stored_name};
use crate::schema::index_definition::IndexDefinition;
use crate::schema::{Object, TableDetail, tool_tables};
use crate::sqlite::ask::Ask;
use crate::sqlite::quote::identifier;
use crate::sqlite::sqlite_error::SqliteContext;
use bridge_migrate_core::{Error, ErrorKind, Result};

/// After so many batches what is written meanwhile is left for the end, however much more of it comes.
const SETTLING_BATCHES: u32 = 400;
/// Rows from either end that are looked up in the complete index.
const SAMPLE: u32 = 16;
/// Pairs of rows with the same key that an error names.
const NAMED_PAIRS: u32 = 3;

/// The entries as they are now, by row.
const ENTRIES: &str = "entries";
/// The entries as they were when they were sorted, in their order.
const SORTED: &str = "sorted";
/// Rows whose sorted entry does not count any more.
const VOID: &str = "void";
/// Rows that had the same key when they were sorted, two by two.
const TWINS: &str = "twins";
/// Rows of a unique index that are still to be looked at.
const SUSPECTS: &str = "suspects";

/// Brings the table whose rows are read up to date, given a subquery with the ids of rows that were written.
pub(crate) type Refresh<'a> = &'a dyn Fn(&str) -> Result<()>;

/// An index on its way.
pub(crate) struct IndexBuild<'a> {
    connection: &'a Connection,
    number: u32,
    index: Object,
    unique: bool,
    keys: Vec<Key>,
    /// The table whose rows are read, and how its row ids are called.
    source: String,
    rowid: String,
    /// Behind SELECT: row id and keys, from where, and which rows have an entry.
    select: String,
    dirty: DirtyRows,
    /// What the caller does about rows that were written; `None` where this build has them to itself.
    refresh: Option<Refresh<'a>>,
    /// Whether the sorted entries are all in the index.
    is_filled: bool,
}

/// A key of the index.
struct Key {
    expression: String,
    collation: String,
    direction: &'static str,
}

/// Removes what a run left of an index that was not completed, in the present write transaction.
///
/// # Errors
/// When SQLite cannot drop something.
pub(crate) fn abandon(connection: &Connection, number: u32) -> Result<()> {
    // First, so that none stands on pages which are free then.
    imposter::forget_all(connection)?;
    DirtyRows::left_over(number).remove(connection)?;
    let drop = format!("DROP INDEX IF EXISTS main.{}", identifier(&index_name(number)));
    connection
        .execute_batch(&drop)
        .while_doing("remove an index that was not completed")
}

/// The bytes of temporary files that it takes to sort the entries of so many rows, whose keys have so many bytes each.
pub(crate) fn temporary_bytes(rows: u64, key_bytes: u64) -> u64 {
    // As they are read, as they are sorted, and meanwhile a third time.
    rows.saturating_mul(key_bytes.saturating_add(16))
        .saturating_mul(3)
}

fn index_name(number: u32) -> String {
    format!("{}{number}", tool_tables::INDEX)
}

impl<'a> IndexBuild<'a> {
    /// Begins to build `index` from the rows of `source`, its table or a shadow of that, in the present write transaction;
    /// where it cannot be built so, why, and nothing is changed. Who notes already what is written says what is to be done
    /// about it first.
    ///
    /// # Errors
    /// When SQLite cannot read or change the schema.
    pub(crate) fn begin(
        connection: &'a Connection,
        number: u32,
        index: &Object,
        source: &str,
        follows: Option<(DirtyRows, Refresh<'a>)>,
    ) -> Result<Eligible<Self>> {
        all_or_nothing(connection, "begin to build an index", || {
            Self::make(connection, number, index, source, follows)
        })
    }

    fn make(
        connection: &'a Connection,
        number: u32,
        index: &Object,
        source: &str,
        follows: Option<(DirtyRows, Refresh<'a>)>,
    ) -> Result<Eligible<Self>> {
        let doing = "begin to build an index";
        let Some(definition) = IndexDefinition::parse(&index.sql) else {
            return Ok(Err(format!(
                "{} is written in a way that is not understood",
                index.name
            )));
        };
        let Some(rowid) = rowid_of(connection, source)? else {
            return Ok(Err(format!("no SQL reaches the row ids of {source}")));
        };
        let source = stored_name(connection, source)?;
        let (dirty, refresh) = match follows {
            Some((dirty, refresh)) => (dirty, Some(refresh)),
            None => match DirtyRows::install(connection, &source, number)? {
                Ok(dirty) => (dirty, None),
                Err(why) => return Ok(Err(why)),
            },
        };
        let name = index_name(number);
        // CREATE INDEX with WHERE 0 would read all rows to find none.
        let create = format!(
            "CREATE TABLE main.{} (k, r, PRIMARY KEY (k, r)) WITHOUT ROWID",
            identifier(&name)
        );
        connection.execute_batch(&create).while_doing(doing)?;
        let sql = format!(
            "CREATE INDEX {} ON {} ({}) WHERE 0",
            identifier(&name),
            identifier(&source),
            definition.keys
        );
        edit_schema(connection, || {
            edit_one(
                connection,
                "UPDATE main.sqlite_schema SET type = 'index', tbl_name = ?1, sql = ?2 \
                 WHERE type = 'table' AND name = ?3",
                [&source, &sql, &name],
            )
        })?;
        // Only SQLite knows whether a text in quotes is a column.
        let texts = definition.expressions();
        let keys: Vec<Key> = keys_of(connection, &name)?
            .into_iter()
            .zip(&texts)
            .map(|(key, text)| Key {
                expression: key
                    .column
                    .map_or((*text).to_owned(), |column| identifier(&column)),
                collation: identifier(&key.collation),
                direction: if key.descending { " DESC" } else { "" },
            })
            .collect();
        let fields: Vec<String> = keys.iter().map(|key| format!("({})", key.expression)).collect();
        // A condition may name the table. NOT INDEXED leaves the row ids as the way to the rows.
        let select = format!(
            "{rowid}, {} FROM main.{} AS {} NOT INDEXED WHERE ({})",
            fields.join(", "),
            identifier(&source),
            identifier(&index.table),
            definition.filter.unwrap_or("1"),
        );
        let build = Self {
            connection,
            number,
            index: index.clone(),
            unique: definition.unique,
            keys,
            source,
            rowid,
            select,
            dirty,
            refresh,
            is_filled: false,
        };
        if tool_tables::exists(connection, &build.imposter_name())? {
            return Ok(Err(format!("there is a table {}", build.imposter_name())));
        }
        // What SQLite lacks to compute or to compare a key shows now.
        connection
            .prepare(&format!("SELECT {}", build.select))
            .while_doing(doing)?;
        build.create_temporary().while_doing(doing)?;
        build.reach_entries()?;
        Ok(Ok(build))
    }

    /// Gathers the entries, sorts them and fills the index with them, until what servers write meanwhile is in it, too.
    /// After [`Ended::SchemaChanged`] what is there is worth nothing.
    ///
    /// # Errors
    /// Those of batches; [`ErrorKind::Sqlite`] when several rows have the same key of a unique index.
    pub(crate) fn run(&mut self, batches: &mut Batches<'_>) -> Result<Ended> {
        if self.gather(batches)? == Ended::SchemaChanged {
            return Ok(Ended::SchemaChanged);
        }
        self.sort()?;
        if self.fill(batches)? == Ended::SchemaChanged {
            return Ok(Ended::SchemaChanged);
        }
        self.is_filled = true;
        self.settle(batches)
    }

    /// Completes the index in the transaction of its step, which has seen that nobody else changed the schema since: what was
    /// written meanwhile is put in, nothing is noted any more, and the index is what its statement says. The temporary
    /// tables go with the build: after the commit, since that takes a moment.
    ///
    /// # Errors
    /// When several rows have the same key of a unique index; when the name is taken; when SQLite does not find a row by it.
    pub(crate) fn finish(&self) -> Result<()> {
        let connection = self.connection;
        self.drain(u64::MAX)?;
        if self.refresh.is_none() {
            self.dirty.remove(connection)?;
        }
        edit_schema(connection, || self.give_name())?;
        self.probe()
    }

    /// Gives the complete index its name, its table and its statement, within [`edit_schema`].
    ///
    /// # Errors
    /// When the name is taken, or the index is not there.
    pub(crate) fn give_name(&self) -> Result<()> {
        let Object { name, table, sql, .. } = &self.index;
        let (connection, doing) = (self.connection, "complete an index");
        let is_taken: bool = connection
            .value(
                "SELECT EXISTS (SELECT 1 FROM main.sqlite_schema WHERE name = ?1 COLLATE NOCASE \
                 AND type IN ('table', 'index', 'view'))",
                [name],
            )
            .while_doing(doing)?;
        if is_taken {
            return Err(Error::new(
                ErrorKind::SchemaMismatch,
                format!("{name} is the name of something else by now"),
            ));
        }
        let unfinished = index_name(self.number);
        for statistics in ["sqlite_stat1", "sqlite_stat4"] {
            // Of a server that ran ANALYZE meanwhile.
            if tool_tables::exists(connection, statistics)? {
                connection
                    .run(
                        &format!("DELETE FROM main.{statistics} WHERE idx = ?1"),
                        [&unfinished],
                    )
                    .while_doing(doing)?;
            }
        }
        edit_one(
            connection,
            "UPDATE main.sqlite_schema SET name = ?1, tbl_name = ?2, sql = ?3 \
             WHERE type = 'index' AND name = ?4 AND tbl_name = ?5",
            [name, table, sql, &unfinished, &self.source],
        )
    }

    /// Has SQLite find rows by the complete index.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] when it does not.
    pub(crate) fn probe(&self) -> Result<()> {
        let (connection, doing) = (self.connection, "look rows up in the new index");
        let entries = self.temporary(ENTRIES);
        let rowid = rowid_of(connection, &self.index.table)?.unwrap_or_else(|| self.rowid.clone());
        let filter = IndexDefinition::parse(&self.index.sql).and_then(|definition| definition.filter);
        let keys = self.keys.iter().enumerate().map(|(at, key)| {
            let Key {
                expression,
                collation,
                ..
            } = key;
            format!("({expression}) COLLATE {collation} IS (SELECT k{at} FROM {entries} WHERE r = ?1)")
        });
        let look_up = format!(
            "SELECT count(*) FROM main.{} INDEXED BY {} WHERE {} AND ({}) AND {rowid} = ?1",
            identifier(&self.index.table),
            identifier(&self.index.name),
            keys.collect::<Vec<_>>().join(" AND "),
            filter.unwrap_or("1"),
        );
        let sample = format!(
            "SELECT r FROM (SELECT r FROM {entries} ORDER BY r LIMIT {SAMPLE}) UNION \
             SELECT r FROM (SELECT r FROM {entries} ORDER BY r DESC LIMIT {SAMPLE})"
        );
        for row in connection
            .rows(&sample, [], |row| row.get::<_, i64>(0))
            .while_doing(doing)?
        {
            let found: u32 = connection.value(&look_up, [row]).while_doing(doing)?;
            if found != 1 {
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    format!("{} does not find row {row}", self.index.name),
                )
                .with_truth("The transaction was rolled back: the index is not there."));
            }
        }
        Ok(())
    }

    /// Puts all that was written meanwhile into the index, in the present write transaction.
    ///
    /// # Errors
    /// As [`IndexBuild::apply`].
    pub(crate) fn drain(&self, limit: u64) -> Result<Drained> {
        let limit = i64::try_from(limit).map_or(u64::MAX, i64::unsigned_abs);
        self.dirty.drain(self.connection, limit, |rows| {
            if let Some(refresh) = self.refresh {
                refresh(rows)?;
            }
            self.apply(rows)
        })
    }

    /// Brings the index up to date with rows that were written, given a subquery with their ids: what it has of them is taken
    /// out by the keys that are known here, and put in with their present ones.
    ///
    /// # Errors
    /// When one has the key of another row, and the index is unique.
    pub(crate) fn apply(&self, rows: &str) -> Result<()> {
        let (connection, doing) = (self.connection, "put rows that were written into an index");
        let (entries, imposter) = (self.temporary(ENTRIES), self.reach_entries()?);
        let known = format!("SELECT r FROM {entries} WHERE r IN ({rows})");
        let keys = self.each_key(" AND ", |at, _| {
            format!("k{at} IS (SELECT k{at} FROM {entries} WHERE r = ?1)")
        });
        // Not there is what was not inserted yet.
        let take_out = format!("DELETE FROM {imposter} WHERE {keys} AND r = ?1");
        for row in connection
            .rows(&known, [], |row| row.get::<_, i64>(0))
            .while_doing(doing)?
        {
            connection.run(&take_out, [row]).while_doing(doing)?;
        }
        let columns = self.each_key(", ", |at, _| format!("k{at}"));
        let mut script = format!(
            "DELETE FROM {entries} WHERE r IN ({rows}); \
             INSERT INTO {entries} SELECT {} AND {}.{} IN ({rows}); \
             INSERT INTO {imposter} ({columns}, r) SELECT {columns}, r FROM {entries} WHERE r IN ({rows}); ",
            self.select,
            identifier(&self.index.table),
            self.rowid,
        );
        if !self.is_filled {
            script += &format!("INSERT OR IGNORE INTO {} {rows}; ", self.temporary(VOID));
            if self.unique {
                script += &format!("INSERT OR IGNORE INTO {} {rows}; ", self.temporary(SUSPECTS));
            }
        }
        connection.execute_batch(&script).while_doing(doing)?;
        self.refuse_twins(
            rows,
            &format!("SELECT r FROM {} WHERE r NOT IN ({rows})", self.dirty.set()),
        )
    }

    /// Rows that come later are noted as written.
    fn gather(&self, batches: &mut Batches<'_>) -> Result<Ended> {
        let (connection, doing) = (self.connection, "read the rows of a table");
        let (source, rowid) = (identifier(&self.source), &self.rowid);
        let last: Option<i64> = connection
            .value(&format!("SELECT max({rowid}) FROM main.{source}"), [])
            .while_doing(doing)?;
        let Some(last) = last else {
            return Ok(Ended::Complete);
        };
        let insert = format!(
            "INSERT INTO {} SELECT {} AND {}.{rowid} BETWEEN ?1 AND ?2",
            self.temporary(ENTRIES),
            self.select,
            identifier(&self.index.table),
        );
        let mut from = i64::MIN;
        batches.run(|rows| {
            let to = self.end_of_range(from, last, i64::try_from(rows).unwrap_or(i64::MAX))?;
            connection.run(&insert, [from, to]).while_doing(doing)?;
            from = to.saturating_add(1);
            Ok(Batch {
                visited: rows,
                changed: 0,
                is_last: to == last,
            })
        })
    }

    /// The id up to which there are so many rows from `from` on, or some fewer where most ids are in use: to count them takes
    /// as long as to read them.
    fn end_of_range(&self, from: i64, last: i64, rows: i64) -> Result<i64> {
        let (connection, doing) = (self.connection, "read the rows of a table");
        let (source, rowid) = (identifier(&self.source), &self.rowid);
        let first: Option<i64> = connection
            .value(
                &format!("SELECT min({rowid}) FROM main.{source} WHERE {rowid} >= ?1"),
                [from],
            )
            .while_doing(doing)?;
        let Some(first) = first else {
            // Those that were left were deleted.
            return Ok(last);
        };
        let places =
            [1, 2, 3, 4].map(|part| first.saturating_add((rows.saturating_sub(1) / 4).saturating_mul(part)));
        let in_use: u32 = connection
            .value(
                &format!("SELECT count(*) FROM main.{source} NOT INDEXED WHERE {rowid} IN (?1, ?2, ?3, ?4)"),
                places,
            )
            .while_doing(doing)?;
        if in_use > 1 {
            return Ok(places[3].min(last));
        }
        let nth = format!(
            "SELECT {rowid} FROM main.{source} NOT INDEXED WHERE {rowid} BETWEEN ?1 AND ?2 \
             ORDER BY {rowid} LIMIT 1 OFFSET ?3"
        );
        let found = connection.query_row(&nth, [first, last, rows.saturating_sub(1)], |row| row.get(0));
        Ok(found.optional().while_doing(doing)?.unwrap_or(last))
    }

    fn sort(&self) -> Result<()> {
        let columns = self.each_key(", ", |at, _| format!("k{at}"));
        let order = self.each_key(", ", |at, key| format!("k{at}{}", key.direction));
        let (entries, sorted) = (self.temporary(ENTRIES), self.temporary(SORTED));
        let mut script = format!(
            "INSERT INTO {sorted} (r, {columns}) SELECT r, {columns} FROM {entries} ORDER BY {order}, r; "
        );
        if self.unique {
            let (twins, suspects) = (self.temporary(TWINS), self.temporary(SUSPECTS));
            let same = self.each_key(" AND ", |at, _| format!("a.k{at} = b.k{at}"));
            script += &format!(
                "INSERT INTO {twins} SELECT a.r, b.r FROM {sorted} AS a CROSS JOIN {sorted} AS b \
                 ON b.n = a.n + 1 AND {same}; \
                 INSERT OR IGNORE INTO {suspects} SELECT r FROM {twins} UNION SELECT other FROM {twins}; "
            );
        }
        self.connection
            .execute_batch(&script)
            .while_doing("sort the entries of an index")
    }

    fn fill(&self, batches: &mut Batches<'_>) -> Result<Ended> {
        let (connection, doing) = (self.connection, "fill an index");
        let columns = self.each_key(", ", |at, _| format!("k{at}"));
        let (sorted, void) = (self.temporary(SORTED), self.temporary(VOID));
        let last: u64 = connection
            .value(&format!("SELECT ifnull(max(n), 0) FROM {sorted}"), [])
            .while_doing(doing)?;
        let only_valid = format!(" AND r NOT IN {void}");
        let mut at = 0;
        batches.run(|rows| {
            let imposter = self.reach_entries()?;
            if at == 0 && self.unique {
                let (twins, set) = (self.temporary(TWINS), self.dirty.set());
                self.refuse(&format!(
                    "SELECT r, other FROM {twins} WHERE r NOT IN {set} AND other NOT IN {set}"
                ))?;
            }
            let drained = self.drain(rows)?;
            let to = (at + rows.saturating_sub(drained.rows).max(rows / 2)).min(last);
            let has_void: bool = connection
                .value(&format!("SELECT EXISTS (SELECT 1 FROM {void})"), [])
                .while_doing(doing)?;
            let valid = if has_void { only_valid.as_str() } else { "" };
            let insert = format!(
                "INSERT INTO {imposter} ({columns}, r) SELECT {columns}, r FROM {sorted} \
                 WHERE n > ?1 AND n <= ?2{valid} ORDER BY n"
            );
            let changed = connection.run(&insert, [at, to]).while_doing(doing)?;
            let visited = to - at;
            at = to;
            Ok(Batch {
                visited,
                changed,
                is_last: at == last,
            })
        })
    }

    /// Puts in what was written, and looks at each row that may have the key of another, until nothing of both is left. The last
    /// part of [`IndexBuild::run`]; again, when other work took long since.
    ///
    /// # Errors
    /// As [`IndexBuild::run`].
    pub(crate) fn settle(&self, batches: &mut Batches<'_>) -> Result<Ended> {
        let mut left = SETTLING_BATCHES;
        batches.run(|rows| {
            let drained = self.drain(rows)?;
            let is_sure = self.clear_suspects(rows)?;
            left = left.saturating_sub(1);
            Ok(Batch {
                visited: 0,
                changed: drained.rows,
                is_last: is_sure && (drained.all || left == 0),
            })
        })
    }

    /// Looks at the next suspects. Returns whether none is left.
    fn clear_suspects(&self, limit: u64) -> Result<bool> {
        let suspects = self.temporary(SUSPECTS);
        let next = format!("SELECT r FROM {suspects} ORDER BY r LIMIT {limit}");
        // One that is written again is looked at again.
        self.refuse_twins(&next, &format!("SELECT r FROM {}", self.dirty.set()))?;
        self.connection
            .execute_batch(&format!("DELETE FROM {suspects} WHERE r IN ({next})"))
            .and_then(|()| {
                self.connection
                    .value(&format!("SELECT NOT EXISTS (SELECT 1 FROM {suspects})"), [])
            })
            .while_doing("look for rows with the same key")
    }

    /// Refuses rows of a unique index, given a subquery with their ids, when others have their keys; not where one of two was
    /// written since and is `pending`: what it has now is looked at when it is put in.
    fn refuse_twins(&self, rows: &str, pending: &str) -> Result<()> {
        if !self.unique {
            return Ok(());
        }
        let imposter = self.reach_entries()?;
        let same = self.each_key(" AND ", |at, _| format!("i.k{at} = e.k{at}"));
        self.refuse(&format!(
            "SELECT e.r, i.r FROM {} AS e CROSS JOIN {imposter} AS i ON {same} AND i.r <> e.r \
             WHERE e.r IN ({rows}) AND e.r NOT IN ({pending}) AND i.r NOT IN ({pending})",
            self.temporary(ENTRIES),
        ))
    }

    /// Refuses when the statement finds pairs of rows with the same key.
    fn refuse(&self, pairs: &str) -> Result<()> {
        let pairs = self
            .connection
            .rows(&format!("{pairs} LIMIT {NAMED_PAIRS}"), [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })
            .while_doing("look for rows with the same key")?;
        let Some((first, _)) = pairs.first() else {
            return Ok(());
        };
        let mut named = Vec::new();
        for (one, other) in &pairs {
            named.push(format!("{} and {}", self.name_of(*one)?, self.name_of(*other)?));
        }
        let Object { name, table, .. } = &self.index;
        Err(Error::new(
            ErrorKind::Sqlite,
            format!(
                "{name} cannot be unique: rows of {table} have the same key: {}",
                named.join("; ")
            ),
        )
        .with_truth("No row was changed, and the index is not there.")
        .at(table, Some((*first, self.name_of(*first)?))))
    }

    /// The primary key of a row, or its id where it has none.
    fn name_of(&self, row: i64) -> Result<String> {
        let doing = "name a row";
        let keys = TableDetail::read(self.connection, &self.source)
            .while_doing(doing)?
            .into_key_columns();
        if keys.is_empty() {
            return Ok(format!("row {row}"));
        }
        let keys: Vec<String> = keys
            .iter()
            .map(|key| format!("ifnull(CAST({} AS TEXT), 'NULL')", identifier(key)))
            .collect();
        let select = format!(
            "SELECT {} FROM main.{} WHERE {} = ?1",
            keys.join(" || ', ' || "),
            identifier(&self.source),
            self.rowid
        );
        self.connection
            .query_row(&select, [row], |row| row.get(0))
            .optional()
            .map(|name| name.unwrap_or_else(|| format!("row {row}")))
            .while_doing(doing)
    }

    /// The table through which the entries of the index are written.
    fn reach_entries(&self) -> Result<String> {
        let columns = self.each_key(", ", |at, key| format!("k{at} COLLATE {}", key.collation));
        let order = self.each_key(", ", |at, key| format!("k{at}{}", key.direction));
        let name = self.imposter_name();
        imposter::ensure(
            self.connection,
            &name,
            &index_name(self.number),
            &format!("{columns}, r, PRIMARY KEY ({order}, r)"),
        )?;
        Ok(format!("main.{}", identifier(&name)))
    }

    fn imposter_name(&self) -> String {
        format!("migration_imposter_{}", self.number)
    }

    fn create_temporary(&self) -> rusqlite::Result<()> {
        self.drop_temporary()?;
        // Without types, so that values keep their classes.
        let keys = self.each_key(", ", |at, key| format!("k{at} COLLATE {}", key.collation));
        for (table, columns) in [
            (ENTRIES, format!("r INTEGER PRIMARY KEY, {keys}").as_str()),
            (SORTED, &format!("n INTEGER PRIMARY KEY, r, {keys}")),
            (VOID, "r INTEGER PRIMARY KEY"),
            (TWINS, "r, other"),
            (SUSPECTS, "r INTEGER PRIMARY KEY"),
        ] {
            self.connection
                .execute_batch(&format!("CREATE TABLE {} ({columns})", self.temporary(table)))?;
        }
        Ok(())
    }

    fn drop_temporary(&self) -> rusqlite::Result<()> {
        [ENTRIES, SORTED, VOID, TWINS, SUSPECTS]
            .iter()
            .try_for_each(|table| {
                let drop = format!("DROP TABLE IF EXISTS {}", self.temporary(table));
                self.connection.execute_batch(&drop)
            })
    }

    fn temporary(&self, table: &str) -> String {
        format!("temp.migration_{table}_{}", self.number)
    }

    fn each_key(&self, between: &str, write: impl Fn(usize, &Key) -> String) -> String {
        let keys = self.keys.iter().enumerate().map(|(at, key)| write(at, key));
        keys.collect::<Vec<_>>().join(between)
    }
}

impl Drop for IndexBuild<'_> {
    fn drop(&mut self) {
        // Both end with the connection at the latest.
        let _ = self.drop_temporary();
        let _ = imposter::forget_all(self.connection);
    }
}
