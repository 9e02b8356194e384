//! A contract of which something is lost.

use bridge_migrate_sqlite::contracts::{Contract, ContractError, ContractStatement};
use rubbish::targets::contract::{RELEASE, check};
use rusqlite::types::Value;

use super::assert_noticed;
use crate::files;

type Change = fn(&mut ContractStatement);

fn with(change: Change) -> impl Fn(&str) -> Result<Contract, ContractError> {
    move |text| {
        let mut contract = Contract::parse(RELEASE, text)?;
        contract.statements.iter_mut().for_each(change);
        Ok(contract)
    }
}

/// At the first semicolon, though not at one in a comment.
fn cut_in_quotes(statement: &mut ContractStatement) {
    if let Some((start, _)) = statement
        .sql
        .split_once(';')
        .filter(|(start, _)| !start.contains("--"))
    {
        statement.sql = start.to_owned();
    }
}

#[test]
fn another_statement_is_noticed() {
    let mistakes: [(&str, Change, &str); 6] = [
        (
            "cut at a semicolon in quotes",
            cut_in_quotes,
            "a statement is another",
        ),
        (
            "only the first values",
            |statement| statement.runs.truncate(1),
            "a run is lost",
        ),
        (
            "the number of rows forgotten",
            |statement| statement.changes = None,
            "another number of rows",
        ),
        (
            "columns not cut at their commas",
            |statement| {
                statement.reads =
                    Vec::from_iter((!statement.reads.is_empty()).then(|| statement.reads.join(", ")))
            },
            "other columns are read",
        ),
        (
            "integers as reals",
            |statement| {
                for value in statement.runs.iter_mut().flatten() {
                    if let Value::Integer(number) = value {
                        *value = Value::Real(*number as f64);
                    }
                }
            },
            "a value is another",
        ),
        (
            "names in capitals",
            |statement| statement.name.make_ascii_uppercase(),
            "another name",
        ),
    ];
    for (mistake, change, why) in mistakes {
        assert_noticed(&files::contract(), mistake, |data| check(with(change), data), why);
    }
}

#[test]
fn a_lost_statement_and_a_line_that_is_not_there_are_noticed() {
    let lost = |text: &str| {
        let mut contract = Contract::parse(RELEASE, text)?;
        contract.statements.pop();
        Ok(contract)
    };
    let inputs = files::contract();
    assert_noticed(
        &inputs,
        "the last one lost",
        |data| check(lost, data),
        "a statement is lost",
    );
    let still_there = |text: &str| {
        let mut contract = Contract::parse(RELEASE, text)?;
        contract.gone.clear();
        Ok(contract)
    };
    assert_noticed(
        &inputs,
        "nothing is gone",
        |data| check(still_there, data),
        "what is gone is another",
    );
    let from_0 = |text: &str| {
        Contract::parse(RELEASE, text).map_err(|error| ContractError {
            line: error.line - 1,
            ..error
        })
    };
    assert_noticed(
        &inputs,
        "lines from 0",
        |data| check(from_0, data),
        "no such line",
    );
}
