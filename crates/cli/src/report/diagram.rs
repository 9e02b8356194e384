//! The schema before and after as a drawing: tables, columns and foreign keys, the difference marked.

use std::fmt::Write as _;

use bridge_migrate_sqlite::{rehearse::Rehearsal, schema::Difference};

use super::html::{self, escape};
use super::layout::{HEAD, LINE, Layout, Place, WIDTH, height, layout};
use super::shape::{Card, Line, Mark, cut, merge};

/// The drawing, and what has no place in it.
pub(super) fn section(rehearsal: &Rehearsal) -> String {
    if rehearsal.tables_after.is_empty() {
        return String::new();
    }
    let cards = merge(&rehearsal.tables_before, &rehearsal.tables_after);
    let content = format!(
        "<p class=\"legend\"><span><i class=\"added\"></i>+ added</span><span><i class=\"changed\"></i>~ changed</span>\
         <span><i class=\"removed\"></i>− removed</span><span>lines: foreign keys, from the child to its parent</span></p>\n\
         {}{}{}",
        drawing(&cards, "Schema after, with the difference from before"),
        others(&rehearsal.differences),
        html::details(
            "The schema before",
            &drawing(
                &merge(&rehearsal.tables_before, &rehearsal.tables_before),
                "Schema before"
            )
        ),
    );
    html::section("schema", "Schema before and after", &content)
}

/// Indexes, triggers and views.
fn others(differences: &[Difference]) -> String {
    use bridge_migrate_sqlite::schema::ObjectKind::Table;
    let items: String = differences
        .iter()
        .filter_map(|difference| {
            let (mark, object, name, table, sql) = match difference {
                Difference::ObjectMissing {
                    object,
                    name,
                    table,
                    expected,
                } => (Mark::Removed, *object, name, table, expected),
                Difference::ObjectUnexpected {
                    object,
                    name,
                    table,
                    actual,
                } => (Mark::Added, *object, name, table, actual),
                Difference::ObjectChanged {
                    object,
                    name,
                    table,
                    actual,
                    ..
                } => (Mark::Changed, *object, name, table, actual),
                _ => return None,
            };
            (object != Table).then(|| {
                format!(
                    "<li><b class=\"{}\">{}{object} {}</b> on <code>{}</code>{}</li>\n",
                    mark.tone(),
                    mark.sign(),
                    escape(name),
                    escape(table),
                    definition(sql)
                )
            })
        })
        .collect();
    if items.is_empty() {
        String::new()
    } else {
        format!("<h3>Indexes, triggers and views</h3>\n<ul class=\"plain\">\n{items}</ul>\n")
    }
}

/// A short statement in sight, a long one when asked.
fn definition(sql: &str) -> String {
    if sql.chars().count() <= 100 {
        format!("<br><code class=\"quiet\">{}</code>", escape(sql))
    } else {
        html::details("SQL", &html::code(sql))
    }
}

fn drawing(cards: &[Card], label: &str) -> String {
    let layout = layout(cards);
    let Layout { width, height, .. } = layout;
    let mut text = format!(
        "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" role=\"img\" aria-label=\"{}\">\n",
        escape(label)
    );
    // The lines first, so that they run behind the tables that they pass.
    for (card, place) in cards.iter().zip(&layout.places) {
        links(&mut text, card, *place, cards, &layout);
    }
    for (card, place) in cards.iter().zip(&layout.places) {
        table(&mut text, card, *place);
    }
    text.push_str("</svg>\n");
    text
}

fn links(text: &mut String, card: &Card, place: Place, cards: &[Card], layout: &Layout) {
    for link in &card.links {
        let parent = cards
            .iter()
            .position(|parent| parent.name.eq_ignore_ascii_case(&link.parent));
        let Some(to) = parent.and_then(|parent| layout.places.get(parent)) else {
            continue;
        };
        let y = middle(place.y, link.line);
        let parent_y = to.y + HEAD / 2;
        let class = link.mark.class();
        let path = if to.x < place.x {
            let (from_x, to_x) = (place.x, to.x + WIDTH);
            // Bends beside the child, then runs behind what stands between.
            let bend = from_x.saturating_sub(34);
            format!(
                "M{from_x} {y} C{bend} {y} {} {parent_y} {to_x} {parent_y}",
                to_x + 34
            )
        } else {
            // To itself, or within one column: around the right side.
            let (from_x, to_x) = (place.x + WIDTH, to.x + WIDTH);
            let bend = from_x.max(to_x) + 26;
            format!("M{from_x} {y} C{bend} {y} {bend} {parent_y} {to_x} {parent_y}")
        };
        let _ = writeln!(
            text,
            "<path class=\"link{class}\" d=\"{path}\"><title>{} → {}</title></path>",
            escape(&card.name),
            escape(&link.parent)
        );
    }
}

fn table(text: &mut String, card: &Card, Place { x, y }: Place) {
    let height = height(card);
    let class = card.mark.class();
    // A table that only changed in part keeps a quiet head.
    let head = if card.mark == Mark::Changed { "" } else { class };
    let tone = match card.mark {
        Mark::Changed => "",
        mark => mark.tone(),
    };
    let _ = writeln!(
        text,
        "<g><rect class=\"box{class}\" x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{height}\" rx=\"6\"/>\
         <rect class=\"head{head}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"5\"/>\
         <text class=\"strong {tone}\" x=\"{}\" y=\"{}\">{}{}<title>{}</title></text>",
        x + 1,
        y + 1,
        WIDTH - 2,
        HEAD - 2,
        x + 10,
        y + 19,
        card.mark.sign(),
        escape(&cut(&card.name, 26)),
        escape(&card.name),
    );
    for (index, line) in card.lines.iter().enumerate() {
        row(text, line, x, y + HEAD + index as u64 * LINE);
    }
    text.push_str("</g>\n");
}

fn row(text: &mut String, line: &Line, x: u64, y: u64) {
    if line.mark != Mark::Same {
        let _ = write!(
            text,
            "<rect class=\"row{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{LINE}\"/>",
            line.mark.class(),
            x + 1,
            y + 1,
            WIDTH - 2
        );
    }
    let weight = if line.is_key { " strong" } else { "" };
    let _ = writeln!(
        text,
        "<text class=\"mono{weight} {}\" x=\"{}\" y=\"{}\">{}{}<title>{}</title></text>\
         <text class=\"mono quiet\" text-anchor=\"end\" x=\"{}\" y=\"{}\">{}</text>",
        line.mark.tone(),
        x + 10,
        y + 15,
        line.mark.sign(),
        escape(&cut(&line.name, 19)),
        escape(&line.definition),
        x + WIDTH - 9,
        y + 15,
        escape(&cut(&line.type_name, 8)),
    );
}

fn middle(top: u64, line: usize) -> u64 {
    top + HEAD + line as u64 * LINE + LINE / 2
}
