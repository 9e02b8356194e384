//! What `verify` can find: the stable code of each kind of finding, how bad it is, and what to do.

use bridge_migrate_core::Severity;

/// One kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// The stable code.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What to do about it; words in backticks are commands of the tool.
    pub fix: &'static str,
}

const fn code(code: &'static str, severity: Severity, fix: &'static str) -> Code {
    Code { code, severity, fix }
}

use Severity::{Error, Note, Warning};

const RESTORE: &str = "stop the server and put the newest sound backup back: `restore latest --dry-run`";

/// Pages, or what is on them, are not what SQLite wrote.
pub(crate) const DAMAGED: Code = code("BV101", Error, RESTORE);
/// A part could not be read, so that nothing is known of it.
pub(crate) const UNREADABLE: Code = code("BV102", Error, RESTORE);
/// A row contradicts a constraint of its table.
pub(crate) const CONSTRAINT: Code = code(
    "BV103",
    Error,
    "correct the rows, then run `verify` again; a program wrote them with checks turned off",
);
/// Whether indexes agree with their tables cannot be seen where the application brings their order.
pub(crate) const UNORDERED: Code = code(
    "BV104",
    Warning,
    "nothing has to be done: the rest was looked at; the application's own SQLite can run integrity_check",
);
/// Rows without their parent.
pub(crate) const ORPHANS: Code = code(
    "BV105",
    Warning,
    "nothing has to be done: migrations tolerate old orphans and refuse new ones",
);
/// A foreign key that SQLite cannot check.
pub(crate) const FOREIGN_KEY_MISMATCH: Code = code(
    "BV106",
    Warning,
    "the parent columns need a primary key or a unique index",
);
/// A key through which rows are replaced without the triggers on DELETE, which see to it that nothing of them is lost.
pub(crate) const REPLACES_UNSEEN: Code = code(
    "BV107",
    Warning,
    "make it an index that is not unique, or let no program write to the table with OR REPLACE",
);
/// The schema differs from what the history implies.
pub const DRIFT: Code = code(
    "BV110",
    Error,
    "see both sides with `schema diff`, then undo the change or write a migration for it",
);
/// Not managed yet.
pub(crate) const NOT_MANAGED: Code = code("BV111", Note, "`migrate` takes it into management");
/// Not managed, and not the schema of any version.
pub const UNRECOGNIZED: Code = code(
    "BV112",
    Error,
    "`adopt` says what stands in the way, and what mends it",
);
/// A row of the history is not what refinery writes, or a row of the other records not what the tool writes.
pub(crate) const HISTORY_DAMAGED: Code = code("BV120", Error, RESTORE);
/// An applied migration is another one in this program.
pub(crate) const DIVERGENT: Code = code(
    "BV121",
    Error,
    "use the program that applied it; a released migration never changes",
);
/// A migration was never applied, but a later one was.
pub(crate) const GAP: Code = code("BV122", Error, RESTORE);
/// Migrations beyond this program's.
pub(crate) const NEWER: Code = code(
    "BV123",
    Error,
    "use the newer program, or go back with `rollback --dry-run`",
);
/// An applied migration without its record, or a record without its migration.
pub(crate) const RECORD_MISSING: Code = code("BV124", Error, RESTORE);
/// A record that contradicts history or catalog.
pub(crate) const RECORD_DIFFERS: Code = code("BV125", Error, RESTORE);
/// The stored way back is not this program's.
pub(crate) const WAY_BACK_DIFFERS: Code = code(
    "BV126",
    Warning,
    "a rollback runs the stored statements: read them with `rollback --to -1 --dry-run`",
);
/// `schema_version` does not say what the history says.
pub const RELEASE_CONTRADICTS: Code =
    code("BV127", Error, "`repair` writes its rows as the history has them");
/// A row of `schema_version` that no complete release explains.
pub(crate) const RELEASE_UNKNOWN: Code = code("BV128", Warning, "remove the row that was filled in by hand");
/// Something on the tool's own tables, or in their place, that could change other rows when the tool writes them.
pub(crate) const FOREIGN_ON_OWN: Code = code(
    "BV129",
    Error,
    "find out who made it and remove it; nothing is migrated while it is there",
);
/// Journal rows do not add up.
pub(crate) const JOURNAL_DIFFERS: Code = code(
    "BV130",
    Error,
    "do not roll that migration back by its journal; the backup of its run has the old values: see what putting it \
     back would lose with `rollback --strategy restore --dry-run`",
);
/// The journal was pruned.
pub(crate) const JOURNAL_PRUNED: Code = code(
    "BV131",
    Note,
    "single records of it can no longer be undone; a backup has the old values",
);
/// A column that a finished data step filled has rows without a value again.
pub(crate) const NOT_FILLED: Code = code(
    "BV132",
    Warning,
    "servers of an older release wrote them; end those servers, then fill the rows",
);
/// A table has fewer rows than in the backup of the last run.
pub(crate) const FEWER_ROWS: Code = code(
    "BV133",
    Note,
    "servers may have removed them; compare with the backup if they should not have",
);
/// A data step or a way back stopped on the way.
pub(crate) const INTERRUPTED: Code = code(
    "BV140",
    Warning,
    "run `migrate` or `rollback` again: it goes on there; `repair` says which",
);
/// A run did not reach its end.
pub(crate) const UNFINISHED: Code = code("BV141", Warning, "see why with `log`, then run it again");
/// A transaction that a crash left to be rolled back.
pub(crate) const HOT_SIDECAR: Code = code(
    "BV142",
    Warning,
    "start the server or run `migrate`; copy the database only together with the files beside it",
);
/// A file beside the database or a backup that does not belong to it.
pub(crate) const STALE_SIDECAR: Code = code(
    "BV143",
    Warning,
    "with no program running on it, move the file away: SQLite would apply it to a database it is not of",
);
/// What a killed run left.
pub(crate) const ABANDONED: Code = code("BV144", Note, "`repair` removes it");
/// A backup that cannot be restored.
pub(crate) const BACKUP_INCOMPLETE: Code = code(
    "BV145",
    Warning,
    "look at it with `backup list`; it cannot be restored",
);
/// The backup that the last run began with is gone.
pub(crate) const RESTORE_POINT_GONE: Code = code(
    "BV146",
    Warning,
    "make a new one with `backup create`; the run cannot be taken back by restoring",
);
/// A migration is running.
pub(crate) const RUNNING: Code = code("BV147", Note, "run `verify` again when it is done");
/// A backup of which nobody can tell whether it can be restored.
pub(crate) const BACKUP_UNREADABLE: Code = code(
    "BV148",
    Warning,
    "give this user the right to read it, or look at the disk; until then it is neither restored nor pruned",
);

#[cfg(test)]
mod tests {
    #[test]
    fn every_kind_has_a_code_of_its_own_in_order() {
        let (text, _) = include_str!("codes.rs").split_once("mod tests").unwrap();
        let kinds = text.split("Code = code(").skip(1);
        let codes: Vec<&str> = kinds
            .filter_map(|kind| kind.trim_start().strip_prefix('"')?.get(..5))
            .collect();
        assert_eq!(codes[0], "BV101");
        assert!(codes.is_sorted_by(|one, next| one < next), "{codes:?}");
        assert!(codes.iter().all(|code| code.starts_with("BV1")), "{codes:?}");
    }
}
