//! Contracts: what servers run, as a file of SQL.

mod said;

use std::fmt::Write as _;

use bridge_migrate_core::Release;
use bridge_migrate_sqlite::contracts::{Contract, ContractError, ContractStatement};
use rusqlite::Connection;
use rusqlite::types::Value;
use support::dump::hex;

use super::one_line::assert_one_line;
use said::assert_says;

/// The release whose contract it is, to the reader and to the proofs.
pub const RELEASE: Release = Release::new(1, 0, 0);

/// Reads a contract.
///
/// # Panics
/// As [`check`].
pub fn contract(data: &[u8]) {
    check(|text| Contract::parse(RELEASE, text), data);
}

/// Reads a contract with that reader.
///
/// # Panics
/// When it is not what the text says or does not read the same when it is printed, when a statement is not one statement
/// to SQLite, or when an error names no line of it.
pub fn check(parse: impl Fn(&str) -> Result<Contract, ContractError>, data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match parse(&text) {
        Ok(contract) => {
            assert_says(&text, &contract);
            let printed = print(&contract);
            let mut again = parse(&printed).unwrap_or_else(|error| panic!("{error} in {printed}"));
            let mut contract = contract;
            forget_blanks(&mut contract);
            forget_blanks(&mut again);
            assert_eq!(
                format!("{again:?}"),
                format!("{contract:?}"),
                "another when it is printed: {printed}"
            );
            contract.statements.iter().for_each(check_statement);
        }
        Err(error) => {
            let lines = text.lines().count().max(1);
            assert!(
                (1..=lines).contains(&error.line),
                "no such line: {error} of {lines} lines"
            );
            // The reason may quote what it is about.
            let why: String = error
                .why
                .chars()
                .filter(|character| !character.is_control())
                .collect();
            assert_one_line(&why);
        }
    }
}

fn check_statement(statement: &ContractStatement) {
    assert!(!statement.runs.is_empty());
    let connection = Connection::open_in_memory().unwrap();
    // Most name tables that are not there.
    if let Ok(prepared) = connection.prepare(&statement.sql) {
        for run in &statement.runs {
            assert_eq!(
                run.len(),
                prepared.parameter_count(),
                "another number of values: {}",
                statement.sql
            );
        }
    } else if let Err(rusqlite::Error::MultipleStatement) = connection.prepare(&statement.sql) {
        panic!("{} is two statements", statement.sql);
    }
}

fn forget_blanks(contract: &mut Contract) {
    for statement in &mut contract.statements {
        statement.purpose = statement.purpose.trim().to_owned();
    }
}

fn print(contract: &Contract) -> String {
    let mut text = format!(
        "-- foreign keys: {}\n",
        if contract.foreign_keys { "on" } else { "off" }
    );
    for name in &contract.gone {
        writeln!(text, "-- gone: {name}").unwrap();
    }
    for statement in &contract.statements {
        writeln!(text, "-- statement: {}\n-- {}", statement.name, statement.purpose).unwrap();
        for run in statement.runs.iter().filter(|run| !run.is_empty()) {
            let values: Vec<String> = run.iter().map(print_value).collect();
            writeln!(text, "-- values: {}", values.join(", ")).unwrap();
        }
        if let Some(changes) = statement.changes {
            writeln!(text, "-- changes: {changes}").unwrap();
        }
        if !statement.reads.is_empty() {
            writeln!(text, "-- reads: {}", statement.reads.join(", ")).unwrap();
        }
        // A comment that stands in the statement must not become one of the file.
        writeln!(text, " {}\n;", statement.sql).unwrap();
    }
    text
}

fn print_value(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) if number.is_infinite() => {
            format!("{}1e999", if *number < 0.0 { "-" } else { "" })
        }
        Value::Real(number) => format!("{number:?}"),
        Value::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Blob(bytes) => format!("x'{}'", hex(bytes)),
    }
}
