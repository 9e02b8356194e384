//! Runs a command on damaged databases and checks what must hold of each answer.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bridge_migrate_core::{Error, ErrorKind, Result};
use bridge_migrate_sqlite::History;
use rubbish::ground::{Files, Place};
use support::proof;

use crate::commands::Command;
use crate::damage::Damage;
use crate::look::look;

/// A hundred times what a command takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The kinds of errors that may be said of a damaged database.
const KINDS: [ErrorKind; 11] = [
    ErrorKind::Corrupt,
    ErrorKind::NotADatabase,
    ErrorKind::ForeignDatabase,
    ErrorKind::Newer,
    ErrorKind::HistoryDamaged,
    ErrorKind::Divergent,
    ErrorKind::SchemaMismatch,
    ErrorKind::ConservationViolated,
    ErrorKind::BackupInvalid,
    ErrorKind::NotReversible,
    ErrorKind::VerificationFailed,
];

/// What the answers were.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) tried: u64,
    pub(crate) done: u64,
    pub(crate) refused: BTreeMap<String, u64>,
    failures: Vec<String>,
}

impl Tally {
    /// Prints the counts.
    ///
    /// # Panics
    /// When something failed.
    pub(crate) fn prove(self, what: &str) {
        let mut answers = vec![format!("{} succeeded", self.done)];
        answers.extend(self.refused.iter().map(|(kind, times)| format!("{times} {kind}")));
        proof::count(
            self.tried,
            "damaged files",
            format_args!("{what}: {}", answers.join(", ")),
        );
        let shown: Vec<&String> = self.failures.iter().take(8).collect();
        assert!(
            self.failures.is_empty(),
            "{} failures of {what}, among them: {shown:#?}",
            self.failures.len()
        );
    }

    /// Takes in the answer of one run.
    pub(crate) fn note(&mut self, name: &str, answer: std::result::Result<Result<()>, String>) {
        self.tried += 1;
        match answer {
            Ok(Ok(())) => self.done += 1,
            Ok(Err(error)) => {
                *self.refused.entry(format!("{:?}", error.kind())).or_default() += 1;
                if !KINDS.contains(&error.kind()) || error.message().is_empty() {
                    self.failures.push(format!("{name}: {:?}: {error}", error.kind()));
                }
            }
            Err(why) => self.failures.push(format!("{name}: {why}")),
        }
    }

    pub(crate) fn fail(&mut self, why: String) {
        self.failures.push(why);
    }
}

/// Runs a command on copies of the database with each damage.
pub(crate) fn prove(command: Command, sound: &Files, damages: &[Damage]) {
    let mut tally = Tally::default();
    for damage in damages {
        let Some(bytes) = damage.of(&sound.database) else {
            continue;
        };
        let place = sound.place();
        fs::write(place.database(), &bytes).unwrap();
        let name = format!("{command:?} of {damage:?}");
        let before = (!command.only_reads()).then(|| look(place.database()));
        let settings = place.settings.clone();
        let answer = in_time(move || command.run(&settings));
        let error = answer.as_ref().ok().and_then(|answer| answer.as_ref().err());
        let is_done = matches!(answer, Ok(Ok(())));
        if let Err(why) = check_file(&place, &bytes, command, error) {
            tally.fail(format!("{name}: {why}"));
        }
        if let (Some(before), true) = (
            before,
            is_done || error.is_some_and(|error| error.reached().is_some()),
        ) {
            let after = look(place.database());
            if before.is_sound && !after.is_sound {
                tally.fail(format!("{name}: it was sound before"));
            }
            if let Some(row) = before.lost_in(&after) {
                tally.fail(format!("{name}: a row is lost: {row}"));
            }
        }
        let overlooked = match command {
            Command::Verify => is_done && !look(place.database()).is_sound,
            Command::BackupCreate => is_done && !look(place.database()).is_sound_but_for_indexes,
            _ => false,
        };
        if overlooked {
            tally.fail(format!("{name}: the damage was overlooked"));
        }
        if fs::read(&place.settings.companion).unwrap() != sound.tokens {
            tally.fail(format!("{name}: the token file is another"));
        }
        tally.note(&name, answer);
    }
    tally.prove(&format!("{command:?}"));
}

/// A command that was refused, or only reads, leaves the file as it was; one that failed on the way says where it is.
fn check_file(
    place: &Place,
    before: &[u8],
    command: Command,
    error: Option<&Error>,
) -> std::result::Result<(), String> {
    if let Some(reached) = error.and_then(Error::reached) {
        let version = version(place.database());
        return if version == Some(reached.version) {
            Ok(())
        } else {
            Err(format!("it says V{:03} and is at {version:?}", reached.version))
        };
    }
    let is_same = fs::read(place.database()).unwrap() == before;
    match (is_same, error, command.only_reads()) {
        (true, ..) | (_, None, false) => Ok(()),
        (false, Some(error), _) => Err(format!("refused and changed: {:?}: {error}", error.kind())),
        (false, None, true) => Err("a look changed the file".to_owned()),
    }
}

fn version(path: &Path) -> Option<u32> {
    let history =
        bridge_migrate_sqlite::connection::with_reader(path, Duration::ZERO, |reader| History::read(reader));
    Some(history.ok()??.version())
}

/// Runs on another thread, so that a panic and a hang are answers too.
pub(crate) fn in_time<T: Send + 'static>(
    run: impl FnOnce() -> T + Send + 'static,
) -> std::result::Result<T, String> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let answer = catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                .unwrap_or_else(|| "a panic without words".to_owned())
        });
        // Nobody waits any more when it took too long.
        let _ = send.send(answer);
    });
    match receive.recv_timeout(PATIENCE) {
        Ok(answer) => answer.map_err(|text| format!("panicked: {text}")),
        Err(_) => Err("hangs".to_owned()),
    }
}

#[test]
fn a_panic_and_an_error_are_told_apart() {
    assert_eq!(in_time(|| 1), Ok(1));
    let panicked = in_time(|| {
        if std::hint::black_box(true) {
            panic!("at the disco")
        }
    });
    assert_eq!(panicked, Err("panicked: at the disco".to_owned()));
}
