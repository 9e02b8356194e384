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

macro_rules! codes {
    ($($(#[$doc:meta])* $shown:vis $name:ident: $code:literal $severity:ident $fix:expr;)*) => {
        $($(#[$doc])* $shown const $name: Code =
            Code { code: $code, severity: Severity::$severity, fix: $fix };)*

        #[cfg(test)]
        const ALL: &[Code] = &[$($name),*];
    };
}

/// What to do where only a backup has what is right.
pub const RESTORE: &str = "stop the server and put the newest sound backup back: `restore latest --dry-run`";

codes! {
    /// Pages, or what is on them, are not what SQLite wrote.
    pub(crate) DAMAGED: "BV101" Error RESTORE;
    /// A part could not be read, so that nothing is known of it.
    pub(crate) UNREADABLE: "BV102" Error RESTORE;
    /// A row contradicts a constraint of its table.
    pub(crate) CONSTRAINT: "BV103" Error
        "correct the rows, then run `verify` again; a program wrote them with checks turned off";
    /// Whether indexes agree with their tables, and rows with constraints, cannot be seen where only the application knows how.
    pub(crate) UNORDERED: "BV104" Warning
        "nothing has to be done: the rest was looked at; the application's own SQLite can run integrity_check";
    /// Rows without their parent.
    pub(crate) ORPHANS: "BV105" Warning "nothing has to be done: migrations tolerate old orphans and refuse new ones";
    /// A foreign key that SQLite cannot check.
    pub(crate) FOREIGN_KEY_MISMATCH: "BV106" Warning "the parent columns need a primary key or a unique index";
    /// A key through which rows are replaced without the triggers on DELETE, which see to it that nothing of them is lost.
    pub(crate) REPLACES_UNSEEN: "BV107" Warning
        "make it an index that is not unique, or let no program write to the table with OR REPLACE";
    /// The schema differs from what the history implies.
    pub DRIFT: "BV110" Error
        "see both sides with `schema diff`, then undo the change or write a migration for it";
    /// Not managed yet.
    pub(crate) NOT_MANAGED: "BV111" Note "`migrate` takes it into management";
    /// Not managed, and not the schema of any version.
    pub UNRECOGNIZED: "BV112" Error "`adopt` says what stands in the way, and what mends it";
    /// A row of the history is not what refinery writes, or a row of the other records not what the tool writes.
    pub(crate) HISTORY_DAMAGED: "BV120" Error RESTORE;
    /// An applied migration is another one in this program.
    pub(crate) DIVERGENT: "BV121" Error "use the program that applied it; a released migration never changes";
    /// A migration was never applied, but a later one was.
    pub(crate) GAP: "BV122" Error RESTORE;
    /// Migrations beyond this program's.
    pub(crate) NEWER: "BV123" Error "use the newer program, or go back with `rollback --dry-run`";
    /// An applied migration without its record, or a record without its migration.
    pub(crate) RECORD_MISSING: "BV124" Error RESTORE;
    /// A record that contradicts history or catalog.
    pub(crate) RECORD_DIFFERS: "BV125" Error RESTORE;
    /// The stored way back is not this program's.
    pub(crate) WAY_BACK_DIFFERS: "BV126" Warning
        "a rollback runs the stored statements: read them with `rollback --to -1 --dry-run`";
    /// `schema_version` does not say what the history says.
    pub RELEASE_CONTRADICTS: "BV127" Error "`repair` writes its rows as the history has them";
    /// A row of `schema_version` that no complete release explains.
    pub(crate) RELEASE_UNKNOWN: "BV128" Warning "remove the row that was filled in by hand";
    /// Something on the tool's own tables, or in their place, that could change other rows when the tool writes them.
    pub(crate) FOREIGN_ON_OWN: "BV129" Error "find out who made it and remove it; nothing is migrated while it is there";
    /// Journal rows do not add up.
    pub(crate) JOURNAL_DIFFERS: "BV130" Error
        "do not roll that migration back by its journal; the backup of its run has the old values: see what putting it \
        back would lose with `rollback --strategy restore --dry-run`";
    /// The journal was pruned.
    pub(crate) JOURNAL_PRUNED: "BV131" Note "single records of it can no longer be undone; a backup has the old values";
    /// A column that a finished data step filled has rows without a value again.
    pub(crate) NOT_FILLED: "BV132" Warning
        "servers of an older release wrote them; end those servers, then fill the rows";
    /// A table has fewer rows than in the backup of the last run.
    pub(crate) FEWER_ROWS: "BV133" Note "servers may have removed them; compare with the backup if they should not have";
    /// A data step or a way back stopped on the way.
    pub(crate) INTERRUPTED: "BV140" Warning "run `migrate` or `rollback` again: it goes on there; `repair` says which";
    /// A run did not reach its end.
    pub(crate) UNFINISHED: "BV141" Warning "see why with `log`, then run it again";
    /// A transaction that a crash left to be rolled back.
    pub(crate) HOT_SIDECAR: "BV142" Warning
        "start the server or run `migrate`; copy the database only together with the files beside it";
    /// A file beside the database or a backup that does not belong to it.
    pub(crate) STALE_SIDECAR: "BV143" Warning
        "with no program running on it, move the file away: SQLite would apply it to a database it is not of";
    /// What a killed run left.
    pub(crate) ABANDONED: "BV144" Note "`repair` removes it";
    /// A backup that cannot be restored.
    pub(crate) BACKUP_INCOMPLETE: "BV145" Warning "look at it with `backup list`; it cannot be restored";
    /// The backup that the last run began with is gone.
    pub(crate) RESTORE_POINT_GONE: "BV146" Warning
        "make a new one with `backup create`; the run cannot be taken back by restoring";
    /// A migration is running.
    pub(crate) RUNNING: "BV147" Note "run `verify` again when it is done";
    /// A backup of which nobody can tell whether it can be restored.
    pub(crate) BACKUP_UNREADABLE: "BV148" Warning
        "give this user the right to read it, or look at the disk; until then it is neither restored nor pruned";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_code_of_its_own_in_order_and_says_what_to_do() {
        assert!(ALL.windows(2).all(|pair| pair[0].code < pair[1].code));
        for code in ALL {
            assert!(
                code.code.starts_with("BV1") && code.code.len() == 5,
                "{}",
                code.code
            );
            assert!(!code.fix.is_empty(), "{}", code.code);
        }
    }
}
