//! A database of release 1.0.0 with its token file, in a folder of its own that goes away with it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::{Nasty, Population, dump, schema_1_0_0, tokens};

/// How many tokens a populated database's token file has, as many as a small production site.
const TOKENS: usize = 40;

/// `data/collab.db` and `data/tokens.json` under a temporary root.
#[derive(Debug)]
pub struct TestDatabase {
    root: TempDir,
    folder: PathBuf,
}

impl TestDatabase {
    /// An empty folder: no database and no token file yet.
    pub fn nothing() -> Self {
        Self::nothing_in("data")
    }

    /// An empty folder of the given name, such as one of [`odd_folder_names`].
    pub fn nothing_in(name: impl AsRef<OsStr>) -> Self {
        let root = tempfile::Builder::new().prefix("bridge-").tempdir().unwrap();
        // The real path: on some systems the temporary folder is itself reached through a link.
        let folder = root.path().canonicalize().unwrap().join(name.as_ref());
        fs::create_dir_all(&folder).unwrap();
        Self { root, folder }
    }

    /// What the server leaves after its first start: the schema, no row, no token file.
    pub fn fresh_1_0_0() -> Self {
        let database = Self::nothing();
        database.create_schema();
        database
    }

    /// A small production database with its token file.
    pub fn populated(seed: u64) -> Self {
        Self::with(&Population {
            seed,
            ..Population::default()
        })
    }

    /// A database with the given population, and a token file.
    pub fn with(population: &Population) -> Self {
        let database = Self::fresh_1_0_0();
        population.write(&database.connect()).unwrap();
        database.write_tokens(population.seed, TOKENS);
        database
    }

    /// Everything odd that SQLite and the server allow, and a token file.
    pub fn nasty(seed: u64) -> Self {
        Self::with_nasty(&Nasty {
            seed,
            ..Nasty::default()
        })
    }

    /// A database with the given oddities, and a token file.
    pub fn with_nasty(nasty: &Nasty) -> Self {
        let database = Self::fresh_1_0_0();
        nasty.write(&database.connect()).unwrap();
        database.write_tokens(nasty.seed, TOKENS);
        database
    }

    /// Creates the schema as the server's first start does.
    pub fn create_schema(&self) {
        let connection = self.connect();
        for sql in schema_1_0_0::start_up() {
            connection.execute_batch(sql).unwrap();
        }
    }

    /// Writes a token file of `count` tokens.
    pub fn write_tokens(&self, seed: u64, count: usize) {
        fs::write(self.tokens(), tokens::tokens_json(seed, count)).unwrap();
    }

    /// The database file.
    pub fn path(&self) -> PathBuf {
        self.folder.join("collab.db")
    }

    /// The token file.
    pub fn tokens(&self) -> PathBuf {
        self.folder.join("tokens.json")
    }

    /// The folder of both files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The temporary folder that holds [`Self::folder`] and goes away with this value.
    pub fn root(&self) -> &Path {
        self.folder.parent().unwrap_or(self.root.path())
    }

    /// The copies in complete backups that secured what a restore or a rollback overwrote.
    ///
    /// # Panics
    /// When a manifest cannot be read.
    pub fn secured(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(&self.folder).unwrap();
        let manifests = files.map(|entry| entry.unwrap().path()).filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with("collab.db.backup.") && name.ends_with(".json")
        });
        let secures = |manifest: &PathBuf| {
            let manifest: serde_json::Value = serde_json::from_slice(&fs::read(manifest).unwrap()).unwrap();
            ["before restore", "before rollback"].contains(&manifest["reason"].as_str().unwrap())
        };
        manifests
            .filter(secures)
            .map(|manifest| manifest.with_extension(""))
            .collect()
    }

    /// A connection as the server's Python opens it: foreign keys off, 5 s busy timeout.
    pub fn connect(&self) -> Connection {
        connect(&self.path()).unwrap()
    }

    /// A connection that cannot write.
    pub fn connect_read_only(&self) -> Connection {
        Connection::open_with_flags(self.path(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
    }

    /// Runs statements as an operator would in the shell.
    pub fn execute(&self, sql: &str) {
        self.connect().execute_batch(sql).unwrap();
    }

    /// One text per row: its values joined by `|` as the `sqlite3` shell prints them, with `NULL` for null.
    pub fn query_strings(&self, sql: &str) -> Vec<String> {
        let connection = self.connect_read_only();
        let mut statement = connection.prepare(sql).unwrap();
        let width = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        let mut lines = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let values: Vec<String> = (0..width)
                .map(|index| shell_text(row.get_ref(index).unwrap()))
                .collect();
            lines.push(values.join("|"));
        }
        lines
    }

    /// The only row of a query, as in [`Self::query_strings`].
    pub fn query_string(&self, sql: &str) -> String {
        let mut rows = self.query_strings(sql);
        assert_eq!(rows.len(), 1, "{sql} gives {} rows", rows.len());
        rows.remove(0)
    }

    /// The rows of a table.
    pub fn count(&self, table: &str) -> u64 {
        let name = bridge_migrate_sqlite::identifier(table);
        self.query_string(&format!("SELECT count(*) FROM {name}"))
            .parse()
            .unwrap()
    }

    /// File name → SHA-256 of each file in the folder, and `folder` for each folder in it: equal before and after
    /// when nothing there changed. Look at this before any query, since a query may leave sidecars of its own.
    pub fn bytes_of_folder(&self) -> BTreeMap<OsString, String> {
        bytes_of(&self.folder)
    }

    /// Every row of every table with the storage class of each value; see [`dump::render`].
    pub fn dump(&self) -> String {
        dump::all(&self.connect_read_only())
    }

    /// The rows of one table, with the named columns only.
    pub fn dump_columns(&self, table: &str, columns: &[&str]) -> String {
        dump::one_table(&self.connect_read_only(), table, columns)
    }

    /// The nine tables of 1.0.0 with the columns of 1.0.0, except those named in `without` (table, column): what
    /// no migration may change unless it says so.
    pub fn dump_1_0_0(&self, without: &[(&str, &str)]) -> String {
        let connection = self.connect_read_only();
        let mut text = String::new();
        for (table, columns) in schema_1_0_0::TABLES {
            let kept = columns
                .iter()
                .filter(|column| !without.contains(&(table, *column)));
            let kept: Vec<&str> = kept.copied().collect();
            text.push_str(&dump::one_table(&connection, table, &kept));
        }
        text
    }

    /// The digest of what [`Self::dump_columns`] gives, for large tables.
    pub fn digest_of_columns(&self, table: &str, columns: &[&str]) -> String {
        dump::digest(&self.connect_read_only(), table, columns)
    }

    /// Type, name and stored text of everything in the schema.
    pub fn schema(&self) -> String {
        dump::schema(&self.connect_read_only())
    }

    /// Switches between write-ahead log and rollback journal.
    pub fn set_wal(&self, wal: bool) {
        let mode = if wal { "wal" } else { "delete" };
        let sql = format!("PRAGMA journal_mode = {mode}");
        let now: String = self.connect().query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(now, mode);
    }

    /// Overwrites bytes of the database file, as a bad disk would.
    pub fn damage(&self, offset: usize, bytes: &[u8]) {
        let mut content = fs::read(self.path()).unwrap();
        content[offset..offset + bytes.len()].copy_from_slice(bytes);
        fs::write(self.path(), content).unwrap();
    }
}

/// A connection as the server's Python opens it: created when missing, foreign keys off, 5 s busy timeout.
///
/// # Errors
/// When SQLite cannot open the file.
pub fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    // The bundled SQLite is built with foreign keys on; Python's is not.
    connection.execute_batch("PRAGMA foreign_keys = OFF")?;
    Ok(connection)
}

/// A connection to a copy that nobody writes, beside which no file is made.
///
/// # Panics
/// When SQLite cannot open the file.
pub fn connect_to_copy(path: &Path) -> Connection {
    let uri = format!("file:{}?immutable=1", path.display());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri, flags).unwrap()
}

/// Names that scripts trip over.
pub fn odd_folder_names() -> Vec<OsString> {
    let names = [
        "with two  spaces",
        "it's \"quoted\"",
        "per%cent?mode=ro#x",
        "数据 שלום 🎉",
        "-db",
        "a;b$HOME`c`",
    ];
    let mut names: Vec<OsString> = names.iter().map(OsString::from).collect();
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::ffi::OsStringExt as _;
        names.push(OsString::from_vec(b"not \xff\xfe utf-8".to_vec()));
    }
    names
}

/// File name → SHA-256 of each file in a folder; folders in it are named, not entered.
pub fn bytes_of(folder: &Path) -> BTreeMap<OsString, String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let content = if entry.path().is_dir() {
            "folder".to_owned()
        } else {
            dump::hex(&Sha256::digest(fs::read(entry.path()).unwrap()))
        };
        (entry.file_name(), content)
    });
    entries.collect()
}

fn shell_text(value: rusqlite::types::ValueRef<'_>) -> String {
    use rusqlite::types::ValueRef;
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => format!("{number:?}"),
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Blob(bytes) => format!("x'{}'", dump::hex(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_stored_in_the_servers_own_words() {
        let database = TestDatabase::fresh_1_0_0();
        let sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid";
        assert_eq!(database.query_strings(sql), schema_1_0_0::stored_texts());
        for (table, columns) in schema_1_0_0::TABLES {
            assert_eq!(dump::columns(&database.connect(), table), columns, "{table}");
        }
    }

    #[test]
    fn a_dump_shows_a_changed_value_and_a_changed_storage_class() {
        let database = TestDatabase::populated(3);
        let before = database.dump();
        dump::assert_same(&before, &database.dump());
        database.execute("UPDATE messages SET text = text || ' ' WHERE rowid = 7");
        let after = database.dump();
        let changed = before
            .lines()
            .zip(after.lines())
            .filter(|(old, new)| old != new)
            .count();
        assert_eq!(changed, 1);
        database.execute("UPDATE rooms SET topic = CAST(topic AS BLOB) WHERE rowid = 1");
        assert!(after != database.dump());
    }

    #[test]
    fn a_dump_can_leave_out_what_may_change() {
        let database = TestDatabase::populated(4);
        let columns = ["id", "text"];
        let (text, digest) = (
            database.dump_columns("messages", &columns),
            database.digest_of_columns("messages", &columns),
        );
        let rest = database.dump_1_0_0(&[("messages", "timestamp")]);
        database.execute("UPDATE messages SET timestamp = 'x'");
        assert_eq!(text, database.dump_columns("messages", &columns));
        assert_eq!(digest, database.digest_of_columns("messages", &columns));
        dump::assert_same(&rest, &database.dump_1_0_0(&[("messages", "timestamp")]));
        database.execute("UPDATE messages SET id = 'x' WHERE rowid = 1");
        assert_ne!(digest, database.digest_of_columns("messages", &columns));
        assert!(rest != database.dump_1_0_0(&[("messages", "timestamp")]));
    }

    #[test]
    fn a_folders_bytes_show_new_and_changed_files() {
        let database = TestDatabase::populated(5);
        let before = database.bytes_of_folder();
        assert_eq!(before.len(), 2);
        database.dump();
        assert_eq!(before, database.bytes_of_folder(), "a dump changes nothing");
        database.damage(60, &[9]);
        assert_ne!(before, database.bytes_of_folder());
    }

    #[test]
    fn odd_folders_hold_a_database() {
        for name in odd_folder_names() {
            let database = TestDatabase::nothing_in(&name);
            database.create_schema();
            assert!(database.path().is_file(), "{name:?}");
            assert_eq!(database.count("rooms"), 0);
        }
    }

    #[test]
    fn wal_mode_can_be_switched_on_and_off() {
        let database = TestDatabase::fresh_1_0_0();
        for (wal, mode) in [(true, "wal"), (false, "delete")] {
            database.set_wal(wal);
            assert_eq!(database.query_string("PRAGMA journal_mode"), mode);
        }
    }

    #[test]
    fn the_machines_own_sqlite_reads_a_populated_database() {
        let database = TestDatabase::populated(6);
        let expected = format!("{}\n", database.count("messages"));
        if let Some(shell) = crate::shell::sqlite3_shell() {
            let sql = "SELECT count(*) FROM messages";
            assert_eq!(
                crate::shell::run_sql(&shell, &database.path(), sql).unwrap(),
                expected
            );
            assert!(crate::shell::run_sql(&shell, &database.path(), "SELECT 1 FROM nowhere").is_err());
        }
        if let Some(python) = crate::shell::python3() {
            let script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(*c.execute('SELECT count(*) FROM messages').fetchone())";
            assert_eq!(
                crate::shell::run_python(&python, &database.path(), script).unwrap(),
                expected
            );
        }
    }
}
