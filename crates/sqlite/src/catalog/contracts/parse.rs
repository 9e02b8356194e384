//! Reads the text of a contract.

use std::fmt;

use naming::Release;

use super::{Contract, ContractStatement, values::values};
use crate::schema::token::{TokenKind, tokenize};

/// What is wrong with a contract's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for ContractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl std::error::Error for ContractError {}

/// A statement while its lines are being read.
struct Draft {
    line: usize,
    purpose: Vec<String>,
    sql: String,
    statement: ContractStatement,
}

pub(super) fn parse(release: Release, text: &str) -> Result<Contract, ContractError> {
    let mut foreign_keys = None;
    let mut contract = Contract {
        release,
        foreign_keys: false,
        statements: Vec::new(),
        gone: Vec::new(),
    };
    let mut draft: Option<Draft> = None;
    for (index, text) in text.lines().enumerate() {
        let line = index + 1;
        let wrong = |why: &str| ContractError {
            line,
            why: why.to_owned(),
        };
        let Some(comment) = text.strip_prefix("--") else {
            match &mut draft {
                Some(draft) => {
                    draft.sql.push_str(text);
                    draft.sql.push('\n');
                }
                None if text.trim().is_empty() => {}
                None => return Err(wrong("a statement begins with `-- statement: NAME`")),
            }
            continue;
        };
        let comment = comment.trim();
        let (key, value) = comment.split_once(':').unwrap_or((comment, ""));
        let value = value.trim();
        if key == "statement" || key == "gone" {
            contract
                .statements
                .extend(draft.take().map(Draft::finish).transpose()?);
            if value.is_empty() {
                return Err(wrong("the name is missing"));
            }
            let taken = |statement: &ContractStatement| statement.name == value;
            if contract.statements.iter().any(taken) || contract.gone.iter().any(|name| name == value) {
                return Err(wrong("the name is used twice in this file"));
            }
            if key == "gone" {
                contract.gone.push(value.to_owned());
            } else {
                draft = Some(Draft::new(line, value));
            }
            continue;
        }
        match &mut draft {
            Some(draft) => draft.comment(key, value, comment).map_err(|why| wrong(&why))?,
            None if key == "foreign keys" => match (value, foreign_keys) {
                ("on", None) => foreign_keys = Some(true),
                ("off", None) => foreign_keys = Some(false),
                _ => return Err(wrong("write `-- foreign keys: off` or `on`, once")),
            },
            None => {}
        }
    }
    contract.statements.extend(draft.map(Draft::finish).transpose()?);
    contract.foreign_keys = foreign_keys.ok_or_else(|| ContractError {
        line: 1,
        why: "it must say `-- foreign keys: off` or `on`".to_owned(),
    })?;
    Ok(contract)
}

impl Draft {
    fn new(line: usize, name: &str) -> Self {
        Self {
            line,
            purpose: Vec::new(),
            sql: String::new(),
            statement: ContractStatement {
                name: name.to_owned(),
                purpose: String::new(),
                sql: String::new(),
                runs: Vec::new(),
                changes: None,
                reads: Vec::new(),
            },
        }
    }

    fn comment(&mut self, key: &str, value: &str, comment: &str) -> Result<(), String> {
        if !self.sql.trim().is_empty() {
            return Err("comments stand before the statement".to_owned());
        }
        let (changes, reads) = (self.statement.changes, &self.statement.reads);
        if (key == "changes" && changes.is_some()) || (key == "reads" && !reads.is_empty()) {
            return Err(format!("write `-- {key}:` once"));
        }
        match key {
            "values" => self.statement.runs.push(values(value)?),
            "changes" => {
                let number = value.parse().map_err(|_| "write how many rows, as a number")?;
                self.statement.changes = Some(number);
            }
            "reads" => self.statement.reads = value.split(',').map(|name| name.trim().to_owned()).collect(),
            _ => self.purpose.push(comment.to_owned()),
        }
        Ok(())
    }

    fn finish(mut self) -> Result<ContractStatement, ContractError> {
        let wrong = |why: String| ContractError { line: self.line, why };
        let tokens = tokenize(&self.sql);
        // SQLite would read the statement up to there, or not at all.
        if let Some(token) = tokens.iter().find(|token| token.kind == TokenKind::Invalid) {
            return Err(wrong(format!("`{}` is no SQL", token.text.escape_debug())));
        }
        let ends: Vec<usize> = tokens
            .iter()
            .filter(|token| token.is_operator(";"))
            .map(|token| token.start)
            .collect();
        let ([end], true) = (
            ends.as_slice(),
            tokens.last().is_some_and(|token| token.is_operator(";")),
        ) else {
            return Err(wrong("it needs one statement, ended by `;`".to_owned()));
        };
        let parameters: Vec<&str> = tokens
            .iter()
            .filter(|token| token.kind == TokenKind::Parameter)
            .map(|token| token.text)
            .collect();
        if parameters.iter().any(|parameter| *parameter != "?") {
            return Err(wrong("its parameters must be plain `?`".to_owned()));
        }
        if self.statement.runs.is_empty() {
            self.statement.runs.push(Vec::new());
        }
        let wanted = parameters.len();
        if let Some(run) = self.statement.runs.iter().find(|run| run.len() != wanted) {
            return Err(wrong(format!(
                "it has {wanted} parameters, and {} values",
                run.len()
            )));
        }
        if self.purpose.is_empty() {
            return Err(wrong("a comment must say what it is for".to_owned()));
        }
        self.statement.purpose = self.purpose.join(" ");
        self.statement.sql = self.sql.get(..*end).unwrap_or_default().trim().to_owned();
        Ok(self.statement)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rusqlite::types::Value;

    use super::*;

    const RELEASE: Release = Release::new(1, 0, 0);

    #[test]
    fn a_statement_has_a_name_a_purpose_and_what_it_must_do() {
        let contract = parse(
            RELEASE,
            "-- Any text.\n-- foreign keys: off\n\n-- gone: read\n-- statement: write\n-- Writes: a room.\n-- values: 'a;b', 1\n\
             -- values: NULL, 2\n-- changes: 1\n-- reads: a, b\nINSERT INTO t\nVALUES (?, ?);\n",
        )
        .unwrap();
        assert_eq!(contract.gone, ["read"]);
        assert!(!contract.foreign_keys);
        let [statement] = contract.statements.as_slice() else {
            panic!("{contract:?}");
        };
        assert_eq!(statement.name, "write");
        assert_eq!(statement.purpose, "Writes: a room.");
        assert_eq!(statement.sql, "INSERT INTO t\nVALUES (?, ?)");
        assert_eq!(
            statement.runs[0],
            [Value::Text("a;b".to_owned()), Value::Integer(1)]
        );
        assert_eq!((statement.runs.len(), statement.changes), (2, Some(1)));
        assert_eq!(statement.reads, ["a", "b"]);
    }

    #[test]
    fn mistakes_name_their_line() {
        let refused = |text: &str| parse(RELEASE, text).unwrap_err().to_string();
        let head = "-- foreign keys: off\n";
        let cases = [
            "",
            "-- foreign keys: maybe\n",
            "-- foreign keys: off\n-- foreign keys: off\n",
            &format!("{head}SELECT 1;\n"),
            &format!("{head}-- statement:\n"),
            &format!("{head}-- statement: a\nSELECT 1;\n"),
            &format!("{head}-- statement: a\n-- For it.\nSELECT 1\n"),
            &format!("{head}-- statement: a\n-- For it.\nSELECT 1; SELECT 2;\n"),
            &format!("{head}-- statement: a\n-- For it.\nSELECT ?;\n"),
            &format!("{head}-- statement: a\n-- For it.\n-- values: 1\nSELECT ?1;\n"),
            &format!("{head}-- statement: a\n-- For it.\n-- values: b\nSELECT ?;\n"),
            &format!("{head}-- statement: a\n-- For it.\n-- changes: few\nSELECT 1;\n"),
            &format!("{head}-- statement: a\n-- For it.\n-- changes: 1\n-- changes: 2\nSELECT 1;\n"),
            &format!("{head}-- statement: a\n-- For it.\n-- reads: t\n-- reads: u\nSELECT 1;\n"),
            &format!("{head}-- statement: a\n-- For it.\nSELECT 1;\n-- statement: a\n"),
            &format!("{head}-- statement: a\n-- For it.\nSELECT 1\n-- more\n;\n"),
            &format!("{head}-- statement: a\n-- For it.\nSELECT 1\0;\n"),
        ];
        let said: Vec<String> = cases.iter().map(|text| refused(text)).collect();
        insta::assert_snapshot!(said.join("\n"), @r#"
        line 1: it must say `-- foreign keys: off` or `on`
        line 1: write `-- foreign keys: off` or `on`, once
        line 2: write `-- foreign keys: off` or `on`, once
        line 2: a statement begins with `-- statement: NAME`
        line 2: the name is missing
        line 2: a comment must say what it is for
        line 2: it needs one statement, ended by `;`
        line 2: it needs one statement, ended by `;`
        line 2: it has 1 parameters, and 0 values
        line 2: its parameters must be plain `?`
        line 4: `b` is not a literal: write 'text', 1, 1.5, NULL or x'00'
        line 4: write how many rows, as a number
        line 5: write `-- changes:` once
        line 5: write `-- reads:` once
        line 5: the name is used twice in this file
        line 5: comments stand before the statement
        line 2: `\0` is no SQL
        "#);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(
            text in prop_oneof![
                any::<String>(),
                "(-- (foreign keys: off|statement: [ab]|gone: c|values: [1',x ]{0,5}|changes: [0-9a]|reads: a|x)\n|[a?;' ]{0,6}\n){0,12}",
            ],
        ) {
            if let Ok(contract) = parse(RELEASE, &text) {
                for statement in contract.statements {
                    prop_assert!(!statement.sql.contains(';') || statement.sql.contains('\''));
                    prop_assert!(!statement.runs.is_empty());
                }
            }
        }
    }
}
