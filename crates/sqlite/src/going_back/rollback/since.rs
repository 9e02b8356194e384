//! What a restore would lose: what was written since the restore point was made.

use std::{cmp::Ordering, collections::BTreeSet};

use rusqlite::{Connection, Row, Rows, fallible_streaming_iterator::FallibleStreamingIterator};

use crate::backup::Backup;
use crate::going_back::restore::{CompanionChange, CompanionPart};
use crate::schema::{Hidden, ObjectKind, TableDetail, expected};
use crate::sqlite::{
    connection::open_immutable, count::count_rows, quote::identifier, sqlite_error::SqliteContext,
};
use bridge_migrate_core::{Keep, Loss, Result, Settings};

use super::steps::Imported;

/// Rows that were added, changed and removed since.
#[derive(Debug, Default)]
struct Written {
    added: u64,
    changed: u64,
    removed: u64,
}

/// Compares the database and the companion file with the restore point, row by row. `by_migrations` are the
/// columns, as `table.column`, that data migrations since wrote: a difference there is theirs, and comes again.
///
/// Reads both files once; memory stays flat.
pub(super) fn of_restoring(
    settings: &Settings,
    connection: &Connection,
    point: &Backup,
    by_migrations: &BTreeSet<String>,
    imported: &[Imported],
    keep: Keep,
) -> Result<Vec<Loss>> {
    let reader = open_immutable(&point.database)?;
    let then = expected::read(&reader)?;
    let now = expected::read(connection)?;
    let mut losses = Vec::new();
    for table in now.of_kind(ObjectKind::Table) {
        let name = &table.name;
        let mut lose = |count, what| {
            if count > 0 {
                losses.push(Loss::for_good(name, count, what));
            }
        };
        if then.get(ObjectKind::Table, name).is_none() {
            if imported.iter().any(|imported| imported.has(name)) {
                continue;
            }
            let count = count_rows(connection, name)?;
            lose(count, "rows of a table that the restore point lacks");
            continue;
        }
        let written = written_since(connection, &reader, name, by_migrations)?;
        lose(written.added, "rows written since the restore point");
        lose(written.changed, "rows changed since the restore point");
        lose(
            written.removed,
            "rows removed since the restore point, back again",
        );
    }
    losses.extend(
        imported
            .iter()
            .filter_map(|imported| imported.loss(settings, false)),
    );
    losses.extend(of_added_columns(connection, &reader, by_migrations)?);
    losses.extend(of_companion(settings, connection, point, keep)?);
    Ok(losses)
}

/// Values of columns that the restore point does not have.
fn of_added_columns(
    connection: &Connection,
    reader: &Connection,
    by_migrations: &BTreeSet<String>,
) -> Result<Vec<Loss>> {
    let dropped = crate::schema::dropped::find(&expected::read(connection)?, &expected::read(reader)?);
    let mut losses = Vec::new();
    for dropped in &dropped {
        if let crate::schema::dropped::Dropped::Column { table, column } = dropped
            && !by_migrations.contains(&format!("{table}.{column}").to_lowercase())
        {
            let loss = super::losses::of_dropping(connection, dropped)?;
            losses.extend(loss.map(|loss| Loss { kept: false, ..loss }));
        }
    }
    Ok(losses)
}

fn of_companion(
    settings: &Settings,
    connection: &Connection,
    point: &Backup,
    keep: Keep,
) -> Result<Vec<Loss>> {
    let name = settings
        .companion
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let (change, entries) = CompanionPart::new(settings, point, keep)?.foresee(Some(connection))?;
    if settings.companion_format.tables().is_empty() {
        let what = "file changed since the restore point, put back too";
        let is_lost = change == CompanionChange::Replaced;
        return Ok(is_lost
            .then(|| Loss::for_good(&name, 1, what))
            .into_iter()
            .collect());
    }
    // What only dropped tables had is told where they are.
    let went = if keep == Keep::Backup { entries.went } else { 0 };
    let losses = [
        (went, "entries that came since the restore point"),
        (
            entries.came_back,
            "entries removed or revoked since the restore point, valid again",
        ),
    ];
    Ok(losses
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| Loss::for_good(&name, count, what))
        .collect())
}

/// Walks both tables in the order of row numbers.
fn written_since(
    connection: &Connection,
    point: &Connection,
    table: &str,
    by_migrations: &BTreeSet<String>,
) -> Result<Written> {
    let doing = format!("compare {table} with the restore point");
    let columns = common_columns(connection, point, table, by_migrations)?;
    let mut sql = "SELECT _rowid_".to_owned();
    for column in &columns {
        sql.push_str(", ");
        sql.push_str(&identifier(column));
    }
    sql.push_str(&format!(" FROM {} ORDER BY _rowid_", identifier(table)));
    let (Ok(mut then), Ok(mut now)) = (point.prepare(&sql), connection.prepare(&sql)) else {
        // A table WITHOUT ROWID: the difference of the counts is what can be told.
        let (then, now) = (count_rows(point, table)?, count_rows(connection, table)?);
        return Ok(Written {
            added: now.saturating_sub(then),
            changed: 0,
            removed: then.saturating_sub(now),
        });
    };
    let mut then = then.query([]).while_doing(&doing)?;
    let mut now = now.query([]).while_doing(&doing)?;
    compare(&mut then, &mut now, columns.len()).while_doing(&doing)
}

fn compare(then: &mut Rows<'_>, now: &mut Rows<'_>, columns: usize) -> rusqlite::Result<Written> {
    let mut written = Written::default();
    then.advance()?;
    now.advance()?;
    loop {
        let order = match (then.get(), now.get()) {
            (None, None) => return Ok(written),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => {
                let order = old.get::<_, i64>(0)?.cmp(&new.get::<_, i64>(0)?);
                if order == Ordering::Equal && differs(old, new, columns)? {
                    written.changed += 1;
                }
                order
            }
        };
        written.removed += u64::from(order == Ordering::Less);
        written.added += u64::from(order == Ordering::Greater);
        if order != Ordering::Greater {
            then.advance()?;
        }
        if order != Ordering::Less {
            now.advance()?;
        }
    }
}

fn differs(old: &Row<'_>, new: &Row<'_>, columns: usize) -> rusqlite::Result<bool> {
    for column in 1..=columns {
        if old.get_ref(column)? != new.get_ref(column)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The columns that both have and that no data migration wrote.
fn common_columns(
    connection: &Connection,
    point: &Connection,
    table: &str,
    by_migrations: &BTreeSet<String>,
) -> Result<Vec<String>> {
    let names = |connection: &Connection| {
        TableDetail::read(connection, table)
            .map(|detail| detail.columns)
            .while_doing(format_args!("read the columns of {table}"))
    };
    let then = names(point)?;
    Ok(names(connection)?
        .into_iter()
        .filter(|column| column.hidden == Hidden::No)
        .map(|column| column.name)
        .filter(|name| then.iter().any(|column| column.name.eq_ignore_ascii_case(name)))
        .filter(|name| !by_migrations.contains(&format!("{table}.{name}").to_lowercase()))
        .collect())
}
