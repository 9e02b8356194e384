//! The tool's own records against the history and the catalog: steps, runs and restore points.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::records::runs::{self, RecordedRun, RecordedStep};
use crate::records::way_back::WayBack;
use crate::schema::tool_tables;
use crate::sqlite::{ask::Ask, sqlite_error::SqliteContext};
use bridge_migrate_core::Result;

use super::{Context, codes, report::Report};

pub(super) fn check(context: &Context<'_>, report: &mut Report) -> Result<()> {
    if !tool_tables::exists(context.connection, tool_tables::HISTORY)? {
        return Ok(());
    }
    let applied = applied(context)?;
    for table in [tool_tables::STEPS, tool_tables::RUNS] {
        if !applied.is_empty() && !tool_tables::exists(context.connection, table)? {
            report.add(&codes::RECORD_MISSING, table, "the table is missing");
        }
    }
    if !tool_tables::exists(context.connection, tool_tables::STEPS)? {
        return Ok(());
    }
    let steps = runs::read_steps(context.connection)?;
    compare_with_history(&applied, &steps, report);
    for step in &steps {
        compare_with_catalog(context, step, report);
    }
    if tool_tables::exists(context.connection, tool_tables::RUNS)? {
        let runs = runs::read_runs(context.connection)?;
        check_runs(&steps, &runs, context.is_running, report);
        check_restore_point(&runs, report);
    }
    Ok(())
}

/// The names of the applied migrations. Rows that are not what refinery writes are the history's to tell of.
fn applied(context: &Context<'_>) -> Result<BTreeMap<u32, String>> {
    let rows: rusqlite::Result<Vec<(u32, String)>> = context.connection.rows(
        "SELECT version, name FROM refinery_schema_history \
             WHERE typeof(version) = 'integer' AND typeof(name) = 'text' AND version > 0",
        [],
        |row| {
            let version: i64 = row.get(0)?;
            let name = row.get_ref(1)?.as_bytes().map(String::from_utf8_lossy);
            Ok((
                u32::try_from(version).unwrap_or(u32::MAX),
                name.map(std::borrow::Cow::into_owned).unwrap_or_default(),
            ))
        },
    );
    Ok(rows.while_doing("read the history")?.into_iter().collect())
}

fn compare_with_history(applied: &BTreeMap<u32, String>, steps: &[RecordedStep], report: &mut Report) {
    let recorded: BTreeSet<u32> = steps.iter().map(|step| step.version).collect();
    for version in applied.keys().filter(|version| !recorded.contains(version)) {
        report.add(
            &codes::RECORD_MISSING,
            format!("V{version:03}"),
            format!(
                "it is in the history, but {} has no record of it",
                tool_tables::STEPS
            ),
        );
    }
    for step in steps {
        match applied.get(&step.version) {
            None => report.add(
                &codes::RECORD_MISSING,
                format!("V{:03}", step.version),
                format!(
                    "{} has a record of it, but the history does not",
                    tool_tables::STEPS
                ),
            ),
            Some(name) if *name != step.name => report.add(
                &codes::RECORD_DIFFERS,
                format!("V{:03}", step.version),
                "its record has another name than the history",
            ),
            Some(_) => {}
        }
    }
}

fn compare_with_catalog(context: &Context<'_>, step: &RecordedStep, report: &mut Report) {
    let Some(migration) = context.catalog.get(step.version) else {
        return;
    };
    let stem = format!("V{:03}", step.version);
    let pairs = [
        ("release", step.release == migration.release.to_string()),
        ("phase", step.phase == migration.phase.to_string()),
        (
            "kind of way back",
            WayBack::parse(&step.way_back).is_of(migration),
        ),
    ];
    for (what, _) in pairs.into_iter().filter(|(_, is_same)| !is_same) {
        report.add(
            &codes::RECORD_DIFFERS,
            stem.clone(),
            format!("its record has another {what} than this program"),
        );
    }
    if step.down_sql != migration.down {
        report.add(
            &codes::WAY_BACK_DIFFERS,
            stem,
            "the statements stored to take it back are not those of this program",
        );
    }
}

fn check_runs(steps: &[RecordedStep], runs: &[RecordedRun], is_running: bool, report: &mut Report) {
    for step in steps {
        if !runs.iter().any(|run| run.run == step.run) {
            report.add(
                &codes::RECORD_MISSING,
                format!("V{:03}", step.version),
                format!("{} has no record of the run that applied it", tool_tables::RUNS),
            );
        }
    }
    if let Some(run) = runs.last().filter(|run| run.finished_at.is_none() && !is_running) {
        report.add_with_fix(
            &codes::UNFINISHED,
            "last run",
            format!(
                "it stopped at V{:03} on its way from V{:03} to V{:03}",
                run.reached, run.from, run.to
            ),
            match run.command.as_str() {
                command @ ("migrate" | "rollback") => {
                    format!("see why with `log`, then go on with `{command} --to {}`", run.to)
                }
                _ => codes::UNFINISHED.fix.to_owned(),
            },
        );
    }
}

fn check_restore_point(runs: &[RecordedRun], report: &mut Report) {
    if let Some(manifest) = runs.last().and_then(|run| run.backup.as_deref())
        && !Path::new(manifest).exists()
    {
        let name = PathBuf::from(manifest)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        report.add(
            &codes::RESTORE_POINT_GONE,
            "last run",
            format!("the backup that it began with is gone: {name}"),
        );
    }
}
