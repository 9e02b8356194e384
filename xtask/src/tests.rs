//! Tests of the command line, and a project in a temporary folder for those of the commands.

use std::{collections::BTreeMap, fs, ops::Deref, path::Path};

use clap::CommandFactory;
use tempfile::TempDir;

use super::{Cli, parse_migration};
use xtask::project::Project;

/// A temporary project, removed when dropped.
pub(crate) struct TestProject {
    folder: TempDir,
    project: Project,
}

impl TestProject {
    /// A project with a log and no migration.
    pub(crate) fn empty() -> Self {
        let folder = TempDir::new().unwrap();
        let project = Project::at(folder.path());
        let test = Self { folder, project };
        test.write(
            "MIGRATIONS.md",
            "# Migrations\n\n## Migration log\n\n## Support\n\nAsk.\n",
        );
        test
    }

    /// A project of two migrations with which every check is content.
    pub(crate) fn finished() -> Self {
        let test = Self::empty();
        let mut log = "# Migrations\n\n## Current schema version\n\n**Version**: 1.1.0\n\n## Migration log\n"
            .to_owned();
        for (stem, release) in [("V001__a", "1.0.0"), ("V002__b", "1.1.0")] {
            test.write(
                &format!("migrations/{stem}.rs"),
                &format!(
                    "//! Does it.\n//!\n//! # Why\n//! Needed.\n//!\n//! # Rollback\n//! Loses nothing.\n\n\
                     pub(crate) fn migration() -> Definition {{\n    Definition::new(\"{release}\", Phase::Expand)\n}}\n"
                ),
            );
            test.write(
                &format!("migrations/golden/{stem}.sql"),
                "CREATE TABLE t (id TEXT);\n",
            );
            test.write(&format!("contracts/{release}.sql"), "-- foreign keys: off\n");
            log.push_str(&format!("\n### {}\n\nDone.\n", stem.replace("__", " ")));
        }
        test.write("MIGRATIONS.md", &(log + "\n## Support\n\nAsk.\n"));
        crate::seal::seal(&test, &[], crate::seal::Turn::Keep).unwrap();
        test
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn text(&self, path: &str) -> String {
        fs::read_to_string(self.folder.path().join(path)).unwrap()
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.folder.path().join(path).exists()
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.folder.path().join(path)).unwrap();
    }

    /// Every file with its text.
    pub(crate) fn snapshot(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        self.collect(self.folder.path(), &mut files);
        files
    }

    fn collect(&self, folder: &Path, files: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.collect(&path, files);
            } else {
                files.insert(self.project.show(&path), fs::read_to_string(&path).unwrap());
            }
        }
    }
}

impl Deref for TestProject {
    type Target = Project;

    fn deref(&self) -> &Project {
        &self.project
    }
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn unseal_takes_a_migration_and_nothing_else() {
    assert_eq!(parse_migration("V003"), Ok(3));
    for text in ["0", "latest", "1.1.0", "-1", "all"] {
        assert!(parse_migration(text).is_err(), "{text}");
    }
}
