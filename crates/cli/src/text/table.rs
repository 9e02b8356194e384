//! Small aligned tables without lines.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::{STRONG, safe};

/// The table's lines. Cells are made safe for a terminal; no line ends in blanks. A `>` before a column's heading says
/// that it holds numbers, which stand on the right.
pub(crate) fn table(columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(columns.iter().map(|column| column.trim_start_matches('>')));
    for row in rows {
        table.add_row(row.iter().map(|cell| safe(cell)));
    }
    for (index, column) in columns.iter().enumerate() {
        if let Some(cells) = table.column_mut(index) {
            cells.set_padding((0, 2));
            if column.starts_with('>') {
                cells.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    let mut text = String::new();
    for (index, line) in table.lines().enumerate() {
        let line = line.trim_end();
        if index == 0 {
            text.push_str(&super::styled(STRONG, line));
        } else {
            text.push_str(line);
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_trails() {
        let text = table(
            &["NAME", ">ROWS", "NOTE"],
            [
                vec!["größe".into(), "1,000".into(), String::new()],
                vec!["x\u{1b}".into(), "7".into(), "late".into()],
            ],
        );
        let plain = anstream::adapter::strip_str(&text).to_string();
        insta::assert_snapshot!(plain, @r"
        NAME      ROWS  NOTE
        größe    1,000
        x\u{1b}      7  late
        ");
        assert!(plain.lines().all(|line| line == line.trim_end()));
    }
}
