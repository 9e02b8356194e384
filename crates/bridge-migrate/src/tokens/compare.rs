//! How the token file and the database differ, in numbers.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bridge_migrate_core::{Inputs, Result, TableRows};
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{file, import::in_utc, stored::Stored};

/// How the token file and the database differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Whether there is a token file; one that is missing counts as one without tokens.
    pub file_exists: bool,
    /// The tokens.
    pub tokens: Agreement,
    /// The revoked tokens.
    pub revoked: Agreement,
}

impl Comparison {
    /// Whether file and database contradict each other: an import mends it. Tokens that only the database has are no
    /// contradiction, since servers from 1.1.0 on need no file.
    pub fn is_contradiction(&self) -> bool {
        let revoked = self.revoked.only_in_file + self.revoked.only_in_database;
        self.tokens.differing + self.tokens.only_in_file + revoked > 0
    }

    /// Whether file and database say the same.
    pub fn is_equal(&self) -> bool {
        self.tokens.is_equal() && self.revoked.is_equal()
    }
}

/// Numbers of entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// In both, those that differ included.
    pub in_both: u64,
    /// In both, but with another client or expiry. Of revoked tokens nothing can differ.
    pub differing: u64,
    /// In the file only: an import would add them.
    pub only_in_file: u64,
    /// In the database only. An import adds the revocations to the file; a token itself is in no database.
    pub only_in_database: u64,
    /// On one side only, and no longer good for anything: expired or revoked, or, of revocations, of a token that the
    /// other side does not know. Servers remove them when they like.
    pub ended: u64,
}

impl Agreement {
    fn is_equal(&self) -> bool {
        self.differing == 0 && self.only_in_file == 0 && self.only_in_database == 0
    }
}

/// Compares the token file with the [tables](super::TokenFile) that hold its tokens; tells numbers only.
///
/// # Errors
/// [`ErrorKind::CompanionInvalid`](bridge_migrate_core::ErrorKind::CompanionInvalid) when the file cannot be read
/// as one, [`ErrorKind::SchemaMismatch`](bridge_migrate_core::ErrorKind::SchemaMismatch) when the database has no
/// such tables yet.
pub fn compare(tables: &[TableRows], inputs: Inputs<'_>) -> Result<Comparison> {
    let document = file::read(inputs)?;
    let file_exists = document.is_some();
    let document = document.unwrap_or_default();
    let stored = Stored::of(tables)?;
    let tokens = document
        .tokens
        .into_iter()
        .map(|(hash, token)| {
            let expires = token.expires_at.map(|time| in_utc(time, inputs));
            Ok((hash, (token.client_id, expires.transpose()?)))
        })
        .collect::<Result<BTreeMap<_, _>>>()?;
    let now = inputs.clock.now();
    Ok(Comparison {
        file_exists,
        tokens: compare_tokens(&stored, &tokens, &document.revoked, now),
        revoked: compare_revoked(&stored, &document.revoked, &tokens, now),
    })
}

type Known = (String, Option<String>);

fn compare_tokens(
    stored: &Stored<'_>,
    file: &BTreeMap<String, Known>,
    revoked: &BTreeSet<String>,
    now: DateTime<Utc>,
) -> Agreement {
    let mut agreement = Agreement::default();
    let mut seen = BTreeSet::new();
    let stored_revoked: HashSet<_> = stored.revoked.iter().map(|[hash, _]| hash).collect();
    for [key, client, _, expires_at] in &stored.tokens {
        let (hash, expires_at) = (key.as_text(), expires_at.as_text());
        let known = hash.and_then(|hash| file.get_key_value(hash));
        let Some((hash, (client_id, file_expires_at))) = known else {
            let has_ended = stored_revoked.contains(key) || hash.is_some_and(|hash| revoked.contains(hash));
            agreement.one_sided(has_ended || is_over(expires_at, now), Side::Database);
            continue;
        };
        seen.insert(hash.as_str());
        agreement.in_both += 1;
        let is_same =
            client.as_text() == Some(client_id.as_str()) && expires_at == file_expires_at.as_deref();
        agreement.differing += u64::from(!is_same);
    }
    for (hash, (_, expires_at)) in file.iter().filter(|(hash, _)| !seen.contains(hash.as_str())) {
        let has_ended = revoked.contains(hash) || is_over(expires_at.as_deref(), now);
        agreement.one_sided(has_ended, Side::File);
    }
    agreement
}

fn compare_revoked(
    stored: &Stored<'_>,
    file: &BTreeSet<String>,
    tokens: &BTreeMap<String, Known>,
    now: DateTime<Utc>,
) -> Agreement {
    let mut agreement = Agreement::default();
    let mut seen = BTreeSet::new();
    let stored_tokens = stored.tokens_by_hash();
    for [key, _] in &stored.revoked {
        match key.as_text().and_then(|hash| file.get(hash)) {
            Some(hash) => {
                seen.insert(hash.as_str());
                agreement.in_both += 1;
            }
            None => {
                let token = stored_tokens.get(key);
                let expires_at = token.and_then(|[.., expires_at]| expires_at.as_text());
                // Of a token that the file does not know, it says the same.
                let is_unknown = key.as_text().is_none_or(|hash| !tokens.contains_key(hash));
                agreement.one_sided(is_unknown || is_over(expires_at, now), Side::Database);
            }
        }
    }
    for hash in file.iter().filter(|hash| !seen.contains(hash.as_str())) {
        let expires_at = tokens.get(hash).and_then(|(_, expires_at)| expires_at.as_deref());
        agreement.one_sided(is_over(expires_at, now), Side::File);
    }
    agreement
}

enum Side {
    File,
    Database,
}

impl Agreement {
    fn one_sided(&mut self, has_ended: bool, side: Side) {
        match (has_ended, side) {
            (true, _) => self.ended += 1,
            (false, Side::File) => self.only_in_file += 1,
            (false, Side::Database) => self.only_in_database += 1,
        }
    }
}

/// Whether the time is past; one that cannot be read is not.
fn is_over(expires_at: Option<&str>, now: DateTime<Utc>) -> bool {
    expires_at
        .and_then(|text| DateTime::parse_from_rfc3339(text).ok())
        .is_some_and(|time| time < now)
}
