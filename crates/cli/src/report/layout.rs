//! Where the tables of a diagram stand: parents left of their children, in columns of about one height.

use super::shape::Card;

/// The width of a table.
pub(super) const WIDTH: u64 = 230;
/// The height of its name.
pub(super) const HEAD: u64 = 28;
/// The height of a column.
pub(super) const LINE: u64 = 20;
/// Between two columns of tables, where the foreign keys run.
const GAP: u64 = 62;
/// Between two tables.
const SPACE: u64 = 20;
/// Room around everything.
const MARGIN: u64 = 6;

/// Where a table stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) x: u64,
    pub(super) y: u64,
}

/// The places, in the order of the tables, and the size of the whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) places: Vec<Place>,
    pub(super) width: u64,
    pub(super) height: u64,
}

/// The height of a table.
pub(super) fn height(card: &Card) -> u64 {
    HEAD + card.lines.len() as u64 * LINE + 6
}

/// Finds a place for every table.
pub(super) fn layout(cards: &[Card]) -> Layout {
    let levels = levels(cards);
    let tallest = cards.iter().map(height).max().unwrap_or(0);
    let total: u64 = cards.iter().map(|card| height(card) + SPACE).sum();
    // Four columns fill a page.
    let limit = tallest.max(total / 4 + tallest / 2);
    let mut places = vec![Place { x: 0, y: 0 }; cards.len()];
    let mut column = 0;
    let mut bottom = 0;
    let mut used = 0;
    for level in 0..=levels.iter().copied().max().unwrap_or(0) {
        let mut y = MARGIN;
        let mut first = true;
        let members = levels.iter().zip(cards).zip(places.iter_mut());
        for ((_, card), place) in members.filter(|((own, _), _)| **own == level) {
            if !first && y + height(card) > limit + MARGIN {
                column += 1;
                y = MARGIN;
            }
            first = false;
            *place = Place {
                x: MARGIN + column * (WIDTH + GAP),
                y,
            };
            y += height(card) + SPACE;
            bottom = bottom.max(y);
            used = column + 1;
        }
        if !first {
            column += 1;
        }
    }
    Layout {
        places,
        width: MARGIN * 2 + used * (WIDTH + GAP) - if used > 0 { GAP } else { 0 },
        height: bottom + MARGIN,
    }
}

/// How many parents stand left of each table, at most. Tables that refer to each other in a circle stop
/// counting when there cannot be more.
fn levels(cards: &[Card]) -> Vec<usize> {
    let mut levels = vec![0; cards.len()];
    for _ in 0..cards.len() {
        let mut moved = false;
        for (index, card) in cards.iter().enumerate() {
            let parents = card.links.iter().filter_map(|link| {
                cards
                    .iter()
                    .position(|parent| parent.name.eq_ignore_ascii_case(&link.parent))
                    .filter(|parent| *parent != index)
            });
            let wanted = parents
                .filter_map(|parent| levels.get(parent).map(|level| level + 1))
                .max()
                .unwrap_or(0);
            if let Some(level) = levels.get_mut(index)
                && *level < wanted
                && wanted < cards.len()
            {
                *level = wanted;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::super::shape::{Line, Link, Mark};
    use super::*;

    fn card(name: &str, lines: usize, parents: &[&str]) -> Card {
        Card {
            name: name.to_owned(),
            mark: Mark::Same,
            lines: vec![
                Line {
                    name: String::new(),
                    type_name: String::new(),
                    is_key: false,
                    mark: Mark::Same,
                    definition: String::new(),
                };
                lines
            ],
            links: parents
                .iter()
                .map(|parent| Link {
                    line: 0,
                    parent: (*parent).to_owned(),
                    mark: Mark::Same,
                })
                .collect(),
        }
    }

    #[test]
    fn children_stand_right_of_their_parents_and_nothing_overlaps() {
        let cards = [
            card("votes", 5, &["decisions"]),
            card("rooms", 4, &[]),
            card("decisions", 9, &["Rooms"]),
            card("messages", 12, &["rooms", "messages"]),
            card("tokens", 3, &[]),
        ];
        let layout = layout(&cards);
        let x = |index: usize| layout.places[index].x;
        assert!(x(1) < x(2) && x(2) < x(0) && x(1) < x(3));
        for (index, one) in layout.places.iter().enumerate() {
            assert!(one.x + WIDTH <= layout.width && one.y + height(&cards[index]) <= layout.height);
            for (other_index, other) in layout.places.iter().enumerate().skip(index + 1) {
                let apart = one.x != other.x
                    || one.y + height(&cards[index]) <= other.y
                    || other.y + height(&cards[other_index]) <= one.y;
                assert!(apart, "{index} {other_index}");
            }
        }
    }

    #[test]
    fn circles_and_nothing_at_all_have_a_layout_too() {
        assert_eq!(layout(&[]).places.len(), 0);
        let circle = [card("a", 1, &["b"]), card("b", 1, &["a"])];
        assert_eq!(layout(&circle).places.len(), 2);
    }
}
