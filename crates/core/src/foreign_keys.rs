//! Foreign-key violations compared before and after a step. Old ones are tolerated: the server never had
//! foreign keys on.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use crate::error::{Error, ErrorKind, Hint, Result, SqliteContext};
use crate::quote::{identifier, literal};

/// The number of violations of each foreign key: child table, parent table, constraint number.
pub type Violations = BTreeMap<(String, String, i64), u64>;

/// Counts the violations of the children among `tables`, and of the children of these tables.
///
/// # Errors
/// When SQLite cannot check a table.
pub fn count(connection: &Connection, tables: &BTreeSet<String>) -> Result<Violations> {
    let doing = "check foreign keys";
    let mut violations = Violations::new();
    if tables.is_empty() {
        return Ok(violations);
    }
    let mut children: BTreeSet<String> = BTreeSet::new();
    let list: Vec<String> = tables
        .iter()
        .map(|table| literal(&table.to_lowercase()))
        .collect();
    let select = format!(
        "SELECT DISTINCT s.name FROM sqlite_schema AS s LEFT JOIN pragma_foreign_key_list(s.name) AS f \
         WHERE s.type = 'table' AND (lower(s.name) IN ({0}) OR lower(f.\"table\") IN ({0}))",
        list.join(", ")
    );
    let mut select = connection.prepare(&select).while_doing(doing)?;
    let mut rows = select.query([]).while_doing(doing)?;
    while let Some(row) = rows.next().while_doing(doing)? {
        children.insert(row.get(0).while_doing(doing)?);
    }
    for child in children {
        let check = format!("PRAGMA foreign_key_check({})", identifier(&child));
        let mut check = match connection.prepare(&check) {
            Ok(check) => check,
            // A foreign key that names no unique parent columns cannot be checked; it was so before.
            Err(error) if error.to_string().contains("foreign key mismatch") => {
                violations.insert((child.clone(), "mismatch".to_owned(), -1), 1);
                continue;
            }
            Err(error) => return Err(Error::sqlite(doing, error)),
        };
        let mut rows = check.query([]).while_doing(doing)?;
        while let Some(row) = rows.next().while_doing(doing)? {
            let parent: String = row.get(2).while_doing(doing)?;
            let constraint: i64 = row.get(3).while_doing(doing)?;
            *violations.entry((child.clone(), parent, constraint)).or_default() += 1;
        }
    }
    Ok(violations)
}

/// Refuses violations that were not there before.
///
/// # Errors
/// [`ErrorKind::ForeignKeyViolated`], naming each foreign key with more violations than before.
pub fn compare(stem: &str, before: &Violations, after: &Violations) -> Result<()> {
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
    .with_hint(Hint::tool(["verify"])))
}
