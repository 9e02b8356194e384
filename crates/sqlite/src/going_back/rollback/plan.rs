//! The plan of a rollback: each migration's way back, what each way loses, and the choice among them.

use std::collections::BTreeSet;

use rusqlite::Connection;
use serde::{Serialize, Serializer};

use crate::backup::{self, Backup};
use crate::going_back::restore::CompanionPart;
use crate::records::runs::{self, RecordedStep};
use crate::records::{history::History, state::State, way_back::WayBack};
use crate::sqlite::disk_space::{DiskSpace, Load};
use bridge_migrate_core::{
    Catalog, EntryCounts, Error, ErrorKind, Hint, Keep, Loss, Position, Result, Settings,
    serial::optional_text,
};

use super::steps::{self, Imported, StepBack};
use super::{RollbackOptions, Strategy, point, since};

/// What a rollback would do.
#[derive(Debug, Serialize)]
pub struct RollbackPlan {
    /// Where the database stands.
    pub from: Position,
    /// Where it goes.
    pub to: Position,
    /// How: never [`Strategy::Auto`].
    pub strategy: Strategy,
    /// The migrations that go back, newest first: number and name.
    #[serde(skip)]
    pub takes_back: Vec<(u32, String)>,
    /// How they go back one by one; none when a restore point is put back.
    #[serde(skip)]
    pub steps: Vec<StepBack>,
    /// What is lost, or is only in a file afterwards.
    pub loses: Vec<Loss>,
    /// Every way, with what it would lose or why it is closed.
    pub alternatives: Vec<Alternative>,
    /// The backup that the restore strategy puts back.
    #[serde(serialize_with = "database_of")]
    pub restore_point: Option<Backup>,
    /// Which companion there is then.
    #[serde(skip)]
    pub companion: Keep,
    /// What becomes of its entries.
    #[serde(rename = "token_counts")]
    pub entries: Option<EntryCounts>,
    /// Whether servers wait for the answer: nobody can be asked then.
    #[serde(skip)]
    pub is_urgent: bool,
}

fn database_of<S: Serializer>(
    backup: &Option<Backup>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    optional_text(
        &backup.as_ref().map(|backup| backup.database.display()),
        serializer,
    )
}

impl RollbackPlan {
    /// Whether the database is there already.
    pub(crate) fn is_empty(&self) -> bool {
        self.takes_back.is_empty()
    }

    /// What going back step by step needs on disk.
    pub(super) fn disk_space(&self, settings: &Settings) -> Result<DiskSpace> {
        let loads: Vec<Load> = self.steps.iter().map(|step| step.load).collect();
        DiskSpace::of(&loads, settings, backup::space_needed(settings)?)
    }
}

/// What putting `point` back would lose of the state that `connection` reads, which must still be at `from`.
pub(super) fn lost_by_restoring(
    catalog: &Catalog,
    settings: &Settings,
    connection: &Connection,
    point: &Backup,
    (from, to): (Position, Position),
    keep: Keep,
) -> Result<Vec<Loss>> {
    let state = State::read(connection)?;
    if state.version() != from.version {
        return Err(changed_meanwhile(to));
    }
    let applied = steps::to_take_back(&state, runs::read_steps(connection)?, to.version);
    let imported = Imported::by(catalog, settings, connection, &applied);
    since::of_restoring(
        settings,
        connection,
        point,
        &written_by(&applied),
        &imported,
        keep,
    )
}

/// Another program changed what was planned for.
pub(super) fn changed_meanwhile(to: Position) -> Error {
    Error::unchanged(
        ErrorKind::Busy,
        "another program changed the database in the meantime",
    )
    .with_hint(Hint::RollbackDryRun(to.version))
}

/// A way back and what speaks for or against it.
#[derive(Debug, Serialize)]
pub struct Alternative {
    /// The way.
    pub strategy: Strategy,
    /// What it would lose.
    pub loses: Vec<Loss>,
    /// Why it is closed, if it is.
    pub closed: Option<String>,
}

/// Which ways a plan weighs. Comparing with a restore point reads the whole database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weigh {
    Every,
    OnlyTheAsked,
}

pub(super) fn plan(
    catalog: &Catalog,
    settings: &Settings,
    connection: &Connection,
    options: RollbackOptions,
    weigh: Weigh,
) -> Result<RollbackPlan> {
    let state = State::read(connection)?;
    let Some(history) = &state.history else {
        return Err(Error::unchanged(
            ErrorKind::Usage,
            "the database is not managed: there is nothing to roll back",
        ));
    };
    let recorded = runs::read_steps(connection)?;
    check_records(catalog, history, &recorded)?;
    let from = position(catalog, &recorded, history.version());
    let to = target(catalog, &recorded, options, from.version)?;
    refuse_past_adoption(&recorded, from, to)?;
    let to = position(catalog, &recorded, to);
    let applied = steps::to_take_back(&state, recorded.clone(), to.version);
    let mut plan = RollbackPlan {
        from,
        to,
        strategy: options.strategy,
        takes_back: applied
            .iter()
            .map(|step| (step.version, step.name.clone()))
            .collect(),
        steps: Vec::new(),
        loses: Vec::new(),
        alternatives: Vec::new(),
        restore_point: None,
        companion: options.companion,
        entries: None,
        is_urgent: false,
    };
    if plan.is_empty() {
        plan.strategy = Strategy::Down;
        return Ok(plan);
    }
    let imported = Imported::by(catalog, settings, connection, &applied);
    let stepwise = steps::plan(catalog, settings, connection, &state, &applied).and_then(|steps| {
        let loses = steps::losses(settings, connection, &steps, &imported)?;
        Ok((steps, loses))
    });
    let down = match Way::of(stepwise) {
        Way::Unreadable(error) => return Err(error),
        down => down,
    };
    let undo = match &down {
        Way::Open(steps, _) if !steps.iter().all(is_journaled) => {
            Err("a migration on the way changes the schema: only `down` takes it back".to_owned())
        }
        down => down.loses(),
    };
    let restore = if weigh == Weigh::Every || options.strategy == Strategy::Restore {
        let (to, written, keep) = (to.version, written_by(&applied), options.companion);
        Way::of(point::find(settings, connection, to, &written, &imported, keep))
    } else {
        Way::Closed(Error::new(ErrorKind::NotReversible, "it was not asked for"))
    };
    if options.strategy == Strategy::Auto {
        plan.strategy = choose(&down, &restore);
    }
    let restore = match restore {
        Way::Unreadable(error) if needs_restore(options.strategy, &down) => {
            let is_down_open = options.strategy == Strategy::Auto && down.loses().is_ok();
            return Err(point::unread(error, from, is_down_open.then_some(to.version)));
        }
        restore => restore,
    };
    let loses = match plan.strategy {
        Strategy::Restore => restore.loses(),
        Strategy::Undo => undo.clone(),
        Strategy::Auto | Strategy::Down => down.loses(),
    };
    plan.loses = loses.map_err(|why| closed(&plan, &why, &down, &restore))?;
    plan.alternatives = [
        (Strategy::Down, down.loses()),
        (Strategy::Undo, undo),
        (Strategy::Restore, restore.loses()),
    ]
    .map(|(strategy, loses)| Alternative {
        strategy,
        closed: loses.as_ref().err().cloned(),
        loses: loses.unwrap_or_default(),
    })
    .into();
    match (plan.strategy, down, restore) {
        (Strategy::Restore, _, Way::Open(point, _)) => {
            let part = CompanionPart::new(settings, &point, options.companion)?;
            plan.entries = Some(part.foresee(Some(connection))?.1);
            plan.restore_point = Some(point);
        }
        (_, Way::Open(steps, _), _) => plan.steps = steps,
        _ => {}
    }
    Ok(plan)
}

/// A way back that was looked at.
enum Way<T> {
    /// It can be gone with this, and would lose that.
    Open(T, Vec<Loss>),
    /// It cannot, for this reason.
    Closed(Error),
    /// It could not be looked at just now. Another way, which may lose more, must not be taken in its place unasked.
    Unreadable(Error),
}

impl<T> Way<T> {
    fn of(looked: Result<(T, Vec<Loss>)>) -> Self {
        use ErrorKind::{Busy, DiskFull, Io, Permission};
        match looked {
            Ok((with, loses)) => Self::Open(with, loses),
            Err(error) if matches!(error.kind(), Io | Busy | Permission | DiskFull) => {
                Self::Unreadable(error)
            }
            Err(error) => Self::Closed(error),
        }
    }

    /// What it would lose, or why it is closed.
    fn loses(&self) -> std::result::Result<Vec<Loss>, String> {
        match self {
            Self::Open(_, loses) => Ok(loses.clone()),
            Self::Closed(error) | Self::Unreadable(error) => Err(reason(error)),
        }
    }
}

/// Whether nothing can be chosen without a look at the restore point.
fn needs_restore<T>(asked: Strategy, down: &Way<T>) -> bool {
    match asked {
        Strategy::Restore => true,
        Strategy::Auto => !matches!(down, Way::Open(_, loses) if for_good(loses) == 0),
        Strategy::Down | Strategy::Undo => false,
    }
}

fn is_journaled(step: &StepBack) -> bool {
    matches!(step.way_back, WayBack::Journal { .. })
}

/// The columns, as `table.column` in lower case, that data migrations wrote.
fn written_by(steps: &[RecordedStep]) -> BTreeSet<String> {
    steps
        .iter()
        .filter_map(|step| match WayBack::parse(&step.way_back) {
            WayBack::Journal { table, column, .. } | WayBack::Clear { table, column } => {
                Some(format!("{table}.{column}").to_lowercase())
            }
            WayBack::Statements | WayBack::Prepared | WayBack::Unknown(_) => None,
        })
        .collect()
}

/// The way that loses less for good; what goes to a file is not lost for good.
fn choose<T>(down: &Way<T>, restore: &Way<Backup>) -> Strategy {
    match (down, restore) {
        (Way::Open(_, down), Way::Open(_, restore)) if for_good(restore) < for_good(down) => {
            Strategy::Restore
        }
        (Way::Closed(_) | Way::Unreadable(_), Way::Open(..)) => Strategy::Restore,
        _ => Strategy::Down,
    }
}

/// How much of the losses is in no file afterwards.
fn for_good(losses: &[Loss]) -> u64 {
    losses
        .iter()
        .filter(|loss| !loss.kept)
        .map(|loss| loss.count)
        .sum()
}

/// The message with what lies beneath it: the reason why a way is closed has no other place to stand.
pub(super) fn reason(error: &Error) -> String {
    let mut text = error.message().to_owned();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

/// The way that `plan` was to take cannot be gone.
fn closed(plan: &RollbackPlan, why: &str, down: &Way<Vec<StepBack>>, restore: &Way<Backup>) -> Error {
    let (strategy, from) = (plan.strategy, plan.from);
    let source = match down {
        Way::Closed(source) if strategy != Strategy::Restore => Some(source),
        _ => None,
    };
    let mut truth = format!("The database is at {from}. Nothing was changed.");
    if let Some(more) = source.and_then(Error::truth) {
        truth = format!("{more} {truth}");
    }
    let hint = match (restore, source) {
        (Way::Open(..), _) => point::by(plan.to.version, Strategy::Restore, Keep::Merge),
        (_, Some(source)) => source.hint().clone(),
        (Way::Closed(source), None) if *source.hint() != Hint::default() => source.hint().clone(),
        (_, None) => Hint::BackupList,
    };
    let kind = source.map_or(ErrorKind::NotReversible, Error::kind);
    Error::new(kind, format!("the way back `{strategy}` is closed: {why}"))
        .with_truth(truth)
        .with_hint(hint)
}

fn refuse_past_adoption(recorded: &[RecordedStep], from: Position, to: u32) -> Result<()> {
    let adopted = recorded
        .iter()
        .filter(|step| step.adopted)
        .map(|step| step.version)
        .max()
        .unwrap_or(0);
    if to >= adopted {
        return Ok(());
    }
    let hint = if from.version > adopted {
        Hint::RollbackDryRun(adopted)
    } else {
        Hint::BackupList
    };
    Err(Error::new(
        ErrorKind::NotReversible,
        format!("the database was adopted at V{adopted:03}: what was there before cannot be taken back"),
    )
    .with_truth(format!("It is at {from}. Nothing was changed."))
    .with_hint(hint))
}

/// The records must cover the history: they hold the ways back.
fn check_records(catalog: &Catalog, history: &History, recorded: &[RecordedStep]) -> Result<()> {
    for applied in &history.applied {
        let is_recorded = recorded
            .iter()
            .any(|step| step.version == applied.version && step.name == applied.name);
        if !is_recorded {
            return Err(Error::unchanged(
                ErrorKind::HistoryDamaged,
                format!(
                    "V{:03}__{} is in the history but its way back is not recorded",
                    applied.version, applied.name
                ),
            )
            .with_hint(Hint::BackupList));
        }
    }
    // What this program knows must be what was applied; what is newer is taken from the records.
    let known = History {
        applied: history
            .applied
            .iter()
            .filter(|applied| applied.version <= catalog.last_version())
            .cloned()
            .collect(),
    };
    known.check(catalog)
}

/// Where `version` stands. Beyond the catalog the records tell: a release is complete when a later one began.
pub(super) fn position(catalog: &Catalog, recorded: &[RecordedStep], version: u32) -> Position {
    let release = recorded
        .iter()
        .filter(|step| step.version > catalog.last_version() && step.version <= version)
        .filter(|step| {
            let next = recorded.iter().find(|next| next.version == step.version + 1);
            next.is_none_or(|next| next.release != step.release)
        })
        .filter_map(|step| naming::Release::parse(&step.release).ok())
        .next_back();
    Position {
        version,
        release: release.or_else(|| catalog.release_at(version)),
    }
}

fn target(
    catalog: &Catalog,
    recorded: &[RecordedStep],
    options: RollbackOptions,
    current: u32,
) -> Result<u32> {
    use naming::Target;
    let last_recorded = |release: naming::Release| {
        recorded
            .iter()
            .filter(|step| step.release == release.to_string())
            .map(|step| step.version)
            .max()
    };
    let version = match options.target {
        Target::Version(version) if version <= current => version,
        Target::Release(release) => match last_recorded(release) {
            // Of a release that is applied in part its end lies ahead.
            Some(last) => last.max(catalog.resolve(options.target, current).unwrap_or(last)),
            None => catalog.resolve(options.target, current)?,
        },
        target => catalog.resolve(target, current)?,
    };
    if version > current {
        return Err(Error::unchanged(
            ErrorKind::Usage,
            format!("V{version:03} lies ahead of the database, which is at V{current:03}"),
        )
        .with_hint(Hint::MigrateTo(options.target)));
    }
    Ok(version)
}
