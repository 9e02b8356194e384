//! How names, numbers, times and tables look to people, and that none of them moves a cursor.

pub(crate) mod table;

use std::path::Path;

use anstyle::{AnsiColor, Style};
use bridge_migrate_core::{clock, visible};

/// What a line is about, at its beginning.
pub(crate) const LABEL: Style = Style::new().dimmed();
/// What matters most.
pub(crate) const STRONG: Style = Style::new().bold();
/// What deserves attention.
pub(crate) const CAUTION: Style = AnsiColor::Yellow.on_default();
/// What went wrong.
pub(crate) const WRONG: Style = AnsiColor::Red.on_default().bold();
/// A command to type.
pub(crate) const COMMAND: Style = AnsiColor::Cyan.on_default();

/// `text` in a style; the streams take styles out where nobody sees them.
pub(crate) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Adds a line to a page.
macro_rules! line {
    ($page:ident) => {
        $page.push('\n')
    };
    ($page:ident, $($text:tt)+) => {{
        $page.push_str(&format!($($text)+));
        $page.push('\n');
    }};
}
pub(crate) use line;

/// Adds `label     value` as a line.
macro_rules! field {
    ($page:ident, $label:expr, $($value:tt)+) => {
        $crate::text::line!(
            $page,
            "{LABEL}{:<13}{LABEL:#}{}",
            $label,
            format_args!($($value)+),
            LABEL = $crate::text::LABEL
        )
    };
}
pub(crate) use field;

/// `text` with control characters made visible: a name from a database or a folder must not move a
/// terminal's cursor.
pub(crate) fn safe(text: &str) -> String {
    visible(text, &[])
}

/// A path, with what could move a cursor made visible.
pub(crate) fn shown(path: &Path) -> String {
    safe(&path.to_string_lossy())
}

/// As [`safe`], for text of several lines.
pub(crate) fn safe_lines(text: &str) -> String {
    visible(text, &['\n', '\t'])
}

/// A number with its thousands apart.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `2 rows`.
pub(crate) fn counted(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", count(number))
}

/// A duration in milliseconds, as short as it is exact enough.
pub(crate) fn duration(milliseconds: u64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100),
        _ => format!(
            "{} min {} s",
            milliseconds / 60_000,
            milliseconds % 60_000 / 1_000
        ),
    }
}

/// A time that the tool stored: `2026-02-22 15:30:45 UTC`.
pub(crate) fn time(stored: &str) -> String {
    safe(&clock::for_people(stored))
}

/// `V005`.
pub(crate) fn version(number: u32) -> String {
    format!("V{number:03}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_at_a_glance() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(2_000, "row"), "2,000 rows");
        assert_eq!(
            [0, 999, 1_050, 59_999, 61_000].map(duration),
            ["0 ms", "999 ms", "1.0 s", "59.9 s", "1 min 1 s"]
        );
    }

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(safe("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(safe_lines("a\nb\r"), "a\nb\\r");
    }

    #[test]
    fn nothing_turns_the_text_around_or_hides_in_it() {
        let names = "a\u{202e}bd.exe \u{200b}\u{feff}\u{2066}\u{ad}\u{9b}31m\u{e0041}";
        let shown = r"a\u{202e}bd.exe \u{200b}\u{feff}\u{2066}\u{ad}\u{9b}31m\u{e0041}";
        assert_eq!(safe(names), shown);
        assert_eq!(safe("größe 名前 שלום 👍"), "größe 名前 שלום 👍");
    }
}
