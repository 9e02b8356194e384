//! Triggers, which barrel does not know.

use bridge_migrate_sqlite::identifier;

use super::generator::identifiers;

/// A trigger that runs for each row before or after a change.
#[derive(Debug, Clone)]
pub struct Trigger {
    name: String,
    /// When, what and on which table.
    event: String,
    condition: Option<String>,
    statements: Vec<String>,
}

impl Trigger {
    /// A trigger for rows before they are inserted, also where the statement then fails or ignores them. What
    /// `INSERT OR REPLACE` replaces is there still. `NEW.rowid` is -1 unless the statement sets it.
    #[must_use]
    pub fn before_insert(name: &str, table: &str) -> Self {
        Self::new(name, format!("BEFORE INSERT ON {}", identifier(table)))
    }

    /// A trigger for rows before they are updated in any column, the row number included.
    #[must_use]
    pub fn before_update(name: &str, table: &str) -> Self {
        Self::new(name, format!("BEFORE UPDATE ON {}", identifier(table)))
    }

    /// A trigger for rows that are inserted, `INSERT OR REPLACE` included.
    #[must_use]
    pub fn after_insert(name: &str, table: &str) -> Self {
        Self::new(name, format!("AFTER INSERT ON {}", identifier(table)))
    }

    /// A trigger for rows of which an UPDATE sets one of these columns, to the value that it had even.
    #[must_use]
    pub fn after_update_of(name: &str, table: &str, columns: &[&str]) -> Self {
        let columns: Vec<_> = columns.iter().map(|column| (*column).to_owned()).collect();
        Self::new(
            name,
            format!(
                "AFTER UPDATE OF {} ON {}",
                identifiers(&columns),
                identifier(table)
            ),
        )
    }

    /// A trigger for rows that are deleted; not for those that `INSERT OR REPLACE` replaces.
    #[must_use]
    pub fn after_delete(name: &str, table: &str) -> Self {
        Self::new(name, format!("AFTER DELETE ON {}", identifier(table)))
    }

    /// Runs it only where this SQL expression over `NEW` and `OLD` is true.
    #[must_use]
    pub fn when(mut self, condition: &str) -> Self {
        self.condition = Some(condition.to_owned());
        self
    }

    /// Adds a statement, without the `;` at its end.
    #[must_use]
    pub fn run(mut self, statement: &str) -> Self {
        self.statements.push(statement.trim().to_owned());
        self
    }

    fn new(name: &str, event: String) -> Self {
        Self {
            name: name.to_owned(),
            event,
            condition: None,
            statements: Vec::new(),
        }
    }

    pub(super) fn problem(&self) -> Option<String> {
        let name = &self.name;
        self.statements
            .is_empty()
            .then(|| format!("trigger {name} has nothing to run"))
    }

    pub(super) fn sql(&self) -> String {
        let mut sql = format!(
            "CREATE TRIGGER {}\n{}\nFOR EACH ROW",
            identifier(&self.name),
            self.event
        );
        if let Some(condition) = &self.condition {
            sql.push_str(" WHEN ");
            sql.push_str(condition);
        }
        sql.push_str("\nBEGIN\n");
        for statement in &self.statements {
            for line in statement.lines() {
                sql.push_str("    ");
                sql.push_str(line);
                sql.push('\n');
            }
            sql.truncate(sql.trim_end().len());
            sql.push_str(";\n");
        }
        sql.push_str("END");
        sql
    }
}
