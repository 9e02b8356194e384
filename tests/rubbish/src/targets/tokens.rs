//! The token file: no token lost or invented, and no error or dump that tells one.

use std::collections::{BTreeMap, BTreeSet};

use bridge_migrate::tokens::{Document, Flaw, Token, parse};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use support::dump::hex;

/// Everything that a flaw says, with each number as `N`.
const FLAWS: [&str; 8] = [
    "it is empty",
    "it ends in the middle (line N, column N)",
    "it is not JSON (line N, column N)",
    "it must be an object with `tokens` and `revoked` (line N, column N)",
    "`tokens` must be an object (line N, column N)",
    "entry N of `tokens` must be an object with a text as `client_id` (line N, column N)",
    "`revoked` must be a list (line N, column N)",
    "entry N of `revoked` must be a text (line N, column N)",
];

/// Reads a token file.
///
/// # Panics
/// As [`check`].
pub fn tokens(data: &[u8]) {
    check(parse, data);
}

/// Reads a token file with that reader.
///
/// # Panics
/// When it is not what the JSON in it says, or when what is said of it could be a token.
pub fn check(parse: impl Fn(&[u8]) -> Result<Document, Flaw>, data: &[u8]) {
    let value: Option<Value> = serde_json::from_slice(data).ok();
    match parse(data) {
        Ok(document) => {
            // Of what is ignored, JSON's own reader refuses more, such as numbers that are too large.
            if let Some(value) = value {
                assert_eq!(
                    Some(&document),
                    expected(&value).as_ref(),
                    "another content is read"
                );
                assert_no_token(&document, &value);
            }
        }
        Err(flaw) => {
            let (Flaw::Unfinished(text) | Flaw::Structure(text)) = &flaw;
            assert!(
                FLAWS.contains(&without_numbers(text).as_str()),
                "a flaw says more than what and where: {text:?}"
            );
            // A key that comes twice may be wrong the first time: without the repetition it is read.
            if let Some(value) = value.filter(|value| expected(value).is_some()) {
                let once = serde_json::to_vec(&value).unwrap();
                assert!(
                    parse(&once).is_ok(),
                    "refused as {flaw:?}: {:?}",
                    String::from_utf8_lossy(data)
                );
            }
        }
    }
}

/// What the value says; `None` when it is no token file.
fn expected(value: &Value) -> Option<Document> {
    let tokens: BTreeMap<_, _> = value
        .get("tokens")?
        .as_object()?
        .iter()
        .map(|(token, known)| {
            let text = |key: &str| match known.get(key) {
                None | Some(Value::Null) => None,
                Some(Value::String(text)) => Some(text.clone()),
                Some(other) => Some(other.to_string()),
            };
            let known = Token {
                client_id: known.as_object()?.get("client_id")?.as_str()?.to_owned(),
                created_at: text("created_at"),
                expires_at: text("expires_at"),
            };
            Some((digest(token), known))
        })
        .collect::<Option<_>>()?;
    let revoked: BTreeSet<_> = match value.get("revoked") {
        None => BTreeSet::new(),
        Some(list) => list
            .as_array()?
            .iter()
            .map(|token| token.as_str().map(digest))
            .collect::<Option<_>>()?,
    };
    Some(Document { tokens, revoked })
}

fn digest(token: &str) -> String {
    hex(&Sha256::digest(token))
}

/// A token that a client carries as its name, too, is not told by us.
fn assert_no_token(document: &Document, value: &Value) {
    let dump = format!("{document:?}");
    let tokens = value["tokens"].as_object().unwrap();
    let said: String = document
        .tokens
        .values()
        .map(|token| format!("{token:?}"))
        .collect();
    for token in tokens.keys().filter(|token| token.len() > 12) {
        let shown = format!("{token:?}");
        let shown = shown.trim_matches('"');
        assert!(
            !dump.contains(shown) || said.contains(shown) || dump.contains(&digest(shown)),
            "a token is shown"
        );
    }
}

fn without_numbers(text: &str) -> String {
    let mut plain = String::new();
    for character in text.chars() {
        if !character.is_ascii_digit() {
            plain.push(character);
        } else if !plain.ends_with('N') {
            plain.push('N');
        }
    }
    plain
}
