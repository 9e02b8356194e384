//! The catalog: every migration that a program carries, validated once.

mod companion;
mod data_step;
mod migration;
mod rows;

use std::{borrow::Cow, collections::BTreeSet};

use naming::{Release, Target};

pub(crate) use companion::AnyBytes;
pub use companion::{Companion, EntryCounts, Flaw, Inputs, Merged, Side};
pub use data_step::{ChainRoots, DataStep, Rewrite, Rewritten};
pub use migration::{Import, Migration, RowChange, RowChangeKind};
pub use rows::{CompanionTable, TableRows, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::hint::Hint;

/// All migrations compiled into a program, in order and without gaps from 1.
#[derive(Debug)]
pub struct Catalog {
    application: &'static str,
    migrations: Vec<Migration>,
    server_created_tables: &'static [&'static str],
    secret_tables: &'static [&'static str],
    companion: &'static dyn Companion,
    contracts: Vec<ContractText>,
}

/// What servers of one release run besides, or instead of, what those of the release before run: a file of SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractText {
    /// The release.
    pub release: Release,
    /// The file's text.
    pub text: Cow<'static, str>,
}

impl Catalog {
    /// Checks the migrations and takes them in.
    ///
    /// # Errors
    /// When numbers are not 1, 2, 3, …, when releases go backwards, when a migration has nothing to do,
    /// or when one mixes schema changes with a batched data step (they could not be one transaction).
    pub fn new(application: &'static str, migrations: Vec<Migration>) -> Result<Self> {
        let mut names = BTreeSet::new();
        let mut last_release = None;
        for (index, migration) in migrations.iter().enumerate() {
            let invalid = |why: String| {
                Err(Error::new(
                    ErrorKind::CatalogInvalid,
                    format!("migration {}: {why}", migration.stem()),
                )
                .with_hint(Hint::CheckMigrations))
            };
            if usize::try_from(migration.version).ok() != Some(index + 1) {
                return invalid(format!("expected number {}", index + 1));
            }
            if !names.insert(migration.name.as_str()) {
                return invalid("its name is used twice".to_owned());
            }
            if last_release > Some(migration.release) {
                return invalid(format!("release {} comes after a later one", migration.release));
            }
            let changes_schema = !migration.up.is_empty() || migration.import.is_some();
            if changes_schema == migration.data.is_some() {
                return invalid(
                    "it needs either schema changes or a data step, not both, not neither".to_owned(),
                );
            }
            last_release = Some(migration.release);
        }
        Ok(Self {
            application,
            migrations,
            server_created_tables: &[],
            secret_tables: &[],
            companion: &AnyBytes,
            contracts: Vec::new(),
        })
    }

    /// Tables that the application's server creates itself at its next start when they are missing:
    /// adoption may create them too.
    #[must_use]
    pub fn with_server_created_tables(mut self, tables: &'static [&'static str]) -> Self {
        self.server_created_tables = tables;
        self
    }

    /// Tables with values that no report may show.
    #[must_use]
    pub fn with_secret_tables(mut self, tables: &'static [&'static str]) -> Self {
        self.secret_tables = tables;
        self
    }

    /// The format of the companion file.
    #[must_use]
    pub fn with_companion(mut self, companion: &'static dyn Companion) -> Self {
        self.companion = companion;
        self
    }

    /// What the servers of each release run; lint and rehearsal see to it that the schema serves them.
    #[must_use]
    pub fn with_contracts<T: Into<Cow<'static, str>>>(
        mut self,
        contracts: impl IntoIterator<Item = (Release, T)>,
    ) -> Self {
        self.contracts = contracts
            .into_iter()
            .map(|(release, text)| ContractText {
                release,
                text: text.into(),
            })
            .collect();
        self.contracts.sort_by_key(|contract| contract.release);
        self
    }

    /// What the servers of each release run, oldest release first.
    pub fn contracts(&self) -> &[ContractText] {
        &self.contracts
    }

    /// What the servers of one release run, when that is known.
    pub fn contract(&self, release: Release) -> Option<&ContractText> {
        self.contracts.iter().find(|contract| contract.release == release)
    }

    /// The application whose databases these migrations are for.
    pub fn application(&self) -> &'static str {
        self.application
    }

    /// All migrations, in order.
    pub fn migrations(&self) -> &[Migration] {
        &self.migrations
    }

    /// The migrations, for a catalog that is made from another.
    pub fn into_migrations(self) -> Vec<Migration> {
        self.migrations
    }

    /// Tables that adoption may create.
    pub fn server_created_tables(&self) -> &'static [&'static str] {
        self.server_created_tables
    }

    /// Whether no report may show a value of the table.
    pub fn is_secret_table(&self, table: &str) -> bool {
        self.secret_tables
            .iter()
            .any(|secret| secret.eq_ignore_ascii_case(table))
    }

    /// The format of the companion file.
    pub fn companion(&self) -> &'static dyn Companion {
        self.companion
    }

    /// The migration with this number.
    pub fn get(&self, version: u32) -> Option<&Migration> {
        let index = usize::try_from(version).ok()?.checked_sub(1)?;
        self.migrations.get(index)
    }

    /// The number of the last migration; 0 for an empty catalog.
    pub fn last_version(&self) -> u32 {
        self.migrations.last().map_or(0, |migration| migration.version)
    }

    /// The release that is complete at `version`: that of the last migration up to it that ends a release.
    pub fn release_at(&self, version: u32) -> Option<Release> {
        self.migrations
            .iter()
            .filter(|migration| migration.version <= version && self.ends_release(migration.version))
            .map(|migration| migration.release)
            .next_back()
    }

    /// Whether the migration is the last of its release.
    pub fn ends_release(&self, version: u32) -> bool {
        match (self.get(version), self.get(version + 1)) {
            (Some(migration), Some(next)) => migration.release != next.release,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    /// The releases, oldest first.
    pub fn releases(&self) -> Vec<Release> {
        let mut releases: Vec<_> = self
            .migrations
            .iter()
            .map(|migration| migration.release)
            .collect();
        releases.dedup();
        releases
    }

    /// The version that a target names, seen from `current`.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownTarget`] when the catalog has no such migration or release.
    pub fn resolve(&self, target: Target, current: u32) -> Result<u32> {
        let last = self.last_version();
        let version = match target {
            Target::Latest => Some(last),
            Target::Version(version) => (version <= last).then_some(version),
            Target::Release(release) => self
                .migrations
                .iter()
                .filter(|migration| migration.release == release)
                .map(|migration| migration.version)
                .next_back(),
            Target::Back(steps) => current.checked_sub(steps),
            Target::Forward(steps) => current.checked_add(steps).filter(|version| *version <= last),
        };
        version.ok_or_else(|| {
            let releases: Vec<_> = self.releases().iter().map(Release::to_string).collect();
            Error::new(ErrorKind::UnknownTarget, format!("there is no migration or release `{target}`"))
                .with_truth(format!(
                    "This program knows migrations V001 to V{last:03} and the releases {}; the database is at V{current:03}.",
                    releases.join(", ")
                ))
                .with_hint(Hint::Plan)
        })
    }
}
