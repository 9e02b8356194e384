//! The texts that a new migration starts from.

use naming::{MigrationName, Phase, Release};

/// The migration's file: it compiles, works, and says what is still to be written.
pub(crate) fn migration(name: &MigrationName, release: Release, phase: Phase) -> String {
    let title = title(name);
    let phase = match phase {
        Phase::Expand => "Expand",
        Phase::Backfill => "Backfill",
        Phase::Contract => "Contract",
    };
    let table = example_table(name);
    format!(
        r#"//! {title}.
//!
//! # Why
//! PENDING: what needs this change, and what would go wrong without it.
//!
//! # Rollback
//! PENDING: what going back does, and what it loses.

use crate::authoring::*;

// PENDING: replace this example; `down` undoes all that `up` does.
const TABLE: &str = "{table}";

pub(crate) fn migration() -> Definition {{
    Definition::new("{release}", Phase::{phase})
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

/// The file that is to hold the SQL that the migration makes.
pub(crate) const GOLDEN: &str = "-- PENDING: run cargo xtask check --bless\n";

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
    use super::*;
    use crate::source;

    #[test]
    fn the_template_is_found_unfinished_and_names_its_release() {
        let name = MigrationName::new(10, "add_room_topic").unwrap();
        let text = migration(&name, Release::new(1, 3, 0), Phase::Contract);
        assert!(text.starts_with("//! Add room topic.\n"), "{text}");
        assert!(
            text.contains("Definition::new(\"1.3.0\", Phase::Contract)"),
            "{text}"
        );
        assert_eq!(source::release(&text), Some(Release::new(1, 3, 0)));
        for heading in ["Why", "Rollback"] {
            assert!(
                source::section(&text, heading).unwrap().contains(source::PENDING),
                "{heading}"
            );
        }
    }

    #[test]
    fn the_longest_name_fits_the_lines_of_the_template() {
        let name = MigrationName::new(10, &"a".repeat(naming::MAX_NAME_LENGTH)).unwrap();
        let text = migration(&name, Release::new(1, 3, 0), Phase::Expand);
        assert!(text.lines().all(|line| line.len() <= 110), "{text}");
    }
}
