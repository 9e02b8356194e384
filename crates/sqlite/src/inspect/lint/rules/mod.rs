//! The rules, one file for each family, and the list of their codes.

mod batches;
mod columns;
mod control;
mod expand;
mod foreign_keys;
mod indexes;
mod old_sqlite;
mod quoting;
mod rebuild;
mod rebuild_rows;
mod release;
mod row_counts;
pub(super) mod run;
pub(super) mod served;
mod working;

use super::{Found, Linted, Rule};
use bridge_migrate_core::Result;

/// Every code, in order. Each has a page in `docs/lints/` with a bad and a good example.
pub const RULES: &[Rule] = &[
    rule("BM101", "does not run on the schema before it"),
    rule("BM102", "no way back"),
    rule("BM103", "the way back does not undo the migration"),
    rule("BM104", "no Rollback section"),
    rule("BM105", "phases of a release out of order"),
    rule("BM106", "a finding is allowed without a reason"),
    rule("BM107", "a finding is allowed that is not there"),
    rule("BM108", "what a contract migration ends"),
    rule("BM109", "an undeclared change of a row count"),
    rule("BM201", "a NOT NULL column without a default"),
    rule("BM202", "a rebuild where ALTER TABLE can do it"),
    rule("BM203", "a rebuild that loses indexes, triggers or views"),
    rule("BM204", "a rebuild that loses constraints"),
    rule("BM205", "a rebuild that loses the sequence mark"),
    rule("BM206", "DROP TABLE that fires the actions of foreign keys"),
    rule("BM207", "foreign keys that follow a table renamed away"),
    rule("BM208", "UPDATE or DELETE outside a data step"),
    rule("BM209", "dropping or renaming before the contract phase"),
    rule("BM210", "an index over existing rows"),
    rule("BM211", "a default that differs each time"),
    rule("BM212", "a foreign key without an index"),
    rule("BM213", "a name or a text in the wrong quotes"),
    rule("BM214", "transactions, pragmas and files"),
    rule("BM215", "IF EXISTS and IF NOT EXISTS"),
    rule("BM216", "the tool's own tables, and temporary objects"),
    rule("BM217", "a schema that an older SQLite cannot read"),
    rule("BM218", "a view or trigger that no longer works"),
    rule("BM219", "a rebuild that loses values"),
    rule("BM220", "a rebuild with a new key"),
    rule("BM301", "a server's statement no longer compiles"),
    rule("BM302", "a constraint refuses what a server writes"),
    rule("BM303", "a trigger refuses what a server writes"),
    rule("BM304", "a server's statement changes another number of rows"),
    rule("BM305", "a column that a server reads is gone"),
    rule("BM306", "a column that INSERT OR REPLACE sets back"),
    rule("BM307", "a server's write removes rows of another table"),
    rule("BM308", "a release without contract statements"),
];

type SchemaRule = fn(&Linted<'_>) -> Result<Vec<Found>>;

const fn rule(code: &'static str, title: &'static str) -> Rule {
    Rule { code, title }
}

/// What the statements' text shows, whether they run or not.
pub(super) fn of_text(linted: &Linted<'_>) -> Vec<Found> {
    [
        run::no_way_back,
        run::no_rollback_section,
        release::phase_order,
        release::retirement,
        batches::rows_outside_a_data_step,
        control::control,
        control::guards,
        control::foreign_objects,
        quoting::spelling,
    ]
    .into_iter()
    .flat_map(|rule| rule(linted))
    .collect()
}

/// What the schema before and after shows, in the order of the codes.
pub(super) fn of_schema(linted: &Linted<'_>) -> Result<Vec<Found>> {
    let rules: [SchemaRule; 18] = [
        run::does_not_undo,
        row_counts::undeclared,
        columns::not_null_without_default,
        rebuild::unneeded,
        rebuild::lost_objects,
        rebuild::lost_constraints,
        rebuild_rows::lost_sequence,
        rebuild_rows::fired_actions,
        rebuild_rows::followed_away,
        expand::dropped_too_early,
        indexes::locks,
        columns::different_each_time,
        foreign_keys::without_index,
        quoting::strings_in_double_quotes,
        old_sqlite::too_new,
        working::broken,
        rebuild::lost_values,
        rebuild::new_keys,
    ];
    let mut found = Vec::new();
    for rule in rules {
        found.extend(rule(linted)?);
    }
    Ok(found)
}
