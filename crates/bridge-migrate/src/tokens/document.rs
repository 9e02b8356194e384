//! The structure of the token file, read without keeping a token.

use std::collections::{BTreeMap, BTreeSet};
use std::{cell::Cell, fmt};

use bridge_migrate_core::Flaw;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, error::Category};
use sha2::{Digest, Sha256};

/// The SHA-256 of a token's UTF-8, in 64 lower-case hexadecimal digits.
pub type TokenHash = String;

/// What the token file says, by the tokens' hashes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// The tokens.
    pub tokens: BTreeMap<TokenHash, Token>,
    /// The revoked tokens, some of which are no longer among the tokens.
    pub revoked: BTreeSet<TokenHash>,
}

/// What the file says of a token. The times are as they stand there.
#[derive(Debug, PartialEq, Eq)]
pub struct Token {
    /// Whose it is.
    pub client_id: String,
    /// Since when, if the file says.
    pub created_at: Option<String>,
    /// Until when, if the file says.
    pub expires_at: Option<String>,
}

/// Reads a token file. Of a key that comes twice the last one counts, as in Python; unknown keys are ignored.
///
/// # Errors
/// When it is no JSON, or JSON of something else.
pub fn parse(bytes: &[u8]) -> Result<Document, Flaw> {
    if bytes.is_empty() {
        return Err(Flaw::Unfinished("it is empty".to_owned()));
    }
    let place = Place(Cell::new(Position::File));
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    FileSeed(&place)
        .deserialize(&mut deserializer)
        .and_then(|document| deserializer.end().map(|()| document))
        .map_err(|error| {
            // serde_json's own text may quote the value that it found.
            let at = format!("line {}, column {}", error.line(), error.column());
            match error.classify() {
                Category::Data => Flaw::Structure(format!("{} ({at})", place.0.get())),
                Category::Eof => Flaw::Unfinished(format!("it ends in the middle ({at})")),
                Category::Syntax | Category::Io => Flaw::Unfinished(format!("it is not JSON ({at})")),
            }
        })
}

pub(super) fn hash(token: &str) -> TokenHash {
    let digest = Sha256::digest(token.as_bytes());
    let mut hex = String::with_capacity(64);
    for byte in digest {
        for digit in [byte >> 4, byte & 15] {
            hex.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    hex
}

/// Where the reader is, shared down the structure.
struct Place(Cell<Position>);

#[derive(Clone, Copy)]
enum Position {
    File,
    Tokens,
    Token(usize),
    Revoked,
    RevokedToken(usize),
}

/// Displayed as what must stand there.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("it must be an object with `tokens` and `revoked`"),
            Self::Tokens => f.write_str("`tokens` must be an object"),
            Self::Token(n) => write!(
                f,
                "entry {n} of `tokens` must be an object with a text as `client_id`"
            ),
            Self::Revoked => f.write_str("`revoked` must be a list"),
            Self::RevokedToken(n) => write!(f, "entry {n} of `revoked` must be a text"),
        }
    }
}

struct FileSeed<'a>(&'a Place);

impl<'de> DeserializeSeed<'de> for FileSeed<'_> {
    type Value = Document;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Document, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FileSeed<'_> {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token file")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let mut tokens = None;
        let mut revoked = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "tokens" => tokens = Some(map.next_value_seed(TokensSeed(self.0))?),
                "revoked" => revoked = map.next_value_seed(RevokedSeed(self.0))?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            self.0.0.set(Position::File);
        }
        let tokens = tokens.ok_or_else(|| serde::de::Error::missing_field("tokens"))?;
        Ok(Document { tokens, revoked })
    }
}

struct TokensSeed<'a>(&'a Place);

impl<'de> DeserializeSeed<'de> for TokensSeed<'_> {
    type Value = BTreeMap<TokenHash, Token>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.0.0.set(Position::Tokens);
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TokensSeed<'_> {
    type Value = BTreeMap<TokenHash, Token>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tokens")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut tokens = BTreeMap::new();
        let mut entry = 0;
        while let Some(token) = map.next_key::<String>()? {
            entry += 1;
            self.0.0.set(Position::Token(entry));
            tokens.insert(hash(&token), map.next_value_seed(TokenSeed)?);
            self.0.0.set(Position::Tokens);
        }
        Ok(tokens)
    }
}

struct TokenSeed;

impl<'de> DeserializeSeed<'de> for TokenSeed {
    type Value = Token;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Token, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TokenSeed {
    type Value = Token;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what is known of a token")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Token, A::Error> {
        let (mut client_id, mut created_at, mut expires_at) = (Value::Null, Value::Null, Value::Null);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "client_id" => client_id = map.next_value()?,
                "created_at" => created_at = map.next_value()?,
                "expires_at" => expires_at = map.next_value()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let Value::String(client_id) = client_id else {
            return Err(serde::de::Error::missing_field("client_id"));
        };
        Ok(Token {
            client_id,
            created_at: as_found(created_at),
            expires_at: as_found(expires_at),
        })
    }
}

/// A time as it stands in the file. An odd one is no reason to lose the token.
fn as_found(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

struct RevokedSeed<'a>(&'a Place);

impl<'de> DeserializeSeed<'de> for RevokedSeed<'_> {
    type Value = BTreeSet<TokenHash>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.0.0.set(Position::Revoked);
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RevokedSeed<'_> {
    type Value = BTreeSet<TokenHash>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("revoked tokens")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut revoked = BTreeSet::new();
        let mut entry = 1;
        self.0.0.set(Position::RevokedToken(entry));
        while let Some(token) = list.next_element::<String>()? {
            revoked.insert(hash(&token));
            entry += 1;
            self.0.0.set(Position::RevokedToken(entry));
        }
        Ok(revoked)
    }
}
