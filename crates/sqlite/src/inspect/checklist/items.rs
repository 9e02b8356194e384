//! The items that the engine answers from what it knows of the database: backup, way back, plan, lock, time.

use chrono::{DateTime, TimeDelta, Utc};

use crate::files::lock;
use crate::plan::{Start, receipt::Receipt};
use crate::records::{runs, way_back::WayBack};
use crate::sqlite::ask::Ask;
use bridge_migrate_core::clock::{for_people, timestamp};
use bridge_migrate_core::{ErrorKind, Hint, Result, disk};

use super::{Answer, Answered, Context, failed, ok, warning};

/// A backup made longer ago says little of what is in the database now.
const FRESH_HOURS: i64 = 24;
/// Clocks of machines that keep time differ by less.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(5);

pub(super) fn backup(context: &Context<'_>) -> Answered {
    if context.plan.as_ref().is_ok_and(|plan| plan.start == Start::Fresh) {
        return ok("there is nothing in the database yet");
    }
    let status = context.status.as_ref()?;
    let Some(backup) = &status.last_backup else {
        return failed("there is no complete backup", Hint::BackupCreate);
    };
    let name = backup.database.file_name().unwrap_or_default().to_string_lossy();
    let version = backup.manifest.as_ref().and_then(|manifest| manifest.version);
    let position = version.map_or_else(
        || "of a database that is not managed".to_owned(),
        |version| format!("at V{version:03}"),
    );
    if version.is_some_and(|version| version != status.position.version) {
        return warning(
            format!("{name} is {position}, and the database is at {}", status.position),
            Hint::BackupCreate,
        );
    }
    let Some(stamp) = backup.stamp else {
        return ok(format!("{name}, {position}"));
    };
    let age = context.settings.clock.now() - stamp.time();
    let hours = age.num_hours();
    if hours >= FRESH_HOURS {
        return warning(
            format!("{name}, {position}, was made {hours} hours ago"),
            Hint::BackupCreate,
        );
    }
    ok(format!("{name}, {position}, made {hours} hours ago"))
}

pub(super) fn rehearsal(context: &Context<'_>) -> Answered {
    by_receipt(context, |receipt| match receipt {
        Ok(Some(receipt)) => Ok(named(receipt)),
        Ok(None) => Err("there is no receipt of a rehearsal".to_owned()),
        Err(error) => Err(error.message().to_owned()),
    })
}

pub(super) fn contracts(context: &Context<'_>) -> Answered {
    by_receipt(context, |receipt| match receipt {
        Ok(Some(receipt)) if !receipt.served.is_empty() => Ok(format!(
            "the statements of {}: {}",
            receipt.served.join(", "),
            named(receipt)
        )),
        _ => Err("the statements of the servers were not run against the new schema".to_owned()),
    })
}

fn named(receipt: &Receipt) -> String {
    format!("receipt {} of {}", receipt.id, for_people(&receipt.created_at))
}

/// What a rehearsal's receipt says: the evidence, or what is missing.
fn by_receipt(
    context: &Context<'_>,
    says: impl FnOnce(&Result<Option<Receipt>>) -> std::result::Result<String, String>,
) -> Answered {
    match context.plan.as_ref()? {
        plan if plan.is_empty() => ok("no migration is pending"),
        plan if plan.start == Start::Fresh => ok("there is nothing in the database yet"),
        _ => match says(&context.receipt) {
            Ok(evidence) => ok(evidence),
            Err(missing) => failed(missing, Hint::Rehearse(None)),
        },
    }
}

pub(super) fn rollback(context: &Context<'_>) -> Answered {
    let plan = context.plan.as_ref()?;
    let mut without = Vec::new();
    for step in &plan.steps {
        let Some(migration) = context.catalog.get(step.version) else {
            continue;
        };
        let has_way = WayBack::of(migration) != WayBack::Statements || !migration.down.trim().is_empty();
        if migration.rollback.trim().is_empty() {
            without.push(format!("{} has no rollback text", step.stem));
        }
        if !has_way {
            without.push(format!("{} has no way back", step.stem));
        }
    }
    if !without.is_empty() {
        return failed(
            without.join("; "),
            "write the section and the statements of its migration",
        );
    }
    match plan.steps.len() {
        0 => ok("no migration is pending"),
        steps => ok(format!(
            "each of the {steps} pending migrations says what going back loses and how it is done"
        )),
    }
}

pub(super) fn version(context: &Context<'_>) -> Answered {
    let last = context.catalog.last_version();
    let Some(release) = context.catalog.release_at(last) else {
        return failed("this program has no migrations", "use another build");
    };
    if let Err(error) = &context.plan
        && error.kind() == ErrorKind::Newer
    {
        return Err(error.into());
    }
    ok(format!(
        "{} ends at release {release} (V{last:03})",
        context.settings.tool
    ))
}

pub(super) fn plan(context: &Context<'_>) -> Answered {
    let plan = context.plan.as_ref()?;
    let status = context.status.as_ref()?;
    if let Some(difference) = status.drift.first() {
        let more = status.drift.len() - 1;
        return failed(
            format!("the schema has drifted: {difference} (and {more} more)"),
            Hint::SchemaDiff,
        );
    }
    if let Some(progress) = &status.interrupted {
        return warning(
            format!("V{:03} was interrupted and will go on", progress.version),
            Hint::Migrate,
        );
    }
    if let Some(over) = plan.steps.iter().find_map(|step| {
        let why = step.over_budget.as_ref()?;
        Some(format!(
            "{} holds the write lock for about {} ms: {why}",
            step.stem, step.lock_ms
        ))
    }) {
        return warning(over, "migrate while few people write");
    }
    ok(match plan.steps.len() {
        0 => format!("nothing is pending; the database is at {}", plan.from),
        steps => format!("{steps} migrations lead from {} to {}", plan.from, plan.to),
    })
}

pub(super) fn disk(context: &Context<'_>) -> Answered {
    let needed = context.plan.as_ref()?.disk_space;
    let mut evidence = Vec::new();
    for share in needed.shares(context.settings, "the migration") {
        let folder = std::path::absolute(&share.folder).unwrap_or(share.folder);
        let needed = disk::size(share.bytes);
        match disk::available(&folder) {
            Ok(free) if free < share.bytes => {
                return failed(
                    format!(
                        "{needed} needed and {} free in {}",
                        disk::size(free),
                        folder.display()
                    ),
                    "free some space, or put the backup on another disk with --backup-dir",
                );
            }
            Ok(free) => evidence.push(format!(
                "{needed} needed and {} free in {}",
                disk::size(free),
                folder.display()
            )),
            Err(error) => return Err(Answer::from(&error)),
        }
    }
    ok(evidence.join(", "))
}

pub(super) fn lock(context: &Context<'_>) -> Answered {
    match lock::current_holder(&context.settings.database) {
        None => ok("nobody holds it"),
        Some(holder) => failed(
            format!(
                "process {} on {} holds it since {} ({})",
                holder.pid,
                holder.host,
                for_people(&holder.since),
                holder.command
            ),
            Hint::Wait,
        ),
    }
}

pub(super) fn journal_mode(context: &Context<'_>) -> Answered {
    let Some(reader) = context.reader else {
        return ok("there is no database yet");
    };
    let encoding: rusqlite::Result<String> = reader.setting("encoding");
    let encoding = encoding.unwrap_or_else(|_| "an unknown encoding".to_owned());
    if reader.is_wal() {
        ok(format!("write-ahead log, {encoding}: it stays so"))
    } else {
        ok(format!(
            "rollback journal, {encoding}: writers wait while a step commits"
        ))
    }
}

pub(super) fn clock(context: &Context<'_>) -> Answered {
    let now = context.settings.clock.now();
    let is_future = |time: &DateTime<Utc>| *time > now + CLOCK_TOLERANCE;
    let mut latest: Option<(DateTime<Utc>, &str)> = None;
    let mut consider = |text: &str, what: &'static str| {
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            let time = time.with_timezone(&Utc);
            if latest.is_none_or(|(known, _)| time > known) {
                latest = Some((time, what));
            }
        }
    };
    if let Some(reader) = context.reader {
        for run in runs::read_runs(reader).unwrap_or_default() {
            consider(&run.started_at, "the last run");
            consider(run.finished_at.as_deref().unwrap_or_default(), "the last run");
        }
    }
    if let Ok(status) = &context.status
        && let Some(stamp) = status.last_backup.as_ref().and_then(|backup| backup.stamp)
    {
        let time = timestamp(stamp.time());
        consider(&time, "the last backup");
    }
    match latest {
        Some((time, what)) if is_future(&time) => warning(
            format!(
                "it is {}, and {what} was at {}: the clock went back",
                for_people(&timestamp(now)),
                for_people(&timestamp(time))
            ),
            "set the clock; times of records would lie before those of earlier ones",
        ),
        Some((_, what)) => ok(format!("it is later than {what}")),
        None => ok("nothing is on record that could be later"),
    }
}
