//! Where the project's files are, and how they are read and written.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::{env, fs};

use naming::{MigrationName, Release};

use crate::error::Error;

/// A checkout of the project.
#[derive(Debug)]
pub struct Project {
    root: PathBuf,
}

impl Project {
    /// The checkout in this folder.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The checkout that `cargo xtask` was run in.
    ///
    /// Cargo's variable is read at run time: checkouts may share a target folder, and then the path known at
    /// compile time is another checkout's.
    pub fn find() -> Result<Self, Error> {
        if let Some(xtask) = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from)
            && let Some(root) = xtask.parent()
        {
            return Ok(Self::at(root));
        }
        let here = env::current_dir().map_err(|error| Error::io("find", Path::new("."), &error))?;
        here.ancestors()
            .find(|folder| folder.join("xtask/Cargo.toml").is_file())
            .map(Self::at)
            .ok_or_else(|| {
                Error::new(format!(
                    "{} is not inside a checkout of the project",
                    here.display()
                ))
                .hint("run `cargo xtask` in the project's folder")
            })
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the migrations.
    pub fn migrations_dir(&self) -> PathBuf {
        self.root.join("migrations")
    }

    /// The folder of their SQL.
    pub fn golden_dir(&self) -> PathBuf {
        self.migrations_dir().join("golden")
    }

    /// The folder of what the servers of each release run.
    pub fn contracts_dir(&self) -> PathBuf {
        self.root.join("contracts")
    }

    /// What the servers of a release run.
    pub fn contract(&self, release: Release) -> PathBuf {
        self.contracts_dir().join(format!("{release}.sql"))
    }

    /// A migration's file.
    pub fn migration(&self, name: &MigrationName) -> PathBuf {
        self.migrations_dir().join(name.file_name())
    }

    /// The file of a migration's SQL.
    pub fn golden(&self, name: &MigrationName) -> PathBuf {
        self.golden_dir().join(format!("{}.sql", name.stem()))
    }

    /// The file of the migrations' digests.
    pub fn seals(&self) -> PathBuf {
        self.migrations_dir().join("migrations.lock")
    }

    /// The document that holds the migration log.
    pub fn log(&self) -> PathBuf {
        self.root.join("MIGRATIONS.md")
    }

    /// A path as messages show it: from the project's folder, with `/` on every system.
    pub fn show(&self, path: &Path) -> String {
        let relative = path.strip_prefix(&self.root).unwrap_or(path);
        relative
            .iter()
            .map(|part| part.to_string_lossy())
            .collect::<Vec<_>>()
            .join("/")
    }

    /// The migrations in order.
    ///
    /// # Errors
    /// When a name or the sequence is wrong; the message lists every mistake.
    pub fn migrations(&self) -> Result<Vec<MigrationName>, Error> {
        naming::scan(file_names(&self.migrations_dir())?).map_err(|errors| {
            let list: String = errors.iter().map(|error| format!("\n  {error}")).collect();
            Error::new(format!("the names in migrations/ are wrong:{list}"))
        })
    }
}

/// The names in a folder, none when there is no such folder.
///
/// A name that is not UTF-8 is kept with its broken bytes replaced, so that the grammar refuses it.
pub fn file_names(folder: &Path) -> Result<Vec<String>, Error> {
    let failed = |error: &std::io::Error| Error::io("list", folder, error);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(&error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failed(&error))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// The file's text.
///
/// # Errors
/// When it cannot be read as UTF-8.
pub fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|error| Error::io("read", path, &error))
}

/// The file's text, or nothing when there is no such file.
pub fn read_if_there(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path, &error)),
    }
}

/// Writes a file that must not exist yet, with its folder.
pub fn create(path: &Path, text: &str) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| Error::io("make the folder", folder, &error))?;
    }
    let mut file = fs::File::create_new(path).map_err(|error| Error::io("create", path, &error))?;
    file.write_all(text.as_bytes()).map_err(|error| {
        drop(fs::remove_file(path));
        Error::io("write", path, &error)
    })
}

/// Puts a text in a file's place, whole or not at all, keeping the file's permissions.
pub fn replace(path: &Path, text: &str) -> Result<(), Error> {
    let failed = |error: &std::io::Error| Error::io("write", path, error);
    let permissions = match fs::metadata(path) {
        Ok(metadata) => metadata.permissions(),
        Err(error) if error.kind() == ErrorKind::NotFound => return create(path, text),
        Err(error) => return Err(failed(&error)),
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|error| failed(&error))?;
    file.write_all(text.as_bytes()).map_err(|error| failed(&error))?;
    file.as_file()
        .set_permissions(permissions)
        .map_err(|error| failed(&error))?;
    file.persist(path).map(drop).map_err(|error| failed(&error.error))
}
