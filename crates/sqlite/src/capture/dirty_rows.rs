//! The rows of a table that were written since a copy of it began: a set of row ids, kept by triggers.
//!
//! REPLACE deletes rows without a trigger on DELETE, so those that hold a key of the new row are looked for before it comes.
//! The conflict policy of a server's statement reaches into triggers: with OR IGNORE here, its OR FAIL would fail. So they
//! add what is not there yet, by plain statements.

use rusqlite::{Connection, OptionalExtension};

use crate::capture::{Eligible, IndexInfo, all_or_nothing, indexes, rowid_of, stored_name};
use crate::schema::index_definition::IndexDefinition;
use crate::schema::token::{Token, TokenKind, tokenize};
use crate::schema::{Column, Hidden, TableDetail, is_constant, tool_tables};
use crate::sqlite::ask::Ask;
use crate::sqlite::quote::{identifier, literal};
use crate::sqlite::sqlite_error::SqliteContext;
use bridge_migrate_core::{Error, ErrorKind, Result};

/// The set, and the triggers that fill it.
#[derive(Debug, Clone)]
pub(crate) struct DirtyRows {
    /// Its table, quoted, with the schema.
    set: String,
    /// The triggers' names, quoted, with the schema.
    triggers: Vec<String>,
}

/// What [`DirtyRows::drain`] did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drained {
    pub(crate) rows: u64,
    /// Whether none is left.
    pub(crate) all: bool,
}

impl DirtyRows {
    /// Begins to note what is written to `table`, in the present write transaction; otherwise, why that cannot be, and
    /// nothing is changed.
    ///
    /// Not seen is what SQLite writes without triggers: through open blobs (`sqlite3_blob_write`), which refuse columns that
    /// have an index, and on connections that turned triggers off.
    ///
    /// # Errors
    /// When SQLite cannot read the schema, or make what is needed.
    pub(crate) fn install(connection: &Connection, table: &str, number: u32) -> Result<Eligible<Self>> {
        let script = match Script::of(connection, table, number)? {
            Ok(script) => script,
            Err(why) => return Ok(Err(why)),
        };
        let doing = "note what is written to a table";
        all_or_nothing(connection, doing, || {
            script.install(connection).while_doing(doing)?;
            Ok(Ok(script.installed()))
        })
    }

    /// What an earlier run installed for `table`; `None` when there is nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Drift`] when it is not as it would be installed now: it may not have noted everything.
    pub(crate) fn find(connection: &Connection, table: &str, number: u32) -> Result<Option<Self>> {
        if !tool_tables::exists(connection, &set_name(number))? {
            return Ok(None);
        }
        let is_stored = |(name, sql): &(String, String)| {
            connection
                .query_row(
                    "SELECT sql FROM main.sqlite_schema WHERE name = ?1",
                    [name],
                    |row| row.get::<_, String>(0),
                )
                .optional()
                .while_doing("read the schema")
                .map(|stored| stored.as_ref() == Some(sql))
        };
        if let Ok(script) = Script::of(connection, table, number)? {
            let mut is_whole = true;
            for object in &script.objects {
                is_whole &= is_stored(object)?;
            }
            if is_whole {
                return Ok(Some(script.installed()));
            }
        }
        Err(Error::new(
            ErrorKind::Drift,
            format!("what notes the rows that are written to {table} is not as it was made"),
        ))
    }

    /// The set's table, quoted, with the schema; its column `r` has the row ids.
    pub(crate) fn set(&self) -> &str {
        &self.set
    }

    /// Whether all that was written is dealt with.
    ///
    /// # Errors
    /// When SQLite cannot read the set.
    pub(crate) fn is_empty(&self, connection: &Connection) -> Result<bool> {
        connection
            .value(&format!("SELECT NOT EXISTS (SELECT 1 FROM {})", self.set), [])
            .while_doing("read which rows were written")
    }

    /// Has `deal` bring up to date what was copied of up to `limit` rows, and takes them out of the set. It is given a
    /// subquery with their ids, and is not called when there are none.
    ///
    /// # Errors
    /// Those of `deal`; when SQLite cannot read or write the set.
    pub(crate) fn drain(
        &self,
        connection: &Connection,
        limit: u64,
        deal: impl FnOnce(&str) -> Result<()>,
    ) -> Result<Drained> {
        let (set, doing) = (&self.set, "read which rows were written");
        if self.is_empty(connection)? {
            return Ok(Drained { rows: 0, all: true });
        }
        let last: Option<i64> = connection
            .query_row(
                &format!("SELECT r FROM {set} ORDER BY r LIMIT 1 OFFSET ?1"),
                [i64::try_from(limit.saturating_sub(1)).unwrap_or(i64::MAX)],
                |row| row.get(0),
            )
            .optional()
            .while_doing(doing)?;
        let condition = last.map_or(String::new(), |last| format!(" WHERE r <= {last}"));
        deal(&format!("SELECT r FROM {set}{condition}"))?;
        let rows = connection
            .execute(&format!("DELETE FROM {set}{condition}"), [])
            .while_doing(doing)?;
        Ok(Drained {
            rows: rows as u64,
            all: last.is_none(),
        })
    }

    /// Ends it, in the present write transaction: servers that write afterwards write nothing else.
    ///
    /// # Errors
    /// When SQLite cannot drop something.
    pub(crate) fn remove(&self, connection: &Connection) -> Result<()> {
        let triggers = self
            .triggers
            .iter()
            .map(|name| format!("DROP TRIGGER IF EXISTS {name}; "));
        let script = format!(
            "{}DROP TABLE IF EXISTS {}",
            triggers.collect::<String>(),
            self.set
        );
        connection
            .execute_batch(&script)
            .while_doing("end to note what is written")
    }

    /// What a run left that ended early, whatever of it is there: only to be removed.
    pub(crate) fn left_over(number: u32) -> Self {
        Self {
            set: in_main(&set_name(number)),
            triggers: EVENTS.map(|event| in_main(&trigger_name(number, event))).to_vec(),
        }
    }
}

const EVENTS: [&str; 5] = [
    "BEFORE INSERT",
    "AFTER INSERT",
    "BEFORE UPDATE",
    "AFTER UPDATE",
    "AFTER DELETE",
];

fn set_name(number: u32) -> String {
    format!("{}{number}", tool_tables::DIRTY)
}

fn trigger_name(number: u32, event: &str) -> String {
    format!(
        "{}_{}",
        set_name(number),
        event.to_ascii_lowercase().replace(' ', "_")
    )
}

fn in_main(name: &str) -> String {
    format!("main.{}", identifier(name))
}

/// The statements that make the set and its triggers.
struct Script {
    number: u32,
    /// Each one's name, and its statement as SQLite stores it.
    objects: Vec<(String, String)>,
    /// Statements on the table that have SQLite compile each trigger.
    tries: Vec<String>,
}

impl Script {
    fn of(connection: &Connection, table: &str, number: u32) -> Result<Eligible<Self>> {
        let doing = "look at the columns of a table";
        let Some(rowid) = rowid_of(connection, table)? else {
            return Ok(Err(format!("no SQL reaches the row ids of {table}")));
        };
        let name = stored_name(connection, table)?;
        let columns = TableDetail::read(connection, &name).while_doing(doing)?.columns;
        let (on, set) = (identifier(&name), identifier(&set_name(number)));
        // In the trigger of a table that is called so, the name would be the row's that is written.
        let row = match name.to_ascii_lowercase().as_str() {
            "new" | "old" => identifier("migration_row"),
            _ => on.clone(),
        };
        let mark = |row: &str| {
            format!(
                "INSERT INTO {set} (r) SELECT {row}.{rowid} \
                 WHERE NOT EXISTS (SELECT 1 FROM {set} AS d WHERE d.r = {row}.{rowid}); "
            )
        };
        let (mut before_insert, mut before_update) = (String::new(), String::new());
        for index in indexes(connection, &name)?.iter().filter(|index| index.unique) {
            let Some(probes) = probes(connection, index, &columns, &row)? else {
                return Ok(Err(format!(
                    "the index {} is written in a way that is not understood",
                    index.name
                )));
            };
            for Probe { condition, changes } in probes {
                let probe = format!(
                    "INSERT INTO {set} (r) SELECT {row}.{rowid} FROM {on} AS {row} WHERE {condition} \
                     AND NOT EXISTS (SELECT 1 FROM {set} AS d WHERE d.r = {row}.{rowid})"
                );
                before_insert += &format!("{probe}; ");
                before_update += &format!("{probe} AND {changes}; ");
            }
        }
        if columns.iter().any(|column| column.hidden != Hidden::No) && !before_update.is_empty() {
            // SQLite gives NEW only the columns that a trigger names, and computes the generated ones from these.
            let stored = columns.iter().filter(|column| column.hidden == Hidden::No);
            let names: Vec<_> = stored
                .map(|column| format!("NEW.{}", identifier(&column.name)))
                .collect();
            before_update = format!("SELECT {}; {before_update}", names.join(", "));
        }
        let bodies = [
            before_insert,
            mark("NEW"),
            before_update,
            mark("OLD") + &mark("NEW"),
            mark("OLD"),
        ];
        let mut objects = vec![(
            set_name(number),
            format!("CREATE TABLE {set} (r INTEGER PRIMARY KEY)"),
        )];
        for (event, body) in EVENTS.iter().zip(bodies).filter(|(_, body)| !body.is_empty()) {
            let trigger = trigger_name(number, event);
            let sql = format!(
                "CREATE TRIGGER {} {event} ON {on} BEGIN {body}END",
                identifier(&trigger)
            );
            objects.push((trigger, sql));
        }
        let set_any = columns
            .iter()
            .find(|column| column.hidden == Hidden::No)
            .map(|column| format!("UPDATE main.{on} SET {0} = {0}", identifier(&column.name)));
        let tries = [
            format!("INSERT INTO main.{on} DEFAULT VALUES"),
            format!("DELETE FROM main.{on}"),
        ];
        Ok(Ok(Self {
            number,
            objects,
            tries: tries.into_iter().chain(set_any).collect(),
        }))
    }

    /// A trigger is compiled when it first fires, in a server: so here, too.
    fn install(&self, connection: &Connection) -> rusqlite::Result<()> {
        for (name, sql) in &self.objects {
            // Where a temporary object has a name, it would come first.
            let name = identifier(name);
            connection.execute_batch(&sql.replacen(&name, &format!("main.{name}"), 1))?;
        }
        self.tries
            .iter()
            .try_for_each(|sql| connection.prepare(sql).map(drop))
    }

    fn installed(self) -> DirtyRows {
        DirtyRows::left_over(self.number)
    }
}

/// How the rows are found that hold a key of the row that is coming.
struct Probe {
    /// Holds for these rows.
    condition: String,
    /// Whether an UPDATE changes the key at all.
    changes: String,
}

/// `None` when the index is not written as SQLite writes one.
fn probes(
    connection: &Connection,
    index: &IndexInfo,
    columns: &[Column],
    row: &str,
) -> Result<Option<Vec<Probe>>> {
    let sql: Option<String> = connection
        .value(
            "SELECT sql FROM main.sqlite_schema WHERE type = 'index' AND name = ?1",
            [&index.name],
        )
        .while_doing("read the schema")?;
    let definition = sql.as_deref().and_then(IndexDefinition::parse);
    let expressions = definition.map_or_else(Vec::new, |definition| definition.expressions());
    let filter = definition.and_then(|definition| definition.filter);
    let has_expression = index.keys.iter().any(|key| key.column.is_none());
    if (has_expression && expressions.len() != index.keys.len()) || index.partial != filter.is_some() {
        return Ok(None);
    }
    // What is no name in double quotes is a text: not to the SQLite of every server, where it stands in a trigger.
    let is_name = |token: &Token<'_>| {
        let name = token.name().unwrap_or_default();
        columns
            .iter()
            .any(|column| column.name.eq_ignore_ascii_case(&name))
            || row == identifier(&name)
    };
    if expressions.iter().copied().chain(filter).any(|text| {
        tokenize(text)
            .iter()
            .any(|token| token.text.starts_with('"') && !is_name(token))
    }) {
        return Ok(None);
    }
    let mut conditions = Vec::new();
    let mut changes = Vec::new();
    let mut is_computed = Vec::new();
    for (place, key) in index.keys.iter().enumerate() {
        let collation = identifier(&key.collation);
        if let Some(column) = key
            .column
            .as_deref()
            .and_then(|name| columns.iter().find(|c| c.name == name))
        {
            let (name, value) = (identifier(&column.name), coming(column));
            conditions.push(format!("{row}.{name} COLLATE {collation} = {value}"));
            changes.push(format!("NEW.{name} COLLATE BINARY IS NOT OLD.{name}"));
        } else {
            let expression = expressions.get(place).copied().unwrap_or_default();
            is_computed.push((expression, collation));
        }
    }
    // The planner takes a partial index where the condition is in the statement.
    conditions.extend(filter.map(|filter| format!("({filter})")));
    // What an expression or a condition depends on is not looked at.
    let changes = match filter {
        None if is_computed.is_empty() => format!("({})", changes.join(" OR ")),
        _ => "1".to_owned(),
    };
    if is_computed.is_empty() {
        return Ok(Some(vec![Probe {
            condition: conditions.join(" AND "),
            changes,
        }]));
    }
    // What is computed from NEW lacks the affinities of the columns, by which comparisons within an expression may differ: a
    // cast gives them, where it changes no value. A key is computed only where the index has it: elsewhere it may fail.
    let used = used_columns(columns, expressions.iter().copied().chain(filter));
    let variants = [true, false].map(|casts| {
        let values = used
            .iter()
            .map(|column| (column, coming(column), affinity(&column.declared_type)));
        let mut guards = Vec::new();
        let mut fields = Vec::new();
        for (column, value, affinity) in values {
            let name = identifier(&column.name);
            match affinity.filter(|_| casts) {
                Some((cast, classes)) => {
                    fields.push(format!("CAST({value} AS {cast}) AS {name}"));
                    guards.push(format!("typeof({value}) IN ({classes})"));
                }
                None => fields.push(format!("{value} AS {name}")),
            }
        }
        fields.push("1".to_owned());
        guards.extend(filter.map(|filter| format!("({filter})")));
        let guard = if guards.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", guards.join(" AND "))
        };
        let from = format!("FROM (SELECT {}) AS {row}{guard}", fields.join(", "));
        let computed = is_computed.iter().map(|(expression, collation)| {
            format!("({expression}) COLLATE {collation} = (SELECT ({expression}) {from})")
        });
        let condition = computed
            .chain(conditions.iter().cloned())
            .collect::<Vec<_>>()
            .join(" AND ");
        Probe {
            condition,
            changes: changes.clone(),
        }
    });
    Ok(Some(variants.into()))
}

/// A column's value in the row that is coming. REPLACE puts the default where NOT NULL forbids NULL, after triggers ran.
fn coming(column: &Column) -> String {
    let name = identifier(&column.name);
    match column.default.as_deref().filter(|_| column.not_null) {
        Some(default) => {
            let default = match tokenize(default).as_slice() {
                // A bare word, or one in quotes, is a text here.
                [word]
                    if word.kind == TokenKind::Quoted
                        || word.kind == TokenKind::Word && !is_constant(word.text) =>
                {
                    literal(&word.name().unwrap_or_default())
                }
                _ => default.to_owned(),
            };
            format!("ifnull(NEW.{name}, ({default}))")
        }
        None => format!("NEW.{name}"),
    }
}

/// The columns that one of the texts names.
fn used_columns<'a>(columns: &'a [Column], texts: impl Iterator<Item = &'a str>) -> Vec<&'a Column> {
    let names: Vec<String> = texts
        .flat_map(|text| {
            tokenize(text)
                .into_iter()
                .filter_map(|token| Some(token.name()?.into_owned()))
        })
        .collect();
    columns
        .iter()
        .filter(|column| names.iter().any(|name| name.eq_ignore_ascii_case(&column.name)))
        .collect()
}

/// A cast to a column's affinity, and the classes of values that it does not change; `None` where it has none
/// (<https://sqlite.org/datatype3.html#determination_of_column_affinity>).
fn affinity(declared_type: &str) -> Option<(&'static str, &'static str)> {
    let declared = declared_type.to_ascii_uppercase();
    let has = |word: &str| declared.contains(word);
    if has("INT") {
        Some(("NUMERIC", "'integer', 'real', 'null'"))
    } else if has("CHAR") || has("CLOB") || has("TEXT") {
        Some(("TEXT", "'text', 'null'"))
    } else if has("BLOB") || declared.is_empty() {
        None
    } else if has("REAL") || has("FLOA") || has("DOUB") {
        Some(("REAL", "'real', 'null'"))
    } else {
        Some(("NUMERIC", "'integer', 'real', 'null'"))
    }
}
