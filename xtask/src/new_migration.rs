//! `cargo xtask new-migration`: makes the next migration's files, to be filled in.

use std::{fs, path::PathBuf};

use naming::{MigrationName, Phase, Release};

use crate::{current_version, migration_log, seal, source, template};
use xtask::project::{self, Project};
use xtask::{Report, error::Error};

/// What the developer asked for.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) name: String,
    pub(crate) release: Option<Release>,
    pub(crate) phase: Phase,
}

/// Makes the migration, its golden SQL, its log entry and, for a release that has none, a contract to be filled in;
/// all of them or none. A new release becomes the current version of the log's document.
///
/// # Errors
/// When the text cannot be a name or the name is taken, the sequence is already wrong, the release is not
/// known or older than the newest migration's, the log is missing, or a file is there already.
pub(crate) fn new_migration(project: &Project, request: &Request) -> Result<Report, Error> {
    let migrations = project.migrations()?;
    let name = next_name(&migrations, &request.name)?;
    let (release, origin) = choose_release(project, migrations.last(), request.release)?;
    let before = release_before(project, &migrations, release)?;
    let log = log_with_entry(project, &name, release, request.phase)?;
    let log = current_version::restated(&log, release);

    let mut files = vec![
        (
            project.migration(&name),
            template::migration(&name, release, before, request.phase),
        ),
        (project.golden(&name), template::GOLDEN.to_owned()),
    ];
    let contract = project.contract(release);
    if !contract.exists() {
        files.push((contract, template::contract(release, before)));
    }
    create_all(&files).and_then(|()| {
        project::replace(&project.log(), &log).inspect_err(|_| remove_all(files.iter().map(|(path, _)| path)))
    })?;

    let mut lines: Vec<String> = files
        .iter()
        .map(|(path, _)| format!("made {}", project.show(path)))
        .collect();
    lines.push(format!(
        "added {} to {}",
        name.label(),
        project.show(&project.log())
    ));
    lines.push(format!(
        "it belongs to release {release} ({origin}), phase {}",
        request.phase
    ));
    lines.push(String::new());
    lines.push("next:".to_owned());
    lines.push("  replace all that says PENDING in these files".to_owned());
    lines.push("  cargo xtask check --bless    writes its golden SQL, and finds what is missing".to_owned());
    lines.push("  cargo xtask seal             once only the seal is missing".to_owned());
    lines.push("  cargo xtask check            before you commit".to_owned());
    Ok(Report { lines, passed: true })
}

fn next_name(migrations: &[MigrationName], text: &str) -> Result<MigrationName, Error> {
    let refused = |error: naming::NameError| Error::new(error.to_string());
    let name = naming::to_migration_name(text).map_err(refused)?;
    if let Some(taken) = migrations.iter().find(|migration| migration.name() == name) {
        return Err(
            Error::new(format!("migrations/{taken} has the name `{name}` already"))
                .hint("choose a name that says what is different this time"),
        );
    }
    MigrationName::new(naming::next_version(migrations), &name).map_err(refused)
}

fn choose_release(
    project: &Project,
    newest: Option<&MigrationName>,
    asked: Option<Release>,
) -> Result<(Release, String), Error> {
    let known = match newest {
        Some(newest) => {
            source::release(&project::read(&project.migration(newest))?).map(|known| (known, newest))
        }
        None => None,
    };
    let lock = seal::sealed(project)?;
    let closed_by = |release| lock.closed_by(release, |name| seal::release_of(project, name));
    match (asked, known) {
        (Some(asked), Some((known, newest))) if asked < known => Err(Error::new(format!(
            "release {asked} is older than {known}, to which migrations/{newest} belongs"
        ))
        .hint(format!("use --release {known} or a later one"))),
        (Some(asked), _) => match closed_by(asked) {
            None => Ok((asked, "as asked".to_owned())),
            Some(last) => Err(Error::new(format!(
                "release {asked} is closed: its last migration, {}, is sealed\n{}",
                last.label(),
                seal::WHY_CLOSED
            ))
            .hint(format!(
                "use --release {} or another later one; only when no database but your own has all of {asked}: \
                 cargo xtask seal --open {asked}",
                after(asked)
            ))),
        },
        (None, Some((known, newest))) => Ok(match closed_by(known) {
            None => (
                known,
                format!("that of {}; choose another with --release", newest.label()),
            ),
            Some(last) => (
                after(known),
                format!(
                    "{known} is closed, since {} is sealed; choose another with --release",
                    last.label()
                ),
            ),
        }),
        (None, None) => {
            let why = newest.map_or_else(
                || "there is no migration to take the release from".to_owned(),
                |newest| format!("migrations/{newest} does not say its release in a form that can be read"),
            );
            Err(Error::new(why).hint("name the release, as in --release 1.1.0"))
        }
    }
}

/// The release that adds something to `release`.
fn after(release: Release) -> Release {
    Release::new(release.major, release.minor.saturating_add(1), 0)
}

/// The newest release before `release` that a migration belongs to; 0.0.0, which no server has, when there is none.
fn release_before(
    project: &Project,
    migrations: &[MigrationName],
    release: Release,
) -> Result<Release, Error> {
    let mut before = Release::new(0, 0, 0);
    for migration in migrations {
        let known = source::release(&project::read(&project.migration(migration))?);
        before = known
            .filter(|known| *known < release)
            .map_or(before, |known| before.max(known));
    }
    Ok(before)
}

fn log_with_entry(
    project: &Project,
    name: &MigrationName,
    release: Release,
    phase: Phase,
) -> Result<String, Error> {
    let path = project.log();
    let text = project::read_if_there(&path)?.unwrap_or_default();
    migration_log::append(
        &text,
        &template::log_heading(name),
        &template::log_body(release, phase),
    )
    .ok_or_else(|| {
        Error::new(format!(
            "{} has no log to add the migration to",
            project.show(&path)
        ))
        .hint(format!("add the heading `{}` to it", migration_log::HEADING))
    })
}

fn create_all(files: &[(PathBuf, String)]) -> Result<(), Error> {
    for (made, (path, text)) in files.iter().enumerate() {
        project::create(path, text)
            .inspect_err(|_| remove_all(files.iter().take(made).map(|(path, _)| path)))?;
    }
    Ok(())
}

/// Takes back files that this run has made.
fn remove_all<'a>(paths: impl Iterator<Item = &'a PathBuf>) {
    for path in paths {
        // The error that led here is the one to report.
        drop(fs::remove_file(path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::TestProject;

    fn request(name: &str) -> Request {
        Request {
            name: name.to_owned(),
            release: None,
            phase: Phase::Expand,
        }
    }

    #[test]
    fn the_next_migration_gets_its_files_and_its_log_entry() {
        let project = TestProject::finished();
        let report = new_migration(&project, &request("Add room topic-index")).unwrap();
        let migration = project.text("migrations/V003__add_room_topic_index.rs");
        assert!(
            migration.contains("Definition::new(\"1.2.0\", Phase::Expand)"),
            "{migration}"
        );
        assert_eq!(
            project.text("migrations/golden/V003__add_room_topic_index.sql"),
            "-- PENDING: run cargo xtask check --bless\n"
        );
        assert!(project.text("MIGRATIONS.md").contains(
            "### V003 add_room_topic_index\n\nRelease 1.2.0, expand. PENDING: what changes, and what operators \
             should know.\n\n## Support"
        ));
        assert_eq!(
            report.lines,
            [
                "made migrations/V003__add_room_topic_index.rs",
                "made migrations/golden/V003__add_room_topic_index.sql",
                "made contracts/1.2.0.sql",
                "added V003 to MIGRATIONS.md",
                "it belongs to release 1.2.0 (1.1.0 is closed, since V002 is sealed; choose another with --release), \
                 phase expand",
                "",
                "next:",
                "  replace all that says PENDING in these files",
                "  cargo xtask check --bless    writes its golden SQL, and finds what is missing",
                "  cargo xtask seal             once only the seal is missing",
                "  cargo xtask check            before you commit",
            ]
        );
    }

    #[test]
    fn a_new_release_gets_its_contract_and_is_the_current_version() {
        let project = TestProject::finished();
        let release = Some(Release::new(1, 2, 0));
        let report = new_migration(
            &project,
            &Request {
                release,
                ..request("c")
            },
        )
        .unwrap();
        assert!(
            report.lines.contains(&"made contracts/1.2.0.sql".to_owned()),
            "{report:?}"
        );
        let contract = project.text("contracts/1.2.0.sql");
        assert!(contract.starts_with("-- What servers of release 1.2.0 run besides what those of 1.1.0 run"));
        assert!(contract.contains("\n-- foreign keys: off\n"), "{contract}");
        assert!(project.text("MIGRATIONS.md").contains("**Version**: 1.2.0\n"));
        // The next of the same release finds them there.
        new_migration(
            &project,
            &Request {
                release,
                ..request("d")
            },
        )
        .unwrap();
        assert_eq!(project.text("contracts/1.2.0.sql"), contract);
    }

    #[test]
    fn a_release_that_is_open_or_has_nothing_sealed_is_proposed_again() {
        let project = TestProject::finished();
        seal::seal(&project, &[], seal::Turn::Open(Release::new(1, 1, 0))).unwrap();
        new_migration(&project, &request("c")).unwrap();
        assert!(project.text("migrations/V003__c.rs").contains("\"1.1.0\""));
        let project = TestProject::finished();
        new_migration(&project, &request("c")).unwrap();
        new_migration(&project, &request("d")).unwrap();
        assert!(project.text("migrations/V004__d.rs").contains("\"1.2.0\""));
    }

    #[test]
    fn a_contract_migration_is_told_to_name_the_servers_that_it_ends() {
        for (release, before) in [(None, "1.1.0"), (Some(Release::new(2, 0, 0)), "1.1.0")] {
            let project = TestProject::finished();
            let request = Request {
                release,
                phase: Phase::Contract,
                ..request("c")
            };
            new_migration(&project, &request).unwrap();
            let text = project.text("migrations/V003__c.rs");
            let retires = text.split_once("// PENDING: the newest release").unwrap().1;
            assert!(retires.contains(&format!(".retires(\"{before}\")")), "{text}");
        }
    }

    #[test]
    fn a_migration_that_does_not_compile_is_no_obstacle() {
        let project = TestProject::finished();
        project.write(
            "migrations/V002__b.rs",
            "Definition::new(\"1.1.0\", <<<<<<< }}} not Rust",
        );
        new_migration(&project, &request("c")).unwrap();
        assert!(project.has("migrations/V003__c.rs"));
    }

    #[test]
    fn the_first_migration_needs_a_release() {
        let project = TestProject::empty();
        let error = new_migration(&project, &request("initial_schema"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("--release 1.1.0"), "{error}");
        let release = Some(Release::new(1, 0, 0));
        new_migration(
            &project,
            &Request {
                release,
                ..request("initial_schema")
            },
        )
        .unwrap();
        assert!(project.has("migrations/V001__initial_schema.rs"));
    }

    #[test]
    fn a_release_that_cannot_be_read_must_be_given() {
        let project = TestProject::finished();
        project.write("migrations/V002__b.rs", "Definition::new(RELEASE, Phase::Expand)");
        let error = new_migration(&project, &request("c")).unwrap_err().to_string();
        assert!(
            error.starts_with("migrations/V002__b.rs does not say its release"),
            "{error}"
        );
    }

    #[test]
    fn what_is_refused_leaves_every_file_as_it_was() {
        let older = Some(Release::new(1, 0, 9));
        for (asked, message) in [
            (
                request("2nd"),
                "`2nd` cannot name a migration: the name must start with a lower-case letter",
            ),
            (request("B"), "migrations/V002__b.rs has the name `b` already"),
            (
                Request {
                    release: older,
                    ..request("c")
                },
                "release 1.0.9 is older than 1.1.0",
            ),
            (
                Request {
                    release: Some(Release::new(1, 1, 0)),
                    ..request("c")
                },
                "release 1.1.0 is closed: its last migration, V002, is sealed",
            ),
        ] {
            let project = TestProject::finished();
            let before = project.snapshot();
            let error = new_migration(&project, &asked).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
            assert_eq!(project.snapshot(), before);
        }
    }

    #[test]
    fn a_sequence_that_is_wrong_already_is_refused_by_file() {
        let project = TestProject::finished();
        project.write("migrations/V1__x.rs", "");
        let error = new_migration(&project, &request("c")).unwrap_err().to_string();
        assert!(
            error.contains("`V1__x.rs` is not the file name of a migration"),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_is_there_is_never_overwritten_and_nothing_is_left_behind() {
        let project = TestProject::finished();
        project.write("migrations/golden/V003__c.sql", "precious");
        let before = project.snapshot();
        let error = new_migration(&project, &request("c")).unwrap_err().to_string();
        assert!(error.contains("V003__c.sql"), "{error}");
        assert_eq!(project.snapshot(), before);
    }

    #[test]
    fn a_project_without_a_log_is_told_which_heading_to_add() {
        let project = TestProject::finished();
        project.write("MIGRATIONS.md", "# Migrations\n");
        let before = project.snapshot();
        let error = new_migration(&project, &request("c")).unwrap_err().to_string();
        assert!(error.contains("add the heading `## Migration log`"), "{error}");
        assert_eq!(project.snapshot(), before);
    }
}
