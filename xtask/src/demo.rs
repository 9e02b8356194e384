//! `cargo xtask demo`: the whole story of a database, from 1.0.0 to the newest release and back, to watch.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io::Write};

use sha2::{Digest, Sha256};

use crate::source;
use xtask::project::{self, Project};
use xtask::{Report, cargo, error::Error, program};

/// The strategy's own question, as servers ask it.
const STRATEGY_QUERY: &str = "SELECT version FROM schema_version ORDER BY applied_at DESC LIMIT 1";

/// Some messages, as the server left them and as they are afterwards.
const MESSAGES_BEFORE: &str =
    "SELECT substr(id, 1, 8), substr(reply_to, 1, 8), timestamp FROM messages WHERE rowid BETWEEN 21 AND 32";
const MESSAGES_AFTER: &str = "SELECT substr(id, 1, 8), substr(reply_to, 1, 8), timestamp, substr(thread_id, 1, 8) \
                              FROM messages WHERE rowid BETWEEN 21 AND 32";

/// Makes the database and tells its story.
///
/// # Errors
/// When something does not build, or a chapter does not end as it should; it is named.
pub(crate) fn demo(project: &Project, messages: u64, keep: bool) -> Result<Report, Error> {
    let newest = project
        .migrations()?
        .pop()
        .ok_or_else(|| Error::new("there is no migration to show"))?;
    let newest = source::release(&project::read(&project.migration(&newest))?)
        .ok_or_else(|| Error::new(format!("migrations/{newest} names no release")))?;

    say("building the program, and a database of release 1.0.0 …");
    let [program, make, query] = cargo::build(
        project,
        &[
            "--package=bridge-migrate-cli",
            "--package=bridge-migrate-tests",
            "--bin=bridge-migrate",
            "--example=make_1_0_0",
            "--example=query",
        ],
        ["bridge-migrate", "make_1_0_0", "query"],
    )?;
    let temporary = tempfile::Builder::new()
        .prefix("bridge-migrate-demo-")
        .tempdir()
        .map_err(|error| Error::new(format!("cannot make a temporary folder: {error}")))?;
    let story = Story {
        folder: temporary.path().to_owned(),
        program,
        query,
    };
    story.run(
        Command::new(make)
            .arg(story.folder.join("data"))
            .arg(messages.to_string()),
        "make_1_0_0",
    )?;
    let told = story.tell(&newest.to_string());

    let last = if keep {
        format!("kept in {}", temporary.keep().display())
    } else {
        "the folder is gone again; --keep leaves it".to_owned()
    };
    told?;
    Ok(Report {
        lines: vec![String::new(), last],
        passed: true,
    })
}

struct Story {
    folder: PathBuf,
    program: PathBuf,
    query: PathBuf,
}

impl Story {
    fn tell(&self, newest: &str) -> Result<(), Error> {
        chapter("A server has used this database for months. Nothing records its version.");
        self.bridge_migrate(&["status"])?;
        self.ask(MESSAGES_BEFORE)?;

        chapter("What would happen? Nothing is written to find out.");
        let before = self.digest()?;
        self.bridge_migrate(&["plan"])?;
        self.unchanged(&before, "plan")?;

        chapter("A backup of our own, beside the one that migrate makes itself.");
        self.bridge_migrate(&["backup", "create"])?;
        let backup = self.first_backup()?;

        chapter("Now do it.");
        self.bridge_migrate(&["migrate"])?;
        self.bridge_migrate(&["status"])?;
        self.bridge_migrate(&["history"])?;
        self.ask(MESSAGES_AFTER)?;

        chapter("Servers ask in the words of the strategy.");
        self.expect_version(newest)?;

        chapter("Again? There is nothing to do, and not one byte changes.");
        let before = self.digest()?;
        self.bridge_migrate(&["migrate"])?;
        self.unchanged(&before, "the second migrate")?;

        chapter("We want to go back to the backup.");
        self.bridge_migrate(&["restore", &backup])?;
        self.bridge_migrate(&["status"])?;

        chapter("And forward again.");
        self.bridge_migrate(&["migrate"])?;
        self.expect_version(newest)?;
        self.bridge_migrate(&["backup", "list"])
    }

    fn bridge_migrate(&self, arguments: &[&str]) -> Result<(), Error> {
        let line = format!("bridge-migrate {}", arguments.join(" "));
        say(&format!("\n$ {line}"));
        self.run(
            program::command(&self.program, &self.folder).args(arguments),
            &line,
        )
    }

    fn ask(&self, sql: &str) -> Result<(), Error> {
        say(&format!("\nsql> {sql}"));
        self.run(Command::new(&self.query).arg("data/collab.db").arg(sql), sql)
    }

    fn expect_version(&self, newest: &str) -> Result<(), Error> {
        say(&format!("\nsql> {STRATEGY_QUERY}"));
        let mut command = Command::new(&self.query);
        let output = cargo::output(
            command
                .current_dir(&self.folder)
                .arg("data/collab.db")
                .arg(STRATEGY_QUERY),
        )?;
        let answer = cargo::text(&output);
        say(&answer);
        if answer == newest {
            return Ok(());
        }
        Err(Error::new(format!(
            "the strategy's query answers {answer}, not {newest}"
        )))
    }

    /// Runs a program with the streams of this one, so that it shows what a person would see.
    fn run(&self, command: &mut Command, line: &str) -> Result<(), Error> {
        let status = command
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .status()
            .map_err(|error| Error::new(format!("cannot run {line}: {error}")))?;
        if status.success() {
            return Ok(());
        }
        Err(Error::new(format!("`{line}` ended with {status}")))
    }

    fn digest(&self) -> Result<Vec<u8>, Error> {
        let path = self.folder.join("data/collab.db");
        let content = fs::read(&path).map_err(|error| Error::io("read", &path, &error))?;
        Ok(Sha256::digest(content).to_vec())
    }

    fn unchanged(&self, before: &[u8], what: &str) -> Result<(), Error> {
        if self.digest()? == before {
            say(&format!("✓ the database is the same to the byte after {what}"));
            return Ok(());
        }
        Err(Error::new(format!("{what} changed the database")))
    }

    /// The backup that is there while there is only one, as a path from the story's folder.
    fn first_backup(&self) -> Result<String, Error> {
        let data = Path::new("data");
        project::file_names(&self.folder.join(data))?
            .into_iter()
            .find(|name| name.starts_with("collab.db.backup.") && !name.ends_with(".json"))
            .map(|name| data.join(name).to_string_lossy().into_owned())
            .ok_or_else(|| Error::new("backup create left no backup beside the database"))
    }
}

fn chapter(text: &str) {
    say(&format!("\n── {text}"));
}

/// At once, so that it stands before what the next program says.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A reader who closed the pipe has seen enough.
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}
