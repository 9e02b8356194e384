//! What can be said of a table: of a new one all at once, of an old one change by change.

use barrel::backend::SqlGenerator;
use barrel::types::{ReferentialAction, Type};
use bridge_migrate_sqlite::identifier;

use super::generator::{Sqlite, identifiers, unsupported};
use super::layout;
use super::schema::made;

/// A table that is being created. Columns come first, then checks, the primary key and foreign keys,
/// in whatever order they are declared.
#[derive(Debug)]
pub struct NewTable {
    name: String,
    columns: Vec<NewColumn>,
    checks: Vec<String>,
    primary_key: Vec<String>,
    uniques: Vec<String>,
    foreign_keys: Vec<ForeignKey>,
    options: Vec<&'static str>,
}

#[derive(Debug)]
enum NewColumn {
    Typed(String, Box<Type>),
    Sql(String),
}

impl NewTable {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            columns: Vec::new(),
            checks: Vec::new(),
            primary_key: Vec::new(),
            uniques: Vec::new(),
            foreign_keys: Vec::new(),
            options: Vec::new(),
        }
    }

    /// Adds a column after those that there are.
    pub fn add_column(&mut self, name: &str, column: Type) {
        self.columns
            .push(NewColumn::Typed(name.to_owned(), Box::new(column)));
    }

    /// Adds a column whose definition is SQL: `TEXT COLLATE NOCASE`, `INTEGER PRIMARY KEY AUTOINCREMENT`,
    /// `INTEGER AS (length(body)) STORED`.
    pub fn add_sql_column(&mut self, name: &str, definition: &str) {
        let column = format!("{} {}", identifier(name), definition.trim());
        self.columns.push(NewColumn::Sql(column));
    }

    /// Makes these columns together the primary key.
    pub fn primary_key(&mut self, columns: &[&str]) {
        self.primary_key = owned(columns);
    }

    /// Lets no two rows have the same values in these columns. A unique index does the same and can be dropped;
    /// this can only be rebuilt.
    pub fn unique(&mut self, columns: &[&str]) {
        self.uniques
            .push(format!("UNIQUE ({})", identifiers(&owned(columns))));
    }

    /// Lets no value in that its column's type does not allow. Every column then has one of the types INT, INTEGER, REAL,
    /// TEXT, BLOB and ANY.
    pub fn strict(&mut self) {
        self.options.push("STRICT");
    }

    /// Keeps the rows in the order of the primary key, without row ids. Such a table is always rebuilt under one lock.
    pub fn without_rowid(&mut self) {
        self.options.push("WITHOUT ROWID");
    }

    /// Lets no row in for which the condition, an SQL expression, is false. The name is in the message that
    /// a writer gets.
    pub fn check(&mut self, name: &str, condition: &str) {
        self.checks.push(check(name, condition));
    }

    /// Starts a foreign key on these columns; [`ForeignKey::references`] says what they refer to.
    pub fn foreign_key(&mut self, columns: &[&str]) -> &mut ForeignKey {
        let at = self.foreign_keys.len();
        self.foreign_keys.push(ForeignKey {
            columns: owned(columns),
            table: String::new(),
            related: Vec::new(),
            on_delete: ReferentialAction::Unset,
            on_update: ReferentialAction::Unset,
            deferred: false,
        });
        &mut self.foreign_keys[at]
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let columns = self.columns.iter().filter_map(|column| match column {
            NewColumn::Typed(column, definition) => column_problem(&self.name, column, definition),
            NewColumn::Sql(_) => None,
        });
        let foreign_keys = self
            .foreign_keys
            .iter()
            .filter(|key| key.table.is_empty())
            .map(|key| {
                format!(
                    "a foreign key of {} on {} refers to nothing",
                    self.name,
                    key.columns.join(", ")
                )
            });
        columns.chain(foreign_keys).collect()
    }

    /// The statement that makes the table, without its `;`.
    pub(super) fn sql(self) -> String {
        let (name, options) = (self.name.clone(), self.options.join(", "));
        let mut migration = barrel::Migration::new();
        migration.create_table(name, move |into| self.write(into));
        let sql = layout::create_table(&made(&migration));
        format!("{sql} {options}").trim_end().to_owned()
    }

    fn write(&self, into: &mut barrel::Table) {
        for column in &self.columns {
            match column {
                NewColumn::Typed(name, column) => {
                    into.add_column(name.as_str(), Type::clone(column));
                }
                NewColumn::Sql(sql) => {
                    into.inject_custom(sql.as_str());
                }
            }
        }
        // Constraints go in as lines: barrel knows neither CHECK nor ON DELETE, and would put its own primary
        // key after every line.
        for check in &self.checks {
            into.inject_custom(check.as_str());
        }
        if !self.primary_key.is_empty() {
            into.inject_custom(Sqlite::add_primary_key(&self.primary_key));
        }
        for unique in &self.uniques {
            into.inject_custom(unique.as_str());
        }
        for key in &self.foreign_keys {
            into.inject_custom(key.sql());
        }
    }
}

/// A foreign key of a new table.
#[derive(Debug)]
pub struct ForeignKey {
    columns: Vec<String>,
    table: String,
    related: Vec<String>,
    on_delete: ReferentialAction,
    on_update: ReferentialAction,
    deferred: bool,
}

impl ForeignKey {
    /// Says which columns of which table the key refers to.
    pub fn references(&mut self, table: &str, columns: &[&str]) -> &mut Self {
        self.table = table.to_owned();
        self.related = owned(columns);
        self
    }

    /// Says what becomes of a row when the row that it refers to is deleted. It takes a connection that has
    /// foreign keys on: the Bridge's servers up to 1.2.0 have not.
    pub fn on_delete(&mut self, action: ReferentialAction) -> &mut Self {
        self.on_delete = action;
        self
    }

    /// Says what becomes of a row when the key of the row that it refers to changes; likewise.
    pub fn on_update(&mut self, action: ReferentialAction) -> &mut Self {
        self.on_update = action;
        self
    }

    /// Looks at the key at the end of a transaction only.
    pub fn deferred(&mut self) -> &mut Self {
        self.deferred = true;
        self
    }

    fn sql(&self) -> String {
        let mut sql = Sqlite::add_foreign_key(&self.columns, &self.table, &self.related, None);
        // barrel panics when asked to print what was not set.
        if self.on_delete != ReferentialAction::Unset {
            sql.push(' ');
            sql.push_str(&self.on_delete.on_delete());
        }
        if self.on_update != ReferentialAction::Unset {
            sql.push(' ');
            sql.push_str(&self.on_update.on_update());
        }
        if self.deferred {
            sql.push_str(" DEFERRABLE INITIALLY DEFERRED");
        }
        sql
    }
}

/// Changes of a table that exists, in order.
#[derive(Debug)]
pub struct TableChanges {
    name: String,
    statements: Vec<String>,
    problems: Vec<String>,
}

impl TableChanges {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            statements: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Adds a column after those that there are. SQLite wants a default for one that is NOT NULL.
    pub fn add_column(&mut self, name: &str, column: Type) {
        self.problems.extend(column_problem(&self.name, name, &column));
        let name = name.to_owned();
        self.alter(move |table| {
            table.add_column(name.as_str(), column.clone());
        });
    }

    /// Drops a column with its values. Indexes, triggers and checks that name it must go first.
    pub fn drop_column(&mut self, name: &str) {
        let name = name.to_owned();
        self.alter(move |table| table.drop_column(name.as_str()));
    }

    /// Renames a column. Indexes, triggers and views follow.
    pub fn rename_column(&mut self, old: &str, new: &str) {
        let (old, new) = (old.to_owned(), new.to_owned());
        self.alter(move |table| table.rename_column(old.as_str(), new.as_str()));
    }

    /// Lets no NULL into a column; fails when there is one.
    pub fn set_not_null(&mut self, column: &str) {
        self.alter_custom(format!("ALTER COLUMN {} SET NOT NULL", identifier(column)));
    }

    /// Lets NULL into a column again.
    pub fn drop_not_null(&mut self, column: &str) {
        self.alter_custom(format!("ALTER COLUMN {} DROP NOT NULL", identifier(column)));
    }

    /// Lets no row in for which the condition, an SQL expression, is false; fails when there is one.
    pub fn add_check(&mut self, name: &str, condition: &str) {
        self.alter_custom(format!("ADD {}", check(name, condition)));
    }

    /// Drops a check by its name.
    pub fn drop_constraint(&mut self, name: &str) {
        self.alter_custom(format!("DROP CONSTRAINT {}", identifier(name)));
    }

    fn alter_custom(&mut self, change: String) {
        self.alter(move |table| table.inject_custom(change.as_str()));
    }

    fn alter(&mut self, change: impl Fn(&mut barrel::Table) + 'static) {
        let mut migration = barrel::Migration::new();
        migration.change_table(self.name.as_str(), change);
        self.statements.push(made(&migration));
    }

    pub(super) fn finish(self) -> (Vec<String>, Vec<String>) {
        (self.statements, self.problems)
    }
}

fn column_problem(table: &str, column: &str, definition: &Type) -> Option<String> {
    unsupported(definition).map(|why| format!("column {table}.{column}: {why}"))
}

fn check(name: &str, condition: &str) -> String {
    format!("CONSTRAINT {} CHECK ({condition})", identifier(name))
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
