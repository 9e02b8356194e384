//! What a step makes beside the servers, before the one transaction in which it becomes true.

use rusqlite::Connection;
use serde::Serialize;

use super::Eligible;
use super::dirty_rows::DirtyRows;
use super::index::{self, IndexBuild};
use crate::schema::expected;
use crate::schema::script::{self, Rebuild};
use crate::schema::statement::{Change, Statement, run_each};
use crate::schema::table_shape::TableShape;
use crate::schema::token::{Token, TokenKind, tokenize};
use crate::schema::{Object, ObjectKind, Snapshot, TableDetail};
use crate::sqlite::disk_space::Sizes;
use crate::sqlite::quote::identifier;
use crate::sqlite::sqlite_error::SqliteContext;
use bridge_migrate_core::{Error, Result, Settings};

/// How fast SQLite builds an index over rows that the page cache holds, in rows per millisecond. Measured at 1,000 to
/// 1,400 for messages of 400 bytes and keys of 32.
const INDEXED_ROWS_PER_MS: u64 = 1_000;
/// How fast it drops a column, which rewrites every row: measured at 200 to 600 for such messages, on a disk that keeps up.
const REWRITTEN_ROWS_PER_MS: u64 = 200;
/// How fast it copies a table with three indexes row by row: measured at 20 s for a million such messages.
pub(crate) const REBUILT_ROWS_PER_MS: u64 = 50;
/// How fast it frees the pages of a table, in bytes per millisecond: measured at 0.24 s for 0.5 GB.
const FREED_BYTES_PER_MS: u64 = 2_000_000;

/// Work on one table that is done in batches beside the servers, each within the lock budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Online {
    /// What becomes of the table.
    pub kind: OnlineKind,
    /// The table.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// What the database grows by meanwhile, in bytes.
    pub bytes: u64,
    /// The statements that it stands for.
    #[serde(skip)]
    pub(crate) statements: Vec<String>,
    /// How the table's own tree is made anew.
    #[serde(skip)]
    pub(crate) swap: Option<RootSwap>,
    /// The index, as the schema will have it.
    #[serde(skip)]
    pub(crate) index: Option<Object>,
}

/// What becomes of a table beside the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnlineKind {
    /// It gets an index, which is built in the order of its keys.
    Index,
    /// Its rows are copied into a new tree, whose root page takes the place of the old one's.
    Rebuild,
    /// It is dropped at once and emptied afterwards.
    Drop,
}

/// How a table's own tree is made anew: what it becomes, and from what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RootSwap {
    /// The table, as it is spelt.
    pub(crate) table: String,
    /// Its statement before.
    pub(crate) before: String,
    /// Its statement afterwards.
    pub(crate) after: String,
    /// The columns that are filled, and with what: SQL over the columns before.
    pub(crate) fills: Vec<(String, String)>,
    /// Its shape before and afterwards.
    pub(crate) shapes: [TableShape; 2],
    /// For each index that it implies afterwards, the one before with the same entries.
    pub(crate) implied: Vec<String>,
}

impl RootSwap {
    /// How `table` becomes what `after` says; the reason when a root swap cannot do it.
    pub(crate) fn new(
        before: &Connection,
        after: &Connection,
        [then, now]: [&Object; 2],
        fills: Vec<(String, String)>,
        indexes: &[&Object],
    ) -> rusqlite::Result<Eligible<Self>> {
        let table = &then.name;
        let (Some(old), Some(new)) = (TableShape::read(before, table)?, TableShape::read(after, table)?)
        else {
            return Ok(Err(format!("{table} is no ordinary table")));
        };
        if old.row.name.is_none() || new.row.name.is_none() {
            return Ok(Err(format!(
                "the rows of {table} cannot be asked for by their row ids"
            )));
        }
        // The column that stays what it is: the same values, compared in the same way.
        let source_of = |name: &str| {
            let now = new.column(name)?;
            let (_, fill) = fills
                .iter()
                .find(|(column, _)| column.eq_ignore_ascii_case(name))?;
            let then = old
                .columns
                .iter()
                .find(|column| identifier(&column.name) == *fill)?;
            let is_same = then.affinity == now.affinity && then.collation == now.collation;
            (is_same && !then.generated && !now.generated).then_some(then.name.as_str())
        };
        let keeps_alias = match (&old.row.alias, &new.row.alias) {
            (None, None) => true,
            (Some(then), Some(now)) => source_of(now) == Some(then),
            _ => false,
        };
        let references = |connection| TableDetail::read(connection, table).map(|detail| detail.foreign_keys);
        if references(before)? != references(after)? {
            // They are looked at in the one transaction, all of them.
            return Ok(Err(format!("the foreign keys of {table} change")));
        }
        if !keeps_alias || old.autoincrement != new.autoincrement {
            return Ok(Err(format!("the row ids of {table} change")));
        }
        let mut implied = Vec::new();
        for index in &new.implied {
            let same = old.implied.iter().find(|then| {
                then.keys.len() == index.keys.len()
                    && then.keys.iter().zip(&index.keys).all(|(then, now)| {
                        source_of(&now.0) == Some(&then.0) && then.1 == now.1 && then.2 == now.2
                    })
            });
            match same {
                Some(then) if !implied.contains(&then.name) => implied.push(then.name.clone()),
                _ => return Ok(Err(format!("{table} gets another key"))),
            }
        }
        for index in indexes {
            for token in tokenize(&index.sql) {
                let is_name = matches!(token.kind, TokenKind::Word | TokenKind::Quoted);
                let name = token.name().filter(|_| is_name).unwrap_or_default();
                // Of the names in it, those of columns: a column that is called like the table is looked at once more.
                if old.column(&name).is_some()
                    && source_of(&name) != old.column(&name).map(|c| c.name.as_str())
                {
                    return Ok(Err(format!("the index {} would have other entries", index.name)));
                }
            }
        }
        Ok(Ok(Self {
            table: table.clone(),
            before: then.sql.clone(),
            after: now.sql.clone(),
            shapes: [old.clone(), new.clone()],
            implied,
            fills: fills.clone(),
        }))
    }

    /// The columns that are taken whole, under their names before and afterwards, and whether their values may become of
    /// another class.
    pub(crate) fn taken_whole(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        let [old, new] = &self.shapes;
        self.fills.iter().filter_map(|(column, fill)| {
            let now = new.column(column)?;
            let then = old.columns.iter().find(|then| identifier(&then.name) == *fill)?;
            Some((
                then.name.as_str(),
                now.name.as_str(),
                then.affinity != now.affinity,
            ))
        })
    }
}

/// What of a migration's text is made beside the servers, and what ought to be and cannot.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) online: Vec<Online>,
    pub(crate) plain: Vec<Plain>,
}

/// What holds the lock for longer than the budget all the same.
#[derive(Debug)]
pub(crate) struct Plain {
    /// For how long, about.
    pub(crate) lock_ms: u64,
    /// What it does, and why it is not made beside the servers.
    pub(crate) why: String,
}

/// Finds what of `sql` would hold the lock for longer than the budget on the schema `found`. `rows` counts those of a table,
/// `sizes` measures it.
pub(crate) fn find(
    found: &Snapshot,
    sql: &str,
    settings: &Settings,
    sizes: &Sizes<'_>,
    rows: &dyn Fn(&str) -> Result<u64>,
) -> Result<Found> {
    let doing = "find out what can be made beside the servers";
    let budget = u64::try_from(settings.lock_budget.as_millis()).unwrap_or(u64::MAX);
    let rebuild = Rebuild::parse(sql).unwrap_or_default();
    let tokens = tokenize(sql);
    let mut largest = 0;
    if rebuild.is_some() || tokens.iter().any(|token| token.is_one_of("index drop")) {
        let is_named = |table: &&Object| {
            let mut names = tokens.iter().filter_map(Token::name);
            names.any(|name| name.eq_ignore_ascii_case(&table.name))
        };
        for table in found.of_kind(ObjectKind::Table).filter(is_named) {
            largest = largest.max(rows(&table.name)?);
        }
    }
    // Most migrations: to find out more would take longer than they do.
    let is_short = largest / REBUILT_ROWS_PER_MS < budget && sizes.file / FREED_BYTES_PER_MS < budget;
    if largest == 0 || is_short {
        return Ok(Found::default());
    }
    let scratch = || expected::replay(found);
    let changes = match &rebuild {
        Some(rebuild) => vec![(sql.to_owned(), OnlineKind::Rebuild, rebuild.table().to_owned())],
        None => statements(&scratch()?, sql).while_doing(doing)?,
    };
    let mut long: Vec<(Online, u64)> = Vec::new();
    for (text, kind, table) in changes {
        let Some(object) = found.get(ObjectKind::Table, &table) else {
            continue;
        };
        let rows = rows(&object.name)?;
        let lock_ms = match kind {
            OnlineKind::Index => rows / INDEXED_ROWS_PER_MS,
            OnlineKind::Rebuild if rebuild.is_some() => rows / REBUILT_ROWS_PER_MS,
            OnlineKind::Rebuild => rows / REWRITTEN_ROWS_PER_MS,
            OnlineKind::Drop if sizes.file / FREED_BYTES_PER_MS < budget => continue,
            OnlineKind::Drop => sizes.table(&object.name) / FREED_BYTES_PER_MS,
        };
        if rows == 0 || lock_ms < budget {
            continue;
        }
        let same = long.iter_mut().find(|(online, _)| {
            kind == OnlineKind::Rebuild && online.kind == kind && online.table == object.name
        });
        match same {
            Some((online, _)) => online.statements.push(text),
            None => {
                let online = Online {
                    kind,
                    table: object.name.clone(),
                    rows,
                    bytes: match kind {
                        OnlineKind::Index => rows.saturating_mul(64),
                        OnlineKind::Rebuild => sizes.table(&object.name),
                        OnlineKind::Drop => 0,
                    },
                    statements: vec![text],
                    swap: None,
                    index: None,
                };
                long.push((online, lock_ms));
            }
        }
    }
    let mut all = Found::default();
    for (online, lock_ms) in long {
        let (what, rows) = (online.does(), online.rows);
        let made = match &rebuild {
            _ if settings.plain => Ok(Err("that was asked for".to_owned())),
            Some(rebuild) => rebuilt(found, [scratch()?, scratch()?], rebuild, online),
            None => made_possible(found, [scratch()?, scratch()?, scratch()?], sql, online),
        };
        match made.while_doing(doing)? {
            Ok(online) => all.online.push(online),
            Err(why) => all.plain.push(Plain {
                lock_ms,
                why: format!("it {what} with {rows} rows at once, since {why}"),
            }),
        }
    }
    Ok(all)
}

impl Online {
    /// What it puts into temporary files at most.
    pub(crate) fn temporary_bytes(&self) -> u64 {
        match self.kind {
            OnlineKind::Index => index::temporary_bytes(self.rows, self.bytes / self.rows.max(1)),
            OnlineKind::Rebuild | OnlineKind::Drop => 0,
        }
    }

    /// What it does, as part of a sentence.
    pub fn does(&self) -> String {
        let table = &self.table;
        match self.kind {
            OnlineKind::Index => format!("builds an index of {table}"),
            OnlineKind::Rebuild => format!("rebuilds {table}"),
            OnlineKind::Drop => format!("drops {table}"),
        }
    }
}

/// How a whole rebuild is made beside the servers.
fn rebuilt(
    found: &Snapshot,
    [before, after]: [Connection; 2],
    rebuild: &Rebuild,
    mut online: Online,
) -> rusqlite::Result<Eligible<Online>> {
    script::run(&after, &rebuild.to_string())?;
    let end = Snapshot::read(&after)?;
    let fills = rebuild
        .taken()
        .iter()
        .map(|taken| (taken.column.clone(), taken.value.clone()));
    let swap = swap(found, &end, [&before, &after], &online.table, fills.collect())?;
    Ok(swap.map(|swap| {
        online.swap = Some(swap);
        online
    }))
}

fn swap(
    then: &Snapshot,
    now: &Snapshot,
    [before, after]: [&Connection; 2],
    table: &str,
    fills: Vec<(String, String)>,
) -> rusqlite::Result<Eligible<RootSwap>> {
    let object = |schema: &Snapshot| schema.get(ObjectKind::Table, table).cloned();
    let (Some(old), Some(new)) = (object(then), object(now)) else {
        return Ok(Err(format!("{table} gets another name")));
    };
    let indexes: Vec<&Object> = now
        .of_kind(ObjectKind::Index)
        .filter(|index| index.table.eq_ignore_ascii_case(table))
        .collect();
    if let Err(why) = DirtyRows::install(before, table, 1).or_else(asked)? {
        return Ok(Err(why));
    }
    RootSwap::new(before, after, [&old, &new], fills, &indexes)
}

/// On a copy of the schema without rows, what fails says why it would.
fn asked<T>(error: Error) -> rusqlite::Result<Eligible<T>> {
    Ok(Err(error.to_string()))
}

/// The statements of `sql` whose work grows with a table, which are all run on `scratch`.
fn statements(scratch: &Connection, sql: &str) -> rusqlite::Result<Vec<(String, OnlineKind, String)>> {
    let mut found = Vec::new();
    run_each(scratch, sql, &|source| source, &mut |text| {
        if let Some(Statement { change, table }) = Statement::parse(text) {
            let kind = match change {
                Change::CreateIndex => OnlineKind::Index,
                Change::DropColumn => OnlineKind::Rebuild,
                Change::DropTable => OnlineKind::Drop,
            };
            found.push((text.to_owned(), kind, table));
        }
        Ok(false)
    })?;
    Ok(found)
}

/// The work, if it can be made before the other statements run and they lead to the same schema then.
fn made_possible(
    found: &Snapshot,
    [plain, before, after]: [Connection; 3],
    sql: &str,
    mut online: Online,
) -> rusqlite::Result<Eligible<Online>> {
    run_each(&plain, sql, &|source| source, &mut |_| Ok(false))?;
    let mut swapped = None;
    let mut new_index = None;
    let outcome = run_each(&after, sql, &|source| source, &mut |text| {
        if !online.statements.iter().any(|stands| stands == text) {
            return Ok(false);
        }
        if online.statements.last().is_some_and(|last| last == text) {
            if online.kind == OnlineKind::Index {
                before.execute_batch(text)?;
            }
            let then = Snapshot::read(&after)?;
            // What stands for several statements comes where the last of them is, which SQLite compiles before.
            after.execute_batch(&online.statements.join(";"))?;
            let now = Snapshot::read(&after)?;
            new_index = now
                .of_kind(ObjectKind::Index)
                .find(|index| then.get(index.kind, &index.name).is_none())
                .cloned();
            swapped = Some(now);
        }
        Ok(true)
    });
    let table = &online.table;
    let others = Err(format!("other statements of the migration change {table} too"));
    let end = Snapshot::read(&after)?;
    let (Ok(()), Some(swapped)) = (outcome, swapped) else {
        return Ok(others);
    };
    let object = |schema: &Snapshot| schema.get(ObjectKind::Table, table).cloned();
    if end != Snapshot::read(&plain)? || object(&end) != object(&swapped) {
        return Ok(others);
    }
    match online.kind {
        OnlineKind::Index => {
            let Some(index) = new_index else { return Ok(others) };
            before.execute_batch(&format!("DROP INDEX {}", identifier(&index.name)))?;
            if let Err(why) = IndexBuild::begin(&before, 1, &index, &index.table, None).or_else(asked)? {
                return Ok(Err(why));
            }
            online.index = Some(index);
        }
        OnlineKind::Drop => {
            if TableShape::read(&before, table)?.is_none_or(|shape| shape.row.name.is_none()) {
                return Ok(Err(format!("{table} has no row ids")));
            }
        }
        OnlineKind::Rebuild => {
            let shape = TableShape::read(&after, table)?;
            let columns = shape.into_iter().flat_map(|shape| shape.columns);
            let fills = columns
                .filter(|column| !column.generated)
                .map(|column| (column.name.clone(), identifier(&column.name)));
            match swap(found, &swapped, [&before, &after], table, fills.collect())? {
                Ok(swap) => online.swap = Some(swap),
                Err(why) => return Ok(Err(why)),
            }
        }
    }
    Ok(Ok(online))
}
