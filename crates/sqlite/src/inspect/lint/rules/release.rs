//! The phases of a release, and the releases that end.

use naming::Phase;

use super::super::{Found, Linted, Place};

pub(super) fn phase_order(linted: &Linted<'_>) -> Vec<Found> {
    let migration = linted.migration;
    let Some(before) = migration
        .version
        .checked_sub(1)
        .and_then(|version| linted.catalog.get(version))
    else {
        return Vec::new();
    };
    if before.release != migration.release || before.phase <= migration.phase {
        return Vec::new();
    }
    vec![Found::error(
        "BM105",
        Place::Whole,
        format!(
            "it is of phase {}, and comes after {} of phase {} in the same release: `migrate --phase {}` stops \
             before it",
            migration.phase,
            before.stem(),
            before.phase,
            migration.phase
        ),
        "order a release's migrations: expand, backfill, contract",
    )]
}

pub(super) fn retirement(linted: &Linted<'_>) -> Vec<Found> {
    let migration = linted.migration;
    let (message, fix) = match (migration.phase, migration.retires) {
        (Phase::Contract, None) => (
            "it is of phase contract, and does not say which servers it ends".to_owned(),
            "name the last release that no longer works: `.retires(\"1.0.0\")`".to_owned(),
        ),
        (Phase::Contract, Some(retired)) if retired >= migration.release => (
            format!(
                "it ends servers of {retired}, and belongs to {} itself",
                migration.release
            ),
            "name a release before its own".to_owned(),
        ),
        (Phase::Expand | Phase::Backfill, Some(retired)) => (
            format!(
                "it is of phase {}, in which all servers go on working, and ends those of {retired}",
                migration.phase
            ),
            "make it a contract migration, or take `.retires` out".to_owned(),
        ),
        _ => return Vec::new(),
    };
    vec![Found::error("BM108", Place::Whole, message, fix)]
}
