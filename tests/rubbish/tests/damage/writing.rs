//! Commands that change the database.

use rubbish::ground::{LATEST, ORIGINAL};

use crate::commands::Command;
use crate::damage::some;
use crate::proving::prove;

#[test]
fn a_damaged_database_is_migrated_without_loss_or_not_at_all() {
    prove(Command::Migrate, &ORIGINAL, &some(&ORIGINAL.database, 0, 6));
}

#[test]
fn a_damaged_database_is_migrated_without_a_backup_and_without_loss_or_not_at_all() {
    prove(
        Command::MigrateWithoutBackup,
        &ORIGINAL,
        &some(&ORIGINAL.database, 0, 6),
    );
}

#[test]
fn a_damaged_database_is_adopted_without_loss_or_not_at_all() {
    prove(Command::Adopt, &ORIGINAL, &some(&ORIGINAL.database, 0, 6));
}

#[test]
fn a_damaged_database_goes_back_without_loss_or_not_at_all() {
    prove(Command::Rollback, &LATEST, &some(&LATEST.database, 4, 3));
}

#[test]
fn records_of_a_damaged_database_are_put_back_without_loss_or_not_at_all() {
    prove(Command::Undo, &LATEST, &some(&LATEST.database, 0, 6));
}
