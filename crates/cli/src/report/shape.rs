//! Two schemas as one, each table, column and foreign key marked with what became of it.

use bridge_migrate_sqlite::rehearse::TableShape;
use bridge_migrate_sqlite::schema::{Column, ForeignKey};

/// What became of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// It is as it was.
    Same,
    /// It is new.
    Added,
    /// It is defined in another way.
    Changed,
    /// It is gone.
    Removed,
}

impl Mark {
    /// The class of its colours.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Same => "",
            Self::Added => " added",
            Self::Changed => " changed",
            Self::Removed => " removed",
        }
    }

    /// For those who cannot tell the colours apart.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Same => "",
            Self::Added => "+ ",
            Self::Changed => "~ ",
            Self::Removed => "− ",
        }
    }

    /// The class of text.
    pub(super) fn tone(self) -> &'static str {
        match self {
            Self::Same => "",
            Self::Added => "good",
            Self::Changed => "warn",
            Self::Removed => "bad",
        }
    }
}

/// A table of either schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Card {
    pub(super) name: String,
    pub(super) mark: Mark,
    pub(super) lines: Vec<Line>,
    pub(super) links: Vec<Link>,
}

/// A column of either schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) type_name: String,
    pub(super) is_key: bool,
    pub(super) mark: Mark,
    /// The definition in words, and the one before if it differs.
    pub(super) definition: String,
}

/// A foreign key of either schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    /// The place of its first column among the lines.
    pub(super) line: usize,
    pub(super) parent: String,
    pub(super) mark: Mark,
}

/// All tables of both, those of `after` in its order and then what is gone.
pub(super) fn merge(before: &[TableShape], after: &[TableShape]) -> Vec<Card> {
    let find = |tables: &[TableShape], name: &str| {
        tables
            .iter()
            .position(|table| table.name.eq_ignore_ascii_case(name))
    };
    let mut cards: Vec<Card> = after
        .iter()
        .map(|table| {
            let old = find(before, &table.name).and_then(|index| before.get(index));
            match old {
                Some(old) => card(&table.name, Mark::Same, Some(old), Some(table)),
                None => card(&table.name, Mark::Added, None, Some(table)),
            }
        })
        .collect();
    for table in before {
        if find(after, &table.name).is_none() {
            cards.push(card(&table.name, Mark::Removed, Some(table), None));
        }
    }
    cards
}

fn card(name: &str, mark: Mark, before: Option<&TableShape>, after: Option<&TableShape>) -> Card {
    let columns = |table: Option<&TableShape>| {
        table
            .map(|table| table.detail.columns.clone())
            .unwrap_or_default()
    };
    let (old, new) = (columns(before), columns(after));
    let same = |one: &Column, other: &Column| one.name.eq_ignore_ascii_case(&other.name);
    let mut lines: Vec<Line> = new
        .iter()
        .map(|column| match old.iter().find(|old| same(old, column)) {
            Some(old) if old == column => line(column, Mark::Same, None),
            Some(old) => line(column, Mark::Changed, Some(old)),
            None => line(column, Mark::Added, None),
        })
        .collect();
    for column in &old {
        if !new.iter().any(|new| same(new, column)) {
            lines.push(line(column, Mark::Removed, None));
        }
    }
    let keys = |table: Option<&TableShape>| {
        table
            .map(|table| table.detail.foreign_keys.clone())
            .unwrap_or_default()
    };
    let (old, new) = (keys(before), keys(after));
    let link = |key: &ForeignKey, mark: Mark| {
        let first = key.columns.first()?;
        let line = lines
            .iter()
            .position(|line| line.name.eq_ignore_ascii_case(first))?;
        Some(Link {
            line,
            parent: key.parent_table.clone(),
            mark,
        })
    };
    let links = new
        .iter()
        .filter_map(|key| {
            link(
                key,
                if old.contains(key) {
                    Mark::Same
                } else {
                    Mark::Added
                },
            )
        })
        .chain(
            old.iter()
                .filter(|key| !new.contains(key))
                .filter_map(|key| link(key, Mark::Removed)),
        )
        .collect();
    let changed = lines.iter().any(|line| line.mark != Mark::Same);
    Card {
        name: name.to_owned(),
        mark: if mark == Mark::Same && changed {
            Mark::Changed
        } else {
            mark
        },
        lines,
        links,
    }
}

fn line(column: &Column, mark: Mark, before: Option<&Column>) -> Line {
    let mut definition = defined(column);
    if let Some(before) = before {
        definition = format!("{definition}; before: {}", defined(before));
    }
    Line {
        name: column.name.clone(),
        type_name: column.declared_type.clone(),
        is_key: column.primary_key.is_some(),
        mark,
        definition,
    }
}

fn defined(column: &Column) -> String {
    let mut text = format!("{} {}", column.name, column.declared_type);
    if column.primary_key.is_some() {
        text.push_str(" PRIMARY KEY");
    }
    if column.not_null {
        text.push_str(" NOT NULL");
    }
    if let Some(default) = &column.default {
        text.push_str(&format!(" DEFAULT {default}"));
    }
    text
}

/// `text` in at most so many characters.
pub(super) fn cut(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(characters.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use bridge_migrate_sqlite::schema::{Hidden, TableDetail};

    use super::*;

    fn table(name: &str, columns: &[(&str, &str)]) -> TableShape {
        TableShape {
            name: name.to_owned(),
            detail: TableDetail {
                columns: columns
                    .iter()
                    .map(|(name, declared_type)| Column {
                        name: (*name).to_owned(),
                        declared_type: (*declared_type).to_owned(),
                        not_null: false,
                        default: None,
                        primary_key: None,
                        hidden: Hidden::No,
                    })
                    .collect(),
                foreign_keys: Vec::new(),
            },
        }
    }

    #[test]
    fn every_table_and_column_is_marked_with_what_became_of_it() {
        let before = [
            table("a", &[("x", "TEXT"), ("y", "TEXT"), ("z", "TEXT")]),
            table("b", &[("x", "")]),
        ];
        let after = [
            table("A", &[("x", "TEXT"), ("y", "INT"), ("w", "")]),
            table("c", &[("x", "")]),
        ];
        let cards = merge(&before, &after);
        let marks: Vec<(&str, Mark)> = cards.iter().map(|card| (card.name.as_str(), card.mark)).collect();
        assert_eq!(
            marks,
            [("A", Mark::Changed), ("c", Mark::Added), ("b", Mark::Removed)]
        );
        let lines: Vec<(&str, Mark)> = cards[0]
            .lines
            .iter()
            .map(|line| (line.name.as_str(), line.mark))
            .collect();
        assert_eq!(
            lines,
            [
                ("x", Mark::Same),
                ("y", Mark::Changed),
                ("w", Mark::Added),
                ("z", Mark::Removed)
            ]
        );
        assert!(merge(&after, &after).iter().all(|card| card.mark == Mark::Same));
    }
}
