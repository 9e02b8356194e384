//! What must hold of the files that a power cut, a fault or a kill leaves.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bridge_migrate_core::Silent;
use bridge_migrate_sqlite::backup::{self, Completeness};
use bridge_migrate_sqlite::restore::{RestoreOptions, restore};
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::case::{Case, DATABASE, TOKENS};
use super::names::{is_fleeting, is_of_sqlite, lasting};
use super::tree::Tree;
use crate::prover::open;
use crate::truth::{Standing, content, first_difference};

/// What the command comes to.
#[derive(Debug)]
pub struct Goal {
    /// The files.
    pub tree: Tree,
    /// What the database says.
    pub content: String,
}

/// What the program promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// Nothing yet.
    None,
    /// That it is done.
    Goal,
    /// The same, in the run that led to the [`Goal`]: each file must be as that left it, by name and byte.
    Files,
}

/// What a folder turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// The database; `None` where there is none, and there was none before.
    pub standing: Option<Standing>,
    /// Backups that are offered.
    pub backups: usize,
}

/// Looks at folders. What was seen once is remembered, since most cuts differ in one file.
#[derive(Debug)]
pub struct Aftermath<'a> {
    case: &'a Case,
    goal: &'a Goal,
    databases: BTreeMap<[u8; 32], Result<(Standing, String), String>>,
    before: String,
    scratch: TempDir,
}

const SAID: &str = "the program said that it is done, but";

impl<'a> Aftermath<'a> {
    /// Looks at what the case's command leaves.
    ///
    /// # Panics
    /// When there is no room.
    pub fn new(case: &'a Case, goal: &'a Goal) -> Self {
        let mut aftermath = Self {
            case,
            goal,
            databases: BTreeMap::new(),
            before: String::new(),
            scratch: tempfile::tempdir().unwrap(),
        };
        if let Some(bytes) = case.before.get(DATABASE) {
            aftermath.before = aftermath.look(bytes).unwrap().1;
        }
        aftermath
    }

    /// Different databases that were seen, in place or in backups.
    pub fn databases(&self) -> usize {
        self.databases.len()
    }

    /// What the database held before.
    pub fn content_before(&self) -> &str {
        &self.before
    }

    /// Checks what the folder holds now; also gives the database's content.
    ///
    /// # Errors
    /// What does not hold.
    pub fn check(&mut self, promise: Promise) -> Result<(Found, String), String> {
        let root = self.case.root();
        let tree = Tree::read(&root);
        self.check_tokens(&tree)?;
        self.check_kept(&tree)?;
        let backups = self.check_backups()?;
        let found = self.database(&root, &tree)?;
        let (standing, content) = found.unzip();
        let content = content.unwrap_or_default();
        let is_kept = content == self.before || backups.contains(&self.before);
        if self.case.at_once && content != self.before && content != self.goal.content {
            let difference = first_difference(&self.goal.content, &content);
            return Err(format!(
                "the database is neither as before nor as it should be: {difference}"
            ));
        }
        let secures = ["restore", "repair"].contains(&self.case.arguments[0].as_str());
        if secures && !self.before.is_empty() && !is_kept {
            return Err("what was overwritten is in no complete backup".to_owned());
        }
        let backups = backups.len();
        if promise != Promise::None {
            self.check_goal(&tree, &content)?;
        }
        if promise == Promise::Files {
            self.check_files(&tree)?;
        }
        Ok((Found { standing, backups }, content))
    }

    /// The token file is the old or the new one.
    fn check_tokens(&self, tree: &Tree) -> Result<(), String> {
        let found = tree.get(TOKENS);
        if found == self.case.before.get(TOKENS) || found == self.goal.tree.get(TOKENS) {
            return Ok(());
        }
        Err(match found {
            None => "the token file is gone".to_owned(),
            Some(bytes) => format!(
                "the token file has {} bytes, neither the old nor the new ones",
                bytes.len()
            ),
        })
    }

    /// What rollbacks kept is there as it was, unless the command gives it up because all of it is in the database.
    fn check_kept(&self, tree: &Tree) -> Result<(), String> {
        for (path, bytes) in &self.case.before.0 {
            let is_given_up = || !tree.0.contains_key(path) && !self.goal.tree.0.contains_key(path);
            if path.to_string_lossy().contains(".kept.") && tree.0.get(path) != Some(bytes) && !is_given_up()
            {
                return Err(format!("what was kept in {} is gone or changed", path.display()));
            }
        }
        Ok(())
    }

    /// No token that was revoked is valid, in the file or in the database.
    fn check_revoked(&self, tree: &Tree, connection: &Connection) -> Result<(), String> {
        let file: serde_json::Value = serde_json::from_slice(tree.get(TOKENS).unwrap_or(b"{}"))
            .map_err(|error| format!("the token file: {error}"))?;
        for (hash, token) in &self.case.revoked {
            let in_revoked = file["revoked"].as_array();
            let is_revoked = in_revoked.is_some_and(|all| all.iter().any(|one| one == token));
            if !file["tokens"][token].is_null() && !is_revoked {
                return Err(format!("the revoked token {token} is valid in the file"));
            }
            let sql = "SELECT count(*) FROM auth_tokens WHERE token_hash = ?1 \
                 AND token_hash NOT IN (SELECT token_hash FROM revoked_tokens)";
            let valid: Result<u64, _> = connection.query_row(sql, [hash], |row| row.get(0));
            if valid != Ok(0) {
                return Err(format!(
                    "the revoked token {token} is valid in the database: {valid:?}"
                ));
            }
        }
        Ok(())
    }

    /// What is offered as a backup is one, and nothing else can be restored. Gives what the backups hold.
    fn check_backups(&mut self) -> Result<Vec<String>, String> {
        let settings = self.case.settings();
        let backups = backup::list(&settings).map_err(|error| format!("backup list: {error}"))?;
        let mut offered = Vec::new();
        for found in backups {
            let name = found.database.display().to_string();
            if found.state == Completeness::Complete {
                let problems = backup::verify(&settings, &found, false, &Silent)
                    .map_err(|error| format!("backup verify {name}: {error}"))?;
                if let Some(problem) = problems.first() {
                    return Err(format!("the backup {name} is offered, but {}", problem.message));
                }
                let bytes = fs::read(&found.database).unwrap();
                let (_, content) = self
                    .look(&bytes)
                    .map_err(|wrong| format!("the backup {name}: {wrong}"))?;
                offered.push(content);
            } else {
                let options = RestoreOptions {
                    dry_run: true,
                    ..RestoreOptions::default()
                };
                if restore(&settings, &found, &options, &Silent).is_ok() {
                    return Err(format!("{name} could be restored, but {:?}", found.problem));
                }
            }
        }
        Ok(offered)
    }

    /// The database in place, after SQLite's recovery.
    fn database(&mut self, root: &Path, tree: &Tree) -> Result<Option<(Standing, String)>, String> {
        let path = root.join(DATABASE);
        if tree.get(DATABASE).is_none() {
            return match self.case.before.get(DATABASE) {
                None => Ok(None),
                Some(_) => Err("the database is gone".to_owned()),
            };
        }
        let connection = open(&path)?;
        connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(|error| format!("bringing the log in: {error}"))?;
        self.check_revoked(tree, &connection)?;
        drop(connection);
        self.look(&fs::read(&path).unwrap()).map(Some)
    }

    /// The content of a database that has no sidecars.
    fn look(&mut self, bytes: &[u8]) -> Result<(Standing, String), String> {
        let digest = Sha256::digest(bytes).into();
        if let Some(known) = self.databases.get(&digest) {
            return known.clone();
        }
        let path = self.scratch.path().join("copy.db");
        fs::write(&path, bytes).unwrap();
        let look = |connection: Connection| {
            let standing = self.case.truth.check(&connection)?;
            Ok((standing, content(&connection)))
        };
        let found = open(&path).and_then(look);
        self.databases.insert(digest, found.clone());
        found
    }

    /// What the program said that it did is in the database and the token file.
    fn check_goal(&self, tree: &Tree, content: &str) -> Result<(), String> {
        if content != self.goal.content {
            let difference = first_difference(&self.goal.content, content);
            return Err(format!("{SAID} of the database: {difference}"));
        }
        if tree.get(TOKENS) != self.goal.tree.get(TOKENS) {
            return Err(format!("{SAID} the token file is not as it should be"));
        }
        Ok(())
    }

    /// And in all other files, but for those on which nobody relies.
    fn check_files(&self, tree: &Tree) -> Result<(), String> {
        let lasting_files = |tree: &Tree| {
            let mut files = tree.0.clone();
            files.retain(|path, bytes| {
                let name = lasting(path);
                bytes.is_some() && !is_fleeting(&name) && !is_of_sqlite(&name)
            });
            files
        };
        let (wanted, found) = (lasting_files(&self.goal.tree), lasting_files(tree));
        for (path, bytes) in &wanted {
            match found.get(path) {
                Some(found) if found == bytes => {}
                Some(_) => return Err(format!("{SAID} {} is not as it left it", path.display())),
                None => return Err(format!("{SAID} {} is missing", path.display())),
            }
        }
        match found.keys().find(|path| !wanted.contains_key(*path)) {
            Some(path) => Err(format!("{SAID} {} is back", path.display())),
            None => Ok(()),
        }
    }

    /// Runs the command again on `tree`, and looks whether it gets to the same end.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn run_again(&mut self, tree: &Tree) -> Result<(), String> {
        let ending = self.case.run_on(tree);
        if ending.code != Some(0) {
            return Err(format!("the next run fails: {ending}"));
        }
        let found = self.check(Promise::Goal);
        found
            .map(drop)
            .map_err(|wrong| format!("after the next run: {wrong}"))
    }
}
