//! What a migration's text tells without being compiled: its documentation and its release.

use naming::Release;

/// What a stub holds until a person has replaced it.
pub(crate) const PENDING: &str = "PENDING";

/// The marker as stubs write it in code, where the bare word may be data.
pub(crate) const PENDING_MARK: &str = "PENDING:";

/// The body of a section of the module's documentation, such as `# Why`; none when there is no such heading.
pub(crate) fn section(text: &str, heading: &str) -> Option<String> {
    let mut lines = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("//!"))
        .map(str::trim);
    lines.find(|line| {
        line.strip_prefix("# ")
            .is_some_and(|found| found.trim() == heading)
    })?;
    let body: Vec<&str> = lines.take_while(|line| !line.starts_with("# ")).collect();
    Some(body.join("\n").trim().to_owned())
}

/// The release that the definition names, as `Definition::new("1.1.0", …)`, `Release::new(1, 1, 0)` or
/// `release: "1.1.0"`; comments do not count.
pub(crate) fn release(text: &str) -> Option<Release> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut found: Vec<(usize, &str)> = ["Definition::new(", "Release::new(", "release:"]
        .into_iter()
        .flat_map(|mark| code.match_indices(mark))
        .map(|(at, mark)| (at, code.get(at + mark.len()..).unwrap_or_default()))
        .collect();
    found.sort_unstable_by_key(|(at, _)| *at);
    found.into_iter().find_map(|(_, rest)| literal(rest.trim_start()))
}

fn literal(rest: &str) -> Option<Release> {
    if let Some(quoted) = rest.strip_prefix('"') {
        return Release::parse(quoted.split_once('"')?.0).ok();
    }
    let parts: Vec<&str> = rest.split_once(')')?.0.split(',').map(str::trim).collect();
    Release::parse(&parts.join(".")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_ends_at_the_next_heading() {
        let text = "//! Title.\r\n//!\r\n//! # Why\r\n//! One.\r\n//! Two.\r\n//!\r\n//! # Rollback\r\n//! Back.\r\n";
        assert_eq!(section(text, "Why").as_deref(), Some("One.\nTwo."));
        assert_eq!(section(text, "Rollback").as_deref(), Some("Back."));
        assert_eq!(section(text, "Title"), None);
        assert_eq!(
            section("//! # Why\n//!\n//! # Rollback\n", "Why").as_deref(),
            Some("")
        );
    }

    #[test]
    fn the_release_is_found_in_each_way_of_writing_it() {
        let expected = Some(Release::new(1, 10, 0));
        for text in [
            "Definition::new(\"1.10.0\", Phase::Expand)",
            "Definition::new(\n    \"1.10.0\",\n    Phase::Expand,\n)",
            "Definition::new(Release::new(1, 10, 0), Phase::Expand)",
            "Meta { release: \"1.10.0\", phase: Phase::Expand }",
            "Meta { release: Release::new(1,10,0) }",
            "//! Definition::new(\"9.9.9\")\n    // release: \"9.9.9\"\nDefinition::new(\"1.10.0\", p)",
        ] {
            assert_eq!(release(text), expected, "{text}");
        }
    }

    #[test]
    fn a_text_without_a_release_gives_none() {
        for text in [
            "",
            "release:",
            "Release::new(1, 2)",
            "Definition::new(RELEASE, p)",
            "Definition::new(\"1.2",
        ] {
            assert_eq!(release(text), None, "{text}");
        }
    }
}
