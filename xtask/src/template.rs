//! The texts that a new migration starts from.

use naming::{MigrationName, Phase, Release};

/// The migration's file: it compiles, works, and says what is still to be written. `before` is the release before
/// its own: the one that a contract migration ends at most.
pub(crate) fn migration(name: &MigrationName, release: Release, before: Release, phase: Phase) -> String {
    let title = title(name);
    let example = match phase {
        Phase::Expand => schema_example(name, release, "Expand", ""),
        Phase::Contract => schema_example(name, release, "Contract", &retirement(before)),
        Phase::Backfill => data_example(release),
    };
    format!(
        "//! {title}.
//!
//! # Why
//! PENDING: what needs this change, and what would go wrong without it.
//!
//! # Rollback
//! PENDING: what going back does, and what it loses.

{example}"
    )
}

fn schema_example(name: &MigrationName, release: Release, phase: &str, retirement: &str) -> String {
    let table = example_table(name);
    format!(
        r#"use crate::authoring::{{Definition, Phase, text}};

// PENDING: replace this example; `down` undoes all that `up` does.
const TABLE: &str = "{table}";

pub(crate) fn migration() -> Definition {{
    Definition::new("{release}", Phase::{phase}){retirement}
        .up(|m| {{
            m.create_table(TABLE, |t| {{
                t.add_column("id", text().primary(true));
            }});
        }})
        .down(|m| {{
            m.drop_table(TABLE);
        }})
}}
"#
    )
}

/// Which servers a contract migration ends.
fn retirement(before: Release) -> String {
    format!(
        r#"
        // PENDING: the newest release whose servers no longer work once this is applied; all releases
        // before it end too.
        .retires("{before}")"#
    )
}

/// Rows are moved apart from schema changes, in batches.
fn data_example(release: Release) -> String {
    format!(
        r#"use crate::authoring::{{Definition, Phase, Rewrite, Rewritten, TimeZone}};

pub(crate) fn migration() -> Definition {{
    // PENDING: replace this example: what becomes of the values, in which table, known by which key, in which
    // column. Their old values are kept, and going back puts them back.
    Definition::new("{release}", Phase::Backfill).data(Rewrite::new(
        "without spaces around it",
        "rooms",
        "room_id",
        "topic",
        rewrite,
    ))
}}

fn rewrite(value: &str, _: &TimeZone) -> Rewritten {{
    let trimmed = value.trim();
    if trimmed == value {{
        Rewritten::Keep
    }} else {{
        Rewritten::Change(trimmed.to_owned())
    }}
}}
"#
    )
}

/// The file that is to hold the SQL that the migration makes.
pub(crate) const GOLDEN: &str = "-- PENDING: run cargo xtask check --bless\n";

/// What the servers of a new release run: whoever adds it says what that is.
pub(crate) fn contract(release: Release, before: Release) -> String {
    format!(
        "-- What servers of release {release} run besides what those of {before} run, or instead of it: PENDING: what
-- that is, and the statements below; nothing is an answer, too. 1.0.0.sql says how this file is read.

-- foreign keys: off
"
    )
}

/// The heading of the migration's entry in the log.
pub(crate) fn log_heading(name: &MigrationName) -> String {
    format!("### {} {}", name.label(), name.name())
}

/// The body of the migration's entry in the log.
pub(crate) fn log_body(release: Release, phase: Phase) -> String {
    format!("Release {release}, {phase}. PENDING: what changes, and what operators should know.")
}

/// A name that no table of the Bridge has, so that the example works whatever the migration is called.
fn example_table(name: &MigrationName) -> String {
    format!("example_{}", name.name())
}

fn title(name: &MigrationName) -> String {
    let words = name.name().replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_ascii_uppercase().to_string() + letters.as_str()
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::{env, fs};

    use super::*;
    use crate::source;

    /// The suite `scaffold` compiles and runs these files: the template is what the compiler has seen.
    #[test]
    fn the_template_is_what_is_compiled_and_run() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scaffold");
        for (number, text, phase) in [
            (1, "made_to_expand", Phase::Expand),
            (2, "made_to_backfill", Phase::Backfill),
            (3, "made_to_contract", Phase::Contract),
        ] {
            let name = MigrationName::new(number, text).unwrap();
            let template = migration(&name, Release::new(1, 3, 0), Release::new(1, 2, 0), phase);
            let path = folder.join(name.file_name());
            if env::var_os("BLESS").is_some() {
                fs::write(&path, &template).unwrap();
            }
            let compiled = fs::read_to_string(&path).unwrap().replace("\r\n", "\n");
            assert_eq!(
                compiled, template,
                "BLESS=1 cargo test -p xtask, then cargo test --workspace"
            );
        }
    }

    #[test]
    fn the_template_is_found_unfinished_and_names_its_release() {
        let name = MigrationName::new(10, "add_room_topic").unwrap();
        for (phase, word) in [
            (Phase::Expand, "Expand"),
            (Phase::Backfill, "Backfill"),
            (Phase::Contract, "Contract"),
        ] {
            let text = migration(&name, Release::new(1, 3, 0), Release::new(1, 2, 0), phase);
            assert!(text.starts_with("//! Add room topic.\n"), "{text}");
            assert!(
                text.contains(&format!("Definition::new(\"1.3.0\", Phase::{word})")),
                "{text}"
            );
            assert!(text.contains(&format!("// {}", source::PENDING_MARK)), "{text}");
            assert_eq!(source::release(&text), Some(Release::new(1, 3, 0)));
            for heading in ["Why", "Rollback"] {
                assert!(
                    source::section(&text, heading).unwrap().contains(source::PENDING),
                    "{heading}"
                );
            }
        }
    }

    #[test]
    fn the_longest_name_fits_the_lines_of_the_template() {
        let name = MigrationName::new(10, &"a".repeat(naming::MAX_NAME_LENGTH)).unwrap();
        for phase in [Phase::Expand, Phase::Backfill, Phase::Contract] {
            let text = migration(&name, Release::new(1, 3, 0), Release::new(1, 2, 0), phase);
            assert!(text.lines().all(|line| line.len() <= 110), "{text}");
        }
    }
}
