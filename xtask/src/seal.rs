//! `cargo xtask seal`: records what the migrations are, and refuses to record that a sealed one has changed.

use crate::seals::{self, Difference, Lock};
use crate::{lint_check, source};
use naming::{MigrationName, Release};
use xtask::project::{self, Project};
use xtask::{Report, error::Error};

/// Why a sealed migration is not simply sealed again.
pub(crate) const WHY_SEALED: &str = "a database that has applied it keeps what it was and would be called \
                                     divergent; new databases would get something else";

/// Why nothing is added to a release that is closed.
pub(crate) const WHY_CLOSED: &str = "a database that has all of it says that it is complete, and older programs \
                                     agree; with one more migration it would not be";

/// What becomes of the release that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It stays so until a later one begins.
    Keep,
    /// This one is open from now on.
    Open(Release),
    /// It is done.
    Close,
}

/// What the lock file holds; nothing when there is no such file.
///
/// # Errors
/// When the file cannot be read or was changed by something other than `seal`.
pub(crate) fn sealed(project: &Project) -> Result<Lock, Error> {
    let path = project.seals();
    let Some(text) = project::read_if_there(&path)? else {
        return Ok(Lock::default());
    };
    seals::parse(&text).map_err(|problem| {
        Error::new(format!("{}: {problem}", project.show(&path))).hint(
            "take the file whole from version control (of one side, in a merge), then run `cargo xtask seal`",
        )
    })
}

/// Says what differs from the seals, and writes nothing.
pub(crate) fn compare(project: &Project) -> Result<Report, Error> {
    let present = seals::present(project, &project.migrations()?)?;
    let found = seals::differences(&sealed(project)?.seals, &present);
    let mut lines: Vec<String> = found.iter().map(sentence).collect();
    if found.is_empty() {
        lines.push(format!("all {} migrations are as sealed", present.len()));
    }
    Ok(Report {
        lines,
        passed: found.is_empty(),
    })
}

/// Why nothing may be sealed: what lint finds could not be put right afterwards. Where everything is as sealed, it is
/// not asked.
///
/// # Errors
/// When the seals cannot be read, or a program cannot be started.
pub(crate) fn linted(project: &Project) -> Result<Option<Report>, Error> {
    if compare(project)?.passed {
        return Ok(None);
    }
    let (Ok(found) | Err(found)) = lint_check::lint(project)?;
    if found.is_empty() {
        return Ok(None);
    }
    let mut lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    lines.push("nothing was sealed: put that right first".to_owned());
    Ok(Some(Report { lines, passed: false }))
}

/// Seals what was added, and what `unseal` names although it was changed.
///
/// # Errors
/// When a sealed migration was changed and not named, one was named that is as sealed, or one to be sealed
/// is still unfinished; then nothing is written.
pub(crate) fn seal(project: &Project, unseal: &[u32], turn: Turn) -> Result<Report, Error> {
    let names = project.migrations()?;
    let present = seals::present(project, &names)?;
    let mut lock = sealed(project)?;
    let found = seals::differences(&lock.seals, &present);

    if let Some(version) = unseal
        .iter()
        .find(|&&version| !found.iter().any(|f| f.breaks() == Some(version)))
    {
        return Err(Error::new(format!(
            "V{version:03} is not a sealed migration that has changed"
        )));
    }
    let refused: Vec<&Difference> = found
        .iter()
        .filter(|f| f.breaks().is_some_and(|version| !unseal.contains(&version)))
        .collect();
    if let Some(first) = refused.first() {
        let list: Vec<String> = refused.iter().map(|&found| sentence(found)).collect();
        return Err(Error::new(format!("{}\n{WHY_SEALED}", list.join("\n"))).hint(format!(
            "undo the change and write a new migration instead; only when no database but your own has applied \
             it: cargo xtask seal --unseal {}",
            first.subject().label()
        )));
    }
    refuse_unfinished(project, &found)?;
    let before = lock.clone();
    let newest = names.last().and_then(|name| release_of(project, name));
    let mut said = Vec::new();
    match turn {
        Turn::Open(release) if newest != Some(release) => {
            return Err(Error::new(format!(
                "only the newest migration's release can be open, and that is not {release}"
            )));
        }
        Turn::Open(release) => {
            if lock
                .closed_by(release, |name| release_of(project, name))
                .is_some()
            {
                said.push(format!(
                    "{release} was closed and is open again as asked; mind that {WHY_CLOSED}"
                ));
            }
            lock.open = Some(release);
        }
        Turn::Close => lock.open = None,
        // Where a later release has begun, nothing is added to the one before.
        Turn::Keep => lock.open = lock.open.filter(|open| newest == Some(*open)),
    }
    refuse_closed(project, &lock, &found)?;

    let mut lines: Vec<String> = found.iter().map(sentence).collect();
    if !unseal.is_empty() {
        lines.push(format!("sealed anew as asked; mind that {WHY_SEALED}"));
    }
    lines.extend(said);
    lock.seals = present;
    if lock != before || project::read_if_there(&project.seals())?.is_none() {
        project::replace(&project.seals(), &seals::render(&lock))?;
    }
    lines.push(format!(
        "{} migrations are sealed in {}",
        lock.seals.len(),
        project.show(&project.seals())
    ));
    lines.extend(lock.open.map(|release| {
        format!("{release} is open: it can get more migrations; `cargo xtask seal --close` when it is done")
    }));
    Ok(Report { lines, passed: true })
}

/// The release that a migration's file names.
pub(crate) fn release_of(project: &Project, name: &MigrationName) -> Option<Release> {
    source::release(&project::read(&project.migration(name)).ok()?)
}

/// Additions to closed releases: the migration, its release, and the sealed migration that closed it.
pub(crate) fn closed<'a>(
    project: &Project,
    lock: &'a Lock,
    found: &'a [Difference],
) -> Vec<(&'a MigrationName, Release, &'a MigrationName)> {
    found
        .iter()
        .filter_map(|difference| match difference {
            Difference::Added(name) => {
                let release = release_of(project, name)?;
                let last = lock.closed_by(release, |name| release_of(project, name))?;
                Some((name, release, last))
            }
            _ => None,
        })
        .collect()
}

fn refuse_closed(project: &Project, lock: &Lock, found: &[Difference]) -> Result<(), Error> {
    match closed(project, lock, found).first() {
        None => Ok(()),
        Some((name, release, last)) => Err(Error::new(format!(
            "{name} belongs to {release}, which is closed: its last migration, {}, is sealed\n{WHY_CLOSED}",
            last.label()
        ))
        .hint(format!(
            "give it a later release; only when no database but your own has all of {release}: cargo xtask seal \
             --open {release}"
        ))),
    }
}

/// A stub that is sealed could not be finished without breaking its seal.
fn refuse_unfinished(project: &Project, found: &[Difference]) -> Result<(), Error> {
    for difference in found {
        let name = match difference {
            Difference::Added(name) | Difference::Edited(name) | Difference::Moved { now: name, .. } => name,
            Difference::Removed(_) => continue,
        };
        let path = project.migration(name);
        if project::read(&path)?.contains(source::PENDING_MARK) {
            return Err(
                Error::new(format!("{} is unfinished: it says PENDING", project.show(&path)))
                    .hint("write what is missing, then seal it"),
            );
        }
    }
    Ok(())
}

fn sentence(found: &Difference) -> String {
    format!("{} {}", found.subject(), found.what())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::TestProject;

    fn lines(report: Report) -> String {
        report.lines.join("\n")
    }

    #[test]
    fn sealing_twice_changes_nothing() {
        let project = TestProject::finished();
        let before = project.snapshot();
        seal(&project, &[], Turn::Keep).unwrap();
        assert_eq!(project.snapshot(), before);
        let report = compare(&project).unwrap();
        assert!(report.passed);
        assert_eq!(lines(report), "all 2 migrations are as sealed");
    }

    #[test]
    fn a_new_migration_is_reported_and_then_sealed() {
        let project = TestProject::finished();
        project.write("migrations/V003__c.rs", "fn c() {}\n");
        let report = compare(&project).unwrap();
        assert!(!report.passed);
        assert_eq!(lines(report), "V003__c.rs was added and is not sealed");
        seal(&project, &[], Turn::Keep).unwrap();
        assert!(compare(&project).unwrap().passed);
    }

    #[test]
    fn an_edited_migration_is_refused_unless_it_is_named() {
        let project = TestProject::finished();
        project.write("migrations/V002__b.rs", "fn other() {}\n");
        let before = project.snapshot();
        let error = seal(&project, &[], Turn::Keep).unwrap_err().to_string();
        assert!(
            error.starts_with("V002__b.rs was edited after it was sealed\na database that has"),
            "{error}"
        );
        assert!(error.ends_with("cargo xtask seal --unseal V002"), "{error}");
        assert!(
            seal(&project, &[1], Turn::Keep)
                .unwrap_err()
                .to_string()
                .starts_with("V001 is not a sealed migration that")
        );
        assert_eq!(project.snapshot(), before);
        let report = lines(seal(&project, &[2], Turn::Keep).unwrap());
        assert!(
            report.contains("mind that a database that has applied it"),
            "{report}"
        );
        assert!(compare(&project).unwrap().passed);
    }

    #[test]
    fn nothing_is_added_to_a_closed_release_unless_it_is_opened() {
        let project = TestProject::finished();
        let add = |stem: &str, release: &str| {
            let text = project.text("migrations/V002__b.rs").replace("1.1.0", release);
            project.write(&format!("migrations/{stem}.rs"), &text);
        };
        add("V003__c", "1.1.0");
        let before = project.snapshot();
        let error = seal(&project, &[], Turn::Keep).unwrap_err().to_string();
        assert!(
            error.starts_with(
                "V003__c.rs belongs to 1.1.0, which is closed: its last migration, V002, is sealed"
            ),
            "{error}"
        );
        assert!(error.ends_with("cargo xtask seal --open 1.1.0"), "{error}");
        assert_eq!(project.snapshot(), before);
        assert!(seal(&project, &[], Turn::Open(Release::new(1, 0, 0))).is_err());
        assert_eq!(project.snapshot(), before);
        let report = lines(seal(&project, &[], Turn::Open(Release::new(1, 1, 0))).unwrap());
        assert!(report.contains("1.1.0 was closed and is open again"), "{report}");
        // Of an open release each migration is sealed as it is done.
        add("V004__d", "1.1.0");
        seal(&project, &[], Turn::Keep).unwrap();
        seal(&project, &[], Turn::Close).unwrap();
        add("V005__e", "1.1.0");
        assert!(seal(&project, &[], Turn::Keep).is_err());
        // A release of which nothing is sealed is sealed as a whole, and is closed then.
        add("V005__e", "1.2.0");
        add("V006__f", "1.2.0");
        seal(&project, &[], Turn::Keep).unwrap();
        add("V007__g", "1.2.0");
        assert!(seal(&project, &[], Turn::Keep).is_err());
        // A later release closes the open one.
        seal(&project, &[], Turn::Open(Release::new(1, 2, 0))).unwrap();
        add("V008__h", "1.3.0");
        seal(&project, &[], Turn::Keep).unwrap();
        assert_eq!(sealed(&project).unwrap().open, None);
    }

    #[test]
    fn a_removed_migration_is_refused() {
        let project = TestProject::finished();
        project.remove("migrations/V002__b.rs");
        let error = seal(&project, &[], Turn::Keep).unwrap_err().to_string();
        assert!(error.starts_with("V002__b.rs was sealed and is gone"), "{error}");
    }

    #[test]
    fn crlf_line_ends_break_no_seal() {
        let project = TestProject::finished();
        for file in ["migrations/V001__a.rs", "migrations/migrations.lock"] {
            project.write(file, &project.text(file).replace('\n', "\r\n"));
        }
        assert!(compare(&project).unwrap().passed);
    }

    #[test]
    fn a_stub_is_not_sealed() {
        let project = TestProject::finished();
        project.write("migrations/V003__c.rs", "//! # Why\n//! PENDING: why\n");
        let error = seal(&project, &[], Turn::Keep).unwrap_err().to_string();
        assert!(
            error.starts_with("migrations/V003__c.rs is unfinished"),
            "{error}"
        );
    }

    #[test]
    fn a_damaged_lock_file_is_refused_with_the_way_out() {
        let project = TestProject::finished();
        project.write("migrations/migrations.lock", "<<<<<<< HEAD\n");
        let before = project.snapshot();
        let error = seal(&project, &[], Turn::Keep).unwrap_err().to_string();
        assert!(
            error.starts_with("migrations/migrations.lock: line 1 cannot be read\nhint: take the"),
            "{error}"
        );
        assert_eq!(project.snapshot(), before);
    }
}
