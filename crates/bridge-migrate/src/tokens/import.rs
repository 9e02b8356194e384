//! The rows that the token file makes.

use bridge_migrate_core::catalog::{Import, ImportedRows};
use bridge_migrate_core::clock;
use bridge_migrate_core::error::Result;
use bridge_migrate_core::rusqlite::types::Value;
use bridge_migrate_core::settings::Settings;
use bridge_migrate_core::time_zone::TimeZone;

use super::file;
use crate::timestamps::to_utc_isoformat;

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
        &["auth_tokens", "revoked_tokens"]
    }

    fn read(&self, settings: &Settings) -> Result<Vec<ImportedRows>> {
        let Some(document) = file::read(&settings.companion)? else {
            return Ok(Vec::new());
        };
        let zone = &settings.time_zone;
        let tokens = document.tokens.into_iter().map(|(hash, token)| {
            vec![
                Value::Text(hash),
                Value::Text(token.client_id),
                time_value(token.created_at, zone),
                time_value(token.expires_at, zone),
            ]
        });
        let now = time_value(Some(clock::timestamp(settings.clock.now())), &TimeZone::Utc);
        let revoked = document
            .revoked
            .into_iter()
            .map(|hash| vec![Value::Text(hash), now.clone()]);
        Ok(vec![
            ImportedRows {
                table: "auth_tokens",
                columns: &["token_hash", "client_id", "created_at", "expires_at"],
                rows: tokens.collect(),
            },
            ImportedRows {
                table: "revoked_tokens",
                columns: &["token_hash", "revoked_at"],
                rows: revoked.collect(),
            },
        ])
    }
}

fn time_value(time: Option<String>, zone: &TimeZone) -> Value {
    time.map_or(Value::Null, |time| Value::Text(in_utc(time, zone)))
}

/// The time in the normal form, or as it stands when it is none.
pub(super) fn in_utc(time: String, zone: &TimeZone) -> String {
    to_utc_isoformat(&time, zone).unwrap_or(time)
}
