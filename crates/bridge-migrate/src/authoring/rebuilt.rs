//! A table that is made anew: its whole definition, and where the values come from.

use std::ops::{Deref, DerefMut};

use bridge_migrate_sqlite::identifier;
use bridge_migrate_sqlite::schema::TableDefinition;
use bridge_migrate_sqlite::schema::script::{Rebuild, Taken};

use super::table::NewTable;

/// The new definition of a table, with the words of a [`NewTable`], and where its values come from.
#[derive(Debug)]
pub struct RebuiltTable {
    name: String,
    new: NewTable,
    given: Vec<Taken>,
}

impl RebuiltTable {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            new: NewTable::new(name),
            given: Vec::new(),
        }
    }

    /// Gives a column the value of an SQL expression over the old columns of the same row.
    pub fn fill(&mut self, column: &str, value: &str) {
        self.given.push(Taken {
            column: column.to_owned(),
            value: value.trim().to_owned(),
        });
    }

    /// Gives a column what an old column of another name has.
    pub fn from(&mut self, column: &str, old: &str) {
        self.fill(column, &identifier(old));
    }

    pub(super) fn finish(mut self) -> Result<Rebuild, Vec<String>> {
        let problem = |why: String| format!("rebuild_table of {}: {why}", self.name);
        let mut problems = self.new.problems();
        let definition = self.new.sql();
        let columns = TableDefinition::parse(&definition).map_or_else(Vec::new, |table| table.columns);
        let mut taken = Vec::new();
        for column in columns.iter().filter(|column| !column.is_generated()) {
            let is_it = |given: &Taken| given.column.eq_ignore_ascii_case(&column.name);
            let mut given: Vec<_> = self.given.extract_if(.., |given| is_it(given)).collect();
            if given.len() > 1 {
                problems.push(problem(format!("column {} is given two values", column.name)));
            }
            let value = given
                .pop()
                .map_or_else(|| identifier(&column.name), |given| given.value);
            taken.push(Taken {
                column: column.name.clone(),
                value,
            });
        }
        for Taken { column, .. } in &self.given {
            problems.push(problem(format!(
                "it gives a value to {column}, which is no column of the new table that can have one"
            )));
        }
        match Rebuild::new(&self.name, &definition, taken) {
            Ok(rebuild) if problems.is_empty() => Ok(rebuild),
            Ok(_) => Err(problems),
            Err(why) => {
                problems.push(problem(why));
                Err(problems)
            }
        }
    }
}

impl Deref for RebuiltTable {
    type Target = NewTable;

    fn deref(&self) -> &NewTable {
        &self.new
    }
}

impl DerefMut for RebuiltTable {
    fn deref_mut(&mut self) -> &mut NewTable {
        &mut self.new
    }
}
