//! The version that MIGRATIONS.md states.

use naming::Release;

/// The heading of the section; the case of its letters does not matter.
pub(crate) const HEADING: &str = "## Current schema version";

const LABEL: &str = "**Version**:";

/// The release that the section states; none when the section, its line or a release in it is missing.
pub(crate) fn stated(text: &str) -> Option<Release> {
    text.lines()
        .skip_while(|line| !line.trim_end().eq_ignore_ascii_case(HEADING))
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .find_map(|line| Release::parse(line.trim().strip_prefix(LABEL)?.trim()).ok())
}

/// The text with another release in the section; the same text when it states none.
pub(crate) fn restated(text: &str, release: Release) -> String {
    let Some(old) = stated(text) else {
        return text.to_owned();
    };
    let before = text
        .split_inclusive('\n')
        .take_while(|line| !line.trim_end().eq_ignore_ascii_case(HEADING))
        .map(str::len)
        .sum();
    let (head, rest) = text.split_at_checked(before).unwrap_or((text, ""));
    format!(
        "{head}{}",
        rest.replacen(&format!("{LABEL} {old}"), &format!("{LABEL} {release}"), 1)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_in_its_section_only() {
        let text = "**Version**: 9.9.9\r\n\r\n## Current Schema Version\r\n\r\n**Version**: 1.2.0\r\n\r\n## Next\r\n";
        assert_eq!(stated(text), Some(Release::new(1, 2, 0)));
        assert_eq!(stated(&text.replace("**Version**: 1.2.0", "1.2.0")), None);
        assert_eq!(
            stated("## Current schema version\n## Other\n**Version**: 1.2.0\n"),
            None
        );
        assert_eq!(stated(""), None);
    }

    #[test]
    fn the_version_is_restated_in_its_section_only() {
        let text =
            "**Version**: 1.2.0\n\n## Current schema version\n\n**Version**: 1.2.0\n\n**Version**: 1.2.0\n";
        let now =
            "**Version**: 1.2.0\n\n## Current schema version\n\n**Version**: 1.3.0\n\n**Version**: 1.2.0\n";
        assert_eq!(restated(text, Release::new(1, 3, 0)), now);
        let windows = text.replace('\n', "\r\n");
        assert_eq!(
            restated(&windows, Release::new(1, 3, 0)),
            now.replace('\n', "\r\n")
        );
        assert_eq!(restated("nothing", Release::new(1, 3, 0)), "nothing");
    }
}
