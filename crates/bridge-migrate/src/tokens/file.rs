//! The token file as the engine's companion file.

use bridge_migrate_core::{
    Companion, CompanionTable, Error, ErrorKind, Flaw, Inputs, Keep, Merged, Result, Side,
};
use bridge_migrate_sqlite::backup::read_companion;

use super::document::{Document, parse};
use super::{merge, stored::TABLES};

/// The format of the token file.
#[derive(Debug, Clone, Copy)]
pub struct TokenFile;

impl Companion for TokenFile {
    fn name(&self) -> &'static str {
        "token file"
    }

    fn check(&self, bytes: &[u8]) -> std::result::Result<(), Flaw> {
        parse(bytes).map(drop)
    }

    fn tables(&self) -> &'static [CompanionTable] {
        TABLES
    }

    fn revocations(&self) -> &'static [&'static str] {
        &["revoked_tokens"]
    }

    fn merge(&self, inputs: Inputs<'_>, keep: Keep, backup: &Side<'_>, present: &Side<'_>) -> Result<Merged> {
        merge::merge(inputs, keep, backup, present)
    }
}

/// Reads the token file; `None` when there is none.
///
/// # Errors
/// As [`read_companion`].
pub(super) fn read(inputs: Inputs<'_>) -> Result<Option<Document>> {
    let bytes = read_companion(&TokenFile, inputs.companion)?;
    let parsed = bytes.map(|bytes| parse(&bytes)).transpose();
    // It was whole a moment ago, in these very bytes.
    parsed.map_err(|flaw| Error::new(ErrorKind::CompanionInvalid, flaw.to_string()))
}
