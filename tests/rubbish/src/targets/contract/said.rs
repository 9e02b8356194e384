//! What a contract says, read a second time: by its lines, and its values by SQLite.

use bridge_migrate_sqlite::contracts::{Contract, ContractStatement};
use bridge_migrate_sqlite::schema::token::tokenize;
use rusqlite::Connection;
use rusqlite::types::Value;

/// The lines that belong to a statement.
#[derive(Default)]
struct Said<'a> {
    name: &'a str,
    purpose: Vec<&'a str>,
    values: Vec<&'a str>,
    changes: Option<&'a str>,
    reads: Option<&'a str>,
    sql: String,
}

/// Fails unless the contract has all that its text says, and nothing else.
///
/// # Panics
/// When it does not.
pub(super) fn assert_says(text: &str, contract: &Contract) {
    let mut gone = Vec::new();
    let mut statements: Vec<Said<'_>> = Vec::new();
    for line in text.lines() {
        let Some(comment) = line.strip_prefix("--").map(str::trim) else {
            if let Some(statement) = statements.last_mut() {
                statement.sql.push_str(line);
                statement.sql.push('\n');
            }
            continue;
        };
        let (key, value) = comment.split_once(':').unwrap_or((comment, ""));
        match (key, value.trim(), statements.last_mut()) {
            ("gone", name, _) => gone.push(name),
            ("statement", name, _) => statements.push(Said {
                name,
                ..Said::default()
            }),
            ("values", values, Some(statement)) => statement.values.push(values),
            ("changes", number, Some(statement)) => statement.changes = Some(number),
            ("reads", names, Some(statement)) => statement.reads = Some(names),
            (_, _, Some(statement)) if statement.sql.trim().is_empty() => statement.purpose.push(comment),
            _ => {}
        }
    }
    assert_eq!(contract.gone, gone, "what is gone is another");
    assert_eq!(
        contract.statements.len(),
        statements.len(),
        "a statement is lost or invented: {text}"
    );
    for (statement, said) in contract.statements.iter().zip(&statements) {
        assert_is(statement, said);
    }
}

fn assert_is(statement: &ContractStatement, said: &Said<'_>) {
    assert_eq!(statement.name, said.name, "a statement has another name");
    let tokens = |sql: &str| -> Vec<String> {
        tokenize(sql)
            .into_iter()
            .map(|token| token.text.to_owned())
            .collect()
    };
    let mut sql = tokens(&statement.sql);
    sql.push(";".to_owned());
    assert_eq!(sql, tokens(&said.sql), "a statement is another");
    let changes = said.changes.and_then(|number| number.parse().ok());
    assert_eq!(statement.changes, changes, "another number of rows");
    let reads: Vec<&str> = said
        .reads
        .map_or(Vec::new(), |names| names.split(',').map(str::trim).collect());
    assert_eq!(statement.reads, reads, "other columns are read");
    let runs = match said.values.as_slice() {
        [] => vec![Some(Vec::new())],
        lists => lists.iter().map(|list| values(list)).collect(),
    };
    assert_eq!(statement.runs.len(), runs.len(), "a run is lost or invented");
    for (run, expected) in statement.runs.iter().zip(runs) {
        if let Some(expected) = expected {
            assert_eq!(*run, expected, "a value is another");
        }
    }
}

/// The values as SQLite reads them; `None` for a list in which its text would end early.
fn values(list: &str) -> Option<Vec<Value>> {
    if list.contains('\0') {
        return None;
    }
    let connection = Connection::open_in_memory().unwrap();
    let mut select = connection
        .prepare(&format!("SELECT {list}"))
        .unwrap_or_else(|error| panic!("{list:?} are no values: {error}"));
    let width = select.column_count();
    let row = select.query_row([], |row| (0..width).map(|index| row.get(index)).collect());
    Some(row.unwrap())
}
