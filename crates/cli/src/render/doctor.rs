//! What a maintainer gets: all of it for scripts, the outlines for people.

use std::path::PathBuf;

use bridge_migrate_core::{disk::size, serial::optional_path};
use bridge_migrate_sqlite::doctor::Bundle;
use serde::Serialize;

use crate::output::Report;
use crate::text::{count, counted, field, safe, shown, version};

/// The answer of `doctor`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DoctorReport {
    /// Where it was written.
    #[serde(serialize_with = "optional_path")]
    pub(crate) file: Option<PathBuf>,
    pub(crate) bundle: Bundle,
}

impl Report for DoctorReport {
    fn render(&self) -> String {
        let Bundle {
            environment,
            files,
            database,
            findings,
            log,
            ..
        } = &self.bundle;
        let mut page = String::new();
        field!(
            page,
            "program",
            "{}, SQLite {}",
            environment.tool,
            environment.sqlite
        );
        let file_system = environment
            .file_system
            .as_deref()
            .unwrap_or("an unknown file system");
        field!(
            page,
            "machine",
            "{}",
            safe(&format!(
                "{} {}, {file_system}",
                environment.system, environment.architecture
            ))
        );
        let bytes = files.database_bytes.map_or_else(|| "not there".to_owned(), size);
        field!(
            page,
            "database",
            "{}",
            safe(&format!("{}, {bytes}", files.database))
        );
        match database {
            Some(facts) => {
                let rows: i64 = facts.rows.iter().filter_map(|table| table.rows).sum();
                let position = facts.version.map_or_else(|| "not managed".to_owned(), version);
                field!(
                    page,
                    "holds",
                    "{position}, {}, {}",
                    counted(facts.rows.len() as u64, "table"),
                    counted(u64::try_from(rows).unwrap_or_default(), "row")
                );
            }
            None => field!(page, "holds", "it cannot be read"),
        }
        let backups = counted(files.backups_complete as u64, "complete backup");
        field!(page, "backups", "{backups}");
        field!(page, "findings", "{}", count(findings.len() as u64));
        let lines = log.as_ref().map_or(0, |log| log.lines.len());
        field!(page, "log", "{}", counted(lines as u64, "line"));
        match &self.file {
            Some(file) => field!(page, "written to", "{}", shown(file)),
            None => field!(
                page,
                "next",
                "`doctor --bundle FILE` writes what a maintainer needs"
            ),
        }
        page
    }
}
