//! Drift, object by object.

use crate::plan::adoption::{Adoption, AdoptionOptions};
use crate::plan::drift;
use crate::records::state::State;
use crate::schema::{Object, ObjectKind, expected, render_diff, tool_tables};
use bridge_migrate_core::{ErrorKind, Position, Result};

use super::{Context, codes, report::Report};

pub(super) fn check(context: &Context<'_>, report: &mut Report) -> Result<()> {
    let state = match State::read(context.connection) {
        Ok(state) => state,
        // The look at the history tells of every row.
        Err(error) if error.kind() == ErrorKind::HistoryDamaged => return Ok(()),
        Err(error) => return Err(error),
    };
    if state.history.is_none() {
        not_managed(context, &state, report)?;
    }
    let foreign = tool_tables::foreign(context.connection)?;
    for difference in drift::find(context.catalog, context.connection, &state)? {
        let code = if foreign.contains(&difference) {
            &codes::FOREIGN_ON_OWN
        } else {
            &codes::DRIFT
        };
        let text = render_diff(std::slice::from_ref(&difference));
        let fix = match difference.mended_by() {
            // A column comes back so, but not what was in it.
            _ if tool_tables::lacks(&difference).is_some() && foreign.contains(&difference) => {
                codes::RESTORE.to_owned()
            }
            Some(sql) if !difference.mending_loses() => format!("mend it with `{sql}`, or see `schema diff`"),
            _ => code.fix.to_owned(),
        };
        report.add_with_fix(code, difference.subject(), text.trim_end(), fix);
    }
    replacing_keys(context, &state, report)
}

/// SQLite runs no trigger on DELETE for a row that OR REPLACE takes away, unless a connection asks for recursive ones,
/// and the triggers of a migration know the keys of their time only.
fn replacing_keys(context: &Context<'_>, state: &State, report: &mut Report) -> Result<()> {
    let words =
        |sql: &str| -> Vec<String> { sql.to_lowercase().split_whitespace().map(str::to_owned).collect() };
    let runs_on_delete = |table: &str| {
        let on_table = |trigger: &&Object| trigger.table.eq_ignore_ascii_case(table);
        let mut triggers = state.schema.of_kind(ObjectKind::Trigger).filter(on_table);
        triggers.any(|trigger| {
            words(&trigger.sql)
                .windows(2)
                .any(|pair| pair == ["delete", "on"])
        })
    };
    let is_unique = |index: &&Object| words(&index.sql).get(1).is_some_and(|word| word == "unique");
    let mut keys = state
        .schema
        .of_kind(ObjectKind::Index)
        .filter(is_unique)
        .peekable();
    if keys.peek().is_none() {
        return Ok(());
    }
    let expected = expected::schema_at(context.catalog, state.version())?;
    for key in keys {
        if expected.get(ObjectKind::Index, &key.name).is_none() && runs_on_delete(&key.table) {
            let text = format!(
                "OR REPLACE takes rows of {} away by it, unseen by triggers on DELETE",
                key.table
            );
            report.add(&codes::REPLACES_UNSEEN, &key.name, text);
        }
    }
    Ok(())
}

fn not_managed(context: &Context<'_>, state: &State, report: &mut Report) -> Result<()> {
    if state.is_fresh() {
        report.add(&codes::NOT_MANAGED, "database", "there is nothing in it yet");
        return Ok(());
    }
    let expected = expected::schemas(context.catalog)?;
    match Adoption::find(
        context.catalog,
        &expected,
        state,
        AdoptionOptions::default(),
        &context.settings.database,
    ) {
        Ok(adoption) => report.add(
            &codes::NOT_MANAGED,
            "database",
            format!(
                "it is not managed yet; its schema is that of {}",
                Position::of(context.catalog, adoption.version)
            ),
        ),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::SchemaMismatch | ErrorKind::ForeignDatabase
            ) =>
        {
            report.add(&codes::UNRECOGNIZED, "database", error.message());
        }
        Err(error) if error.kind() == ErrorKind::Newer => {
            report.add(&codes::NEWER, "schema_version", error.message());
        }
        Err(error) => return Err(error),
    }
    Ok(())
}
