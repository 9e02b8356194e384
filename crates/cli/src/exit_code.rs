//! The table from what happened to the program's exit code.

use bridge_migrate_core::{Error, ErrorKind};

/// Done, or nothing to do.
pub(crate) const DONE: u8 = 0;
/// Refused or failed, and nothing is changed.
pub(crate) const FAILED: u8 = 1;
/// Wrong use.
pub(crate) const WRONG_USE: u8 = 2;
/// Failed after some steps were committed.
pub(crate) const FAILED_ON_THE_WAY: u8 = 3;
/// Another process holds the migration lock past the timeout, or a wait ended in vain.
pub(crate) const LOCKED: u8 = 4;
/// The database is newer than this program.
pub(crate) const NEWER: u8 = 5;
/// Verification found damage, drift or divergence.
pub(crate) const DAMAGED: u8 = 6;
/// `status --exit-code` with migrations pending.
pub(crate) const PENDING: u8 = 10;

/// The exit code of a failure.
pub(crate) fn of(error: &Error) -> u8 {
    if error.reached().is_some() {
        FAILED_ON_THE_WAY
    } else {
        of_kind(error.kind())
    }
}

fn of_kind(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Usage | ErrorKind::UnknownTarget => WRONG_USE,
        ErrorKind::Locked | ErrorKind::Timeout => LOCKED,
        ErrorKind::Newer => NEWER,
        ErrorKind::Corrupt
        | ErrorKind::HistoryDamaged
        | ErrorKind::Divergent
        | ErrorKind::Drift
        | ErrorKind::VerificationFailed => DAMAGED,
        ErrorKind::Missing
        | ErrorKind::NotADatabase
        | ErrorKind::ForeignDatabase
        | ErrorKind::ForeignFile
        | ErrorKind::Permission
        | ErrorKind::DiskFull
        | ErrorKind::Io
        | ErrorKind::Sqlite
        | ErrorKind::OutOfMemory
        | ErrorKind::Busy
        | ErrorKind::SchemaMismatch
        | ErrorKind::ConservationViolated
        | ErrorKind::ForeignKeyViolated
        | ErrorKind::CompanionInvalid
        | ErrorKind::NotConvertible
        | ErrorKind::BackupInvalid
        | ErrorKind::NotReversible
        | ErrorKind::ConfirmationNeeded
        | ErrorKind::ReceiptInvalid
        | ErrorKind::CatalogInvalid => FAILED,
        // A kind that a later engine adds: nothing more is known than that it failed.
        _ => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use bridge_migrate_core::Reached;

    use super::*;

    #[test]
    fn scripts_tell_failures_apart_by_the_exit_code() {
        for (kind, code) in [
            (ErrorKind::DiskFull, 1),
            (ErrorKind::SchemaMismatch, 1),
            (ErrorKind::BackupInvalid, 1),
            (ErrorKind::Usage, 2),
            (ErrorKind::UnknownTarget, 2),
            (ErrorKind::Locked, 4),
            (ErrorKind::Timeout, 4),
            (ErrorKind::Newer, 5),
            (ErrorKind::Corrupt, 6),
            (ErrorKind::Drift, 6),
            (ErrorKind::HistoryDamaged, 6),
            (ErrorKind::Divergent, 6),
            (ErrorKind::VerificationFailed, 6),
        ] {
            assert_eq!(of(&Error::new(kind, "")), code, "{kind:?}");
        }
    }

    #[test]
    fn whatever_failed_a_run_that_committed_steps_ends_with_three() {
        for kind in [ErrorKind::DiskFull, ErrorKind::Busy, ErrorKind::Divergent] {
            let error = Error::new(kind, "").with_reached(Reached {
                version: 3,
                release: None,
            });
            assert_eq!(of(&error), FAILED_ON_THE_WAY);
        }
    }
}
