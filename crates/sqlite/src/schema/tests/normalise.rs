//! What the normal form forgets and what it keeps, by example.

use crate::schema::normalise;

fn same(first: &str, second: &str) {
    assert_eq!(normalise(first), normalise(second));
}

fn different(first: &str, second: &str) {
    assert_ne!(normalise(first), normalise(second));
}

#[test]
fn spelling_does_not_matter() {
    same(
        "CREATE TABLE t (a TEXT)",
        " create\ttemp table IF NOT EXISTS main.T\n( -- one\n[A]/* two */text ) ; ;",
    );
    same(
        "CREATE TABLE \"order\" (\"key\" text)",
        "CREATE TABLE 'order' (key text)",
    );
    same(
        "CREATE TABLE t (\"left\" INT CHECK (\"left\" > 1))",
        "CREATE TABLE t (left INT CHECK (Left > 1))",
    );
    same(
        "CREATE TABLE t (a, PRIMARY KEY ('a'))",
        "CREATE TABLE t (a, PRIMARY KEY (a))",
    );
    same(
        "CREATE TABLE t (a DEFAULT \"main\")",
        "CREATE TABLE t (a DEFAULT 'main')",
    );
    same(
        "CREATE TABLE t (a DEFAULT Main)",
        "CREATE TABLE t (a DEFAULT 'Main')",
    );
    same(
        "CREATE TABLE t (a X'0F' DEFAULT NULL)",
        "CREATE TABLE t (a x'0f' default null)",
    );
    same(
        "CREATE UNIQUE INDEX \"I\" ON [t] (`a`, \"B\" DESC)",
        "create unique index if not exists main.i on T(a,b desc);",
    );
    same(
        "CREATE VIEW v AS SELECT \"M\".\"A\" FROM \"M\"",
        "CREATE TEMPORARY VIEW v AS SELECT m.a FROM m",
    );
    same(
        "CREATE TRIGGER \"g\" AFTER UPDATE OF \"A\" ON \"T\" BEGIN DELETE FROM \"T\"; END",
        "CREATE TRIGGER IF NOT EXISTS g after update of a on t begin delete from t; end;",
    );
}

#[test]
fn meaning_does_matter() {
    different("CREATE TABLE t (a TEXT)", "CREATE TABLE t (a INT)");
    different("CREATE TABLE t (a, b)", "CREATE TABLE t (b, a)");
    different(
        "CREATE TABLE t (a DEFAULT 'Main')",
        "CREATE TABLE t (a DEFAULT 'main')",
    );
    different(
        "CREATE TABLE t (a DEFAULT \"Main\")",
        "CREATE TABLE t (a DEFAULT main)",
    );
    different(
        "CREATE TABLE t (a DEFAULT \"true\")",
        "CREATE TABLE t (a DEFAULT true)",
    );
    different(
        "CREATE TABLE t (a CHECK (a <> \"X\"))",
        "CREATE TABLE t (a CHECK (a <> \"x\"))",
    );
    different(
        "CREATE TABLE t (a CHECK (a <> \"x\"), x)",
        "CREATE TABLE t (a CHECK (a <> \"z\"), x)",
    );
    different("CREATE TABLE t (a \"big\" int)", "CREATE TABLE t (a big int)");
    // SQLite takes only the first and the last character of the type for brackets.
    different("CREATE TABLE t (a [big] int)", "CREATE TABLE t (a \"big\" int)");
    same("CREATE TABLE t (a [big])", "CREATE TABLE t (a \"big\")");
    different("CREATE TABLE t (a) STRICT", "CREATE TABLE t (a)");
    different("CREATE UNIQUE INDEX i ON t (a)", "CREATE INDEX i ON t (a)");
    different(
        "CREATE VIEW v AS SELECT a FROM t WHERE b = \"X\"",
        "CREATE VIEW v AS SELECT a FROM t WHERE b = \"x\"",
    );
    different(
        "CREATE VIEW v AS SELECT * FROM a \"left\" JOIN b",
        "CREATE VIEW v AS SELECT * FROM a left JOIN b",
    );
    different(
        "CREATE VIRTUAL TABLE f USING fts5(A)",
        "CREATE VIRTUAL TABLE f USING fts5(a)",
    );
    different(
        "CREATE TABLE t (a DEFAULT current_date)",
        "CREATE TABLE t (a DEFAULT \"current_date\")",
    );
}

#[test]
fn the_normal_form_is_readable_sql() {
    insta::assert_snapshot!(
        normalise(
            r#"CREATE TABLE IF NOT EXISTS "Group" (id INTEGER PRIMARY KEY AUTOINCREMENT, n VARCHAR (10) DEFAULT - 1.5E3,
               s TEXT DEFAULT "it's" CHECK(s in("A", 'b') AND length(s)>=-1), FOREIGN KEY(n) REFERENCES "o" (x)
               ON DELETE CASCADE) WITHOUT ROWID;"#
        ),
        @r#"create table "group"(id integer primary key autoincrement, n varchar(10) default -1.5e3, s text default 'it''s' check (s in ("A", 'b') and length(s) >= -1), foreign key (n) references o(x) on delete cascade) without rowid"#
    );
    insta::assert_snapshot!(
        normalise("CREATE TRIGGER g INSTEAD OF INSERT ON v WHEN new.a->>'$.x' IS NOT NULL BEGIN INSERT INTO t VALUES (new.*, - 1, 2 - 1, count( * )); END"),
        @"create trigger g instead of insert on v when new.a ->> '$.x' is not null begin insert into t values (new.*, -1, 2 - 1, count(*)); end"
    );
}

#[test]
fn what_is_no_sql_stays_as_it_is() {
    for text in ["", "CREATE TABLE t ('open", "\u{a0}\0 x"] {
        assert_eq!(normalise(text), text);
    }
}
