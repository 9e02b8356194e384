//! Databases that are named by a URL, as other tools name them.

use std::path::PathBuf;

use bridge_migrate_core::{Error, ErrorKind, Hint, Result};

/// The path of a database. A path may be a URL: `sqlite:///data/x.db` is relative and `sqlite:////srv/x.db` absolute, as
/// SQLAlchemy reads them, and `file:x.db` is as SQLite reads it.
///
/// # Errors
/// [`ErrorKind::Usage`] for another URL, which must not become a file of that name, and for a database in memory.
pub(crate) fn database_path(named: PathBuf) -> Result<PathBuf> {
    let Some(text) = named.to_str() else {
        return Ok(named);
    };
    let refused = |why: &str| {
        Err(Error::new(
            ErrorKind::Usage,
            format!("{} names no database file: {why}", without_password(text)),
        )
        .with_truth("Nothing was changed.")
        .with_hint(Hint::StatusOf("data/collab.db".into())))
    };
    if text == ":memory:" {
        return refused("what is in memory is gone when the program ends");
    }
    let Some((scheme, rest)) = text.split_once(':').filter(|(scheme, rest)| {
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c));
        let known = ["file", "sqlite", "postgres", "postgresql"];
        // A file may have a colon in its name.
        is_scheme && (rest.starts_with("//") || known.iter().any(|known| scheme.eq_ignore_ascii_case(known)))
    }) else {
        return Ok(named);
    };
    let scheme = scheme.to_ascii_lowercase();
    let (dialect, _) = scheme.split_once('+').unwrap_or((&scheme, ""));
    if rest.contains(['?', '#']) {
        return refused("give the path alone, without `?` and `#`");
    }
    let path = match dialect {
        "sqlite" => match rest.strip_prefix("///") {
            Some("" | ":memory:") => return refused("what is in memory is gone when the program ends"),
            Some(path) => path.to_owned(),
            None => return refused("write sqlite:///data/x.db, or sqlite:////srv/x.db from the root"),
        },
        "file" => {
            let local = rest
                .strip_prefix("//localhost/")
                .or_else(|| rest.strip_prefix("///"));
            match local {
                Some(path) => format!("/{path}"),
                None if rest.starts_with("//") => return refused("it is on another machine"),
                None => rest.to_owned(),
            }
        }
        "postgres" | "postgresql" => return refused("this version works with SQLite only"),
        _ => return refused("only sqlite:///PATH and file:PATH are understood"),
    };
    match if dialect == "file" {
        decoded(&path)
    } else {
        Some(path)
    } {
        Some(path) if !path.is_empty() && path != ":memory:" => Ok(PathBuf::from(path)),
        _ => refused("there is no path in it"),
    }
}

/// What a URL says of the place, without the name and the password that may stand in it.
pub(crate) fn without_password(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, rest)) => {
            let rest = rest.split('?').next().unwrap_or_default();
            match rest.rsplit_once('@') {
                Some((_, place)) => format!("{scheme}://…@{place}"),
                None => format!("{scheme}://{rest}"),
            }
        }
        None => text.to_owned(),
    }
}

/// A path without its percent encoding; `None` when what it encodes is no text.
fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after.get(2..)?;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok().filter(|path| !path.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_means_what_other_tools_take_it_for() {
        for (named, path) in [
            ("data/collab.db", "data/collab.db"),
            ("/srv/collab.db", "/srv/collab.db"),
            ("sqlite:///data/x.db", "data/x.db"),
            ("sqlite:////srv/x.db", "/srv/x.db"),
            ("SQLite:///x.db", "x.db"),
            ("sqlite+aiosqlite:///x.db", "x.db"),
            ("sqlite:///a%20b.db", "a%20b.db"),
            ("file:x.db", "x.db"),
            ("file:data/a%20b.db", "data/a b.db"),
            ("file:/srv/x.db", "/srv/x.db"),
            ("file:///srv/x.db", "/srv/x.db"),
            ("file://localhost/srv/x.db", "/srv/x.db"),
            // A file whose name has a colon.
            ("notes:x.db", "notes:x.db"),
            ("./file:x", "./file:x"),
        ] {
            assert_eq!(
                database_path(named.into()).unwrap(),
                PathBuf::from(path),
                "{named}"
            );
        }
    }

    #[test]
    fn a_password_is_not_repeated() {
        let error = database_path("postgres://bridge:p@ss/word@db.example.org/bridge?password=x".into());
        let message = error.unwrap_err().message().to_owned();
        assert!(
            message.starts_with("postgres://…@db.example.org/bridge names"),
            "{message}"
        );
    }

    #[test]
    fn a_url_that_names_no_file_becomes_none() {
        for named in [
            ":memory:",
            "sqlite://",
            "sqlite:///",
            "sqlite:///:memory:",
            "sqlite://data/x.db",
            "sqlite:x.db",
            "sqlite:///x.db?mode=ro",
            "file:",
            "file:x.db?mode=memory",
            "file::memory:",
            "file:a%0",
            "file:a%zz",
            "file:a%00b",
            "file:%ff",
            "file://server/x.db",
            "postgres://localhost/bridge",
            "postgresql+asyncpg://localhost/bridge",
            "mysql://localhost/bridge",
            "https://example.org/x.db",
        ] {
            let error = database_path(named.into()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{named}");
        }
    }
}
