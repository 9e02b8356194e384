//! Foreign-key violations compared before and after a step. Old ones are tolerated: the server never had
//! foreign keys on.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use crate::sqlite::sqlite_error::{SqliteContext, sqlite_error};
use crate::sqlite::{ask::Ask, quote::identifier};
use bridge_migrate_core::{Error, ErrorKind, Hint, Result};

/// The number of violations of each foreign key: child table, parent table, the child's columns, none where the key
/// names no unique parent columns. SQLite's own numbers of the keys change when a table gets another one.
pub(crate) type Violations = BTreeMap<(String, String, String), u64>;

/// Counts the violations of the children among `tables`, and of the children of these tables.
///
/// # Errors
/// When SQLite cannot check a table.
pub(crate) fn count(connection: &Connection, tables: &BTreeSet<String>) -> Result<Violations> {
    let doing = "check foreign keys";
    let mut violations = Violations::new();
    if tables.is_empty() {
        return Ok(violations);
    }
    let is_meant = |table: &str| tables.iter().any(|meant| meant.eq_ignore_ascii_case(table));
    let all = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    let children: rusqlite::Result<Vec<String>> = connection.rows(all, [], |row| row.get(0));
    for child in children.while_doing(doing)? {
        let mut is_child = is_meant(&child);
        connection
            .pragma(Some("main"), "foreign_key_list", &child, |row| {
                is_child = is_child || is_meant(&row.get::<_, String>("table")?);
                Ok(())
            })
            .while_doing(doing)?;
        if is_child {
            violations.extend(of_child(connection, &child)?);
        }
    }
    Ok(violations)
}

/// Counts the violations of the foreign keys of one table.
///
/// # Errors
/// When SQLite cannot check the table.
pub(crate) fn of_child(connection: &Connection, child: &str) -> Result<Violations> {
    let doing = "check foreign keys";
    let mut violations = Violations::new();
    let check = format!("PRAGMA main.foreign_key_check({})", identifier(child));
    let mut check = match connection.prepare(&check) {
        Ok(check) => check,
        // A foreign key that names no unique parent columns cannot be checked; it was so before.
        Err(error) if error.to_string().contains("foreign key mismatch") => {
            violations.insert((child.to_owned(), "mismatch".to_owned(), String::new()), 1);
            return Ok(violations);
        }
        Err(error) => return Err(sqlite_error(doing, error)),
    };
    let mut columns: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    connection
        .pragma(Some("main"), "foreign_key_list", child, |row| {
            columns.entry(row.get("id")?).or_default().push(row.get("from")?);
            Ok(())
        })
        .while_doing(doing)?;
    let mut rows = check.query([]).while_doing(doing)?;
    while let Some(row) = rows.next().while_doing(doing)? {
        let parent: String = row.get(2).while_doing(doing)?;
        let constraint: i64 = row.get(3).while_doing(doing)?;
        let constraint = columns
            .get(&constraint)
            .map_or_else(String::new, |columns| columns.join(", "));
        *violations
            .entry((child.to_owned(), parent, constraint))
            .or_default() += 1;
    }
    Ok(violations)
}

/// Refuses violations that were not there before.
///
/// # Errors
/// [`ErrorKind::ForeignKeyViolated`], naming each foreign key with more violations than before.
pub(crate) fn compare(stem: &str, before: &Violations, after: &Violations) -> Result<()> {
    let worse: Vec<String> = after
        .iter()
        .filter_map(|(key, now)| {
            let then = before.get(key).copied().unwrap_or(0);
            (*now > then).then(|| format!("{} → {}: {} more", key.0, key.1, now - then))
        })
        .collect();
    if worse.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::ForeignKeyViolated,
        format!(
            "{stem} would leave rows without their parent: {}",
            worse.join("; ")
        ),
    )
    .with_truth("The step was rolled back.")
    .with_hint(Hint::Verify))
}
