//! The rows that the token file makes.

use bridge_migrate_core::catalog::{Import, ImportedRows};
use bridge_migrate_core::clock;
use bridge_migrate_core::error::{Result, SqliteContext};
use bridge_migrate_core::rusqlite::types::{Value, ValueRef};
use bridge_migrate_core::rusqlite::{self, Connection, Row};
use bridge_migrate_core::settings::Settings;
use bridge_migrate_core::time_zone::TimeZone;

use super::document::Token;
use super::file;
use crate::timestamps::to_utc_isoformat;

/// The tables that hold what the token file holds.
pub(super) const TABLES: &[&str] = &["auth_tokens", "revoked_tokens"];

/// Imports the token file into `auth_tokens` and `revoked_tokens`, by the tokens' SHA-256.
///
/// A token that is revoked and still in the file's `tokens` is in both tables; one that is only revoked is in
/// `revoked_tokens`, with the time of the import as the time of its revocation, which the file does not
/// tell. Naive times become UTC; a time that is none is kept as it stands.
#[derive(Debug, Clone, Copy)]
pub struct TokenImport;

impl Import for TokenImport {
    fn describe(&self) -> String {
        "import the token file: the SHA-256 of each token, its client and its times in UTC".to_owned()
    }

    fn tables(&self) -> &'static [&'static str] {
        TABLES
    }

    fn read(&self, settings: &Settings) -> Result<Vec<ImportedRows>> {
        let Some(document) = file::read(settings)? else {
            return Ok(Vec::new());
        };
        let zone = &settings.time_zone;
        let tokens = document.tokens.into_iter().map(|(hash, token)| {
            let [client, created, expires] = row(token, zone);
            vec![Value::Text(hash), client, created, expires]
        });
        let now = now(settings);
        let revoked = document
            .revoked
            .into_iter()
            .map(|hash| vec![Value::Text(hash), now.clone()]);
        Ok(vec![
            token_rows(tokens.collect()),
            revoked_rows(revoked.collect()),
        ])
    }

    /// Tokens by their client and time of issue; never a token or its hash.
    fn only_in_database(&self, connection: &Connection, settings: &Settings) -> Result<Vec<String>> {
        let document = file::read(settings)?.unwrap_or_default();
        let doing = "compare the tokens with the token file";
        let mut only = Vec::new();
        let mut select = connection
            .prepare(
                "SELECT token_hash, client_id, created_at FROM auth_tokens ORDER BY created_at, client_id",
            )
            .while_doing(doing)?;
        let mut rows = select.query([]).while_doing(doing)?;
        while let Some(row) = rows.next().while_doing(doing)? {
            if !is_known(row, |hash| document.tokens.contains_key(hash)).while_doing(doing)? {
                only.push(described(row, 1, "issued").while_doing(doing)?);
            }
        }
        let mut select = connection
            .prepare(
                "SELECT r.token_hash, t.client_id, r.revoked_at FROM revoked_tokens AS r \
                 LEFT JOIN auth_tokens AS t USING (token_hash) ORDER BY r.revoked_at, t.client_id",
            )
            .while_doing(doing)?;
        let mut rows = select.query([]).while_doing(doing)?;
        while let Some(row) = rows.next().while_doing(doing)? {
            if !is_known(row, |hash| document.revoked.contains(hash)).while_doing(doing)? {
                only.push(described(row, 1, "revoked").while_doing(doing)?);
            }
        }
        Ok(only)
    }
}

pub(super) fn token_rows(rows: Vec<Vec<Value>>) -> ImportedRows {
    ImportedRows {
        table: "auth_tokens",
        columns: &["token_hash", "client_id", "created_at", "expires_at"],
        rows,
    }
}

pub(super) fn revoked_rows(rows: Vec<Vec<Value>>) -> ImportedRows {
    ImportedRows {
        table: "revoked_tokens",
        columns: &["token_hash", "revoked_at"],
        rows,
    }
}

/// What the database says of a token besides its hash.
pub(super) fn row(token: Token, zone: &TimeZone) -> [Value; 3] {
    [
        Value::Text(token.client_id),
        time_value(token.created_at, zone),
        time_value(token.expires_at, zone),
    ]
}

/// The time of a revocation that the file does not tell.
pub(super) fn now(settings: &Settings) -> Value {
    time_value(Some(clock::timestamp(settings.clock.now())), &TimeZone::Utc)
}

/// Whether the row's first value is a hash that the file has, too.
fn is_known(row: &Row<'_>, is_in_file: impl Fn(&str) -> bool) -> rusqlite::Result<bool> {
    let hash = row.get_ref(0)?;
    Ok(hash.as_str().is_ok_and(is_in_file))
}

/// `alice, issued 2026-02-22T15:30:45+00:00`, from a client and a time.
fn described(row: &Row<'_>, client: usize, what: &str) -> rusqlite::Result<String> {
    let text = |index| -> rusqlite::Result<Option<String>> {
        Ok(match row.get_ref(index)? {
            ValueRef::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        })
    };
    let who = text(client)?.unwrap_or_else(|| "unknown client".to_owned());
    let when = text(client + 1)?.unwrap_or_else(|| "at an unknown time".to_owned());
    Ok(format!("{who}, {what} {when}"))
}

fn time_value(time: Option<String>, zone: &TimeZone) -> Value {
    time.map_or(Value::Null, |time| Value::Text(in_utc(time, zone)))
}

/// The time in the normal form, or as it stands when it is none.
pub(super) fn in_utc(time: String, zone: &TimeZone) -> String {
    to_utc_isoformat(&time, zone).unwrap_or(time)
}
