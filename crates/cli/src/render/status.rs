//! Where a database stands.

use std::path::PathBuf;

use bridge_migrate_core::{Holder, Position};
use bridge_migrate_sqlite::{Adoption, Progress, RecordedRun, schema::Difference, status::Pending};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{backup::BackupEntry, kept::KeptWaiting};
use crate::output::Report;
use crate::text::{
    CAUTION, COMMAND, STRONG, counted, field, line, safe, safe_lines, shown, styled, table::table, time,
    version,
};

/// The answer of `status`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StatusReport {
    /// For people only: scripts get it from the envelope.
    #[serde(skip)]
    pub(crate) path: PathBuf,
    #[serde(flatten)]
    pub(crate) position: Position,
    pub(crate) managed: bool,
    pub(crate) presence: Presence,
    /// The process that keeps the database locked, when nothing of it could be read.
    pub(crate) locked_by: Option<u32>,
    /// Other databases of the Bridge nearby, when there is none at the default place.
    pub(crate) others: Vec<String>,
    /// How `migrate` would adopt it.
    pub(crate) adoptable: Option<Adoption>,
    /// Why it is not recognised.
    pub(crate) unrecognized: Option<String>,
    /// The command that leads on from there.
    pub(crate) hint: Option<String>,
    pub(crate) pending: Vec<Pending>,
    #[serde(serialize_with = "drift")]
    pub(crate) drift: Vec<Difference>,
    pub(crate) interrupted: Option<Progress>,
    /// What the holder of the lock is at work on.
    pub(crate) running: Option<Progress>,
    pub(crate) lock: Option<Holder>,
    pub(crate) last_run: Option<RecordedRun>,
    pub(crate) last_backup: Option<BackupEntry>,
    /// What rollbacks kept and has not come back.
    pub(crate) kept: Option<KeptWaiting>,
}

/// How the tool sees a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Presence {
    Missing,
    Empty,
    Adoptable,
    Unrecognized,
    Managed,
    Locked,
}

/// As a status without a look into the database: the same keys, `null` where nothing is known.
pub(crate) struct Unseen(pub(crate) StatusReport);

impl Serialize for Unseen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut value = serde_json::to_value(&self.0).map_err(serde::ser::Error::custom)?;
        for key in ["release", "version", "managed", "pending", "drift"] {
            value[key] = Value::Null;
        }
        value.serialize(serializer)
    }
}

impl Report for Unseen {
    fn render(&self) -> String {
        self.0.render()
    }
}

/// What differs from what the history implies, with its words.
pub(super) fn drift<S: Serializer>(found: &[Difference], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Drift<'a> {
        #[serde(flatten)]
        difference: &'a Difference,
        subject: String,
        message: String,
    }
    serializer.collect_seq(found.iter().map(|difference| Drift {
        difference,
        subject: difference.subject(),
        message: difference.to_string(),
    }))
}

/// `applying V007`.
fn doing(step: &Progress) -> String {
    let doing = if step.down { "taking back" } else { "applying" };
    format!("{doing} {}", version(step.version))
}

impl Report for StatusReport {
    fn render(&self) -> String {
        let mut page = String::new();
        field!(page, "database", "{}", shown(&self.path));
        field!(page, "release", "{}", self.release());
        for other in &self.others {
            let text = format!("{} seems to be the Bridge's: name it with --db", safe(other));
            field!(page, "beside it", "{}", styled(CAUTION, &text));
        }
        field!(page, "pending", "{}", self.pending_summary());
        if let Some(adoption) = &self.adoptable {
            for object in &adoption.kept() {
                field!(page, "", "keeps {}", safe(object));
            }
            for object in &adoption.created() {
                field!(page, "", "creates {}", safe(object));
            }
        }
        if let Some(step) = &self.running {
            let text = format!("{}, {} so far", doing(step), counted(step.visited, "row"));
            field!(page, "running", "{}", styled(STRONG, &text));
        }
        if let Some(step) = &self.interrupted {
            let text = format!(
                "{} stopped after {}; it goes on from there",
                doing(step),
                counted(step.visited, "row")
            );
            field!(page, "interrupted", "{}", styled(CAUTION, &text));
        }
        if self.managed {
            field!(page, "drift", "{}", self.drift_summary());
        }
        field!(page, "lock", "{}", self.lock_holder());
        field!(page, "last run", "{}", self.last_run());
        let backup = match &self.last_backup {
            Some(backup) => format!("{}, {}", backup.when(), shown(&backup.files.database)),
            None => "none".to_owned(),
        };
        field!(page, "last backup", "{backup}");
        if let Some(kept) = &self.kept {
            kept.fields(&mut page);
        }
        if let Some(why) = &self.unrecognized {
            line!(page);
            line!(page, "{}", safe_lines(why));
            if let Some(hint) = &self.hint {
                line!(page, "  try: {}", styled(COMMAND, &safe(hint)));
            }
        }
        if !self.drift.is_empty() {
            line!(page);
            line!(page, "The schema differs from what the history implies:");
            for drift in &self.drift {
                line!(page, "  {}", safe(&drift.to_string()));
            }
        }
        if !self.pending.is_empty() {
            line!(page);
            page.push_str(&pending_table(&self.pending));
        }
        page
    }
}

impl StatusReport {
    fn release(&self) -> String {
        match self.presence {
            Presence::Missing => "none: there is no file; `migrate` makes it".to_owned(),
            Presence::Empty => "none: the database is empty".to_owned(),
            Presence::Unrecognized => {
                let text = "unknown: not managed, and the schema is not that of any version";
                styled(CAUTION, text)
            }
            Presence::Adoptable => match &self.adoptable {
                Some(adoption) => format!("{}, not managed yet: `migrate` adopts it", adoption.position()),
                None => "not managed yet".to_owned(),
            },
            Presence::Managed => styled(STRONG, &self.position.to_string()),
            Presence::Locked => {
                let who = match self.locked_by {
                    Some(pid) => format!("process {pid}"),
                    None => "another program".to_owned(),
                };
                styled(CAUTION, &format!("unknown: {who} keeps the database locked"))
            }
        }
    }

    fn pending_summary(&self) -> String {
        match self.pending.last() {
            None if self.presence == Presence::Locked => "unknown".to_owned(),
            None => "nothing".to_owned(),
            Some(last) => format!(
                "{}, to {} ({})",
                counted(self.pending.len() as u64, "migration"),
                last.release,
                version(last.version)
            ),
        }
    }

    fn drift_summary(&self) -> String {
        match self.drift.len() as u64 {
            0 => "none".to_owned(),
            number => styled(CAUTION, &counted(number, "difference")),
        }
    }

    fn lock_holder(&self) -> String {
        match &self.lock {
            None => "free".to_owned(),
            Some(holder) => styled(
                CAUTION,
                &format!(
                    "held by process {} on {} since {} ({})",
                    holder.pid,
                    safe(&holder.host),
                    time(&holder.since),
                    safe(&holder.command)
                ),
            ),
        }
    }

    /// Whether the run may be that of the holder of the lock: a run has it from its beginning to its end.
    fn is_of_holder(&self, run: &RecordedRun) -> bool {
        self.lock.as_ref().is_some_and(|holder| {
            holder.pid == 0 || (holder.command == run.command && holder.since <= run.started_at)
        })
    }

    fn last_run(&self) -> String {
        let Some(run) = &self.last_run else {
            return if self.presence == Presence::Locked {
                "unknown"
            } else {
                "none"
            }
            .to_owned();
        };
        let end = match &run.finished_at {
            Some(_) => String::new(),
            None if self.is_of_holder(run) => format!(", now on the way to {}", version(run.to)),
            None => format!(
                ", stopped at {} on the way to {}",
                version(run.reached),
                version(run.to)
            ),
        };
        format!(
            "{}, {} from {} to {}{end} (run {})",
            time(&run.started_at),
            safe(&run.command),
            version(run.from),
            version(if run.finished_at.is_some() {
                run.to
            } else {
                run.reached
            }),
            safe(&run.run)
        )
    }
}

fn pending_table(pending: &[Pending]) -> String {
    let columns = ["VERSION", "NAME", "RELEASE", "PHASE"];
    let rows = pending.iter().map(|migration| {
        vec![
            version(migration.version),
            migration.name.clone(),
            migration.release.to_string(),
            migration.phase.to_string(),
        ]
    });
    table(&columns, rows)
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use anstream::adapter::strip_str;
    use bridge_migrate_core::{Phase, Release};
    use bridge_migrate_sqlite::schema::Object;

    use crate::render::backup::BackupFiles;
    use bridge_migrate_sqlite::schema::ObjectKind;

    use super::*;

    fn position(version: u32, release: Option<&str>) -> Position {
        Position {
            version,
            release: release.and_then(|release| Release::parse(release).ok()),
        }
    }

    fn pending(version: u32, name: &str, release: &str, phase: Phase) -> Pending {
        Pending {
            version,
            name: name.to_owned(),
            release: Release::parse(release).unwrap(),
            phase,
        }
    }

    fn adoption() -> Adoption {
        let object = |name: &str| Object {
            kind: ObjectKind::Table,
            name: name.to_owned(),
            table: String::new(),
            sql: String::new(),
            normal: OnceLock::new(),
        };
        Adoption {
            version: 1,
            release: Release::parse("1.0.0").ok(),
            kept: vec![object("notes")],
            additional_columns: Vec::new(),
            created: vec![object("channels")],
        }
    }

    fn step() -> Progress {
        Progress {
            version: 7,
            name: String::new(),
            release: String::new(),
            way_back: String::new(),
            down: false,
            cursor: String::new(),
            visited: 40_960,
            changed: 0,
            skipped: 0,
            max_lock_us: 0,
        }
    }

    fn current() -> StatusReport {
        StatusReport {
            path: "data/collab.db".into(),
            position: position(9, Some("1.2.0")),
            managed: true,
            presence: Presence::Managed,
            locked_by: None,
            others: Vec::new(),
            adoptable: None,
            unrecognized: None,
            hint: None,
            pending: Vec::new(),
            drift: Vec::new(),
            interrupted: None,
            running: None,
            lock: None,
            last_run: Some(RecordedRun {
                run: "5f2c01aa".to_owned(),
                command: "migrate".to_owned(),
                started_at: "2026-02-22T15:30:45.123456Z".to_owned(),
                finished_at: Some("2026-02-22T15:30:46.123456Z".to_owned()),
                from: 1,
                to: 9,
                reached: 9,
                host: "bridge-1".to_owned(),
                tool: "bridge-migrate 0.1.0".to_owned(),
                backup: None,
                allowed_drift: Vec::new(),
                failure: None,
            }),
            last_backup: None,
            kept: None,
        }
    }

    fn text(report: &StatusReport) -> String {
        strip_str(&report.render()).to_string()
    }

    #[test]
    fn a_current_database_needs_a_glance() {
        insta::assert_snapshot!(text(&current()), @"
        database     data/collab.db
        release      1.2.0 (V009)
        pending      nothing
        drift        none
        lock         free
        last run     2026-02-22 15:30:45 UTC, migrate from V001 to V009 (run 5f2c01aa)
        last backup  none
        ");
    }

    #[test]
    fn what_waits_and_what_is_wrong_stands_out() {
        let report = StatusReport {
            position: position(5, Some("1.1.0")),
            pending: vec![
                pending(6, "message_threading", "1.2.0", Phase::Expand),
                pending(7, "message_threads_backfill", "1.2.0", Phase::Backfill),
            ],
            drift: vec![Difference::ObjectMissing {
                object: ObjectKind::Index,
                name: "idx_channel".to_owned(),
                table: "messages".to_owned(),
                expected: "CREATE INDEX …".to_owned(),
            }],
            interrupted: Some(step()),
            lock: Some(Holder {
                pid: 4711,
                host: "bridge-1".to_owned(),
                since: "2026-02-22T15:40:45.123456Z".to_owned(),
                command: "migrate".to_owned(),
                tool: "bridge-migrate 0.1.0".to_owned(),
            }),
            last_run: current().last_run.map(|run| RecordedRun {
                finished_at: None,
                reached: 5,
                ..run
            }),
            last_backup: Some(BackupEntry {
                stamp: Some("20260222_153045".to_owned()),
                files: BackupFiles {
                    database: "data/collab.db.backup.20260222_153045".into(),
                    ..BackupFiles::default()
                },
                created_at: Some("2026-02-22T15:30:45.123456Z".to_owned()),
                ..BackupEntry::default()
            }),
            ..current()
        };
        insta::assert_snapshot!(text(&report), @"
        database     data/collab.db
        release      1.1.0 (V005)
        pending      2 migrations, to 1.2.0 (V007)
        interrupted  applying V007 stopped after 40,960 rows; it goes on from there
        drift        1 difference
        lock         held by process 4711 on bridge-1 since 2026-02-22 15:40:45 UTC (migrate)
        last run     2026-02-22 15:30:45 UTC, migrate from V001 to V005, stopped at V005 on the way to V009 (run 5f2c01aa)
        last backup  2026-02-22 15:30:45 UTC, data/collab.db.backup.20260222_153045

        The schema differs from what the history implies:
          idx_channel: index on messages is missing

        VERSION  NAME                      RELEASE  PHASE
        V006     message_threading         1.2.0    expand
        V007     message_threads_backfill  1.2.0    backfill
        ");
    }

    #[test]
    fn a_run_that_is_under_way_is_not_called_stopped() {
        let report = StatusReport {
            running: Some(step()),
            lock: Some(Holder {
                pid: 4711,
                host: "bridge-1".to_owned(),
                since: "2026-02-22T15:30:45.123456Z".to_owned(),
                command: "migrate".to_owned(),
                tool: "bridge-migrate 0.1.0".to_owned(),
            }),
            last_run: current().last_run.map(|run| RecordedRun {
                finished_at: None,
                reached: 6,
                ..run
            }),
            ..current()
        };
        let text = text(&report);
        assert!(
            text.contains("running      applying V007, 40,960 rows so far"),
            "{text}"
        );
        assert!(
            text.contains("from V001 to V006, now on the way to V009"),
            "{text}"
        );
    }

    #[test]
    fn an_unversioned_database_says_what_adoption_would_do() {
        let report = StatusReport {
            position: position(0, None),
            managed: false,
            presence: Presence::Adoptable,
            adoptable: Some(adoption()),
            pending: vec![pending(2, "room_preferences", "1.1.0", Phase::Expand)],
            last_run: None,
            ..current()
        };
        insta::assert_snapshot!(text(&report), @"
        database     data/collab.db
        release      1.0.0 (V001), not managed yet: `migrate` adopts it
        pending      1 migration, to 1.1.0 (V002)
                     keeps table notes
                     creates table channels
        lock         free
        last run     none
        last backup  none

        VERSION  NAME              RELEASE  PHASE
        V002     room_preferences  1.1.0    expand
        ");
    }

    #[test]
    fn what_another_program_keeps_locked_is_not_guessed() {
        let report = Unseen(StatusReport {
            position: position(0, None),
            managed: false,
            presence: Presence::Locked,
            locked_by: Some(4711),
            last_run: None,
            ..current()
        });
        insta::assert_snapshot!(strip_str(&report.render()).to_string(), @"
        database     data/collab.db
        release      unknown: process 4711 keeps the database locked
        pending      unknown
        lock         free
        last run     unknown
        last backup  none
        ");
        let value = serde_json::to_value(&report).unwrap();
        let told = serde_json::to_value(current()).unwrap();
        for (key, _) in told.as_object().unwrap() {
            assert!(value.get(key).is_some(), "{key}");
        }
        for key in ["release", "version", "managed", "pending", "drift"] {
            assert!(value[key].is_null(), "{key}");
        }
    }

    #[test]
    fn a_database_that_is_not_there_is_no_error() {
        let report = StatusReport {
            position: position(0, None),
            managed: false,
            presence: Presence::Missing,
            last_run: None,
            ..current()
        };
        insta::assert_snapshot!(text(&report), @"
        database     data/collab.db
        release      none: there is no file; `migrate` makes it
        pending      nothing
        lock         free
        last run     none
        last backup  none
        ");
    }

    #[test]
    fn scripts_find_the_keys_of_the_contract() {
        let value = serde_json::to_value(current()).unwrap();
        for key in [
            "release",
            "version",
            "managed",
            "pending",
            "drift",
            "lock",
            "last_backup",
        ] {
            assert!(value.get(key).is_some(), "{key}");
        }
        assert_eq!(value["release"], "1.2.0");
        assert_eq!(value["version"], 9);
        assert!(value.get("path").is_none());
    }
}
