//! The catalog as it was when 1.2.0 was the newest release: what tests say of single migrations stays true.

use bridge_migrate_core::{Catalog, ContractText, Migration, Release};

/// Its migrations, and what its servers run.
pub(crate) fn parts_at_1_2_0() -> (Vec<Migration>, Vec<ContractText>) {
    let newest = Release::new(1, 2, 0);
    let catalog = bridge_migrate::catalog().unwrap();
    let mut contracts = catalog.contracts().to_vec();
    contracts.retain(|contract| contract.release <= newest);
    let mut migrations = catalog.into_migrations();
    migrations.retain(|migration| migration.release <= newest);
    (migrations, contracts)
}

/// The catalog of these.
pub(crate) fn catalog_of((migrations, contracts): (Vec<Migration>, Vec<ContractText>)) -> Catalog {
    Catalog::new("Bridge", migrations)
        .unwrap()
        .with_contracts(contracts.into_iter().map(|file| (file.release, file.text)))
}
