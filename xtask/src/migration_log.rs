//! The migration log: the section of MIGRATIONS.md with an entry per migration.

/// The heading of the log's section; the case of its letters does not matter.
pub(crate) const HEADING: &str = "## Migration log";

/// A migration's entry: `### V001 initial_schema`, and the text below it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The number as written, such as `V001`.
    pub(crate) label: String,
    pub(crate) name: String,
    pub(crate) body: String,
}

/// The entries of the log in the order of the text; none when the text has no log.
///
/// Other headings of the section, such as `### Planned migrations`, are no entries.
pub(crate) fn entries(text: &str) -> Option<Vec<Entry>> {
    let (start, end) = section(text)?;
    let mut entries: Vec<Entry> = Vec::new();
    let mut in_entry = false;
    for line in lines(text).filter(|line| line.start >= start && line.start < end) {
        if line.level > 0 && line.level <= 3 {
            let entry = entry_heading(line.text);
            in_entry = entry.is_some();
            entries.extend(entry);
        } else if in_entry && let Some(entry) = entries.last_mut() {
            entry.body.push_str(line.text);
            entry.body.push('\n');
        }
    }
    for entry in &mut entries {
        entry.body = entry.body.trim().to_owned();
    }
    Some(entries)
}

/// The text with an entry added at the end of the log; none when the text has no log.
pub(crate) fn append(text: &str, heading: &str, body: &str) -> Option<String> {
    let (_, end) = section(text)?;
    let (before, after) = text.split_at_checked(end)?;
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut result = before.trim_end().to_owned();
    for part in [newline, newline, heading, newline, newline, body, newline] {
        result.push_str(part);
    }
    if !after.is_empty() {
        result.push_str(newline);
        result.push_str(after);
    }
    Some(result)
}

fn entry_heading(line: &str) -> Option<Entry> {
    let mut words = line.strip_prefix("### ")?.split_whitespace();
    let label = words.next()?;
    let digits = label.strip_prefix('V')?;
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let name = words.next().unwrap_or_default();
    Some(Entry {
        label: label.to_owned(),
        name: name.to_owned(),
        body: String::new(),
    })
}

/// Where the log's section starts, after its heading, and ends.
fn section(text: &str) -> Option<(usize, usize)> {
    let mut lines = lines(text);
    let heading = lines.find(|line| line.level == 2 && line.text.trim_end().eq_ignore_ascii_case(HEADING))?;
    let end = lines
        .find(|line| line.level == 1 || line.level == 2)
        .map_or(text.len(), |line| line.start);
    Some((heading.end, end))
}

struct Line<'a> {
    text: &'a str,
    start: usize,
    end: usize,
    /// How many `#` a heading has; 0 for every other line, those of code blocks too.
    level: usize,
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0;
    let mut fence: Option<&str> = None;
    text.split_inclusive('\n').map(move |line| {
        let line_start = start;
        start += line.len();
        let marker = ["```", "~~~"]
            .into_iter()
            .find(|marker| line.trim_start().starts_with(marker));
        let mut level = 0;
        match (fence, marker) {
            (Some(open), Some(marker)) if open == marker => fence = None,
            (None, Some(marker)) => fence = Some(marker),
            (None, None) => {
                let hashes = line.len() - line.trim_start_matches('#').len();
                if line.get(hashes..).is_some_and(|rest| rest.starts_with(' ')) {
                    level = hashes;
                }
            }
            (Some(_), _) => {}
        }
        Line {
            text: line.trim_end_matches(['\r', '\n']),
            start: line_start,
            end: start,
            level,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "# Migrations\n\n```bash\n## Migration log\n```\n\n## Migration Log\n\n### Version 1.0.0\n\n\
                       Before the tool.\n\n### V001 initial_schema\n\nAll tables.\n\n```sh\n## no heading\n```\n\n\
                       ## Support\n\nAsk.\n";

    #[test]
    fn entries_are_read_and_other_headings_are_not() {
        assert_eq!(
            entries(LOG).unwrap(),
            [Entry {
                label: "V001".to_owned(),
                name: "initial_schema".to_owned(),
                body: "All tables.\n\n```sh\n## no heading\n```".to_owned(),
            }]
        );
    }

    #[test]
    fn an_entry_is_added_at_the_end_of_the_log_and_nothing_else_changes() {
        let text = append(LOG, "### V002 more", "New.").unwrap();
        assert_eq!(text.replace("### V002 more\n\nNew.\n\n", ""), LOG);
        assert!(
            text.contains("```\n\n### V002 more\n\nNew.\n\n## Support\n"),
            "{text}"
        );
        assert_eq!(entries(&text).unwrap().len(), 2);
    }

    #[test]
    fn a_log_at_the_end_of_the_file_and_an_empty_one_can_be_added_to() {
        assert_eq!(
            append("## Migration log", "### V001 a", "A.").unwrap(),
            "## Migration log\n\n### V001 a\n\nA.\n"
        );
    }

    #[test]
    fn line_ends_stay_as_they_are() {
        let text = append("## Migration log\r\n\r\n## Next\r\n", "### V001 a", "A.").unwrap();
        assert_eq!(
            text,
            "## Migration log\r\n\r\n### V001 a\r\n\r\nA.\r\n\r\n## Next\r\n"
        );
        assert_eq!(entries(&text).unwrap()[0].body, "A.");
    }

    #[test]
    fn a_text_without_a_log_has_none() {
        assert_eq!(entries("# Migrations\n"), None);
        assert_eq!(append("", "### V001 a", "A."), None);
    }
}
