//! What a run would do.

use std::path::PathBuf;

use bridge_migrate_core::{Position, disk::size};
use bridge_migrate_sqlite::{Adoption, Online, Step, schema::Difference};
use serde::Serialize;

use super::{kept::KeptWaiting, status::drift};
use crate::output::Report;
use crate::text::{
    CAUTION, STRONG, count, counted, duration, field, line, safe, safe_lines, shown, styled, table::table,
    version,
};

/// The answer of `plan`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PlanReport {
    /// For people only: scripts get it from the envelope.
    #[serde(skip)]
    pub(crate) path: PathBuf,
    /// Whether people see the statements; scripts always do.
    #[serde(skip)]
    pub(crate) shows_sql: bool,
    pub(crate) from: Position,
    pub(crate) to: Position,
    /// Whether there is nothing in the database yet.
    pub(crate) fresh: bool,
    pub(crate) adopts: Option<Adoption>,
    /// What of the schema differs from what the history implies.
    #[serde(serialize_with = "drift")]
    pub(crate) drift: Vec<Difference>,
    pub(crate) steps: Vec<Step>,
    /// What a timestamp without an offset means.
    pub(crate) timezone: String,
    pub(crate) disk_needed_bytes: u64,
    /// Where the backup goes that `migrate` begins with.
    pub(crate) backup_dir: Option<String>,
    pub(crate) lock_budget_ms: u64,
    /// What rollbacks kept and has not come back.
    pub(crate) kept: Option<KeptWaiting>,
}

impl Report for PlanReport {
    fn render(&self) -> String {
        if self.steps.is_empty() && self.adopts.is_none() {
            let mut page = format!("nothing to do: {} is at {}\n", shown(&self.path), self.from);
            if let Some(kept) = &self.kept {
                kept.fields(&mut page);
            }
            return page;
        }
        let mut page = String::new();
        field!(page, "database", "{}", shown(&self.path));
        field!(page, "from", "{}", self.start());
        let steps = counted(self.steps.len() as u64, "step");
        field!(page, "to", "{}, {steps}", styled(STRONG, &self.to.to_string()));
        field!(page, "time zone", "{}", self.time_zone());
        let backup = match &self.backup_dir {
            Some(folder) if folder == "." => "beside the database, before the first step".to_owned(),
            Some(folder) => format!("into {}, before the first step", safe(folder)),
            None => "none: there is nothing to lose".to_owned(),
        };
        field!(page, "backup", "{backup}");
        field!(page, "disk", "{} at most", size(self.disk_needed_bytes));
        if let Some(adoption) = &self.adopts {
            for object in &adoption.kept() {
                field!(page, "keeps", "{}", safe(object));
            }
            for object in &adoption.created() {
                field!(page, "creates", "{}", safe(object));
            }
        }
        if let Some(kept) = &self.kept {
            kept.fields(&mut page);
        }
        if !self.steps.is_empty() {
            line!(page);
            page.push_str(&self.steps_table());
        }
        self.online(&mut page);
        self.over_budget(&mut page);
        if !self.drift.is_empty() {
            line!(page);
            line!(
                page,
                "{} `migrate` refuses, since the schema was changed by hand:",
                styled(CAUTION, "note:")
            );
            for drift in &self.drift {
                line!(page, "  {}", safe(&drift.to_string()));
            }
        }
        if self.shows_sql {
            for step in &self.steps {
                line!(page);
                page.push_str(&statements(step));
            }
        }
        page
    }
}

impl PlanReport {
    fn start(&self) -> String {
        match (&self.adopts, self.fresh) {
            (Some(adoption), _) => format!("{}, which is adopted first", adoption.position()),
            (None, true) => "nothing: the database is made".to_owned(),
            (None, false) => self.from.to_string(),
        }
    }

    fn time_zone(&self) -> String {
        format!("{}, for timestamps without an offset", safe(&self.timezone))
    }

    fn steps_table(&self) -> String {
        let columns = [
            "VERSION",
            "NAME",
            "RELEASE",
            "PHASE",
            ">ROWS",
            "WRITE LOCK",
            "NOTE",
        ];
        let rows = self.steps.iter().map(|step| {
            let is_online = !step.online.is_empty() && step.over_budget.is_none();
            let lock = if step.batched || is_online {
                format!("batches ≤ {}", duration(self.lock_budget_ms))
            } else {
                format!("≈ {}", duration(step.lock_ms))
            };
            vec![
                version(step.version),
                step.name.clone(),
                step.release.to_string(),
                step.phase.to_string(),
                count(step.rows),
                lock,
                note(step),
            ]
        });
        table(&columns, rows)
    }

    fn online(&self, page: &mut String) {
        let mut is_first = true;
        for step in &self.steps {
            for online in &step.online {
                if std::mem::take(&mut is_first) {
                    line!(page);
                }
                beside_servers(page, step.version, online);
            }
        }
    }

    fn over_budget(&self, page: &mut String) {
        let mut is_first = true;
        for step in &self.steps {
            let Some(why) = &step.over_budget else { continue };
            if is_first {
                line!(page);
                is_first = false;
            }
            line!(
                page,
                "{} {} holds the write lock for about {}, over the budget of {}: {}",
                styled(CAUTION, "note:"),
                version(step.version),
                duration(step.lock_ms),
                duration(self.lock_budget_ms),
                safe(why)
            );
        }
    }
}

/// What is made while servers write.
pub(super) fn beside_servers(page: &mut String, number: u32, online: &Online) {
    let space = match online.bytes {
        0 => String::new(),
        bytes => format!(", {}", size(bytes)),
    };
    line!(
        page,
        "{} {} beside servers ({}{space})",
        version(number),
        safe(&online.does()),
        counted(online.rows, "row")
    );
}

fn note(step: &Step) -> String {
    let mut notes = Vec::new();
    if let Some(done) = step.resumes_at {
        notes.push(format!("goes on after {}", counted(done, "row")));
    }
    if !step.rebuilds.is_empty() {
        notes.push(format!("rebuilds {}", step.rebuilds.join(", ")));
    }
    if step.over_budget.is_some() {
        notes.push("over the lock budget".to_owned());
    }
    if step.data.is_some() && !step.batched {
        notes.push("reads the token file".to_owned());
    }
    notes.join("; ")
}

fn statements(step: &Step) -> String {
    let mut text = String::new();
    line!(
        text,
        "{}",
        styled(
            STRONG,
            &format!("-- {}__{}", version(step.version), safe(&step.name)),
        )
    );
    line!(text, "-- {}", safe(&step.summary));
    if let Some(data) = &step.data {
        line!(text, "-- {}", safe(data));
    }
    let sql = step.sql.trim_end();
    if !sql.is_empty() {
        line!(text, "{}", safe_lines(sql));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use anstream::adapter::strip_str;
    use bridge_migrate_core::{Phase, Release, Settings};
    use bridge_migrate_sqlite::schema::{Object, ObjectKind};
    use bridge_migrate_sqlite::{PlanOptions, plan_fresh};

    use super::*;

    fn position(version: u32, release: &str) -> Position {
        Position {
            version,
            release: Release::parse(release).ok(),
        }
    }

    fn adoption() -> Adoption {
        let object = |kind, name: &str| Object {
            kind,
            name: name.to_owned(),
            table: String::new(),
            sql: String::new(),
            normal: OnceLock::new(),
        };
        Adoption {
            version: 1,
            release: Release::parse("1.0.0").ok(),
            kept: vec![object(ObjectKind::Index, "idx_mine")],
            additional_columns: Vec::new(),
            created: vec![object(ObjectKind::Table, "channels")],
        }
    }

    /// A step of the Bridge's own with what a test sees of it changed.
    fn step(version: u32, name: &str, phase: Phase, sql: &str) -> Step {
        let catalog = bridge_migrate::catalog().unwrap();
        let whole = plan_fresh(&catalog, &Settings::new("x.db"), PlanOptions::default()).unwrap();
        let mut step = whole.steps.into_iter().next().unwrap();
        step.version = version;
        step.name = name.to_owned();
        step.release = Release::new(1, 1, 0);
        step.phase = phase;
        step.summary = format!("What {name} is for.");
        step.sql = sql.to_owned();
        step.lock_ms = 1;
        step
    }

    fn steps() -> Vec<Step> {
        let mut steps = vec![
            step(
                2,
                "room_preferences",
                Phase::Expand,
                "ALTER TABLE rooms ADD COLUMN preferences TEXT DEFAULT '{}';\n",
            ),
            step(5, "normalize_timestamps", Phase::Backfill, ""),
            step(
                6,
                "message_threading",
                Phase::Expand,
                "CREATE INDEX i ON messages (thread_id);\n",
            ),
        ];
        let [_, moves, locks] = steps.as_mut_slice() else {
            return steps;
        };
        (moves.rows, locks.rows) = (1_000_000, 1_000_000);
        moves.resumes_at = Some(40_960);
        moves.batched = true;
        moves.data = Some("data step: rewrite messages.timestamp".to_owned());
        locks.lock_ms = 1_334;
        locks.over_budget = Some("it builds an index over 1000000 rows of messages".to_owned());
        steps
    }

    fn plan(shows_sql: bool) -> PlanReport {
        PlanReport {
            path: "data/collab.db".into(),
            shows_sql,
            from: position(1, "1.0.0"),
            to: position(6, "1.1.0"),
            fresh: false,
            adopts: Some(adoption()),
            drift: Vec::new(),
            steps: steps(),
            timezone: "Europe/Berlin".to_owned(),
            disk_needed_bytes: 117_440_512,
            backup_dir: Some("data".to_owned()),
            lock_budget_ms: 250,
            kept: None,
        }
    }

    #[test]
    fn a_plan_says_what_happens_to_the_data_and_to_writers() {
        insta::assert_snapshot!(strip_str(&plan(false).render()), @"
        database     data/collab.db
        from         1.0.0 (V001), which is adopted first
        to           1.1.0 (V006), 3 steps
        time zone    Europe/Berlin, for timestamps without an offset
        backup       into data, before the first step
        disk         112.0 MiB at most
        keeps        index idx_mine
        creates      table channels

        VERSION  NAME                  RELEASE  PHASE          ROWS  WRITE LOCK        NOTE
        V002     room_preferences      1.1.0    expand            0  ≈ 1 ms
        V005     normalize_timestamps  1.1.0    backfill  1,000,000  batches ≤ 250 ms  goes on after 40,960 rows
        V006     message_threading     1.1.0    expand    1,000,000  ≈ 1.3 s           over the lock budget

        note: V006 holds the write lock for about 1.3 s, over the budget of 250 ms: it builds an index over 1000000 rows of messages
        ");
    }

    #[test]
    fn the_statements_follow_on_request() {
        let text = strip_str(&plan(true).render()).to_string();
        let (_, statements) = text.split_once("\n-- ").unwrap();
        insta::assert_snapshot!(statements, @"
        V002__room_preferences
        -- What room_preferences is for.
        ALTER TABLE rooms ADD COLUMN preferences TEXT DEFAULT '{}';

        -- V005__normalize_timestamps
        -- What normalize_timestamps is for.
        -- data step: rewrite messages.timestamp

        -- V006__message_threading
        -- What message_threading is for.
        CREATE INDEX i ON messages (thread_id);
        ");
    }

    #[test]
    fn nothing_to_do_is_one_line() {
        let plan = PlanReport {
            adopts: None,
            steps: Vec::new(),
            ..plan(false)
        };
        assert_eq!(
            plan.render(),
            "nothing to do: data/collab.db is at 1.0.0 (V001)\n"
        );
    }

    #[test]
    fn scripts_find_the_keys_of_the_contract() {
        let value = serde_json::to_value(plan(false)).unwrap();
        for key in ["from", "to", "steps", "timezone", "disk_needed_bytes"] {
            assert!(value.get(key).is_some(), "{key}");
        }
        for key in [
            "version", "name", "release", "phase", "sql", "data", "rebuilds", "rows",
        ] {
            assert!(value["steps"][0].get(key).is_some(), "{key}");
        }
        assert_eq!(value["from"]["release"], "1.0.0");
    }
}
