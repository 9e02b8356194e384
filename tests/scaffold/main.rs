//! What `cargo xtask new-migration` writes compiles and works before anybody fills it in.
//!
//! The files here are its template, word for word; a test of xtask holds them to that.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

#[path = "V002__made_to_backfill.rs"]
mod backfill;
#[path = "V003__made_to_contract.rs"]
mod contract;
#[path = "V001__made_to_expand.rs"]
mod expand;

use bridge_migrate::authoring;
use bridge_migrate_core::{Catalog, Release};
use bridge_migrate_sqlite::lint::lint;
use rusqlite::Connection;

#[test]
fn a_new_schema_change_goes_up_and_back() {
    let migration = expand::migration().build(1, "made_to_expand", "", "").unwrap();
    let connection = Connection::open_in_memory().unwrap();
    let objects = || -> u32 {
        connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .unwrap()
    };
    for _ in 0..2 {
        connection.execute_batch(&migration.up).unwrap();
        assert!(objects() > 0);
        connection.execute_batch(&migration.down).unwrap();
        assert_eq!(objects(), 0);
    }
}

#[test]
fn a_new_data_migration_keeps_what_it_changes() {
    let migration = backfill::migration()
        .build(2, "made_to_backfill", "", "")
        .unwrap();
    let step = migration.data.unwrap();
    assert_eq!((step.table(), step.column()), ("rooms", "topic"));
    assert!(step.is_journaled());
}

#[test]
fn a_new_contract_migration_says_which_servers_it_ends() {
    let said = "What it is for.";
    let migrations = vec![
        expand::migration()
            .build(1, "made_to_expand", said, said)
            .unwrap(),
        contract::migration()
            .build(2, "made_to_contract", said, said)
            .unwrap(),
    ];
    assert_eq!(migrations[1].retires, Some(Release::new(1, 2, 0)));
    let catalog = Catalog::new("Scaffold", migrations).unwrap();
    assert_eq!(lint(&catalog).unwrap().findings, []);
}
