//! What a restore leaves of the tokens: those of the backup and those issued since, and every revocation.
//!
//! A server of 1.0.0 knows the file, a later one the tables; a revocation in either holds. The tokens themselves are
//! in the file only, so a token that only the database knows stays there and nowhere else.

use std::collections::{BTreeMap, BTreeSet};

use bridge_migrate_core::{
    EntryCounts, Error, ErrorKind, Inputs, Keep, Merged, Result, Side, TableRows, Value,
};
use serde_json::value::RawValue;

use super::document::{TokenHash, hash, parse};
use super::import::{now, row};
use super::stored::{REVOKED, Stored, TOKENS};

pub(super) fn merge(inputs: Inputs<'_>, keep: Keep, backup: &Side<'_>, present: &Side<'_>) -> Result<Merged> {
    let then = State::read(inputs, backup)?;
    let today = State::read(inputs, present)?;
    let now = now(inputs);
    let text = match keep {
        Keep::Backup => then.text.as_ref().or(today.text.as_ref()).cloned(),
        Keep::Present => today.text.clone(),
        Keep::Merge => merged_text(&then, &today),
    };
    let known = text
        .as_ref()
        .map(|text| text.known(inputs))
        .transpose()?
        .unwrap_or_default();
    let tables = then.tables.as_ref().map(|tables| match keep {
        Keep::Backup => tables.clone(),
        Keep::Present => present_tables(tables, &today, &known, &now),
        Keep::Merge => merged_tables(tables, &today, &known, &now),
    });
    let (put, taken) = match (&then.tables, &tables) {
        (Some(then), Some(tables)) => tables.changes_from(then),
        _ => Default::default(),
    };
    let after = State { text, known, tables };
    let counts = counts(&then, &today, &after);
    Ok(Merged {
        file: bytes(after.text.as_ref(), &then, &today, backup, present),
        put,
        taken,
        counts,
    })
}

/// What one side knows.
struct State {
    text: Option<Text>,
    known: Known,
    /// `None` where the database has no such tables, or is not there.
    tables: Option<Tables>,
}

/// The file with its tokens.
#[derive(Clone, Default)]
struct Text {
    tokens: BTreeMap<String, Box<RawValue>>,
    revoked: Vec<String>,
    /// What the tool does not know stays.
    rest: BTreeMap<String, Box<RawValue>>,
}

/// What the file says, by the tokens' hashes, as the tables hold it.
#[derive(Default)]
struct Known {
    tokens: BTreeMap<TokenHash, [Value; 3]>,
    revoked: BTreeSet<TokenHash>,
}

#[derive(Clone, Default)]
struct Tables {
    tokens: BTreeMap<TokenHash, [Value; 3]>,
    revoked: BTreeMap<TokenHash, Value>,
}

impl State {
    fn read(inputs: Inputs<'_>, side: &Side<'_>) -> Result<Self> {
        let text = side.file.map(Text::read).transpose()?;
        let known = text.as_ref().map(|text| text.known(inputs)).transpose()?;
        let stored = side.database.and_then(|tables| Stored::of(tables).ok());
        Ok(Self {
            text,
            known: known.unwrap_or_default(),
            tables: stored.as_ref().map(Tables::of),
        })
    }

    fn is_revoked(&self, hash: &str) -> bool {
        let in_tables = |tables: &Tables| tables.revoked.contains_key(hash);
        self.known.revoked.contains(hash) || self.tables.as_ref().is_some_and(in_tables)
    }

    fn knows(&self, hash: &str) -> bool {
        let in_tables = |tables: &Tables| tables.tokens.contains_key(hash);
        self.known.tokens.contains_key(hash) || self.tables.as_ref().is_some_and(in_tables)
    }

    /// Tokens that open something, as far as their time has not come.
    fn valid(&self) -> BTreeSet<&TokenHash> {
        let in_tables = self.tables.iter().flat_map(|tables| tables.tokens.keys());
        self.known
            .tokens
            .keys()
            .chain(in_tables)
            .filter(|hash| !self.is_revoked(hash))
            .collect()
    }
}

impl Text {
    fn read(bytes: &[u8]) -> Result<Self> {
        let mut rest: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(bytes).map_err(unreadable)?;
        let mut part = |name| rest.remove(name);
        let (tokens, revoked) = (part("tokens"), part("revoked"));
        Ok(Self {
            tokens: read_part(tokens)?,
            revoked: read_part(revoked)?,
            rest,
        })
    }

    fn known(&self, inputs: Inputs<'_>) -> Result<Known> {
        let document = parse(&self.write()).map_err(|flaw| {
            Error::new(
                ErrorKind::CompanionInvalid,
                format!("cannot merge the token files: {flaw}"),
            )
        })?;
        Ok(Known {
            tokens: document
                .tokens
                .into_iter()
                .map(|(hash, token)| Ok((hash, row(token, inputs)?)))
                .collect::<Result<_>>()?,
            revoked: document.revoked,
        })
    }

    /// As the server writes it: with an indent of two.
    fn write(&self) -> Vec<u8> {
        let quoted = |text: &String| serde_json::Value::from(text.as_str()).to_string();
        let entries = |map: &BTreeMap<String, Box<RawValue>>| -> Vec<String> {
            map.iter()
                .map(|(name, value)| format!("{}: {value}", quoted(name)))
                .collect()
        };
        let list = |entries: Vec<String>, indent: &str, [open, close]: [&str; 2]| match entries.is_empty() {
            true => format!("{open}{close}"),
            false => {
                let inner = format!("\n{indent}  ");
                let entries = entries.join(&format!(",{inner}"));
                format!("{open}{inner}{entries}\n{indent}{close}")
            }
        };
        let tokens = list(entries(&self.tokens), "  ", ["{", "}"]);
        let revoked = list(self.revoked.iter().map(quoted).collect(), "  ", ["[", "]"]);
        let mut parts = vec![format!("\"tokens\": {tokens}"), format!("\"revoked\": {revoked}")];
        parts.extend(entries(&self.rest));
        list(parts, "", ["{", "}"]).into_bytes()
    }

    fn says_the_same(&self, other: &Self) -> bool {
        let set = |text: &Self| text.revoked.iter().cloned().collect::<BTreeSet<_>>();
        let texts = |map: &BTreeMap<String, Box<RawValue>>| {
            map.iter()
                .map(|(name, value)| (name.clone(), value.get().to_owned()))
                .collect::<Vec<_>>()
        };
        texts(&self.tokens) == texts(&other.tokens)
            && set(self) == set(other)
            && texts(&self.rest) == texts(&other.rest)
    }
}

fn read_part<T: serde::de::DeserializeOwned + Default>(part: Option<Box<RawValue>>) -> Result<T> {
    match part {
        Some(part) => serde_json::from_str(part.get()).map_err(unreadable),
        None => Ok(T::default()),
    }
}

/// Without the reader's own text, which may quote a value.
fn unreadable(error: serde_json::Error) -> Error {
    Error::new(
        ErrorKind::CompanionInvalid,
        format!(
            "cannot merge the token files (line {}, column {})",
            error.line(),
            error.column()
        ),
    )
}

impl Tables {
    /// What is no text as a hash, nobody's token leads to.
    fn of(stored: &Stored<'_>) -> Self {
        let hash = |hash: &Value| hash.as_text().map(str::to_owned);
        Self {
            tokens: stored
                .tokens
                .iter()
                .filter_map(|[key, row @ ..]| Some((hash(key)?, row.clone())))
                .collect(),
            revoked: stored
                .revoked
                .iter()
                .filter_map(|[key, at]| Some((hash(key)?, at.clone())))
                .collect(),
        }
    }

    /// The rows that make these tables of `then`, and those that go.
    fn changes_from(&self, then: &Self) -> (Vec<TableRows>, Vec<TableRows>) {
        let key = |hash: &TokenHash| Value::from(hash.clone());
        let tokens = self
            .tokens
            .iter()
            .filter(|(hash, row)| then.tokens.get(*hash) != Some(*row))
            .map(|(hash, row)| [&[key(hash)][..], row].concat());
        let revoked = self
            .revoked
            .iter()
            .filter(|(hash, _)| !then.revoked.contains_key(*hash))
            .map(|(hash, at)| vec![key(hash), at.clone()]);
        let gone_tokens = then.tokens.keys().filter(|hash| !self.tokens.contains_key(*hash));
        let gone_revoked = then
            .revoked
            .keys()
            .filter(|hash| !self.revoked.contains_key(*hash));
        let rows = |tokens: Vec<Vec<Value>>, revoked: Vec<Vec<Value>>| {
            let tables = [(TOKENS, tokens), (REVOKED, revoked)].into_iter();
            let tables = tables.filter(|(_, rows)| !rows.is_empty());
            tables.map(|(table, rows)| TableRows { table, rows }).collect()
        };
        (
            rows(tokens.collect(), revoked.collect()),
            rows(
                gone_tokens.map(|hash| vec![key(hash)]).collect(),
                gone_revoked.map(|hash| vec![key(hash)]).collect(),
            ),
        )
    }
}

/// Every token of both, as the present file has it, and every revocation.
fn merged_text(then: &State, today: &State) -> Option<Text> {
    let (old, new) = (then.text.as_ref(), today.text.as_ref());
    if old.is_none() && new.is_none() {
        return None;
    }
    let mut merged = new.cloned().unwrap_or_default();
    let old = old.cloned().unwrap_or_default();
    for (token, entry) in old.tokens {
        merged.tokens.entry(token).or_insert(entry);
    }
    for (name, value) in old.rest {
        merged.rest.entry(name).or_insert(value);
    }
    let mut seen: BTreeSet<String> = merged.revoked.iter().cloned().collect();
    let in_a_database = |token: &&String| {
        let hash = hash(token);
        then.is_revoked(&hash) || today.is_revoked(&hash)
    };
    let revoked: Vec<String> = merged.tokens.keys().filter(in_a_database).cloned().collect();
    for token in old.revoked.into_iter().chain(revoked) {
        if seen.insert(token.clone()) {
            merged.revoked.push(token);
        }
    }
    Some(merged)
}

/// The backup's tables with what came since, in agreement with the file that is left.
fn merged_tables(then: &Tables, today: &State, left: &Known, now: &Value) -> Tables {
    let mut merged = then.clone();
    merged.tokens.extend(left.tokens.clone());
    if let Some(today) = &today.tables {
        merged.tokens.extend(today.tokens.clone());
        for (hash, at) in &today.revoked {
            merged.revoked.entry(hash.clone()).or_insert_with(|| at.clone());
        }
    }
    for hash in &left.revoked {
        merged.revoked.entry(hash.clone()).or_insert_with(|| now.clone());
    }
    merged
}

/// The present tables, or what the present file says where there are none.
fn present_tables(then: &Tables, today: &State, left: &Known, now: &Value) -> Tables {
    match (&today.tables, &today.text) {
        (Some(tables), _) => tables.clone(),
        (None, Some(_)) => Tables {
            tokens: left.tokens.clone(),
            revoked: left
                .revoked
                .iter()
                .map(|hash| (hash.clone(), then.revoked.get(hash).unwrap_or(now).clone()))
                .collect(),
        },
        (None, None) => then.clone(),
    }
}

/// The file that is left, in the bytes of one that says the same.
fn bytes(
    left: Option<&Text>,
    then: &State,
    today: &State,
    backup: &Side<'_>,
    present: &Side<'_>,
) -> Option<Vec<u8>> {
    let left = left?;
    let same = |state: &State| state.text.as_ref().is_some_and(|text| text.says_the_same(left));
    Some(match (present.file, backup.file) {
        (Some(bytes), _) if same(today) => bytes.to_vec(),
        (_, Some(bytes)) if same(then) => bytes.to_vec(),
        _ => left.write(),
    })
}

fn counts(then: &State, today: &State, after: &State) -> EntryCounts {
    let (were, are, will_be) = (then.valid(), today.valid(), after.valid());
    let count = |number: usize| number as u64;
    EntryCounts {
        came_back: count(will_be.difference(&are).count()),
        went: count(are.difference(&will_be).count()),
        stay_revoked: count(
            were.difference(&will_be)
                .filter(|hash| today.is_revoked(hash))
                .count(),
        ),
        kept: count(
            are.intersection(&will_be)
                .filter(|hash| !then.knows(hash))
                .count(),
        ),
    }
}
