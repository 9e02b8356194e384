//! Commands that only read.

use rubbish::ground::{Files, LATEST, ORIGINAL};

use crate::commands::Command;
use crate::damage::some;
use crate::proving::prove;

fn prove_all(sound: &Files, commands: &[Command], ways: usize) {
    for (turn, command) in commands.iter().enumerate() {
        prove(*command, sound, &some(&sound.database, turn, ways));
    }
}

#[test]
fn looks_at_a_damaged_1_0_0_change_nothing_and_say_what_is_wrong() {
    use Command::{BackupCreate, Checklist, Doctor, Plan, SchemaShow, Status, Wait};
    prove_all(
        &ORIGINAL,
        &[Status, Plan, Wait, SchemaShow, Doctor, Checklist, BackupCreate],
        1,
    );
}

#[test]
fn looks_at_a_damaged_1_2_0_change_nothing_and_say_what_is_wrong() {
    use Command::{BackupCreate, Doctor, History, RollbackPlan, SchemaShow, Status, UndoPreview, Verify};
    prove_all(
        &LATEST,
        &[
            Status,
            History,
            SchemaShow,
            Verify,
            Doctor,
            RollbackPlan,
            UndoPreview,
            BackupCreate,
        ],
        1,
    );
}

#[test]
fn a_rehearsal_on_a_damaged_database_leaves_it_alone() {
    let damages = some(&ORIGINAL.database, 2, 1);
    let sample: Vec<_> = damages.into_iter().step_by(2).collect();
    prove(Command::Rehearse, &ORIGINAL, &sample);
}
