//! Names and values written into SQL text so that SQLite reads back exactly what was meant.

/// `name` as a quoted SQL identifier: in double quotes, with each double quote in it doubled.
///
/// A name with a NUL character cannot exist in SQLite, whose SQL text ends there: SQLite answers such an
/// identifier with a syntax error.
pub fn identifier(name: &str) -> String {
    enclosed(name, '"')
}

/// `text` as an SQL expression whose value is that text, in databases of any encoding.
///
/// This is a string literal, except for text with NUL characters, which a literal cannot hold: that becomes a
/// call in parentheses, so that it may stand wherever a literal may, after `DEFAULT` too.
pub fn literal(text: &str) -> String {
    if !text.contains('\0') {
        return enclosed(text, '\'');
    }
    // Not CAST(X'..' AS TEXT), which reads the bytes in the database's encoding, and not a chain of `||`,
    // whose depth SQLite limits: the text has as many NULs as it likes.
    match ('\u{1}'..=char::MAX).find(|candidate| *candidate != '\'' && !text.contains(*candidate)) {
        Some(stand_in) => {
            let safe = text.replace('\0', stand_in.encode_utf8(&mut [0; 4]));
            format!("(replace({}, '{stand_in}', char(0)))", enclosed(&safe, '\''))
        }
        // A text that holds every character there is: over a million of them. A chain is all that is left.
        None => {
            let parts: Vec<_> = text.split('\0').map(|part| enclosed(part, '\'')).collect();
            format!("({})", parts.join(" || char(0) || "))
        }
    }
}

fn enclosed(text: &str, quote: char) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(quote);
    for character in text.chars() {
        if character == quote {
            quoted.push(quote);
        }
        quoted.push(character);
    }
    quoted.push(quote);
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rusqlite::Connection;

    use super::*;

    fn memory(encoding: &str) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "encoding", encoding).unwrap();
        connection
    }

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(identifier(r#"odd "name""#), r#""odd ""name""""#);
        assert_eq!(literal("it's"), "'it''s'");
    }

    #[test]
    fn text_with_many_nuls_is_one_shallow_expression() {
        let text = "\0".repeat(5_000);
        let value: String = memory("UTF-8")
            .query_row(&format!("SELECT {}", literal(&text)), [], |row| row.get(0))
            .unwrap();
        assert_eq!(value, text);
    }

    #[test]
    fn text_with_a_nul_is_a_column_default() {
        let connection = memory("UTF-8");
        let default = literal("a\0b");
        connection
            .execute_batch(&format!("CREATE TABLE t (x, y DEFAULT {default})"))
            .unwrap();
        connection.execute("INSERT INTO t (x) VALUES (1)", []).unwrap();
        let value: String = connection
            .query_row("SELECT y FROM t", [], |row| row.get(0))
            .unwrap();
        assert_eq!(value, "a\0b");
    }

    fn awkward_text() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "[a\0'\"\u{1}\u{2}%_é\n;-]{0,12}"]
    }

    proptest! {
        #[test]
        fn every_text_comes_back_from_sqlite(text in awkward_text(), wide in any::<bool>()) {
            let connection = memory(if wide { "UTF-16" } else { "UTF-8" });
            let (value, kind): (String, String) = connection
                .query_row(&format!("SELECT v, typeof(v) FROM (SELECT {} AS v)", literal(&text)), [], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .unwrap();
            prop_assert_eq!(value, text);
            prop_assert_eq!(kind, "text");
        }

        #[test]
        fn every_name_comes_back_from_sqlite(name in awkward_text()) {
            prop_assume!(!name.contains('\0'));
            let connection = memory("UTF-8");
            connection.execute_batch(&format!("CREATE TABLE t ({})", identifier(&name))).unwrap();
            let stored: String =
                connection.query_row("SELECT name FROM pragma_table_info('t')", [], |row| row.get(0)).unwrap();
            prop_assert_eq!(stored, name);
        }

        #[test]
        fn a_name_with_a_nul_is_refused_by_sqlite_and_does_nothing_else(before in "[a\"]{0,3}", after in "[a\"); ]{0,6}") {
            let name = identifier(&format!("{before}\0{after}"));
            let sql = format!("CREATE TABLE t ({name})");
            prop_assert!(memory("UTF-8").execute_batch(&sql).is_err());
        }
    }
}
