//! Which releases' servers may meet which schema.

use naming::{Phase, Release};

use bridge_migrate_core::Catalog;

/// The releases whose servers may work on the schema at `version`, oldest first.
///
/// While a release's migrations are applied, and after, servers of the release before it run; once the last
/// of them is applied, its own do too. A contract migration ends the releases up to the one that it retires.
/// The release before the first is that of no server.
pub fn served(catalog: &Catalog, version: u32) -> Vec<Release> {
    let Some(migration) = catalog.get(version) else {
        return Vec::new();
    };
    let releases = catalog.releases();
    let before = releases
        .iter()
        .rev()
        .find(|release| **release < migration.release)
        .copied();
    let own = catalog.ends_release(version).then_some(migration.release);
    let retired = catalog
        .migrations()
        .iter()
        .filter(|earlier| earlier.version <= version && earlier.phase == Phase::Contract)
        .filter_map(|earlier| earlier.retires)
        .max();
    before
        .into_iter()
        .chain(own)
        .filter(|release| retired < Some(*release))
        .collect()
}

/// Every version with every release that may meet it in a rolling update.
pub fn served_pairs(catalog: &Catalog) -> Vec<(u32, Release)> {
    catalog
        .migrations()
        .iter()
        .flat_map(|migration| {
            served(catalog, migration.version)
                .into_iter()
                .map(|release| (migration.version, release))
        })
        .collect()
}
