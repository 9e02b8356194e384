//! Text that a terminal shows as it is.

/// Whether a terminal takes the character for something to do, or shows nothing in its place: controls, marks of the
/// direction of writing, and what has no width.
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// `text` with every hidden character escaped, but for those to `keep`: a name from a database or a folder must not
/// move a terminal's cursor, or turn what is read around.
pub fn visible(text: &str, keep: &[char]) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut safe, character| {
            if is_hidden(character) && !keep.contains(&character) {
                safe.extend(character.escape_default());
            } else {
                safe.push(character);
            }
            safe
        })
}
