//! The strategy's `schema_version` table: one row for each release that is complete.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use naming::Release;
use rusqlite::{Connection, OptionalExtension, params};

use crate::schema::tool_tables;
use crate::sqlite::{ask::Ask, sqlite_error::SqliteContext};
use bridge_migrate_core::Result;

/// The form of the strategy's `datetime('now')`, with a fraction so that releases of one second keep their
/// order in the strategy's own query.
const FORM: &str = "%Y-%m-%d %H:%M:%S%.6f";

/// What the strategy's query answers: the release whose row was written last.
///
/// # Errors
/// When SQLite cannot read.
pub(crate) fn current(connection: &Connection) -> Result<Option<String>> {
    if !tool_tables::exists(connection, tool_tables::SCHEMA_VERSION)? {
        return Ok(None);
    }
    let query =
        "SELECT version, applied_at, migration_file FROM schema_version ORDER BY applied_at DESC LIMIT 1";
    connection
        .row(query, [], |row| row.get(0))
        .optional()
        .while_doing("read schema_version")
}

/// Writes the row of a release that is now complete, so that the strategy's query answers it. A row that is
/// there already, filled in by hand, keeps its text.
pub(crate) fn record(
    connection: &Connection,
    release: Release,
    stem: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    let doing = "record the release in schema_version";
    let latest: Option<String> = connection
        .value("SELECT CAST(max(applied_at) AS TEXT) FROM schema_version", [])
        .while_doing(doing)?;
    let applied_at = after(latest.as_deref(), now);
    connection
        .execute(
            "INSERT INTO schema_version (version, applied_at, migration_file) VALUES (?1, ?2, ?3) \
             ON CONFLICT (version) DO NOTHING",
            params![release.to_string(), applied_at, stem],
        )
        .while_doing(doing)?;
    if current(connection)?.as_deref() != Some(release.to_string().as_str()) {
        connection
            .execute(
                "UPDATE schema_version SET applied_at = ?2 WHERE version = ?1",
                params![release.to_string(), applied_at],
            )
            .while_doing(doing)?;
    }
    Ok(())
}

/// Removes the row of a release that is no longer complete.
pub(crate) fn remove(connection: &Connection, release: Release) -> Result<()> {
    connection
        .execute(
            "DELETE FROM schema_version WHERE version = ?1",
            [release.to_string()],
        )
        .while_doing("remove the release from schema_version")?;
    Ok(())
}

/// The time now, in a text that sorts after `latest` even when the clock went back.
fn after(latest: Option<&str>, now: DateTime<Utc>) -> String {
    let text = now.format(FORM).to_string();
    match latest {
        Some(latest) if latest >= text.as_str() => {
            match NaiveDateTime::parse_from_str(latest, "%Y-%m-%d %H:%M:%S%.f") {
                Ok(time) => {
                    let next = time
                        .checked_add_signed(TimeDelta::microseconds(1))
                        .unwrap_or(time);
                    let next = next.format(FORM).to_string();
                    if next.as_str() > latest {
                        next
                    } else {
                        format!("{latest}.1")
                    }
                }
                // Not a time: a longer text with the same beginning sorts after it.
                Err(_) => format!("{latest}.1"),
            }
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> Connection {
        let connection = crate::sqlite::connection::open_scratch().unwrap();
        tool_tables::create(&connection).unwrap();
        connection
    }

    fn release(text: &str) -> Release {
        Release::parse(text).unwrap()
    }

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn releases_of_one_second_keep_their_order() {
        let connection = database();
        let now = time("2026-02-22T10:00:00Z");
        for text in ["1.0.0", "1.1.0", "1.2.0"] {
            record(&connection, release(text), "V", now).unwrap();
            assert_eq!(current(&connection).unwrap().as_deref(), Some(text));
        }
        remove(&connection, release("1.2.0")).unwrap();
        assert_eq!(current(&connection).unwrap().as_deref(), Some("1.1.0"));
    }

    #[test]
    fn a_row_filled_in_by_hand_later_than_now_does_not_hide_a_new_release() {
        for by_hand in ["2999-12-31 23:59:59", "yesterday", "2026-02-22 10:00:00"] {
            let connection = database();
            connection
                .execute(
                    "INSERT INTO schema_version VALUES ('1.0.0', ?1, 'initial')",
                    [by_hand],
                )
                .unwrap();
            record(&connection, release("1.1.0"), "V", time("2026-02-22T10:00:00Z")).unwrap();
            assert_eq!(
                current(&connection).unwrap().as_deref(),
                Some("1.1.0"),
                "{by_hand}"
            );
            let kept: String = connection
                .query_row(
                    "SELECT applied_at || migration_file FROM schema_version WHERE version = '1.0.0'",
                    [],
                    |row| row.get(0),
                )
                .unwrap();
            assert_eq!(kept, format!("{by_hand}initial"));
        }
    }
}
