//! Contract statements: what the servers of each release run, which a schema must still serve.
//!
//! During a rolling update servers of two releases work on one database. Each migration is checked against
//! what both of them run: every statement is executed, with values, in a transaction that is rolled back.

mod breach;
mod parse;
mod reach;
mod replace;
mod run;
mod served;
mod values;

use naming::Release;
use rusqlite::types::Value;

pub use parse::ContractError;
pub use run::check;
pub use served::{served, served_pairs};

pub(crate) use breach::Breach;
pub(crate) use reach::target;
pub(crate) use run::{breaches, known_schema};

use bridge_migrate_core::{Catalog, Error, ErrorKind, Hint, Result};

/// What servers of one release run besides, or instead of, what those of the release before run.
#[derive(Debug, Clone, PartialEq)]
pub struct Contract {
    /// The release.
    pub release: Release,
    /// How its servers have `PRAGMA foreign_keys`.
    pub foreign_keys: bool,
    /// The statements that are new in this release or changed with it.
    pub statements: Vec<ContractStatement>,
    /// The names of statements that its servers no longer run.
    pub gone: Vec<String>,
}

/// One statement that a server runs.
#[derive(Debug, Clone, PartialEq)]
pub struct ContractStatement {
    /// What it is known by; a later release that changes it uses the same name.
    pub name: String,
    /// What the server does with it, in a sentence.
    pub purpose: String,
    /// The statement, without its `;`.
    pub sql: String,
    /// The values for its parameters; it runs once for each row of them.
    pub runs: Vec<Vec<Value>>,
    /// How many rows each run must change, triggers not counted.
    pub changes: Option<u64>,
    /// The columns that the server takes by name from the rows that come back.
    pub reads: Vec<String>,
}

impl Contract {
    /// Reads the text of a contract, whose format the first contract of the Bridge describes at its top.
    ///
    /// # Errors
    /// What is wrong, and in which line.
    pub fn parse(release: Release, text: &str) -> Result<Self, ContractError> {
        parse::parse(release, text)
    }
}

/// All that servers of a release run, in order, and how they have foreign keys; none when the catalog does not say.
pub(crate) fn statements_of(
    catalog: &Catalog,
    release: Release,
) -> Result<Option<(bool, Vec<ContractStatement>)>> {
    if catalog.contract(release).is_none() {
        return Ok(None);
    }
    let mut foreign_keys = false;
    let mut statements: Vec<ContractStatement> = Vec::new();
    for file in catalog.contracts().iter().filter(|file| file.release <= release) {
        let contract = Contract::parse(file.release, &file.text).map_err(|source| {
            Error::new(
                ErrorKind::CatalogInvalid,
                format!("contracts/{}.sql: {source}", file.release),
            )
            .with_hint(Hint::CheckMigrations)
        })?;
        foreign_keys = contract.foreign_keys;
        statements.retain(|statement| !contract.gone.contains(&statement.name));
        for statement in contract.statements {
            match statements.iter_mut().find(|known| known.name == statement.name) {
                Some(known) => *known = statement,
                None => statements.push(statement),
            }
        }
    }
    Ok(Some((foreign_keys, statements)))
}
