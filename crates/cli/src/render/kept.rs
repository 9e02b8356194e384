//! What rollbacks dropped and kept.

use std::path::PathBuf;

use bridge_migrate_core::{Hint, serial::path};
use bridge_migrate_sqlite::kept::{Kept, KeptList, Pruned, Reclaimed};
use serde::Serialize;

use crate::output::{Output, Report};
use crate::text::table::table;
use crate::text::{CAUTION, COMMAND, STRONG, count, counted, field, line, safe, shown, styled, time};

/// How many rows people see.
const SHOWN: usize = 20;

/// What has not come back, as other commands name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct KeptWaiting {
    /// Rows and values in all.
    pub(crate) rows: u64,
    pub(crate) of: Vec<Kept>,
    /// The command that takes them back.
    pub(crate) command: String,
}

impl KeptWaiting {
    /// `None` when nothing waits.
    pub(crate) fn new(kept: Vec<Kept>, output: &Output) -> Option<Self> {
        (!kept.is_empty()).then(|| Self {
            rows: kept.iter().map(|kept| kept.left).sum(),
            of: kept,
            command: output.command_line(&Hint::KeptReclaim(false)),
        })
    }

    /// Adds a line for each table and column, and the command.
    pub(crate) fn fields(&self, page: &mut String) {
        let mut label = "kept";
        for kept in &self.of {
            field!(page, label, "{}", styled(CAUTION, &left(kept)));
            label = "";
        }
        field!(page, "", "take back with {}", styled(COMMAND, &self.command));
    }
}

/// `message_revisions: 3 rows kept by rollback 5f2c01aa; V009 is not applied`.
fn left(kept: &Kept) -> String {
    let problem = match &kept.problem {
        Some(problem) => format!("; {}", safe(problem)),
        None => String::new(),
    };
    let rollback = match kept.run.as_str() {
        "" => "a rollback that is not on record".to_owned(),
        run => format!("rollback {}", safe(run)),
    };
    format!(
        "{}: {} kept by {rollback}{problem}",
        safe(&kept.subject()),
        counted(kept.left, noun(kept.column.is_some())),
    )
}

fn noun(is_column: bool) -> &'static str {
    if is_column { "value" } else { "row" }
}

/// The answer of `kept list`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct KeptListReport {
    #[serde(serialize_with = "path")]
    backup_dir: PathBuf,
    #[serde(flatten)]
    list: KeptList,
    /// The commands that take back what is left, and give up what of it does not fit.
    #[serde(skip)]
    commands: [String; 2],
}

impl KeptListReport {
    pub(crate) fn new(backup_dir: PathBuf, list: KeptList, output: &Output) -> Self {
        let commands = [false, true].map(|give_up| output.command_line(&Hint::KeptReclaim(give_up)));
        Self {
            backup_dir,
            list,
            commands,
        }
    }
}

impl Report for KeptListReport {
    fn render(&self) -> String {
        let mut page = String::new();
        if self.list.kept.is_empty() {
            line!(page, "no rollback of this database kept anything");
        } else {
            let columns = ["KEPT", "OF", ">ROWS", ">LEFT", "ROLLBACK", "FILE"];
            let rows = self.list.kept.iter().map(|kept| {
                vec![
                    time(&kept.kept_at),
                    kept.subject(),
                    count(kept.rows),
                    count(kept.left),
                    kept.run.clone(),
                    kept.file.clone(),
                ]
            });
            page.push_str(&table(&columns, rows));
            for kept in self.list.kept.iter().filter(|kept| kept.left > 0) {
                if let Some(problem) = &kept.problem {
                    let text = format!("{}: {}", safe(&kept.subject()), safe(problem));
                    line!(page, "{}", styled(CAUTION, &text));
                }
            }
            let waits = |kept: &Kept| kept.left > 0 && kept.problem.is_none();
            if self.list.kept.iter().any(waits) {
                let [take, give_up] = self.commands.each_ref().map(|command| styled(COMMAND, command));
                line!(page, "take back what is left with {take}");
                line!(page, "give up what of it does not fit with {give_up}");
            }
        }
        if !self.list.others.is_empty() {
            line!(
                page,
                "made by no rollback on record here (interrupted, or undone by a restore):"
            );
            for file in &self.list.others {
                line!(page, "  {}", safe(file));
            }
        }
        if !self.list.kept.is_empty() || !self.list.others.is_empty() {
            line!(page, "the files are in {}", shown(&self.backup_dir));
        }
        page
    }
}

/// The answer of `kept reclaim`, and a part of `migrate --reclaim`'s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ReclaimedReport {
    #[serde(flatten)]
    outcome: Reclaimed,
    /// The command that gives up what does not fit, or removes the files in which everything was given up.
    give_up: Option<String>,
}

impl ReclaimedReport {
    pub(crate) fn new(outcome: Reclaimed, output: &Output) -> Self {
        // What is listed as a whole may fit once its migration is applied.
        let is_row = outcome.stays.iter().any(|row| row.key.is_some());
        let hint = match outcome.given_up {
            0 => Hint::KeptReclaim(true),
            _ => Hint::KeptPrune {
                files: Vec::new(),
                older_than: None,
                confirmed: false,
            },
        };
        let give_up = is_row.then(|| output.command_line(&hint));
        Self { outcome, give_up }
    }
}

impl Report for ReclaimedReport {
    fn render(&self) -> String {
        let outcome = &self.outcome;
        let mut page = String::new();
        if outcome.run.is_none() {
            return "nothing is kept that has not come back\n".to_owned();
        }
        for back in &outcome.back {
            let rows = counted(back.rows, noun(back.subject.contains('.')));
            line!(page, "{}: {rows} back", styled(STRONG, &safe(&back.subject)));
        }
        if outcome.already > 0 {
            line!(page, "there already: {}", counted(outcome.already, "row"));
        }
        if outcome.stay_count > 0 {
            let stays = format!(
                "kept, for they do not fit: {}",
                counted(outcome.stay_count, "row")
            );
            line!(page, "{}", styled(CAUTION, &stays));
            let mut named = 0;
            for row in outcome.stays.iter().take(SHOWN) {
                let which = match &row.key {
                    Some(key) => safe(key),
                    None => format!("all {} left", count(row.rows)),
                };
                named += row.rows;
                line!(page, "  {} {which}: {}", safe(&row.subject), safe(&row.why));
            }
            if outcome.stay_count > named {
                line!(page, "  and {} more", count(outcome.stay_count - named));
            }
            if let Some(command) = &self.give_up {
                let what = match outcome.given_up {
                    0 => "give them up".to_owned(),
                    rows => format!("given up: {}; remove the file", counted(rows, "row")),
                };
                line!(page, "{what} with {}", styled(COMMAND, command));
            }
        }
        page
    }
}

/// The answer of `kept prune`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct KeptPrunedReport {
    pub(crate) dry_run: bool,
    #[serde(flatten)]
    pub(crate) pruned: Pruned,
}

impl Report for KeptPrunedReport {
    fn render(&self) -> String {
        let mut page = String::new();
        let (removed, lost) = match self.dry_run {
            true => ("would be removed", "would be lost"),
            false => ("removed", "lost"),
        };
        for file in &self.pruned.removed {
            line!(page, "{} {removed}", safe(file));
        }
        for loss in &self.pruned.loses {
            line!(
                page,
                "{}",
                styled(CAUTION, &format!("{lost}: {}", safe(&loss.to_string())))
            );
        }
        for file in &self.pruned.stay {
            line!(
                page,
                "{} stays: not all of it has come back; --yes gives it up",
                safe(file)
            );
        }
        if page.is_empty() {
            line!(page, "nothing to prune");
        }
        page
    }
}
