//! The catalog of the Bridge: every file of `migrations/`, which the build script lists.

use bridge_migrate_core::{Catalog, Release, Result};

use crate::authoring::Definition;
use crate::tokens::TokenFile;

include!(concat!(env!("OUT_DIR"), "/registry.rs"));
include!(concat!(env!("OUT_DIR"), "/contracts.rs"));

/// The application whose databases these migrations are for.
const APPLICATION: &str = "Claude Multi-Agent Bridge";

/// Tables that old servers may never have created, and create at their next start.
const SERVER_CREATED_TABLES: &[&str] = &["tasks", "code_executions", "channels"];

/// Tables made from the token file: what stands in them stays between the server and its clients.
const SECRET_TABLES: &[&str] = &["auth_tokens", "revoked_tokens"];

/// A file of `migrations/`: what the build script read from it, and what it says in Rust.
struct Registered {
    version: u32,
    name: &'static str,
    summary: &'static str,
    rollback: &'static str,
    allowed: &'static [(&'static str, &'static str)],
    definition: Definition,
}

/// All migrations of the Bridge.
///
/// # Errors
/// [`CatalogInvalid`](bridge_migrate_core::ErrorKind::CatalogInvalid) when a migration contradicts
/// itself; the tests of this crate see to it that none does.
pub fn catalog() -> Result<Catalog> {
    let migrations = registry()
        .into_iter()
        .map(|file| {
            let mut migration =
                file.definition
                    .build(file.version, file.name, file.summary, file.rollback)?;
            migration.allowed = file
                .allowed
                .iter()
                .map(|(code, reason)| ((*code).to_owned(), (*reason).to_owned()))
                .collect();
            Ok(migration)
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Catalog::new(APPLICATION, migrations)?
        .with_server_created_tables(SERVER_CREATED_TABLES)
        .with_secret_tables(SECRET_TABLES)
        .with_companion(&TokenFile)
        .with_contracts(CONTRACTS.iter().copied()))
}
