//! A CREATE TABLE statement taken apart into columns, table constraints and options.

use serde::Serialize;

use super::role::{begins_column_constraint, begins_table_constraint};
use super::token::{Token, tokenize};
use super::{head::Head, normalise::normalise, object::ObjectKind};

/// What a CREATE TABLE statement defines; all texts are in normal form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableDefinition {
    /// The columns in their order.
    pub columns: Vec<ColumnDefinition>,
    /// The table constraints in their order.
    pub constraints: Vec<String>,
    /// What stands after the columns: `without rowid`, `strict`; empty for most tables.
    pub options: String,
}

/// One column of a CREATE TABLE statement; all texts are in normal form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnDefinition {
    /// The name, without quotes.
    pub name: String,
    /// The declared type; empty if there is none.
    pub declared_type: String,
    /// Whether it is declared NOT NULL.
    pub not_null: bool,
    /// The text after DEFAULT.
    pub default: Option<String>,
    /// All other constraints, in their order.
    pub constraints: Vec<String>,
    /// The whole definition.
    pub sql: String,
}

impl TableDefinition {
    /// Takes `sql` apart; `None` if it is no CREATE TABLE with a list of columns, such as for a virtual table.
    pub fn parse(sql: &str) -> Option<Self> {
        let normal = normalise(sql);
        let tokens = tokenize(&normal);
        let head = Head::parse(&tokens)?;
        if head.kind != ObjectKind::Table || head.virtual_table {
            return None;
        }
        let body = tokens.get(head.name + 1..)?;
        body.first().filter(|token| token.is_operator("("))?;
        let close = closing(body, 0)?;
        let mut definition = Self {
            columns: Vec::new(),
            constraints: Vec::new(),
            options: slice(&normal, body.get(close + 1..).unwrap_or_default()).to_owned(),
        };
        for item in items(body.get(1..close)?) {
            if item.first().is_some_and(begins_table_constraint) {
                definition.constraints.push(slice(&normal, item).to_owned());
            } else {
                definition
                    .columns
                    .push(ColumnDefinition::from_tokens(&normal, item)?);
            }
        }
        Some(definition)
    }

    /// The column of that name; the case of ASCII letters does not matter.
    pub fn column(&self, name: &str) -> Option<&ColumnDefinition> {
        self.columns
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(name))
    }
}

impl ColumnDefinition {
    /// Whether its values are computed, and cannot be given.
    #[must_use]
    pub fn is_generated(&self) -> bool {
        let generates = |text: &String| text.starts_with("as ") || text.starts_with("generated ");
        self.constraints.iter().any(generates)
    }

    fn from_tokens(normal: &str, tokens: &[Token<'_>]) -> Option<Self> {
        let name = tokens.first()?.name()?.into_owned();
        let starts = constraint_starts(tokens);
        let type_end = starts.first().copied().unwrap_or(tokens.len());
        let mut column = Self {
            name,
            declared_type: slice(normal, tokens.get(1..type_end)?).to_owned(),
            not_null: false,
            default: None,
            constraints: Vec::new(),
            sql: slice(normal, tokens).to_owned(),
        };
        for (place, start) in starts.iter().enumerate() {
            let end = starts.get(place + 1).copied().unwrap_or(tokens.len());
            let constraint = tokens.get(*start..end)?;
            let text = slice(normal, constraint);
            // A constraint may begin with its own name.
            let named = constraint
                .first()
                .is_some_and(|token| token.is_word("constraint"));
            let word = |index: usize, word: &str| {
                constraint
                    .get(if named { index + 2 } else { index })
                    .is_some_and(|token| token.is_word(word))
            };
            let not_null = word(0, "not") && word(1, "null");
            column.not_null |= not_null;
            if !named && word(0, "default") && column.default.is_none() {
                column.default = Some(slice(normal, constraint.get(1..).unwrap_or_default()).to_owned());
            } else if text != "not null" {
                column.constraints.push(text.to_owned());
            }
        }
        Some(column)
    }
}

/// Where in the definition of a column each of its constraints starts.
fn constraint_starts(tokens: &[Token<'_>]) -> Vec<usize> {
    let word = |index: Option<usize>, word: &str| {
        index
            .and_then(|index| tokens.get(index))
            .is_some_and(|token| token.is_word(word))
    };
    let mut starts: Vec<usize> = Vec::new();
    let mut index = 1;
    while let Some(token) = tokens.get(index) {
        if token.is_operator("(") {
            index = closing(tokens, index).map_or(tokens.len(), |close| close + 1);
            continue;
        }
        let before = index.checked_sub(1);
        // NOT NULL, SET NULL, SET DEFAULT, DEFAULT NULL, NOT DEFERRABLE, GENERATED ALWAYS AS: one constraint.
        let continues = (word(before, "not") && !token.is_word("constraint"))
            || (word(before, "set") && (token.is_word("null") || token.is_word("default")))
            || (word(before, "default") && !word(index.checked_sub(2), "set"))
            || (word(before, "always") && token.is_word("as"))
            || (token.is_word("not") && word(Some(index + 1), "deferrable"))
            || starts.last().is_some_and(|start| {
                word(Some(*start), "constraint") && (index == start + 1 || index == start + 2)
            });
        if !continues && begins_column_constraint(tokens, index) {
            starts.push(index);
        }
        index += 1;
    }
    starts
}

/// The index of the parenthesis that closes the one at `open`.
pub(super) fn closing(tokens: &[Token<'_>], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        if token.is_operator("(") {
            depth += 1;
        } else if token.is_operator(")") {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(index);
            }
        }
    }
    None
}

/// `tokens` cut at the commas outside parentheses.
pub(super) fn items<'a, 't>(tokens: &'a [Token<'t>]) -> Vec<&'a [Token<'t>]> {
    let mut depth = 0usize;
    tokens
        .split(|token| {
            if token.is_operator("(") {
                depth += 1;
            } else if token.is_operator(")") {
                depth = depth.saturating_sub(1);
            }
            depth == 0 && token.is_operator(",")
        })
        .collect()
}

/// The text from the first of `tokens` to the last.
pub(super) fn slice<'t>(text: &'t str, tokens: &[Token<'_>]) -> &'t str {
    match (tokens.first(), tokens.last()) {
        (Some(first), Some(last)) => text.get(first.start..last.end()).unwrap_or_default(),
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(sql: &str) -> String {
        let Some(definition) = TableDefinition::parse(sql) else {
            return "none".to_owned();
        };
        let columns = definition.columns.iter().map(|column| {
            let ColumnDefinition {
                name,
                declared_type,
                not_null,
                default,
                constraints,
                sql: _,
            } = column;
            let not_null = if *not_null { " not null" } else { "" };
            let default = default
                .as_deref()
                .map_or(String::new(), |default| format!(" default {default}"));
            format!("{name}: {declared_type}{not_null}{default} {constraints:?}")
        });
        let constraints = definition
            .constraints
            .iter()
            .map(|constraint| format!("+ {constraint}"));
        columns
            .chain(constraints)
            .chain([definition.options.clone()])
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn columns_constraints_and_options_are_told_apart() {
        let sql = r#"CREATE TABLE "a" (
            id TEXT PRIMARY KEY ON CONFLICT REPLACE, price DECIMAL(10, 2) NOT NULL DEFAULT (1 + (2)),
            k VARYING CHARACTER (5) CONSTRAINT named NOT NULL CONSTRAINT c CHECK (k IN ('a', 'b')),
            p REFERENCES t (x) ON DELETE SET NULL ON UPDATE SET DEFAULT NOT DEFERRABLE DEFAULT NULL COLLATE nocase,
            g INT GENERATED ALWAYS AS (price * 2) STORED UNIQUE, h AS (1), "check" DEFAULT -1.5 NULL, generated,
            CONSTRAINT pair UNIQUE (id, k), CHECK (price > 0), FOREIGN KEY (k) REFERENCES o DEFERRABLE INITIALLY DEFERRED
        ) WITHOUT ROWID, STRICT"#;
        insta::assert_snapshot!(parts(sql), @r#"
        id: text ["primary key on conflict replace"]
        price: decimal(10, 2) not null default (1 + (2)) []
        k: varying character(5) not null ["constraint named not null", "constraint c check (k in ('a', 'b'))"]
        p:  default null ["references t(x) on delete set null on update set default not deferrable", "collate nocase"]
        g: int ["generated always as (price * 2) stored", "unique"]
        h:  ["as (1)"]
        check:  default -1.5 ["null"]
        generated:  []
        + constraint pair unique (id, k)
        + check (price > 0)
        + foreign key (k) references o deferrable initially deferred
        without rowid, strict
        "#);
    }

    #[test]
    fn what_has_no_list_of_columns_is_not_taken_apart() {
        for sql in [
            "CREATE VIRTUAL TABLE f USING fts5(a, b)",
            "CREATE TABLE t AS SELECT 1 AS x",
            "CREATE INDEX i ON t (a)",
            "CREATE TABLE t (a",
            "CREATE TABLE t (,)",
            "",
        ] {
            assert_eq!(TableDefinition::parse(sql), None, "{sql}");
        }
    }
}
