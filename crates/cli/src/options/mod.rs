//! The options of every command, and where each one's value comes from: a flag beats the environment, which beats the
//! file.

pub mod config_file;
pub(crate) mod database_url;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anstream::ColorChoice;
use bridge_migrate_core::{Error, ErrorKind, Hint, Result, regular_file};
use clap::Args;

use config_file::{Color, ConfigFile, ConfigFileError};
use database_url::database_path;

/// The Bridge's own variable for its database.
pub(crate) const DATABASE_VARIABLE: &str = "DATABASE_PATH";
/// Where the Bridge keeps its database.
pub(crate) const DEFAULT_DATABASE: &str = "data/collab.db";

/// A file of options is read up to this length.
const MAX_BYTES: u64 = 1024 * 1024;

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalOptions {
    /// The database [env: DATABASE_PATH] [default: data/collab.db]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) db: Option<PathBuf>,
    /// The token file [env: BRIDGE_TOKENS] [default: tokens.json beside the database]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) tokens: Option<PathBuf>,
    /// Where backups go [env: BRIDGE_BACKUP_DIR] [default: beside the database]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) backup_dir: Option<PathBuf>,
    /// Where the logs of runs go [env: BRIDGE_LOG_DIR] [default: logs]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) log_dir: Option<PathBuf>,
    /// What a timestamp without an offset means: local, UTC or an IANA name [env: BRIDGE_TIMEZONE] [default:
    /// local]
    #[arg(long, global = true, value_name = "ZONE")]
    pub(crate) timezone: Option<String>,
    /// How long to wait for another process that migrates, or that keeps the database locked [default: 300]
    #[arg(long, global = true, value_name = "SECONDS")]
    pub(crate) lock_timeout: Option<u32>,
    /// Changes large tables in one transaction each, while servers wait, and exchanges no trees in SQLite's schema table
    #[arg(long, global = true)]
    pub(crate) plain: bool,
    /// A bridge-migrate.toml with these options as keys; paths in it are relative to its folder
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Writes one JSON object to standard output, and nothing else
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Says nothing but answers and errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Says more: every batch, and where the files are
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    /// When to use colors [default: auto]
    #[arg(long, global = true, value_name = "WHEN")]
    pub(crate) color: Option<Color>,
    /// Shows no progress bars
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
}

impl GlobalOptions {
    /// The options that a hint has to repeat: those that decide which files a command is about.
    pub(crate) fn given(&self) -> Vec<OsString> {
        [
            ("--config", self.config.as_ref().map(OsString::from)),
            ("--db", self.db.as_ref().map(OsString::from)),
            ("--tokens", self.tokens.as_ref().map(OsString::from)),
            ("--backup-dir", self.backup_dir.as_ref().map(OsString::from)),
            ("--log-dir", self.log_dir.as_ref().map(OsString::from)),
            ("--timezone", self.timezone.as_ref().map(OsString::from)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some([OsString::from(name), value?]))
        .flatten()
        .chain(self.plain.then(|| OsString::from("--plain")))
        .collect()
    }
}

/// The options of a run, decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) database: PathBuf,
    /// Whether nobody named a database.
    pub(crate) is_default_database: bool,
    pub(crate) tokens: Option<PathBuf>,
    pub(crate) backup_dir: Option<PathBuf>,
    pub(crate) log_dir: Option<PathBuf>,
    pub(crate) timezone: Option<String>,
    pub(crate) plain: bool,
    pub(crate) manner: Manner,
}

/// How to write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Manner {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
    pub(crate) no_progress: bool,
    pub(crate) color: ColorChoice,
}

impl Manner {
    /// What flags and file say together.
    pub(crate) fn decide(flags: &GlobalOptions, file: &ConfigFile) -> Self {
        let set = |option: Option<bool>| option.unwrap_or(false);
        Self {
            json: flags.json || set(file.json),
            quiet: flags.quiet || (set(file.quiet) && !flags.verbose),
            verbose: flags.verbose || (set(file.verbose) && !flags.quiet),
            no_progress: flags.no_progress || set(file.no_progress),
            color: match flags.color.or(file.color) {
                Some(Color::Always) => ColorChoice::Always,
                Some(Color::Never) => ColorChoice::Never,
                Some(Color::Auto) | None => ColorChoice::Auto,
            },
        }
    }
}

/// The database that a flag names, the environment or nobody, while no file is read: an empty variable counts as not
/// set.
pub(crate) fn named_database(flag: Option<OsString>) -> PathBuf {
    flag.or_else(|| std::env::var_os(DATABASE_VARIABLE).filter(|value| !value.is_empty()))
        .map_or_else(|| PathBuf::from(DEFAULT_DATABASE), PathBuf::from)
}

impl Config {
    /// Decides every option. `variable` looks a variable of the environment up; an empty one counts as not
    /// set, as in a compose file that passes on what is not there.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] when the file cannot be read, or has a key that is not an option.
    pub(crate) fn decide(flags: &GlobalOptions, variable: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let file = match &flags.config {
            Some(path) => read(path)?,
            None => ConfigFile::default(),
        };
        let manner = Manner::decide(flags, &file);
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let path = |flag: &Option<PathBuf>, name: &str, file: Option<PathBuf>| {
            flag.clone()
                .or_else(|| variable(name).map(PathBuf::from))
                .or(file)
        };
        let timezone = match (&flags.timezone, variable("BRIDGE_TIMEZONE")) {
            (Some(flag), _) => Some(flag.clone()),
            // What is no text is no zone, and the error will show it.
            (None, Some(value)) => Some(value.to_string_lossy().into_owned()),
            (None, None) => file.timezone,
        };
        let database = path(&flags.db, DATABASE_VARIABLE, file.db)
            .map(database_path)
            .transpose()?;
        Ok(Self {
            is_default_database: database.is_none(),
            database: database.unwrap_or_else(|| PathBuf::from(DEFAULT_DATABASE)),
            tokens: path(&flags.tokens, "BRIDGE_TOKENS", file.tokens),
            backup_dir: path(&flags.backup_dir, "BRIDGE_BACKUP_DIR", file.backup_dir),
            log_dir: path(&flags.log_dir, "BRIDGE_LOG_DIR", file.log_dir),
            timezone,
            plain: flags.plain || file.plain.unwrap_or(false),
            manner,
        })
    }
}

fn read(path: &Path) -> Result<ConfigFile> {
    let refused = |message: String| {
        Error::new(ErrorKind::Usage, message)
            .with_truth("Nothing was changed.")
            .with_hint(Hint::ReadFile(path.into()))
    };
    let text = regular_file::read(path, MAX_BYTES)
        .and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other))
        .map_err(|source| refused(format!("cannot read {}", path.display())).with_source(source))?;
    let mut file = ConfigFile::parse(&text).map_err(|ConfigFileError { line, why }| {
        let line = line.map_or(String::new(), |line| format!(", line {line}"));
        refused(format!("{}{line}: {why}", path.display()))
    })?;
    file.db = file.db.map(database_path).transpose()?;
    Ok(file.relative_to(path.parent().unwrap_or(Path::new(""))))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        global: GlobalOptions,
    }

    fn flags(line: &str) -> GlobalOptions {
        let words = std::iter::once("bridge-migrate").chain(line.split_whitespace());
        Flags::try_parse_from(words).unwrap().global
    }

    fn file(text: &str) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bridge-migrate.toml");
        std::fs::write(&path, text).unwrap();
        let flag = format!("--config {}", path.display());
        (folder, flag)
    }

    fn nothing(_: &str) -> Option<OsString> {
        None
    }

    fn everything(name: &str) -> Option<OsString> {
        Some(format!("env-{name}").into())
    }

    #[test]
    fn without_anything_it_is_the_bridges_own_place() {
        let config = Config::decide(&flags(""), nothing).unwrap();
        assert_eq!(config.database, Path::new("data/collab.db"));
        assert!(config.is_default_database);
        assert_eq!((config.tokens, config.timezone), (None, None));
        assert_eq!(config.manner.color, ColorChoice::Auto);
    }

    #[test]
    fn the_file_beats_the_default_and_is_relative_to_its_own_folder() {
        let (folder, flag) =
            file("db = 'a.db'\nbackup-dir = '/b'\ntimezone = 'UTC'\nquiet = true\ncolor = 'never'");
        let config = Config::decide(&flags(&flag), nothing).unwrap();
        assert_eq!(config.database, folder.path().join("a.db"));
        assert!(!config.is_default_database);
        assert_eq!(config.backup_dir.as_deref(), Some(Path::new("/b")));
        assert_eq!(config.timezone.as_deref(), Some("UTC"));
        assert!(config.manner.quiet);
        assert_eq!(config.manner.color, ColorChoice::Never);
    }

    #[test]
    fn the_environment_beats_the_file() {
        let (_folder, flag) =
            file("db = 'a.db'\ntokens = 't'\nbackup-dir = 'b'\nlog-dir = 'l'\ntimezone = 'UTC'");
        let config = Config::decide(&flags(&flag), everything).unwrap();
        assert_eq!(config.database, Path::new("env-DATABASE_PATH"));
        assert_eq!(config.tokens.as_deref(), Some(Path::new("env-BRIDGE_TOKENS")));
        assert_eq!(
            config.backup_dir.as_deref(),
            Some(Path::new("env-BRIDGE_BACKUP_DIR"))
        );
        assert_eq!(config.log_dir.as_deref(), Some(Path::new("env-BRIDGE_LOG_DIR")));
        assert_eq!(config.timezone.as_deref(), Some("env-BRIDGE_TIMEZONE"));
    }

    #[test]
    fn a_flag_beats_the_environment() {
        let line = "--db f.db --tokens ft --backup-dir fb --log-dir fl --timezone local";
        let config = Config::decide(&flags(line), everything).unwrap();
        assert_eq!(config.database, Path::new("f.db"));
        assert_eq!(config.tokens.as_deref(), Some(Path::new("ft")));
        assert_eq!(config.backup_dir.as_deref(), Some(Path::new("fb")));
        assert_eq!(config.log_dir.as_deref(), Some(Path::new("fl")));
        assert_eq!(config.timezone.as_deref(), Some("local"));
    }

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        let config = Config::decide(&flags(""), |_| Some(OsString::new())).unwrap();
        assert!(config.is_default_database);
        assert_eq!(config.log_dir, None);
    }

    #[test]
    fn verbose_on_the_command_line_beats_quiet_in_the_file() {
        let (_folder, flag) = file("quiet = true");
        let config = Config::decide(&flags(&format!("{flag} --verbose")), nothing).unwrap();
        assert!(config.manner.verbose && !config.manner.quiet);
    }

    #[test]
    fn a_key_that_is_no_option_is_an_error_that_names_it() {
        let (folder, flag) = file("db = 'a.db'\ndatabse = 'b'\n");
        let error = Config::decide(&flags(&flag), nothing).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        let message = error.message().replace(&*folder.path().to_string_lossy(), "");
        insta::assert_snapshot!(message, @"/bridge-migrate.toml, line 2: unknown field `databse`, expected one of `db`, `tokens`, `backup-dir`, `log-dir`, `timezone`, `plain`, `json`, `quiet`, `verbose`, `no-progress`, `color`");
    }

    #[test]
    fn a_file_that_is_not_there_is_wrong_use() {
        let error = Config::decide(&flags("--config /nowhere/at/all.toml"), nothing).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert_eq!(error.message(), "cannot read /nowhere/at/all.toml");
    }
}
