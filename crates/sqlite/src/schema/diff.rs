//! The comparison of two schemas, down to columns and constraints of tables.

use super::object::{Object, ObjectKind};
use super::{difference::Difference, snapshot::Snapshot, table_definition::TableDefinition};

/// How `actual` differs from `expected`; empty exactly when all normal forms are equal.
///
/// Objects are matched by kind and name. First come, in the order of `expected`, the objects that are missing or
/// changed, then the unexpected ones.
pub fn diff(expected: &Snapshot, actual: &Snapshot) -> Vec<Difference> {
    let mut differences = Vec::new();
    for object in expected {
        match actual.get(object.kind, &object.name) {
            // Nearly always the same text, which has the same normal form.
            Some(other) if other.sql == object.sql || other.normal() == object.normal() => {}
            Some(other) => differences.extend(changes(object, other)),
            None => differences.push(Difference::ObjectMissing {
                object: object.kind,
                name: object.name.clone(),
                table: object.table.clone(),
                expected: object.normal().to_owned(),
            }),
        }
    }
    for object in actual {
        if expected.get(object.kind, &object.name).is_none() {
            differences.push(Difference::ObjectUnexpected {
                object: object.kind,
                name: object.name.clone(),
                table: object.table.clone(),
                actual: object.normal().to_owned(),
            });
        }
    }
    differences
}

/// How two objects of the same kind and name differ, whose normal forms are not equal.
fn changes(expected: &Object, actual: &Object) -> Vec<Difference> {
    let changed = || Difference::ObjectChanged {
        object: expected.kind,
        name: expected.name.clone(),
        table: expected.table.clone(),
        expected: expected.normal().to_owned(),
        actual: actual.normal().to_owned(),
    };
    let definitions = match expected.kind {
        ObjectKind::Table => {
            TableDefinition::parse(expected.normal()).zip(TableDefinition::parse(actual.normal()))
        }
        ObjectKind::Index | ObjectKind::View | ObjectKind::Trigger => None,
    };
    let Some((wanted, found)) = definitions else {
        return vec![changed()];
    };
    let mut differences = table_changes(&expected.name, &wanted, &found);
    // What the parts do not say must not be lost behind an additional column that somebody accepts.
    if differences.is_empty() || !same_order(&wanted.constraints, &found.constraints) {
        differences.push(changed());
    }
    differences
}

/// Whether the elements that both have come in the same order.
fn same_order(first: &[String], second: &[String]) -> bool {
    let of_first = first.iter().filter(|element| second.contains(element));
    let of_second = second.iter().filter(|element| first.contains(element));
    of_first.eq(of_second)
}

fn table_changes(table: &str, expected: &TableDefinition, actual: &TableDefinition) -> Vec<Difference> {
    let mut differences = column_changes(table, expected, actual);
    differences.extend(
        without(&expected.constraints, &actual.constraints).map(|constraint| Difference::ConstraintMissing {
            table: table.to_owned(),
            expected: constraint.clone(),
        }),
    );
    differences.extend(
        without(&actual.constraints, &expected.constraints).map(|constraint| Difference::ConstraintExtra {
            table: table.to_owned(),
            actual: constraint.clone(),
        }),
    );
    if expected.options != actual.options {
        differences.push(Difference::OptionsChanged {
            table: table.to_owned(),
            expected: expected.options.clone(),
            actual: actual.options.clone(),
        });
    }
    differences
}

fn column_changes(table: &str, expected: &TableDefinition, actual: &TableDefinition) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut common = Vec::new();
    for column in &expected.columns {
        match actual.column(&column.name) {
            None => differences.push(Difference::ColumnMissing {
                table: table.to_owned(),
                column: column.name.clone(),
                expected: column.sql.clone(),
            }),
            Some(other) => {
                common.push(column.name.clone());
                if other != column {
                    differences.push(Difference::ColumnChanged {
                        table: table.to_owned(),
                        column: column.name.clone(),
                        expected: Box::new(column.clone()),
                        actual: Box::new(other.clone()),
                    });
                }
            }
        }
    }
    let mut common_in_actual = Vec::new();
    for column in &actual.columns {
        if expected.column(&column.name).is_some() {
            common_in_actual.push(column.name.clone());
        } else {
            differences.push(Difference::ColumnExtra {
                table: table.to_owned(),
                column: column.name.clone(),
                actual: column.sql.clone(),
            });
        }
    }
    if common != common_in_actual {
        differences.push(Difference::ColumnOrder {
            table: table.to_owned(),
            expected: common,
            actual: common_in_actual,
        });
    }
    differences
}

/// The elements of `all` that are not in `others`; one that is there twice needs two in `others`.
fn without<'a>(all: &'a [String], others: &[String]) -> impl Iterator<Item = &'a String> {
    let mut left: Vec<_> = others.iter().collect();
    all.iter().filter(
        move |element| match left.iter().position(|other| *other == *element) {
            Some(place) => {
                left.swap_remove(place);
                false
            }
            None => true,
        },
    )
}
