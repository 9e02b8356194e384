//! Drift, object by object.

use crate::adoption::{Adoption, AdoptionOptions};
use crate::drift;
use crate::error::{ErrorKind, Result};
use crate::expected;
use crate::position::Position;
use crate::schema::render_diff;
use crate::state::State;
use crate::tool_tables;

use super::report::Report;
use super::{Subject, codes};

pub(super) fn check(subject: &Subject<'_>, report: &mut Report) -> Result<()> {
    let state = match State::read(subject.connection) {
        Ok(state) => state,
        // The look at the history tells of every row.
        Err(error) if error.kind() == ErrorKind::HistoryDamaged => return Ok(()),
        Err(error) => return Err(error),
    };
    if state.history.is_none() {
        not_managed(subject, &state, report)?;
    }
    let foreign = tool_tables::foreign(subject.connection)?;
    for difference in drift::find(subject.catalog, subject.connection, &state)? {
        let code = if foreign.contains(&difference) {
            &codes::FOREIGN_ON_OWN
        } else {
            &codes::DRIFT
        };
        let text = render_diff(std::slice::from_ref(&difference));
        let fix = match difference.mended_by() {
            Some(sql) if !difference.mending_loses() => format!("mend it with `{sql}`, or see `schema diff`"),
            _ => code.fix.to_owned(),
        };
        report.add_with_fix(code, difference.subject(), text.trim_end(), fix);
    }
    Ok(())
}

fn not_managed(subject: &Subject<'_>, state: &State, report: &mut Report) -> Result<()> {
    if state.is_fresh() {
        report.add(&codes::NOT_MANAGED, "database", "there is nothing in it yet");
        return Ok(());
    }
    let expected = expected::schemas(subject.catalog)?;
    match Adoption::find(
        subject.catalog,
        &expected,
        state,
        AdoptionOptions::default(),
        &subject.settings.database,
    ) {
        Ok(adoption) => report.add(
            &codes::NOT_MANAGED,
            "database",
            format!(
                "it is not managed yet; its schema is that of {}",
                Position::of(subject.catalog, adoption.version)
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
