//! The files of a folder as one gapless sequence of migrations.

use std::{collections::BTreeMap, fmt};

use crate::migration_name::MigrationName;
use crate::name_error::NameError;

/// Sorts the names of a folder's files into the sequence of migrations.
///
/// Files that are no Rust and do not look like a migration (`migrations.lock`, `README.md`, `golden`) are
/// ignored, and so are hidden files and editors' backups (`.#V001__x.rs`, `V001__x.rs~`). Every other `.rs` file
/// must be a migration, and so must every name that looks like one under another case or extension: a
/// migration that is silently left out is worse than an error.
///
/// # Errors
/// All mistakes found, in the order of their files: names that break the grammar, numbers or names used twice,
/// and numbers missing between 1 and the last. Missing numbers are not reported while a name is wrong, since
/// the wrong name may be the missing number.
pub fn scan(file_names: impl IntoIterator<Item = String>) -> Result<Vec<MigrationName>, Vec<SequenceError>> {
    let mut file_names: Vec<String> = file_names.into_iter().filter(|name| is_candidate(name)).collect();
    file_names.sort_unstable();
    let mut names = Vec::with_capacity(file_names.len());
    let mut errors = Vec::new();
    for file_name in &file_names {
        match MigrationName::parse(file_name) {
            Ok(name) => names.push(name),
            Err(error) => errors.push(SequenceError::Name(error)),
        }
    }
    names.sort_unstable();
    let names_are_right = errors.is_empty();
    errors.extend(repeated_versions(&names));
    errors.extend(repeated_names(&names));
    if names_are_right {
        errors.extend(gaps(&names));
    }
    if errors.is_empty() { Ok(names) } else { Err(errors) }
}

/// The number of the migration that would come after these, whatever their order.
pub fn next_version(names: &[MigrationName]) -> u32 {
    names
        .iter()
        .map(MigrationName::version)
        .max()
        .unwrap_or(0)
        .saturating_add(1)
}

fn is_candidate(file_name: &str) -> bool {
    let left_by_a_tool = file_name.starts_with('.') || file_name.ends_with('~');
    !left_by_a_tool && (has_rust_extension(file_name) || looks_like_migration(file_name))
}

fn has_rust_extension(file_name: &str) -> bool {
    file_name
        .rsplit_once('.')
        .is_some_and(|(_, extension)| extension.eq_ignore_ascii_case("rs"))
}

/// Whether it starts with a `V` in either case, digits, and an underscore.
fn looks_like_migration(file_name: &str) -> bool {
    let Some(rest) = file_name.strip_prefix(['V', 'v']) else {
        return false;
    };
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    after.len() < rest.len() && after.starts_with('_')
}

fn repeated_versions(sorted: &[MigrationName]) -> Vec<SequenceError> {
    let free = next_version(sorted);
    sorted
        .chunk_by(|a, b| a.version() == b.version())
        .filter(|group| group.len() > 1)
        .map(|group| SequenceError::DuplicateVersion {
            files: group.iter().map(MigrationName::file_name).collect(),
            free,
        })
        .collect()
}

fn repeated_names(sorted: &[MigrationName]) -> Vec<SequenceError> {
    let mut by_name: BTreeMap<&str, Vec<&MigrationName>> = BTreeMap::new();
    for name in sorted {
        by_name.entry(name.name()).or_default().push(name);
    }
    by_name
        .into_values()
        .filter(|group| group.len() > 1)
        .map(|group| SequenceError::DuplicateName {
            files: group.into_iter().map(MigrationName::file_name).collect(),
        })
        .collect()
}

fn gaps(sorted: &[MigrationName]) -> Vec<SequenceError> {
    let mut found = Vec::new();
    let mut before: Option<&MigrationName> = None;
    for name in sorted {
        let expected = before.map_or(1, |before| before.version().saturating_add(1));
        if name.version() > expected {
            found.push(SequenceError::Gap {
                first: expected,
                last: name.version() - 1,
                before: before.map(MigrationName::file_name),
                after: name.file_name(),
            });
        }
        before = Some(name);
    }
    found
}

/// A mistake in a folder of migrations; each message names the files.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SequenceError {
    /// A file that must be a migration has a wrong name.
    Name(NameError),
    /// Numbers that no file has.
    Gap {
        /// The first missing number.
        first: u32,
        /// The last missing number; equal to the first when one is missing.
        last: u32,
        /// The file before the gap; none when the sequence does not start at 1.
        before: Option<String>,
        /// The file after the gap.
        after: String,
    },
    /// Files that share a number, as two branches that each added a migration do after a merge.
    DuplicateVersion {
        /// The files, two or more.
        files: Vec<String>,
        /// The next number that no file has.
        free: u32,
    },
    /// Files that share a name under different numbers.
    DuplicateName {
        /// The files, two or more.
        files: Vec<String>,
    },
}

impl fmt::Display for SequenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(error) => error.fmt(f),
            Self::Gap {
                first,
                last,
                before,
                after,
            } => {
                if first == last {
                    write!(f, "no migration V{first:03} ")?;
                } else {
                    write!(f, "no migrations V{first:03} to V{last:03} ")?;
                }
                match before {
                    Some(before) => write!(f, "between `{before}` and `{after}`")?,
                    None => write!(f, "before `{after}`")?,
                }
                f.write_str(": number migrations from 1 without gaps")
            }
            Self::DuplicateVersion { files, free } => {
                write!(
                    f,
                    "{} have the same number: give the newer one V{free:03}",
                    list(files)
                )
            }
            Self::DuplicateName { files } => write!(f, "{} have the same name: rename one", list(files)),
        }
    }
}

impl std::error::Error for SequenceError {}

fn list(files: &[String]) -> String {
    files
        .iter()
        .map(|file| format!("`{file}`"))
        .collect::<Vec<_>>()
        .join(" and ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scan_all(files: &[&str]) -> Result<Vec<MigrationName>, Vec<SequenceError>> {
        scan(files.iter().map(|&file| file.to_owned()))
    }

    fn messages(files: &[&str]) -> Vec<String> {
        scan_all(files)
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_folder_gives_its_migrations_in_order() {
        let names = scan_all(&[
            "V010__ten.rs",
            "V002__two.rs",
            "V001__one.rs",
            "V003__c.rs",
            "V004__d.rs",
            "V005__e.rs",
            "V006__f.rs",
            "V007__g.rs",
            "V008__h.rs",
            "V009__i.rs",
        ])
        .unwrap();
        let versions: Vec<u32> = names.iter().map(MigrationName::version).collect();
        assert_eq!(versions, (1..=10).collect::<Vec<u32>>());
        assert_eq!(next_version(&names), 11);
    }

    #[test]
    fn an_empty_folder_has_no_migrations_and_starts_at_one() {
        assert_eq!(scan_all(&[]), Ok(vec![]));
        assert_eq!(next_version(&[]), 1);
    }

    #[test]
    fn other_files_are_ignored() {
        let files = [
            "migrations.lock",
            "README.md",
            "golden",
            "queries.sql",
            ".V001__x.rs.swp",
            ".#V001__x.rs",
            "V001__x.rs~",
            "version_notes.txt",
        ];
        assert_eq!(scan_all(&files), Ok(vec![]));
    }

    #[test]
    fn a_file_that_looks_like_a_migration_is_never_left_out_silently() {
        for file in [
            "mod.rs",
            "helpers.rs",
            "v001__x.rs",
            "V1__x.rs",
            "V001_x.rs",
            "V001__x.RS",
            "V001__x.sql",
            "v1_x",
            "V001__x.rs.orig",
            "001_x.rs",
        ] {
            let errors = scan_all(&["V001__a.rs", file]).unwrap_err();
            assert!(
                matches!(&errors[..], [SequenceError::Name(error)] if error.text() == file),
                "{errors:?}"
            );
        }
    }

    #[test]
    fn a_gap_names_the_files_around_it() {
        assert_eq!(
            messages(&["V001__a.rs", "V003__c.rs", "V007__g.rs"]),
            [
                "no migration V002 between `V001__a.rs` and `V003__c.rs`: number migrations from 1 without gaps",
                "no migrations V004 to V006 between `V003__c.rs` and `V007__g.rs`: number migrations from 1 without \
                 gaps",
            ]
        );
        assert_eq!(
            messages(&["V002__b.rs"]),
            ["no migration V001 before `V002__b.rs`: number migrations from 1 without gaps"]
        );
    }

    #[test]
    fn a_number_used_twice_names_both_files_and_the_free_number() {
        assert_eq!(
            messages(&["V001__a.rs", "V002__mine.rs", "V002__yours.rs", "V003__c.rs"]),
            ["`V002__mine.rs` and `V002__yours.rs` have the same number: give the newer one V004"]
        );
    }

    #[test]
    fn a_name_used_twice_names_both_files() {
        assert_eq!(
            messages(&["V001__same.rs", "V002__same.rs"]),
            ["`V001__same.rs` and `V002__same.rs` have the same name: rename one"]
        );
    }

    #[test]
    fn a_wrong_name_is_not_reported_as_a_gap_too() {
        let found = messages(&["V001__a.rs", "V2__b.rs", "V003__c.rs"]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("`V2__b.rs` is not the file name of a migration"),
            "{found:?}"
        );
    }

    proptest! {
        #[test]
        fn any_gapless_sequence_is_accepted_in_any_order(
            order in (0_u32..40).prop_flat_map(|count| Just((1..=count).collect::<Vec<u32>>()).prop_shuffle())
        ) {
            let names = scan(order.iter().map(|n| format!("V{n:03}__m{n}.rs"))).unwrap();
            prop_assert!(names.iter().map(MigrationName::version).eq(1..=order.len() as u32));
        }

        #[test]
        fn what_is_accepted_is_gapless_and_without_repeats(
            files in prop::collection::vec("V00[1-4]__[ab]{1,2}[.]rs|[Vv][0-9]{0,4}_{0,2}[a-z]?[.](rs|sql)|.*", 0..6)
        ) {
            if let Ok(names) = scan(files) {
                prop_assert!(names.iter().map(MigrationName::version).eq(1..=names.len() as u32));
                let distinct: std::collections::BTreeSet<&str> = names.iter().map(MigrationName::name).collect();
                prop_assert_eq!(distinct.len(), names.len());
            }
        }
    }
}
