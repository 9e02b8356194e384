//! What tests of the engine have another process do: `write`, `serve`, `hold` or `restore`, and a path.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what goes wrong is seen by the test that started it"
)]

use std::{path::Path, time::Duration};

use bridge_migrate_core::{Settings, Silent};
use bridge_migrate_sqlite::restore::{RestoreOptions, restore};
use bridge_migrate_sqlite::{backup::find, connection::open_writer};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (what, path) = (arguments.next().unwrap(), arguments.next().unwrap());
    let path = Path::new(&path);
    match what.as_str() {
        "write" => open_writer(path, Duration::ZERO)
            .unwrap()
            .execute_batch("BEGIN IMMEDIATE; INSERT INTO notes VALUES ('child', ''); COMMIT")
            .unwrap(),
        "serve" => serve(path),
        "hold" => hold(path),
        "restore" => {
            let folder = path.parent().unwrap();
            let mut settings = Settings::new(folder.join("collab.db"));
            settings.log_dir = folder.join("logs");
            let backup = find(&settings, path.as_os_str()).unwrap();
            restore(&settings, &backup, &RestoreOptions::default(), &Silent).unwrap();
        }
        other => panic!("nobody knows how to {other}"),
    }
}

/// A server that opens the database for each call, until the folder holds a file `stop`: closing it, the last one, removes
/// the log.
fn serve(folder: &Path) {
    while folder.is_dir() && !folder.join("stop").exists() {
        open_writer(&folder.join("notes.db"), Duration::from_secs(5))
            .unwrap()
            .execute_batch("INSERT INTO calls VALUES (hex(randomblob(600)))")
            .unwrap();
    }
}

/// A server that has the database open, which the file `held` tells, until the folder holds a file `stop`.
fn hold(folder: &Path) {
    let server = open_writer(&folder.join("notes.db"), Duration::from_secs(5)).unwrap();
    server
        .query_row("SELECT count(*) FROM notes", [], |_| Ok(()))
        .unwrap();
    std::fs::write(folder.join("held"), "").unwrap();
    while folder.is_dir() && !folder.join("stop").exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
}
