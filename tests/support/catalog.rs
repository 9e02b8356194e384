//! The catalog under test: what a story asserts of "the newest" is asked of it, so that a migration more breaks none.

use std::sync::LazyLock;

use bridge_migrate_core::{Catalog, Migration};

/// All migrations.
pub static CATALOG: LazyLock<Catalog> = LazyLock::new(|| bridge_migrate::catalog().unwrap());

/// The number of the last one.
pub fn last() -> u32 {
    CATALOG.last_version()
}

/// The release that is complete at a version; empty when there is none.
pub fn release_at(version: u32) -> String {
    let release = CATALOG.release_at(version);
    release.map(|release| release.to_string()).unwrap_or_default()
}

/// All releases, oldest first.
pub fn releases() -> Vec<String> {
    CATALOG.releases().iter().map(ToString::to_string).collect()
}

/// A release as positions name it, with the number of its last migration: `1.2.0 (V010)`.
pub fn position_of(release: &str) -> String {
    format!("{release} (V{:03})", last_of(release))
}

/// The number of a release's last migration.
pub fn last_of(release: &str) -> u32 {
    let of_release = |migration: &&Migration| migration.release.to_string() == release;
    let last = CATALOG.migrations().iter().rfind(of_release);
    last.unwrap().version
}

/// What the program says, as it said it when 1.2.0 was the newest release: the stories of documents and snapshots stay
/// as they are when migrations are added.
pub fn as_at_1_2_0(text: &str) -> String {
    let then = last_of("1.2.0");
    let since = CATALOG
        .migrations()
        .iter()
        .filter(|migration| migration.version > then);
    let since: Vec<String> = since.map(|migration| migration.name.clone()).collect();
    since_taken_out(text, then as usize, &since, &releases())
}

/// `then` is the number of the last migration of 1.2.0, `names` are those of the later ones, `releases` those of all.
fn since_taken_out(text: &str, then: usize, names: &[String], releases: &[String]) -> String {
    let (Some(newest), false) = (releases.last(), names.is_empty()) else {
        return text.to_owned();
    };
    let last = then + names.len();
    let known = releases.iter().position(|release| release == "1.2.0").unwrap();
    let spellings = [
        (releases.join(", "), releases[..=known].join(", ")),
        (format!("{newest} (V{last:03})"), format!("1.2.0 (V{then:03})")),
        (format!("V{last:03}"), format!("V{then:03}")),
        (format!("--to {last} "), format!("--to {then} ")),
        (
            format!("{} (V{:03})", after(newest), last + 1),
            format!("1.3.0 (V{:03})", then + 1),
        ),
        (format!("V{:03}", last + 1), format!("V{:03}", then + 1)),
    ];
    let mut lines: Vec<String> = Vec::new();
    for line in text.split('\n') {
        if names
            .iter()
            .zip(then + 1..)
            .any(|(name, version)| is_of(line, version, name))
        {
            continue;
        }
        let spelled = spellings
            .iter()
            .fold(line.to_owned(), |line, (now, then)| line.replace(now, then));
        lines.push(fewer_pending(&spelled, names.len()));
    }
    // A table that had only rows of later migrations goes, too, with the empty line above it.
    let is_empty = |index: usize| lines.get(index).is_none_or(String::is_empty);
    let is_heading = |index: usize| {
        let line = lines.get(index);
        line.is_some_and(|line| line.starts_with("VERSION ")) && is_empty(index + 1)
    };
    let goes = |index: usize| is_heading(index) || (is_empty(index) && is_heading(index + 1));
    let kept = (0..lines.len()).filter(|&index| !goes(index));
    kept.map(|index| lines[index].as_str())
        .collect::<Vec<_>>()
        .join("\n")
}

/// A line of a list: number and name of a migration, and what is to be said of it.
fn is_of(line: &str, version: usize, name: &str) -> bool {
    let mut words = line.split_whitespace();
    words.next() == Some(format!("V{version:03}").as_str()) && words.next() == Some(name)
}

/// The next release, as a later program would have it.
pub fn after(release: &str) -> String {
    let mut parts = release.split('.').map(|part| part.parse::<u32>().unwrap());
    format!("{}.{}.0", parts.next().unwrap(), parts.next().unwrap() + 1)
}

/// "8 migrations, to …" or "…; 8 migrations pending" without `more` of them.
fn fewer_pending(line: &str, more: usize) -> String {
    let Some(at) = [
        " migrations, to ",
        " migration, to ",
        " migrations pending",
        " migration pending",
    ]
    .iter()
    .find_map(|words| line.find(words)) else {
        return line.to_owned();
    };
    let digits = line[..at].bytes().rev().take_while(u8::is_ascii_digit).count();
    let (before, count) = line[..at].split_at(at - digits);
    let rest = line[at..]
        .trim_start_matches(" migrations")
        .trim_start_matches(" migration");
    match count.parse::<usize>().unwrap() - more {
        0 => before
            .strip_suffix("; ")
            .map_or_else(|| format!("{before}nothing"), str::to_owned),
        1 => format!("{before}1 migration{rest}"),
        count => format!("{before}{count} migrations{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::since_taken_out;

    #[test]
    fn a_migration_more_shows_nowhere() {
        let names = ["add_x".to_owned()];
        let releases = ["1.0.0", "1.2.0", "1.3.0"].map(str::to_owned);
        for (now, then) in [
            (
                "release  1.3.0 (V010)\npending  nothing\n",
                "release  1.2.0 (V009)\npending  nothing\n",
            ),
            (
                "pending  9 migrations, to 1.3.0 (V010)\n\nVERSION  NAME\nV009  edits\nV010  add_x\n",
                "pending  8 migrations, to 1.2.0 (V009)\n\nVERSION  NAME\nV009  edits\n",
            ),
            (
                "release  1.2.0 (V009)\npending  1 migration, to 1.3.0 (V010)\n\nVERSION  NAME\nV010  add_x\n",
                "release  1.2.0 (V009)\npending  nothing\n",
            ),
            (
                "V010 add_x 2 ms\nat 1.0.0 (V004); 2 migrations pending\n",
                "at 1.0.0 (V004); 1 migration pending\n",
            ),
            ("at 1.2.0 (V009); 1 migration pending\n", "at 1.2.0 (V009)\n"),
            (
                "V001 to V010 and the releases 1.0.0, 1.2.0, 1.3.0;",
                "V001 to V009 and the releases 1.0.0, 1.2.0;",
            ),
            (
                "it has V011__y, 1.4.0 (V011): --to 10 -n",
                "it has V010__y, 1.3.0 (V010): --to 9 -n",
            ),
        ] {
            assert_eq!(since_taken_out(now, 9, &names, &releases), then);
            assert_eq!(since_taken_out(now, 9, &[], &releases), now);
        }
    }
}
