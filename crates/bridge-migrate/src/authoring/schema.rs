//! The statements of one direction of a migration, in the order in which they were asked for.

use barrel::backend::SqlGenerator;
use barrel::types::index;

use super::generator::Sqlite;
use super::rebuilt::RebuiltTable;
use super::table::{NewTable, TableChanges};
use super::trigger::Trigger;
use bridge_migrate_sqlite::{identifier, schema::script::Rebuild};

/// Collects schema changes. Each becomes exactly one statement: SQLite takes one change per ALTER TABLE.
#[derive(Debug, Default)]
pub struct Schema {
    statements: Vec<String>,
    rebuilds: Vec<Rebuild>,
    problems: Vec<String>,
}

impl Schema {
    /// Creates a table.
    pub fn create_table(&mut self, name: &str, build: impl FnOnce(&mut NewTable)) {
        let mut table = NewTable::new(name);
        build(&mut table);
        self.problems.append(&mut table.problems());
        self.push(table.sql());
    }

    /// Makes a table anew by its whole new definition, for what [`Schema::change_table`] has no word for: a type, a default,
    /// a key, STRICT. Rows keep their row ids; indexes, triggers, views and foreign keys of other tables stay, and stop
    /// the migration if they no longer work. It is alone in its direction of a migration; going back is mostly another.
    ///
    /// A column gets what the column of the same name has, unless [`RebuiltTable::fill`] or [`RebuiltTable::from`] says
    /// otherwise. Old columns that nothing takes are dropped with their values. See `docs/authoring/rebuild_table.md`.
    ///
    /// ```
    /// use bridge_migrate::authoring::{Definition, Phase, integer, text};
    ///
    /// # fn migration() -> Definition {
    /// Definition::new("2.0.0", Phase::Contract)
    ///     .retires("1.2.0")
    ///     .up(|m| {
    ///         m.rebuild_table("votes", |t| {
    ///             t.add_column("id", text().primary(true));
    ///             t.add_column("weight", integer());
    ///             t.add_column("note", text().nullable(true));
    ///             t.fill("weight", "CAST(weight AS INTEGER)");
    ///             t.from("note", "comment");
    ///         });
    ///     })
    ///     .down(|m| {
    ///         m.rebuild_table("votes", |t| {
    ///             t.add_column("id", text().primary(true).nullable(true));
    ///             t.add_column("weight", text());
    ///             t.add_column("comment", text().nullable(true));
    ///             t.from("comment", "note");
    ///         });
    ///     })
    /// # }
    /// # let built = migration().build(11, "vote_weights", "Counts in whole votes.", "Back to texts.")?;
    /// # assert!(built.up.contains(r#"SELECT "id" AS "id", CAST(weight AS INTEGER) AS "weight", "comment" AS "note""#));
    /// # Ok::<(), bridge_migrate::Error>(())
    /// ```
    pub fn rebuild_table(&mut self, name: &str, build: impl FnOnce(&mut RebuiltTable)) {
        let mut table = RebuiltTable::new(name);
        build(&mut table);
        match table.finish() {
            Ok(rebuild) => self.rebuilds.push(rebuild),
            Err(mut problems) => self.problems.append(&mut problems),
        }
    }

    /// Drops a table, with its rows, indexes and triggers.
    pub fn drop_table(&mut self, name: &str) {
        self.push(Sqlite::drop_table(name, None));
    }

    /// Renames a table. Foreign keys, triggers and views of other tables follow.
    pub fn rename_table(&mut self, old: &str, new: &str) {
        self.push(Sqlite::rename_table(old, new, None));
    }

    /// Changes a table in place.
    pub fn change_table(&mut self, name: &str, build: impl FnOnce(&mut TableChanges)) {
        let mut changes = TableChanges::new(name);
        build(&mut changes);
        let (statements, mut problems) = changes.finish();
        self.problems.append(&mut problems);
        for statement in statements {
            self.push(statement);
        }
    }

    /// Creates an index over columns.
    pub fn create_index(&mut self, name: &str, table: &str, columns: &[&str]) {
        self.push(Sqlite::create_index(table, None, name, &index(columns)));
    }

    /// Creates an index over columns that lets no two rows have the same values in them.
    pub fn create_unique_index(&mut self, name: &str, table: &str, columns: &[&str]) {
        self.push(Sqlite::create_index(
            table,
            None,
            name,
            &index(columns).unique(true),
        ));
    }

    /// Creates an index over the rows that meet a condition, an SQL expression.
    pub fn create_partial_index(&mut self, name: &str, table: &str, columns: &[&str], condition: &str) {
        self.push(Sqlite::create_partial_index(
            table,
            None,
            name,
            &index(columns),
            condition,
        ));
    }

    /// Drops an index.
    pub fn drop_index(&mut self, name: &str) {
        self.push(Sqlite::drop_index(name));
    }

    /// Creates a trigger.
    pub fn create_trigger(&mut self, trigger: Trigger) {
        if let Some(problem) = trigger.problem() {
            self.problems.push(problem);
        }
        self.push(trigger.sql());
    }

    /// Drops a trigger.
    pub fn drop_trigger(&mut self, name: &str) {
        self.push(format!("DROP TRIGGER {}", identifier(name)));
    }

    fn push(&mut self, statement: String) {
        self.statements.push(statement);
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = self.problems.clone();
        if let Some(rebuild) = self.rebuilds.first()
            && self.rebuilds.len() + self.statements.len() > 1
        {
            problems.push(format!(
                "rebuild_table of {} must be alone in its direction: put other changes into a migration of their own",
                rebuild.table()
            ));
        }
        problems
    }

    pub(super) fn rebuilds(&self) -> bool {
        !self.rebuilds.is_empty()
    }

    /// The rebuild, or the statements, each ended by `;` and a line break.
    pub(super) fn sql(&self) -> String {
        if let Some(rebuild) = self.rebuilds.first() {
            return rebuild.to_string();
        }
        self.statements
            .iter()
            .map(|statement| format!("{statement};\n"))
            .collect()
    }
}

/// What barrel makes of a migration of one change, without the `;` that it puts at the end.
pub(super) fn made(migration: &barrel::Migration) -> String {
    let sql = migration.make::<Sqlite>();
    sql.strip_suffix(';').unwrap_or(&sql).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::{binary, double, integer, text};
    use super::*;
    use barrel::types::ReferentialAction::Cascade;

    fn build(build: impl FnOnce(&mut Schema)) -> String {
        let mut schema = Schema::default();
        build(&mut schema);
        assert_eq!(schema.problems(), [""; 0]);
        schema.sql()
    }

    #[test]
    fn a_table_with_everything() {
        let sql = build(|m| {
            m.create_table("revisions", |t| {
                t.add_column("message_id", text());
                t.add_column("number", integer());
                t.add_column("weight", double().nullable(true).default(0.5));
                t.add_column("content", binary().nullable(true));
                t.add_column("it's", text().default("it's"));
                t.check("a \"check\"", "weight > 0");
                t.primary_key(&["message_id", "number"]);
                t.foreign_key(&["message_id"])
                    .references("messages", &["id"])
                    .on_delete(Cascade);
            });
            m.create_partial_index("heavy", "revisions", &["weight"], "weight > 1");
        });
        insta::assert_snapshot!(sql, @r#"
        CREATE TABLE "revisions" (
            "message_id" TEXT NOT NULL,
            "number" INTEGER NOT NULL,
            "weight" REAL DEFAULT 0.5,
            "content" BLOB,
            "it's" TEXT NOT NULL DEFAULT 'it''s',
            CONSTRAINT "a ""check""" CHECK (weight > 0),
            PRIMARY KEY ("message_id", "number"),
            FOREIGN KEY ("message_id") REFERENCES "messages" ("id") ON DELETE CASCADE
        );
        CREATE INDEX "heavy" ON "revisions" ("weight") WHERE weight > 1;
        "#);
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE messages (id TEXT PRIMARY KEY)")
            .unwrap();
        connection.execute_batch(&sql).unwrap();
    }

    #[test]
    fn every_change_of_a_table_is_a_statement_that_sqlite_takes() {
        let sql = build(|m| {
            m.create_table("rooms", |t| t.add_column("id", integer()));
            m.change_table("rooms", |t| {
                t.add_column("a", text().nullable(true));
                t.add_column("b \"", text().default("it's"));
                t.rename_column("a", "c");
                t.set_not_null("c");
                t.drop_not_null("c");
                t.add_check("positive", "id > 0");
                t.drop_constraint("positive");
                t.drop_column("b \"");
            });
            m.rename_table("rooms", "old rooms");
            m.create_unique_index("one", "old rooms", &["id", "c"]);
            m.drop_index("one");
            m.drop_table("old rooms");
        });
        insta::assert_snapshot!(sql, @r#"
        CREATE TABLE "rooms" (
            "id" INTEGER NOT NULL
        );
        ALTER TABLE "rooms" ADD COLUMN "a" TEXT;
        ALTER TABLE "rooms" ADD COLUMN "b """ TEXT NOT NULL DEFAULT 'it''s';
        ALTER TABLE "rooms" RENAME COLUMN "a" TO "c";
        ALTER TABLE "rooms" ALTER COLUMN "c" SET NOT NULL;
        ALTER TABLE "rooms" ALTER COLUMN "c" DROP NOT NULL;
        ALTER TABLE "rooms" ADD CONSTRAINT "positive" CHECK (id > 0);
        ALTER TABLE "rooms" DROP CONSTRAINT "positive";
        ALTER TABLE "rooms" DROP COLUMN "b """;
        ALTER TABLE "rooms" RENAME TO "old rooms";
        CREATE UNIQUE INDEX "one" ON "old rooms" ("id", "c");
        DROP INDEX "one";
        DROP TABLE "old rooms";
        "#);
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.execute_batch(&sql).unwrap();
    }

    #[test]
    fn a_rebuild_is_the_whole_definition_and_where_each_value_comes_from() {
        let sql = build(|m| {
            m.rebuild_table("messages", |t| {
                t.add_sql_column("n", "INTEGER PRIMARY KEY AUTOINCREMENT");
                t.add_column("id", text().nullable(true));
                t.add_column("sender \"name\"", text());
                t.add_sql_column("lang", "TEXT NOT NULL COLLATE NOCASE DEFAULT (lower('EN'))");
                t.add_sql_column("size", "INT AS (length(id)) STORED");
                t.check("some", "id <> ';'");
                t.unique(&["id", "lang"]);
                t.foreign_key(&["id"])
                    .references("rooms", &["id"])
                    .on_delete(Cascade)
                    .on_update(Cascade)
                    .deferred();
                t.strict();
                t.fill("lang", "CASE WHEN id IN ('a', 'b') THEN 'it''s' ELSE 'en' END");
                t.from("sender \"name\"", "from client");
            });
        });
        insta::assert_snapshot!(sql, @r#"
        -- rebuild
        CREATE TABLE "messages" (
            "n" INTEGER PRIMARY KEY AUTOINCREMENT,
            "id" TEXT,
            "sender ""name""" TEXT NOT NULL,
            "lang" TEXT NOT NULL COLLATE NOCASE DEFAULT (lower('EN')),
            "size" INT AS (length(id)) STORED,
            CONSTRAINT "some" CHECK (id <> ';'),
            UNIQUE ("id", "lang"),
            FOREIGN KEY ("id") REFERENCES "rooms" ("id") ON DELETE CASCADE ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED
        ) STRICT;
        INSERT INTO "messages" ("n", "id", "sender ""name""", "lang") SELECT "n" AS "n", "id" AS "id", "from client" AS "sender ""name""", CASE WHEN id IN ('a', 'b') THEN 'it''s' ELSE 'en' END AS "lang" FROM "messages";
        "#);
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE rooms (id PRIMARY KEY); CREATE TABLE messages (n, id, \"from client\");
                 INSERT INTO rooms VALUES ('a'); INSERT INTO messages VALUES (7, 'a', 'x')",
            )
            .unwrap();
        let (create, insert) = sql.trim_end().split_once(";\n").unwrap();
        connection
            .execute_batch("ALTER TABLE messages RENAME TO old")
            .unwrap();
        connection.execute_batch(create).unwrap();
        connection
            .execute_batch(&insert.replace("FROM \"messages\"", "FROM old"))
            .unwrap();
        let lang: String = connection
            .query_row("SELECT lang FROM messages WHERE size = 1", [], |row| row.get(0))
            .unwrap();
        assert_eq!(lang, "it's");
    }

    #[test]
    fn mistakes_are_collected_by_name() {
        let mut schema = Schema::default();
        schema.create_table("t", |t| {
            t.add_column("a", barrel::types::json());
            t.foreign_key(&["a"]);
        });
        schema.change_table("t", |t| t.add_column("b", barrel::types::uuid()));
        schema.create_trigger(Trigger::after_insert("empty", "t"));
        insta::assert_snapshot!(schema.problems().join("\n"), @r#"
        column t.a: SQLite has no such type: use text()
        a foreign key of t on a refers to nothing
        column t.b: SQLite has no such type: use text()
        trigger empty has nothing to run
        "#);
    }
}
