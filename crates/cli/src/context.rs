//! What every command works with: settings for the engine, and streams.

use std::{path::PathBuf, time::Duration};

use bridge_migrate_core::{
    Catalog, Error, ErrorKind, Hint, Position, Result, Settings, TimeZone, Zone, folder_of,
    regular_file::make_folder,
};
use bridge_migrate_sqlite::connection::{self, Reader};
use bridge_migrate_sqlite::{History, for_catalog};

use crate::options::{Config, GlobalOptions};
use crate::output::Output;
use crate::progress::Console;

/// What a command works with.
#[derive(Debug)]
pub(crate) struct Context {
    /// For the engine.
    pub(crate) settings: Settings,
    /// Whether nobody named a database, so that its folder may be made.
    is_default_database: bool,
    /// Streams, and how to write on them.
    pub(crate) output: Output,
}

impl Context {
    /// Takes flags, environment and file together.
    pub(crate) fn new(global: &GlobalOptions, command: &str) -> Result<Self> {
        let config = Config::decide(global, |name| std::env::var_os(name))?;
        let mut settings = Settings::new(&config.database);
        settings.time_zone = match config.timezone.as_deref() {
            Some(name) if !name.eq_ignore_ascii_case("local") => Zone::named(TimeZone::parse(name)?),
            _ => Zone::of_machine(std::env::var_os("TZ")),
        };
        if let Some(seconds) = global.lock_timeout {
            settings.limit_waiting(Duration::from_secs(seconds.into()));
        }
        let output = Output::new(command, &config.database, global.given(), config.manner);
        settings.companion = config.tokens.unwrap_or(settings.companion);
        settings.backup_dir = config.backup_dir.unwrap_or(settings.backup_dir);
        settings.log_dir = config.log_dir.unwrap_or(settings.log_dir);
        settings.plain = config.plain;
        Ok(Self {
            settings,
            is_default_database: config.is_default_database,
            output,
        })
    }

    /// Whether `migrate` makes the database's folder: only where the Bridge keeps it by default.
    pub(crate) fn would_make_folder(&self) -> bool {
        self.is_default_database && !folder_of(&self.settings.database).exists()
    }

    /// Refuses to make the database at the default place, which nobody named, beside another one of the Bridge.
    pub(crate) fn refuse_beside_another(&self) -> Result<()> {
        let others = self.others();
        let Some(other) = others.first() else {
            return Ok(());
        };
        let database = self.settings.database.display();
        Err(Error::new(
            ErrorKind::Missing,
            format!(
                "there is no database at {database}; the Bridge's seems to be {}",
                other.display()
            ),
        )
        .with_truth(format!(
            "Nothing was made. To make a new one all the same, name it: --db {database}"
        ))
        .with_hint(Hint::StatusOf(other.clone())))
    }

    /// Databases of the Bridge near the default place while there is none.
    pub(crate) fn others(&self) -> Vec<PathBuf> {
        match self.is_default_database {
            true => bridge_migrate::neighbours(&self.settings),
            false => Vec::new(),
        }
    }

    /// Makes the database's folder.
    pub(crate) fn make_folder(&self) -> Result<()> {
        make_folder(&folder_of(&self.settings.database))
    }

    /// The Bridge's migrations.
    pub(crate) fn catalog(&self) -> Result<Catalog> {
        bridge_migrate::catalog()
    }

    /// Shows what happens while the engine works.
    pub(crate) fn console(&self) -> Console<'_> {
        Console::new(&self.output)
    }

    /// What `look` finds in the database, which is only read.
    pub(crate) fn read<T>(&self, look: impl FnMut(&Reader) -> Result<T>) -> Result<T> {
        let settings = self.for_catalog()?;
        connection::with_reader(&settings.database, settings.busy_timeout, look)
    }

    /// Where the database stands.
    pub(crate) fn position(&self) -> Result<Position> {
        let history = self.read(|reader| History::read(reader))?;
        let version = history.map_or(0, |history| history.version());
        Ok(Position::of(&self.catalog()?, version))
    }

    /// The settings, with what the catalog and the database's real place say.
    pub(crate) fn for_catalog(&self) -> Result<Settings> {
        for_catalog(&self.catalog()?, &self.settings)
    }
}
