//! What changed in the data: rows of each table, and values column by column.

use bridge_migrate_sqlite::rehearse::{ColumnChange, Rehearsal, Sample, TableChange};

use super::html::{self, escape, table};
use crate::text::{count, counted};

/// Row counts of all tables, then samples of every column that differs.
pub(super) fn section(rehearsal: &Rehearsal) -> String {
    if rehearsal.tables.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = rehearsal.tables.iter().map(counts).collect();
    let mut content = table(
        &["Table", "Rows before", "Rows after", "Values that change"],
        &[1, 2],
        &rows,
    );
    for change in &rehearsal.tables {
        for column in &change.columns {
            content.push_str(&samples(change, column));
        }
    }
    html::section("data", "What changes in the data", &content)
}

fn counts(change: &TableChange) -> Vec<String> {
    let number = |rows: Option<u64>| rows.map_or_else(|| "–".to_owned(), count);
    let changes: Vec<String> = change
        .columns
        .iter()
        .map(|column| format!("{} in {}", count(column.rows), escape(&column.column)))
        .collect();
    let what = match (change.rows_before, change.rows_after) {
        (None, _) => "<span class=\"good\">new table</span>".to_owned(),
        (_, None) => "<span class=\"bad\">dropped</span>".to_owned(),
        _ if changes.is_empty() => "<span class=\"quiet\">none</span>".to_owned(),
        _ => changes.join(", "),
    };
    vec![
        format!("<code>{}</code>", escape(&change.table)),
        escape(&number(change.rows_before)),
        escape(&number(change.rows_after)),
        what,
    ]
}

fn samples(change: &TableChange, column: &ColumnChange) -> String {
    let heading = format!(
        "<h3><code>{}.{}</code> <span class=\"quiet\">{} {}</span></h3>\n",
        escape(&change.table),
        escape(&column.column),
        escape(&counted(column.rows, "value")),
        if column.added {
            "filled in this new column"
        } else {
            "changed"
        }
    );
    if change.secret {
        return format!("{heading}<p class=\"quiet\">Values of this table are shown nowhere.</p>\n");
    }
    let rows: Vec<Vec<String>> = column
        .samples
        .iter()
        .map(|sample| row(sample, column.added))
        .collect();
    let head: &[&str] = if column.added {
        &["Key", "Value"]
    } else {
        &["Key", "Before", "After"]
    };
    let more = column.rows.saturating_sub(rows.len() as u64);
    let more = match more {
        0 => String::new(),
        more => format!("<p class=\"quiet\">and {} more</p>\n", count(more)),
    };
    format!("{heading}{}{more}", table(head, &[], &rows))
}

fn row(sample: &Sample, added: bool) -> Vec<String> {
    let value = |value: &Option<String>, class: &str| match value {
        Some(text) => format!("<code class=\"{class}\">{}</code>", escape(text)),
        None => "<span class=\"null\">NULL</span>".to_owned(),
    };
    let mut cells = vec![format!("<code>{}</code>", escape(&sample.key))];
    if !added {
        cells.push(value(&sample.before, "was"));
    }
    cells.push(value(&sample.after, "is"));
    cells
}
