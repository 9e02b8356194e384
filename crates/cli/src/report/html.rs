//! Text that becomes part of a page: everything that is not markup passes through here.

use bridge_migrate_core::is_hidden;

/// `text` as the content of an element or of a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut safe, character| {
            match character {
                '&' => safe.push_str("&amp;"),
                '<' => safe.push_str("&lt;"),
                '>' => safe.push_str("&gt;"),
                '"' => safe.push_str("&quot;"),
                '\'' => safe.push_str("&#39;"),
                // What HTML cannot hold is made visible.
                character if is_hidden(character) && !matches!(character, '\n' | '\t') => {
                    safe.extend(character.escape_default());
                }
                character => safe.push(character),
            }
            safe
        })
}

/// A sentence in which names stand between backticks.
pub(super) fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // One without its partner is a character like any other.
    if parts.len().is_multiple_of(2) {
        return escape(text);
    }
    parts
        .iter()
        .enumerate()
        .map(|(index, part)| match index % 2 {
            0 => escape(part),
            _ => format!("<code>{}</code>", escape(part)),
        })
        .collect()
}

/// A section with a heading and a name to link to.
pub(super) fn section(id: &str, heading: &str, content: &str) -> String {
    format!(
        "<section id=\"{id}\">\n<h2>{}</h2>\n{content}</section>\n",
        escape(heading)
    )
}

/// A table with a head; the cells are markup already. Columns in `numbers` stand on the right.
pub(super) fn table(head: &[&str], numbers: &[usize], rows: &[Vec<String>]) -> String {
    let cell = |tag: &str, index: usize, content: &str| {
        let class = if numbers.contains(&index) {
            " class=\"n\""
        } else {
            ""
        };
        format!("<{tag}{class}>{content}</{tag}>")
    };
    let line = |tag: &str, cells: &mut dyn Iterator<Item = (usize, String)>| {
        let cells: String = cells.map(|(index, content)| cell(tag, index, &content)).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let mut text = String::from("<div class=\"wide\"><table>\n<thead>");
    text.push_str(&line("th", &mut head.iter().map(|name| escape(name)).enumerate()));
    text.push_str("</thead>\n<tbody>\n");
    for row in rows {
        text.push_str(&line("td", &mut row.iter().cloned().enumerate()));
    }
    text.push_str("</tbody></table></div>\n");
    text
}

/// Something that opens when asked.
pub(super) fn details(summary: &str, content: &str) -> String {
    format!(
        "<details><summary>{}</summary>\n{content}</details>\n",
        escape(summary)
    )
}

/// Preformatted text.
pub(super) fn code(text: &str) -> String {
    format!("<pre><code>{}</code></pre>\n", escape(text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_between_backticks_are_code() {
        assert_eq!(prose("a `b<` c"), "a <code>b&lt;</code> c");
        assert_eq!(prose("a ` c"), "a ` c");
    }

    #[test]
    fn nothing_of_a_text_becomes_markup() {
        assert_eq!(
            escape("<script a=\"b\" c='d'>&\u{0}\u{1b}\n"),
            "&lt;script a=&quot;b&quot; c=&#39;d&#39;&gt;&amp;\\u{0}\\u{1b}\n"
        );
    }
}
