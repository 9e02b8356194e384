//! The rows that the token file makes.

use std::borrow::Cow;

use bridge_migrate_core::{CompanionTable, Import, Inputs, Result, TableRows, TimeZone, Value, clock};

use super::stored::{REVOKED, Stored, TABLES, TOKENS};
use super::{document::Token, file};
use crate::timestamps::{parse, to_utc_isoformat};

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

    fn tables(&self) -> &'static [CompanionTable] {
        TABLES
    }

    fn read(&self, inputs: Inputs<'_>) -> Result<Vec<TableRows>> {
        let Some(document) = file::read(inputs)? else {
            return Ok(Vec::new());
        };
        let tokens = document
            .tokens
            .into_iter()
            .map(|(hash, token)| {
                let [client, created, expires] = row(token, inputs)?;
                Ok(vec![hash.into(), client, created, expires])
            })
            .collect::<Result<Vec<_>>>()?;
        let now = now(inputs);
        let revoked = document
            .revoked
            .into_iter()
            .map(|hash| vec![hash.into(), now.clone()]);
        Ok(vec![
            TableRows {
                table: TOKENS,
                rows: tokens,
            },
            TableRows {
                table: REVOKED,
                rows: revoked.collect(),
            },
        ])
    }

    /// Tokens by their client and time of issue; never a token or its hash.
    fn only_in_database(&self, tables: &[TableRows], inputs: Inputs<'_>) -> Result<Vec<String>> {
        let document = file::read(inputs)?.unwrap_or_default();
        let stored = Stored::of(tables)?;
        let issued = stored
            .tokens
            .iter()
            .filter(|[hash, ..]| {
                !hash
                    .as_text()
                    .is_some_and(|hash| document.tokens.contains_key(hash))
            })
            .map(|[_, client, created, _]| (created, Some(client)));
        let tokens = stored.tokens_by_hash();
        let revoked = stored
            .revoked
            .iter()
            .filter(|[hash, _]| !hash.as_text().is_some_and(|hash| document.revoked.contains(hash)))
            .map(|[hash, at]| (at, tokens.get(hash).map(|[_, client, ..]| client)));
        Ok([described(issued, "issued"), described(revoked, "revoked")].concat())
    }
}

/// What the database says of a token besides its hash.
pub(super) fn row(token: Token, inputs: Inputs<'_>) -> Result<[Value; 3]> {
    Ok([
        token.client_id.into(),
        time_value(token.created_at, inputs)?,
        time_value(token.expires_at, inputs)?,
    ])
}

/// The time of a revocation that the file does not tell.
pub(super) fn now(inputs: Inputs<'_>) -> Value {
    let now = clock::timestamp(inputs.clock.now());
    to_utc_isoformat(&now, &TimeZone::Utc).unwrap_or(now).into()
}

/// `alice, issued 2026-02-22 15:30:45 UTC` of each time and client, the oldest first.
fn described<'a>(entries: impl Iterator<Item = (&'a Value, Option<&'a Value>)>, what: &str) -> Vec<String> {
    let mut entries: Vec<_> = entries
        .map(|(at, client)| (shown(at), client.and_then(shown)))
        .collect();
    entries.sort_unstable();
    let lines = entries.into_iter().map(|(when, who)| {
        let who = who.as_deref().unwrap_or("unknown client");
        let when = when.as_deref().map(clock::for_people);
        let when = when.as_deref().unwrap_or("at an unknown time");
        format!("{who}, {what} {when}")
    });
    lines.collect()
}

/// A value as people see it; `None` when it is no text.
fn shown(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Text(bytes) => Some(String::from_utf8_lossy(bytes)),
        _ => None,
    }
}

fn time_value(time: Option<String>, inputs: Inputs<'_>) -> Result<Value> {
    time.map_or(Ok(Value::Null), |time| Ok(in_utc(time, inputs)?.into()))
}

/// The time in the normal form, or as it stands when it is none.
///
/// # Errors
/// When it has no offset, and the time zone that gives it a meaning cannot be resolved.
pub(super) fn in_utc(time: String, inputs: Inputs<'_>) -> Result<String> {
    let is_naive = parse(&time).is_some_and(|time| time.utc_offset_microseconds.is_none());
    let zone = if is_naive {
        inputs.time_zone.get()?
    } else {
        &TimeZone::Utc
    };
    Ok(to_utc_isoformat(&time, zone).unwrap_or(time))
}
