//! The lines that appear while a run is at work.

use bridge_migrate_core::{Event, Stage};

use crate::text::{CAUTION, LABEL, STRONG, count, counted, duration, safe, shown, styled, time, version};

/// What a run did: a line of its story. `None` for what has no place in it.
pub(crate) fn line(event: &Event, verbose: bool) -> Option<String> {
    Some(match event {
        Event::DatabaseCreated { database } => {
            format!("made a new database at {}", styled(STRONG, &shown(database)))
        }
        Event::Adopted {
            version: number,
            release,
            kept,
            created,
        } => adopted(*number, release, kept, created),
        Event::BackedUp {
            database,
            companion,
            reused,
            ..
        } => {
            let tokens = match companion {
                Some(path) => format!(" and {}", shown(path)),
                None => String::new(),
            };
            match reused {
                true => format!("nothing changed since the backup {}{tokens}", shown(database)),
                false => format!("backed up to {}{tokens}", shown(database)),
            }
        }
        Event::BackupRemoved { database } if verbose => format!("removed {}", shown(database)),
        Event::StepStarted {
            version: number,
            name,
            resumed: true,
            ..
        } => format!(
            "{} {} goes on where it was interrupted",
            version(*number),
            safe(name)
        ),
        Event::StepFinished {
            version: number,
            name,
            down,
            duration_ms,
            rows_changed,
            max_lock_ms,
        } => format!(
            "{} {:<28} {:>10}  {:>16}  longest lock {}{}",
            version(*number),
            safe(name),
            duration(*duration_ms),
            counted(*rows_changed, "row"),
            duration(*max_lock_ms),
            if *down { "  (taken back)" } else { "" },
        ),
        Event::BatchCommitted {
            version: number,
            visited,
            changed,
            lock_us,
        } if verbose => format!(
            "{}   {} read, {} changed, lock {}.{:03} ms",
            version(*number),
            counted(*visited, "row"),
            count(*changed),
            lock_us / 1000,
            lock_us % 1000
        ),
        Event::Rehearsing { stage } => format!(
            "{LABEL}{}{LABEL:#}",
            match stage {
                Stage::Copy => "copying the database",
                Stage::Up => "on the copy: up",
                Stage::Back => "on the copy: back",
                Stage::Again => "on the copy: up again",
                Stage::Use => "on the copy: in use",
            }
        ),
        _ => return None,
    })
}

/// What an operator should know while it happens, and that is no part of what the run did.
pub(crate) fn aside(event: &Event) -> Option<String> {
    match event {
        Event::Waiting { holder } => Some(match holder {
            Some(holder) => format!(
                "waiting: process {} on {} holds the migration lock since {} ({})",
                holder.pid,
                safe(&holder.host),
                time(&holder.since),
                safe(&holder.command)
            ),
            None => "waiting: another process holds the migration lock".to_owned(),
        }),
        Event::Warning { message } => Some(format!("{} {}", styled(CAUTION, "warning:"), safe(message))),
        _ => None,
    }
}

fn adopted(number: u32, release: &str, kept: &[String], created: &[String]) -> String {
    let place = match release {
        "" => version(number),
        release => format!("{} ({})", safe(release), version(number)),
    };
    let mut text = format!("adopted as {}", styled(STRONG, &place));
    for object in kept {
        text.push_str(&format!("\n  kept {}", safe(object)));
    }
    for table in created {
        text.push_str(&format!("\n  created {}", safe(table)));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use anstream::adapter::strip_str;
    use bridge_migrate_core::Holder;

    use super::*;

    fn story(events: &[Event]) -> String {
        let lines: Vec<String> = events
            .iter()
            .filter_map(|event| line(event, false).or_else(|| aside(event)))
            .map(|line| strip_str(&line).to_string())
            .collect();
        lines.join("\n")
    }

    #[test]
    fn a_run_is_told_in_lines() {
        let finished = |version, name: &str, duration_ms, rows_changed, max_lock_ms| Event::StepFinished {
            version,
            name: name.to_owned(),
            down: false,
            duration_ms,
            rows_changed,
            max_lock_ms,
        };
        let events = [
            Event::Waiting {
                holder: Some(Holder {
                    pid: 4711,
                    host: "bridge-1".to_owned(),
                    since: "2026-02-22T15:30:45.123456Z".to_owned(),
                    command: "migrate".to_owned(),
                    tool: "bridge-migrate 0.1.0".to_owned(),
                }),
            },
            Event::Warning {
                message: "this run has no log".to_owned(),
            },
            Event::BackedUp {
                database: PathBuf::from("data/collab.db.backup.20260222_153045"),
                companion: Some(PathBuf::from("data/tokens.json.backup.20260222_153045")),
                manifest: PathBuf::from("data/collab.db.backup.20260222_153045.json"),
                reused: false,
            },
            Event::Adopted {
                version: 1,
                release: "1.0.0".to_owned(),
                kept: vec!["table notes".to_owned()],
                created: vec!["channels".to_owned()],
            },
            finished(2, "room_preferences", 3, 0, 3),
            Event::StepStarted {
                version: 5,
                name: "normalize_timestamps".to_owned(),
                down: false,
                resumed: true,
            },
            finished(5, "normalize_timestamps", 12_345, 1_000_000, 201),
        ];
        insta::assert_snapshot!(story(&events), @"
        waiting: process 4711 on bridge-1 holds the migration lock since 2026-02-22 15:30:45 UTC (migrate)
        warning: this run has no log
        backed up to data/collab.db.backup.20260222_153045 and data/tokens.json.backup.20260222_153045
        adopted as 1.0.0 (V001)
          kept table notes
          created channels
        V002 room_preferences                   3 ms            0 rows  longest lock 3 ms
        V005 normalize_timestamps goes on where it was interrupted
        V005 normalize_timestamps             12.3 s    1,000,000 rows  longest lock 201 ms
        ");
    }

    #[test]
    fn batches_are_told_only_to_those_who_ask() {
        let batch = Event::BatchCommitted {
            version: 5,
            visited: 2048,
            changed: 7,
            lock_us: 12_034,
        };
        assert_eq!(line(&batch, false), None);
        assert_eq!(
            line(&batch, true).unwrap(),
            "V005   2,048 rows read, 7 changed, lock 12.034 ms"
        );
    }
}
