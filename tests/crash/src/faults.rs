//! Makes one operation of the disk fail, and looks at what the command says and leaves.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bridge_migrate_core::{Error, ErrorKind, Silent};

use rusqlite::Connection;

use crate::options::Options;
use crate::prover::{Prover, open};
use crate::scenario::Command;
use crate::truth::{Standing, content, first_difference};
use crate::watch::{Fault, Kind, Watching, codes};

/// What can fail, and whether it fails for good.
pub const FAULTS: [(&str, Kind, i32, bool); 9] = [
    ("ENOSPC in a write", Kind::Write, codes::ENOSPC, false),
    ("ENOSPC from a write on", Kind::Write, codes::ENOSPC, true),
    ("EIO in a write", Kind::Write, codes::EIO_WRITE, false),
    ("EIO in a sync", Kind::Sync, codes::EIO_SYNC, false),
    ("EIO in a truncation", Kind::Truncate, codes::EIO_TRUNCATE, false),
    ("EIO in a deletion", Kind::Delete, codes::EIO_DELETE, false),
    ("EIO in a read", Kind::Read, codes::EIO_READ, false),
    ("EACCES in an open", Kind::Open, codes::EACCES, false),
    ("EACCES from an open on", Kind::Open, codes::EACCES, true),
];

/// What was tried and what was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Faults that were injected, by what failed.
    pub injected: BTreeMap<&'static str, u64>,
    /// Runs that failed because of them; the others went on without what failed.
    pub refused: u64,
    /// What did not hold.
    pub failures: Vec<String>,
}

/// Lets operations of a scenario fail one by one: at most `cap` of each kind, or all of them.
pub fn inject(prover: &Prover, options: &Options, cap: u64) -> Findings {
    let mut findings = Findings::default();
    let place = prover.scenario.place();
    let watching = Watching::quietly(&place.database());
    prover.scenario.run(&place.database(), &Silent).unwrap();
    for (name, kind, code, lasting) in FAULTS {
        let count = watching.count(kind);
        let tries = if options.all { count } else { count.min(cap) };
        for index in 0..tries {
            // Evenly over all, and with another seed at other places; the first and the last in any case.
            let nth = match index {
                0 => 1,
                _ if index + 1 == tries => count,
                _ => 1 + (index * count + options.seed % count) / tries,
            };
            let fault = Fault {
                kind,
                code,
                nth,
                lasting,
            };
            *findings.injected.entry(name).or_default() += 1;
            match try_fault(prover, fault) {
                Ok(refused) => findings.refused += u64::from(refused),
                Err(wrong) => {
                    let scenario = prover.scenario.name();
                    let failure = format!("{scenario}: {name}, number {nth} of {count}: {wrong}");
                    findings.failures.push(failure);
                }
            }
        }
    }
    findings
}

/// Whether the command said that it failed.
fn try_fault(prover: &Prover, fault: Fault) -> Result<bool, String> {
    let scenario = &prover.scenario;
    let place = scenario.place();
    let database = place.database();
    let watching = Watching::failing(&database, fault);
    let result = catch_unwind(AssertUnwindSafe(|| scenario.run(&database, &Silent)))
        .map_err(|_| "the engine panics".to_owned())?;
    let injected = watching.injected();
    drop(watching);
    if injected == 0 {
        return Err("nothing failed".to_owned());
    }

    let _quiet = Watching::quietly(&database);
    let said = match &result {
        Ok(()) => "it says that all is well".to_owned(),
        Err(error) => format!("it says {:?}, {error}: {:?}", error.kind(), error.truth()),
    };
    let connection = open(&database)?;
    let standing = prover
        .truth
        .check(&connection)
        .map_err(|wrong| format!("{wrong}; {said}"))?;
    match &result {
        Ok(()) if standing.version == scenario.goal() => {
            let found = content(&connection);
            if found != prover.final_content {
                return Err(first_difference(&prover.final_content, &found));
            }
        }
        Err(error) if is_clear(error) && is_true(prover, error, standing, &connection) => {}
        _ => return Err(format!("{said}; the database is {standing:?}")),
    }
    drop(connection);
    prover
        .run_again(&place)
        .map_err(|wrong| format!("{said}; {wrong}"))?;
    Ok(result.is_err())
}

/// The kind of an error says what the disk did.
fn is_clear(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Io | ErrorKind::DiskFull | ErrorKind::Permission
    )
}

/// What an error says about the database is so.
fn is_true(prover: &Prover, error: &Error, standing: Standing, connection: &Connection) -> bool {
    let before = match prover.scenario.command {
        Command::Fresh | Command::Migrate | Command::Adopt => 0,
        // Records that are undone do not show in the version.
        Command::Undo => {
            let before = content(&Connection::open(prover.scenario.place().database()).unwrap());
            let reached = error.reached().map(|reached| reached.version);
            let is_changed = content(connection) != before;
            return reached == is_changed.then_some(standing.version);
        }
        Command::Rollback | Command::Restore => prover.scenario.catalog().last_version(),
    };
    match error.reached() {
        Some(reached) => standing.version == reached.version,
        None => standing.version == before && !standing.in_part,
    }
}
