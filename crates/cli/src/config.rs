//! Where each option's value comes from: a flag beats the environment, which beats the file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use bridge_migrate_cli::config_file::{Color, ConfigFile, ConfigFileError};
use bridge_migrate_core::{Error, ErrorKind, Hint, Result, regular_file, shell_quote};

use crate::arguments::GlobalOptions;
use crate::database_url::database_path;

/// The Bridge's own variable for its database.
pub(crate) const DATABASE_VARIABLE: &str = "DATABASE_PATH";
/// Where the Bridge keeps its database.
pub(crate) const DEFAULT_DATABASE: &str = "data/collab.db";

/// A file of options is read up to this length.
const MAX_BYTES: u64 = 1024 * 1024;

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
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
    pub(crate) no_progress: bool,
    pub(crate) color: Color,
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
            json: flags.json || file.json.unwrap_or(false),
            quiet: flags.quiet || (file.quiet.unwrap_or(false) && !flags.verbose),
            verbose: flags.verbose || (file.verbose.unwrap_or(false) && !flags.quiet),
            no_progress: flags.no_progress || file.no_progress.unwrap_or(false),
            color: flags.color.or(file.color).unwrap_or(Color::Auto),
        })
    }
}

fn read(path: &Path) -> Result<ConfigFile> {
    let refused = |message: String| {
        Error::new(ErrorKind::Usage, message)
            .with_truth("Nothing was changed.")
            .with_hint(Hint::shell(format!("cat {}", shell_quote(path))))
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
    use crate::arguments::Arguments;

    fn flags(line: &str) -> GlobalOptions {
        let words = ["bridge-migrate", "status"]
            .into_iter()
            .chain(line.split_whitespace());
        Arguments::try_parse_from(words).unwrap().global
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
        assert_eq!(config.color, Color::Auto);
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
        assert!(config.quiet);
        assert_eq!(config.color, Color::Never);
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
        assert!(config.verbose && !config.quiet);
    }

    #[test]
    fn a_key_that_is_no_option_is_an_error_that_names_it() {
        let (folder, flag) = file("db = 'a.db'\ndatabse = 'b'\n");
        let error = Config::decide(&flags(&flag), nothing).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        let message = error.message().replace(&*folder.path().to_string_lossy(), "");
        insta::assert_snapshot!(message, @"/bridge-migrate.toml, line 2: unknown field `databse`, expected one of `db`, `tokens`, `backup-dir`, `log-dir`, `timezone`, `json`, `quiet`, `verbose`, `no-progress`, `color`");
    }

    #[test]
    fn a_file_that_is_not_there_is_wrong_use() {
        let error = Config::decide(&flags("--config /nowhere/at/all.toml"), nothing).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert_eq!(error.message(), "cannot read /nowhere/at/all.toml");
    }
}
