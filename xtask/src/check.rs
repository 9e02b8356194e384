//! `cargo xtask check`: a list of named checks, each of which returns findings with a code and a fix.

use std::{borrow::Cow, fmt};

use naming::MigrationName;

use crate::{checks, lint_check, tool_checks};
use xtask::project::{self, Project};
use xtask::{Report, error::Error};

/// Something that must be put right before the change can be merged.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Stable, for people to search for: `XT1` names, `XT2` seals, `XT3` golden SQL, `XT4` documentation, `XT5` log,
    /// `XT6` schema version and contract, `XT7` formatting, `XT8` compiling and behaviour, `XT9` lint did not run;
    /// `BM` are those of `bridge-migrate lint`.
    pub(crate) code: Cow<'static, str>,
    /// The file that it is about.
    pub(crate) subject: String,
    /// What is wrong with it.
    pub(crate) message: String,
    /// What to do.
    pub(crate) fix: String,
}

impl Finding {
    pub(crate) fn new(
        code: impl Into<Cow<'static, str>>,
        subject: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            code: code.into(),
            subject: subject.into(),
            message: message.into(),
            fix: fix.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {}\n             fix: {}",
            self.code, self.subject, self.message, self.fix
        )
    }
}

/// What every check looks at.
pub(crate) struct Context<'a> {
    pub(crate) project: &'a Project,
    pub(crate) file_names: Vec<String>,
    /// The migrations whose names can be read, also when others' cannot: each mistake is reported once.
    pub(crate) migrations: Vec<(MigrationName, String)>,
}

impl<'a> Context<'a> {
    fn read(project: &'a Project) -> Result<Self, Error> {
        let file_names = project::file_names(&project.migrations_dir())?;
        let mut names: Vec<MigrationName> = file_names
            .iter()
            .filter_map(|file_name| MigrationName::parse(file_name).ok())
            .collect();
        names.sort_unstable();
        let migrations = names
            .into_iter()
            .map(|name| project::read(&project.migration(&name)).map(|text| (name, text)))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            project,
            file_names,
            migrations,
        })
    }
}

type Check = fn(&Context<'_>) -> Result<Vec<Finding>, Error>;

/// What is checked, and whether anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Names and text: works while a migration does not compile, and takes no time.
    Text,
    /// Everything.
    Full,
    /// Everything, after the golden SQL was written anew.
    Bless,
}

/// In the order in which they are reported.
const TEXT_CHECKS: [(&str, Check); 7] = [
    ("names and sequence", checks::names),
    ("seals", checks::sealing),
    ("golden SQL", checks::golden),
    ("documentation", checks::documentation),
    ("migration log", checks::log),
    ("schema version", checks::schema_version),
    ("contracts", checks::contracts),
];

/// Runs every check and reports each.
///
/// # Errors
/// When a file cannot be read or a program cannot be started; a finding is not an error.
pub(crate) fn check(project: &Project, extent: Extent) -> Result<Report, Error> {
    let linted = match extent {
        Extent::Text => None,
        Extent::Full | Extent::Bless => Some(lint_check::lint(project)?),
    };
    let blessed = match (extent, &linted) {
        (Extent::Bless, Some(Ok(_))) => tool_checks::bless(project)?,
        _ => Vec::new(),
    };
    let context = Context::read(project)?;
    let mut sections = Vec::new();
    for (name, check) in TEXT_CHECKS {
        sections.push((name, check(&context)?));
    }
    // They come last: they take the longest and say the least when a name is wrong.
    let mut later = None;
    if let Some(linted) = linted {
        sections.push(("formatting", tool_checks::formatting(&context)?));
        let (Ok(found) | Err(found)) = linted;
        let is_clean = found.is_empty();
        sections.push(("compiles; lint; what servers of each release run", found));
        // The tests would find the same again.
        let behaviour = "up, down and up again; SQL as stored";
        if !blessed.is_empty() {
            sections.push((behaviour, blessed));
        } else if is_clean {
            sections.push((behaviour, tool_checks::behaviour(&context)?));
        } else {
            later = Some(format!("later  {behaviour}"));
        }
    }

    let mut lines = Vec::new();
    for (name, found) in &sections {
        let state = if found.is_empty() { "ok" } else { "FAILED" };
        lines.push(format!("{state:<6} {name}"));
        lines.extend(found.iter().map(|finding| format!("      {finding}")));
    }
    lines.extend(later);
    let count: usize = sections.iter().map(|(_, found)| found.len()).sum();
    lines.push(match count {
        0 => format!("{} migrations, nothing to put right", context.migrations.len()),
        1 => "1 finding".to_owned(),
        _ => format!("{count} findings"),
    });
    Ok(Report {
        lines,
        passed: count == 0,
    })
}

#[cfg(test)]
mod tests {
    use naming::{Phase, Release};

    use super::*;
    use crate::new_migration::{Request, new_migration};
    use crate::tests::TestProject;

    fn codes(project: &Project) -> Vec<String> {
        let report = check(project, Extent::Text).unwrap();
        let codes: Vec<String> = report
            .lines
            .iter()
            .filter_map(|line| line.trim_start().split(' ').next())
            .filter(|word| word.starts_with("XT"))
            .map(str::to_owned)
            .collect();
        assert_eq!(report.passed, codes.is_empty(), "{report:?}");
        codes
    }

    #[test]
    fn a_finished_project_passes() {
        let report = check(&TestProject::finished(), Extent::Text).unwrap();
        assert!(report.passed);
        assert_eq!(
            report.lines,
            [
                "ok     names and sequence",
                "ok     seals",
                "ok     golden SQL",
                "ok     documentation",
                "ok     migration log",
                "ok     schema version",
                "ok     contracts",
                "2 migrations, nothing to put right",
            ]
        );
    }

    #[test]
    fn a_new_migration_must_be_filled_in() {
        let project = TestProject::finished();
        let release = Some(Release::new(1, 2, 0));
        new_migration(
            &project,
            &Request {
                name: "c".to_owned(),
                release,
                phase: Phase::Expand,
            },
        )
        .unwrap();
        assert_eq!(
            codes(&project),
            ["XT201", "XT302", "XT402", "XT404", "XT405", "XT502", "XT604"]
        );
    }

    #[test]
    fn a_migration_of_a_closed_release_is_found_also_when_it_was_made_by_hand() {
        let project = TestProject::finished();
        let text = project.text("migrations/V002__b.rs");
        project.write("migrations/V003__c.rs", &text);
        assert_eq!(codes(&project), ["XT201", "XT206", "XT301", "XT501"]);
        project.write("migrations/V003__c.rs", &text.replace("1.1.0", "1.2.0"));
        assert_eq!(codes(&project), ["XT201", "XT301", "XT501", "XT601"]);
    }

    #[test]
    fn a_finding_names_its_file_what_is_wrong_and_the_fix() {
        let project = TestProject::finished();
        project.write(
            "migrations/V002__b.rs",
            &(project.text("migrations/V002__b.rs") + "// more\n"),
        );
        let report = check(&project, Extent::Text).unwrap();
        assert_eq!(
            report.lines[2],
            "      XT202 migrations/V002__b.rs: was edited after it was sealed\n             fix: undo the change and \
             write a new migration instead"
        );
        assert_eq!(report.lines.last().unwrap(), "1 finding");
    }

    fn edit_log(project: &TestProject, old: &str, new: &str) {
        let text = project.text("MIGRATIONS.md");
        assert!(text.contains(old), "{text}");
        project.write("MIGRATIONS.md", &text.replace(old, new));
    }

    #[test]
    fn each_mistake_has_its_code() {
        type Mistake = fn(&TestProject);
        let mistakes: [(&[&str], Mistake); 16] = [
            (&["XT101"], |p| p.write("migrations/V3__x.rs", "")),
            (&["XT205"], |p| p.write("migrations/migrations.lock", "damaged\n")),
            (&["XT201", "XT201"], |p| p.remove("migrations/migrations.lock")),
            (&["XT203", "XT303", "XT503", "XT601"], |p| {
                p.remove("migrations/V002__b.rs")
            }),
            (&["XT301"], |p| p.remove("migrations/golden/V001__a.sql")),
            (&["XT302"], |p| {
                p.write("migrations/golden/V001__a.sql", "-- PENDING: run it\n")
            }),
            (&["XT303"], |p| p.write("migrations/golden/V009__old.sql", "")),
            (&["XT202", "XT401", "XT403", "XT603"], |p| {
                p.write("migrations/V002__b.rs", "fn migration() {}\n")
            }),
            (&["XT202", "XT401", "XT603"], |p| {
                p.write(
                    "migrations/V002__b.rs",
                    "//! # Why\n//!\n//! # Rollback\n//! It.\n",
                )
            }),
            (&["XT504", "XT602"], |p| p.remove("MIGRATIONS.md")),
            (&["XT501"], |p| edit_log(p, "\n### V002 b\n\nDone.\n", "")),
            (&["XT502"], |p| edit_log(p, "### V002 b\n\nDone.", "### V002 b\n")),
            (&["XT502"], |p| {
                edit_log(p, "### V002 b\n\nDone.", "### V002 b\n\nPENDING")
            }),
            (&["XT601"], |p| {
                edit_log(p, "**Version**: 1.1.0", "**Version**: 1.0.0")
            }),
            (&["XT602"], |p| {
                edit_log(p, "**Version**: 1.1.0", "**Version**: unknown")
            }),
            (&["XT604"], |p| {
                p.write("contracts/1.1.0.sql", "-- PENDING: what\n")
            }),
        ];
        for (expected, mistake) in mistakes {
            let project = TestProject::finished();
            mistake(&project);
            assert_eq!(codes(&project), expected);
        }
    }

    #[test]
    fn a_migration_that_changed_its_number_is_called_reordered() {
        let project = TestProject::finished();
        let (a, b) = (
            project.text("migrations/V001__a.rs"),
            project.text("migrations/V002__b.rs"),
        );
        project.remove("migrations/V001__a.rs");
        project.remove("migrations/V002__b.rs");
        project.write("migrations/V001__b.rs", &b);
        project.write("migrations/V002__a.rs", &a);
        let found = codes(&project);
        assert_eq!(
            found.iter().filter(|code| *code == "XT204").count(),
            2,
            "{found:?}"
        );
    }
}
