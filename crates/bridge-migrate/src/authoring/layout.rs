//! Line breaks for a CREATE TABLE statement, which barrel writes on one line.

/// Puts each column and constraint of a CREATE TABLE statement on a line of its own.
pub(super) fn create_table(sql: &str) -> String {
    let mut laid_out = String::with_capacity(sql.len() + 128);
    let mut depth = 0_usize;
    let mut quote = None;
    let mut characters = sql.chars().peekable();
    while let Some(character) = characters.next() {
        if let Some(open) = quote {
            // A doubled quote closes and opens again, which comes to the same.
            if character == open {
                quote = None;
            }
            laid_out.push(character);
            continue;
        }
        match character {
            '\'' | '"' => {
                quote = Some(character);
                laid_out.push(character);
            }
            '(' => {
                depth += 1;
                laid_out.push('(');
                if depth == 1 {
                    laid_out.push_str("\n    ");
                }
            }
            ')' => {
                depth = depth.saturating_sub(1);
                laid_out.push_str(if depth == 0 { "\n)" } else { ")" });
            }
            ',' if depth == 1 => {
                laid_out.push_str(",\n    ");
                while characters.next_if_eq(&' ').is_some() {}
            }
            _ => laid_out.push(character),
        }
    }
    laid_out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_and_constraints_get_a_line_each_and_quoted_text_stays() {
        insta::assert_snapshot!(
            create_table(r#"CREATE TABLE "a(,b" ("x" TEXT DEFAULT 'it''s (1, 2', "y" TEXT, CHECK (y IN ('a', 'b')))"#),
            @r#"
        CREATE TABLE "a(,b" (
            "x" TEXT DEFAULT 'it''s (1, 2',
            "y" TEXT,
            CHECK (y IN ('a', 'b'))
        )
        "#
        );
    }
}
