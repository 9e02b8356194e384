//! A token file of which something is lost, refused or told.

use bridge_migrate::tokens::{Document, Flaw, parse};
use rubbish::targets::tokens::check;

use super::assert_noticed;
use crate::files;

type Read = fn(&[u8]) -> Result<Document, Flaw>;

fn without_last(bytes: &[u8]) -> Result<Document, Flaw> {
    let mut document = parse(bytes)?;
    document.tokens.pop_last();
    Ok(document)
}

fn without_revoked(bytes: &[u8]) -> Result<Document, Flaw> {
    let mut document = parse(bytes)?;
    document.revoked.clear();
    Ok(document)
}

/// JSON's null as a text.
fn with_null(bytes: &[u8]) -> Result<Document, Flaw> {
    let mut document = parse(bytes)?;
    for token in document.tokens.values_mut() {
        token.expires_at.get_or_insert_with(|| "null".to_owned());
    }
    Ok(document)
}

fn with_needless_demand(bytes: &[u8]) -> Result<Document, Flaw> {
    let document = parse(bytes)?;
    if document.revoked.is_empty() {
        return Err(Flaw::Structure(
            "`revoked` must be a list (line 1, column 1)".to_owned(),
        ));
    }
    Ok(document)
}

/// A flaw that shows what it is about, which may be a token.
fn with_quotation(bytes: &[u8]) -> Result<Document, Flaw> {
    parse(bytes).map_err(|_| Flaw::Unfinished(format!("it is not JSON: {}", bytes.escape_ascii())))
}

#[test]
fn a_lost_or_told_token_is_noticed() {
    let another = "another content is read";
    let mistakes: [(&str, Read, &str); 5] = [
        ("an entry dropped", without_last, another),
        ("the revoked ones dropped", without_revoked, another),
        ("null as a text", with_null, another),
        (
            "a file without revoked ones refused",
            with_needless_demand,
            "refused as",
        ),
        ("an error that quotes", with_quotation, "a flaw says more"),
    ];
    for (mistake, read, why) in mistakes {
        assert_noticed(&files::tokens(), mistake, |data| check(read, data), why);
    }
}
