//! `undo`: puts back single records that a data migration changed.

use bridge_migrate_core::Target;
use bridge_migrate_sqlite::undo::{UndoOptions, undo};

use crate::context::Context;
use crate::output::Failure;
use crate::render::undo::UndoReport;

/// Puts back single records that a data migration changed
///
/// Without --key and --where, all of them. A record that was edited since is a conflict: it is listed and left.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The migration: `5` or `V005`
    #[arg(value_parser = parse_migration)]
    migration: u32,
    /// Only the record with this key; may be given more than once
    #[arg(long = "key", value_name = "KEY", allow_hyphen_values = true)]
    keys: Vec<String>,
    /// Only records whose row meets this SQL condition over the table: "room_id = 'main'"
    #[arg(long = "where", value_name = "EXPR", allow_hyphen_values = true)]
    condition: Option<String>,
    /// Only shows the old and the new values
    #[arg(long)]
    dry_run: bool,
    /// Puts records back even if they were edited since
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<u8, Failure> {
    let options = UndoOptions {
        keys: arguments.keys.clone(),
        condition: arguments.condition.clone(),
        dry_run: arguments.dry_run,
        force: arguments.force,
    };
    let outcome = undo(
        &context.settings,
        arguments.migration,
        &options,
        &context.console(),
    )?;
    let report = UndoReport {
        dry_run: arguments.dry_run,
        outcome,
    };
    let changed = (!arguments.dry_run).then_some("The undo");
    super::done(context, &report, arguments.dry_run, changed)
}

/// A number of a migration; releases and distances name none.
pub(super) fn parse_migration(text: &str) -> Result<u32, String> {
    match Target::parse(text) {
        Ok(Target::Version(version)) if version > 0 => Ok(version),
        Ok(_) => Err("name one migration: 5 or V005".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_is_a_number() {
        assert_eq!(parse_migration("V005"), Ok(5));
        assert_eq!(parse_migration("5"), Ok(5));
        for text in ["0", "1.1.0", "-1", "latest", "five"] {
            assert!(parse_migration(text).is_err(), "{text}");
        }
    }
}
