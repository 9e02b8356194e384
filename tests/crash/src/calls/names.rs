//! Names of operations that are the same in each run: without what comes of the clock and of chance.

use std::path::Path;

/// What stands for a temporary file.
const TEMPORARY: &str = "TEMPORARY";

/// The name of a file below the watched folder, with its stamps, runs and temporary names taken out.
pub fn lasting(path: &Path) -> String {
    let text = path.to_string_lossy();
    let parts: Vec<String> = text.split('/').map(lasting_part).collect();
    parts.join("/")
}

fn lasting_part(name: &str) -> String {
    if name.starts_with(".bridge-migrate-") || name.starts_with(".tmp") {
        return TEMPORARY.to_owned();
    }
    // Stamps and the names of runs consist of these, and no other word of a file's name begins with a digit.
    let is_chance = |word: &str| {
        let is_hex = word.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex && (word.len() >= 6 || word.bytes().all(|byte| byte.is_ascii_digit())) && !word.is_empty()
    };
    let words = name.split('.').map(|words| {
        let mut kept: Vec<&str> = words
            .split('_')
            .map(|word| if is_chance(word) { "*" } else { word })
            .collect();
        // The second stamp of one second has a word more.
        kept.dedup();
        kept.join("_")
    });
    words.collect::<Vec<_>>().join(".")
}

/// Whether SQLite alone writes the file, of which the other prover knows more.
pub fn is_of_sqlite(name: &str) -> bool {
    ["collab.db", "collab.db-journal", "collab.db-wal", "collab.db-shm"]
        .iter()
        .any(|of_sqlite| name.ends_with(of_sqlite))
}

/// Whether a file may be there or not, in any state: nobody relies on it after a power cut.
pub fn is_fleeting(name: &str) -> bool {
    name.contains(TEMPORARY) || name.starts_with("logs") || name.ends_with(".migrate.lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_depend_on_clock_and_chance() {
        for (name, expected) in [
            ("data/collab.db", "data/collab.db"),
            ("data/collab.db-wal", "data/collab.db-wal"),
            ("data/collab.db.backup.20261123_025000", "data/collab.db.backup.*"),
            (
                "collab.db.backup.20261123_025000_2.json",
                "collab.db.backup.*.json",
            ),
            (
                "logs/migration_20261123_025000_1f00aa3c.log",
                "logs/migration_*.log",
            ),
            ("data/.bridge-migrate-x7Gh2a.tmp", "data/TEMPORARY"),
            ("tokens.json", "tokens.json"),
        ] {
            assert_eq!(lasting(Path::new(name)), expected);
        }
    }
}
