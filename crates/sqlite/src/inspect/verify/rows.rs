//! What can still be told of the conservation ledger afterwards: the journal, filled columns, row counts.

use crate::backup::{self, Manifest};
use crate::records::runs::{self, RecordedStep};
use crate::records::{state::Progress, way_back::WayBack};
use crate::schema::{ObjectKind, expected, tool_tables};
use crate::sqlite::{ask::Ask, count::count_rows, quote::identifier, sqlite_error::SqliteContext};
use bridge_migrate_core::{Result, RowChangeKind};

use super::{Context, codes, report::Report};

pub(super) fn check(context: &Context<'_>, report: &mut Report) -> Result<()> {
    if !tool_tables::exists(context.connection, tool_tables::STEPS)? {
        return Ok(());
    }
    let steps = runs::read_steps(context.connection)?;
    let progress = Progress::read(context.connection)?.map(|progress| progress.version);
    let outcome = journal(context, &steps, progress, report);
    report.absorb(tool_tables::JOURNAL, outcome)?;
    // Of a step that is on its way, up or back, some rows are there and some are not.
    for step in steps.iter().filter(|step| progress != Some(step.version)) {
        let outcome = filled(context, step, report);
        report.absorb(&format!("V{:03}", step.version), outcome)?;
    }
    against_backup(context, report)
}

fn journal(
    context: &Context<'_>,
    steps: &[RecordedStep],
    progress: Option<u32>,
    report: &mut Report,
) -> Result<()> {
    let journaled = |step: &&RecordedStep| matches!(WayBack::parse(&step.way_back), WayBack::Journal { .. });
    let has_journal = tool_tables::exists(context.connection, tool_tables::JOURNAL)?;
    if !has_journal {
        if let Some(step) = steps.iter().filter(journaled).find(|step| step.rows_changed > 0) {
            report.add(
                &codes::JOURNAL_DIFFERS,
                format!("V{:03}", step.version),
                format!("the table {} is missing", tool_tables::JOURNAL),
            );
        }
        return Ok(());
    }
    let doing = "read the journal";
    let runs = runs::read_runs(context.connection)?;
    for step in steps
        .iter()
        .filter(journaled)
        .filter(|step| progress != Some(step.version))
    {
        let WayBack::Journal { table, column, .. } = WayBack::parse(&step.way_back) else {
            continue;
        };
        let (all, elsewhere): (u64, u64) = context
            .connection
            .query_row(
                "SELECT count(*), count(*) FILTER (WHERE table_name IS NOT ?2 OR column_name IS NOT ?3) \
                 FROM migration_affected_records WHERE migration = ?1",
                (step.version, &table, &column),
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .while_doing(doing)?;
        let stem = format!("V{:03}", step.version);
        if elsewhere > 0 {
            report.add(
                &codes::JOURNAL_DIFFERS,
                stem.clone(),
                format!("{elsewhere} of its journal rows are of another table or column"),
            );
        }
        let was_pruned = runs
            .iter()
            .any(|run| run.command == "log prune" && run.started_at >= step.applied_at);
        if all < step.rows_changed && (all == 0 || was_pruned) {
            report.add(
                &codes::JOURNAL_PRUNED,
                stem,
                match all {
                    0 => format!("it changed {} rows, and its journal is empty", step.rows_changed),
                    all => format!(
                        "it changed {} rows, and {all} are left in its journal",
                        step.rows_changed
                    ),
                },
            );
        } else if all != step.rows_changed {
            report.add(
                &codes::JOURNAL_DIFFERS,
                stem,
                format!("it changed {} rows, and its journal has {all}", step.rows_changed),
            );
        }
    }
    strangers(context, steps, progress, report)
}

/// Journal rows of migrations that are neither applied nor on their way.
fn strangers(
    context: &Context<'_>,
    steps: &[RecordedStep],
    progress: Option<u32>,
    report: &mut Report,
) -> Result<()> {
    let doing = "read the journal";
    let migrations: rusqlite::Result<Vec<(i64, u64)>> = context.connection.rows(
        "SELECT CAST(migration AS INTEGER), count(*) FROM migration_affected_records GROUP BY 1",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    );
    for (migration, rows) in migrations.while_doing(doing)? {
        let is_known = u32::try_from(migration).is_ok_and(|version| {
            progress == Some(version) || steps.iter().any(|step| step.version == version)
        });
        if !is_known {
            report.add(
                &codes::JOURNAL_DIFFERS,
                tool_tables::JOURNAL,
                format!("{rows} of its rows are of migration {migration}, which is not applied"),
            );
        }
    }
    Ok(())
}

/// A column that a finished data step filled has a value in each row that has a key.
fn filled(context: &Context<'_>, step: &RecordedStep, report: &mut Report) -> Result<()> {
    let Some(data) = context
        .catalog
        .get(step.version)
        .and_then(|migration| migration.data.as_ref())
        .filter(|data| !data.is_journaled())
    else {
        return Ok(());
    };
    let has_columns = [data.key(), data.column()].into_iter().all(|column| {
        context
            .connection
            .column_exists(Some("main"), data.table(), column)
            .unwrap_or(false)
    });
    // A missing column is drift.
    if !has_columns {
        return Ok(());
    }
    let empty: u64 = context
        .connection
        .value(
            &format!(
                "SELECT count(*) FROM {} WHERE {} IS NULL AND {} IS NOT NULL",
                identifier(data.table()),
                identifier(data.column()),
                identifier(data.key())
            ),
            [],
        )
        .while_doing(format_args!("count the rows of {}", data.table()))?;
    if empty > step.rows_skipped {
        let plural = if empty == 1 { "row has" } else { "rows have" };
        report.add(
            &codes::NOT_FILLED,
            format!("{}.{}", data.table(), data.column()),
            format!(
                "{empty} {plural} no value, although V{:03} gave every row one",
                step.version
            ),
        );
    }
    Ok(())
}

/// Rows that left since the last run began. Which of them a server removed cannot be known.
fn against_backup(context: &Context<'_>, report: &mut Report) -> Result<()> {
    let Some(run) = runs::last_run(context.connection)? else {
        return Ok(());
    };
    let Some(manifest_path) = run.backup.as_deref() else {
        return Ok(());
    };
    let is_it = |manifest: &Manifest| manifest.run.as_ref() == Some(&run.run);
    let manifest = match backup::find_again(context.settings, manifest_path.as_ref(), is_it) {
        Ok(backup) => backup.and_then(|backup| backup.manifest),
        Err(error) => {
            report.add(
                &codes::BACKUP_UNREADABLE,
                backup::lossy_name(manifest_path.as_ref()),
                backup::unreadable(&error),
            );
            None
        }
    };
    let Some(manifest) = manifest else {
        return Ok(());
    };
    let schema = expected::read(context.connection)?;
    let may_lose = |table: &str| {
        context
            .catalog
            .migrations()
            .iter()
            .filter(|migration| migration.version > run.from.min(run.reached))
            .flat_map(|migration| &migration.row_changes)
            .any(|change| change.kind == RowChangeKind::Removes && change.table.eq_ignore_ascii_case(table))
    };
    for (table, then) in &manifest.database.contents.tables {
        let is_counted = !tool_tables::is_tool_table(table)
            && schema.get(ObjectKind::Table, table).is_some()
            && !may_lose(table);
        if !is_counted {
            continue;
        }
        match count_rows(context.connection, table) {
            Ok(now) if now < *then => report.add(
                &codes::FEWER_ROWS,
                table.clone(),
                format!("it has {now} rows, and had {then} when the last run began"),
            ),
            Ok(_) => {}
            outcome => report.absorb(table, outcome.map(drop))?,
        }
    }
    Ok(())
}
