//! What a `bridge-migrate.toml` may say: the global options, under their own names.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Deserialize;

/// The options that a file sets; the others are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConfigFile {
    /// The database.
    pub db: Option<PathBuf>,
    /// The token file.
    pub tokens: Option<PathBuf>,
    /// Where backups go.
    pub backup_dir: Option<PathBuf>,
    /// Where the logs of runs go.
    pub log_dir: Option<PathBuf>,
    /// What a timestamp without an offset means.
    pub timezone: Option<String>,
    /// Whether large tables change in one transaction each.
    pub plain: Option<bool>,
    /// Whether standard output gets one JSON object.
    pub json: Option<bool>,
    /// Whether only answers and errors are printed.
    pub quiet: Option<bool>,
    /// Whether more is printed.
    pub verbose: Option<bool>,
    /// Whether progress bars are left out.
    pub no_progress: Option<bool>,
    /// When to use colors.
    pub color: Option<Color>,
}

/// When to use colors.
// Read from a text: serde would take the table `{ never = {} }` for one of an enum's variants, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(try_from = "String")]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Also into files and pipes.
    Always,
    /// Not at all.
    Never,
}

impl TryFrom<String> for Color {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err(format!(
                "unknown color {text:?}, expected one of `auto`, `always`, `never`"
            )),
        }
    }
}

/// Why a text is no configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFileError {
    /// The line, from 1, when it is known.
    pub line: Option<usize>,
    /// What is wrong with it.
    pub why: String,
}

impl ConfigFile {
    /// Reads the text of a file. Paths stay as they are there.
    ///
    /// # Errors
    /// When it is no TOML, has a key that is no option, or a value that the option cannot have.
    pub fn parse(text: &str) -> Result<Self, ConfigFileError> {
        toml::from_str(text).map_err(|error| ConfigFileError {
            line: error
                .span()
                .and_then(|span| text.get(..span.start))
                .map(|before| before.matches('\n').count() + 1),
            why: error.message().to_owned(),
        })
    }

    /// The same with paths that begin at `folder`, so that a file means the same from wherever the program is
    /// started.
    #[must_use]
    pub fn relative_to(mut self, folder: &Path) -> Self {
        let paths = [
            &mut self.db,
            &mut self.tokens,
            &mut self.backup_dir,
            &mut self.log_dir,
        ];
        for path in paths.into_iter().flatten() {
            *path = folder.join(&*path);
        }
        self
    }
}
