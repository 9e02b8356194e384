//! Small aligned tables without lines.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::{STRONG, safe};

/// A column's heading, and on which side its cells stand.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Column {
    /// Words.
    Left(&'static str),
    /// Numbers.
    Right(&'static str),
}

/// The table's lines. Cells are made safe for a terminal; no line ends in blanks.
pub(crate) fn table(columns: &[Column], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(columns.iter().map(|column| match column {
            Column::Left(heading) | Column::Right(heading) => *heading,
        }));
    for row in rows {
        table.add_row(row.iter().map(|cell| safe(cell)));
    }
    for (index, column) in columns.iter().enumerate() {
        if let Some(cells) = table.column_mut(index) {
            cells.set_padding((0, 2));
            if let Column::Right(_) = column {
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
            &[Column::Left("NAME"), Column::Right("ROWS"), Column::Left("NOTE")],
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
