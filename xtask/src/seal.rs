//! `cargo xtask seal`: records what the migrations are, and refuses to record that a sealed one has changed.

use crate::lint_check;
use crate::seals::{self, Difference, Seal};
use crate::source;
use xtask::Report;
use xtask::error::Error;
use xtask::project::{self, Project};

/// Why a sealed migration is not simply sealed again.
pub(crate) const WHY_SEALED: &str = "a database that has applied it keeps what it was and would be called \
                                     divergent; new databases would get something else";

/// The seals in the lock file; none when there is no such file.
///
/// # Errors
/// When the file cannot be read or was changed by something other than `seal`.
pub(crate) fn sealed(project: &Project) -> Result<Vec<Seal>, Error> {
    let path = project.seals();
    let Some(text) = project::read_if_there(&path)? else {
        return Ok(Vec::new());
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
    let found = seals::differences(&sealed(project)?, &present);
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
pub(crate) fn seal(project: &Project, unseal: &[u32]) -> Result<Report, Error> {
    let names = project.migrations()?;
    let present = seals::present(project, &names)?;
    let found = seals::differences(&sealed(project)?, &present);

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

    let mut lines: Vec<String> = found.iter().map(sentence).collect();
    if !unseal.is_empty() {
        lines.push(format!("sealed anew as asked; mind that {WHY_SEALED}"));
    }
    if !found.is_empty() || project::read_if_there(&project.seals())?.is_none() {
        project::replace(&project.seals(), &seals::render(&present))?;
    }
    lines.push(format!(
        "{} migrations are sealed in {}",
        present.len(),
        project.show(&project.seals())
    ));
    Ok(Report { lines, passed: true })
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
    use crate::test_project::TestProject;

    fn lines(report: Report) -> String {
        report.lines.join("\n")
    }

    #[test]
    fn sealing_twice_changes_nothing() {
        let project = TestProject::finished();
        let before = project.snapshot();
        seal(&project, &[]).unwrap();
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
        seal(&project, &[]).unwrap();
        assert!(compare(&project).unwrap().passed);
    }

    #[test]
    fn an_edited_migration_is_refused_unless_it_is_named() {
        let project = TestProject::finished();
        project.write("migrations/V002__b.rs", "fn other() {}\n");
        let before = project.snapshot();
        let error = seal(&project, &[]).unwrap_err().to_string();
        assert!(
            error.starts_with("V002__b.rs was edited after it was sealed\na database that has"),
            "{error}"
        );
        assert!(error.ends_with("cargo xtask seal --unseal V002"), "{error}");
        assert!(
            seal(&project, &[1])
                .unwrap_err()
                .to_string()
                .starts_with("V001 is not a sealed migration that")
        );
        assert_eq!(project.snapshot(), before);
        let report = lines(seal(&project, &[2]).unwrap());
        assert!(
            report.contains("mind that a database that has applied it"),
            "{report}"
        );
        assert!(compare(&project).unwrap().passed);
    }

    #[test]
    fn a_removed_migration_is_refused() {
        let project = TestProject::finished();
        project.remove("migrations/V002__b.rs");
        let error = seal(&project, &[]).unwrap_err().to_string();
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
        let error = seal(&project, &[]).unwrap_err().to_string();
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
        let error = seal(&project, &[]).unwrap_err().to_string();
        assert!(
            error.starts_with("migrations/migrations.lock: line 1 cannot be read\nhint: take the"),
            "{error}"
        );
        assert_eq!(project.snapshot(), before);
    }
}
