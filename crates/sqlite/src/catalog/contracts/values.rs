//! SQL literals as values.

use rusqlite::types::Value;

use crate::schema::token::{Token, TokenKind, tokenize};

/// The values of a list of literals with commas between them.
pub(super) fn values(list: &str) -> Result<Vec<Value>, String> {
    let tokens = tokenize(list);
    let items: Vec<&[Token<'_>]> = tokens.split(|token| token.is_operator(",")).collect();
    items.into_iter().map(value).collect()
}

fn value(tokens: &[Token<'_>]) -> Result<Value, String> {
    let refused = || {
        let text: Vec<&str> = tokens.iter().map(|token| token.text).collect();
        format!(
            "`{}` is not a literal: write 'text', 1, 1.5, NULL or x'00'",
            text.join(" ")
        )
    };
    let (negative, token) = match tokens {
        [token] => (false, token),
        [sign, token] if token.kind == TokenKind::Number => (sign.is_operator("-"), token),
        _ => return Err(refused()),
    };
    if tokens.len() == 2 && !negative {
        return Err(refused());
    }
    match token.kind {
        TokenKind::Text => Ok(Value::Text(token.name().unwrap_or_default().into_owned())),
        TokenKind::Word if token.is_word("null") => Ok(Value::Null),
        TokenKind::Blob => blob(token.text).map(Value::Blob).ok_or_else(refused),
        TokenKind::Number => {
            let text = format!("{}{}", if negative { "-" } else { "" }, token.text);
            text.parse()
                .map(Value::Integer)
                .or_else(|_| text.parse().map(Value::Real))
                .map_err(|_| refused())
        }
        _ => Err(refused()),
    }
}

fn blob(text: &str) -> Option<Vec<u8>> {
    let digits = text.get(2..text.len().checked_sub(1)?)?;
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn every_kind_of_literal_is_read() {
        assert_eq!(
            values("'it''s, so', NULL, 1, -2, 1.5, x'00fF', ''"),
            Ok(vec![
                Value::Text("it's, so".to_owned()),
                Value::Null,
                Value::Integer(1),
                Value::Integer(-2),
                Value::Real(1.5),
                Value::Blob(vec![0, 255]),
                Value::Text(String::new()),
            ])
        );
    }

    #[test]
    fn what_is_no_literal_is_named() {
        for list in ["", "a", "1 +", "+ 1", "random()", "1,,2", "\"a\"", "x'0'", "1,"] {
            assert!(values(list).unwrap_err().contains("is not a literal"), "{list}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(list in any::<String>()) {
            let _ = values(&list);
        }

        #[test]
        fn a_literal_has_the_value_that_sqlite_gives_it(
            literal in prop_oneof!["'([a-zé]|''){0,5}'", "-?[1-9][0-9]{0,8}", "-?[0-9]\\.[0-9]{1,3}", "[xX]'([0-9a-fA-F]{2}){0,3}'", "(?i)null"],
        ) {
            let expected: Value = Connection::open_in_memory()
                .unwrap()
                .query_row(&format!("SELECT {literal}"), [], |row| row.get(0))
                .unwrap();
            prop_assert_eq!(values(&literal), Ok(vec![expected]));
        }
    }
}
