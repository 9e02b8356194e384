//! `status`: where the database stands.

use bridge_migrate_sqlite::status::{self, Presence as Found, Status};

use crate::context::Context;
use crate::exit_code;
use crate::output::Failure;
use crate::render::status::{Presence, StatusReport, Unseen};
use crate::render::{backup::BackupEntry, kept::KeptWaiting};

/// Shows release, version, what is pending, drift, the lock, the last run and the last backup
///
/// Opens the database for reading only: not one byte of it or its folder changes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Ends with 10 when migrations are pending, with 4 when that is not known because the database is locked
    #[arg(long)]
    exit_code: bool,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<u8, Failure> {
    let status = status::status(&context.catalog()?, &context.settings)?;
    let report = report(context, status);
    if report.presence == Presence::Locked {
        context.output.report(&Unseen(report))?;
        return Ok(if arguments.exit_code {
            exit_code::LOCKED
        } else {
            exit_code::DONE
        });
    }
    context.output.report(&report)?;
    if arguments.exit_code && !report.pending.is_empty() {
        return Ok(exit_code::PENDING);
    }
    Ok(exit_code::DONE)
}

fn report(context: &Context, status: Status) -> StatusReport {
    let (presence, adoptable, unrecognized) = match &status.presence {
        Found::Missing => (Presence::Missing, None, None),
        Found::Empty => (Presence::Empty, None, None),
        Found::Managed => (Presence::Managed, None, None),
        Found::Locked(_) => (Presence::Locked, None, None),
        Found::Adoptable(adoption) => (Presence::Adoptable, Some(adoption.as_ref().clone()), None),
        Found::Unrecognized { why, hint } => (
            Presence::Unrecognized,
            None,
            Some((why.clone(), context.output.command_line(hint))),
        ),
    };
    StatusReport {
        path: status.database,
        position: status.position,
        managed: status.presence == Found::Managed,
        presence,
        locked_by: match status.presence {
            Found::Locked(pid) => pid,
            _ => None,
        },
        others: context
            .others()
            .iter()
            .map(|path| path.to_string_lossy().into_owned())
            .collect(),
        adoptable,
        hint: unrecognized.as_ref().map(|(_, hint)| hint.clone()),
        unrecognized: unrecognized.map(|(why, _)| why),
        pending: status.pending,
        drift: status.drift,
        interrupted: status.interrupted,
        running: status.running,
        lock: status.lock,
        last_run: status.last_run,
        kept: KeptWaiting::new(status.kept, &context.output),
        last_backup: status.last_backup.as_ref().map(BackupEntry::from),
    }
}
