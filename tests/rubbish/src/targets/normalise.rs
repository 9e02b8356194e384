//! The normal form of a schema: stable, read by SQLite as the original is, and never the same for two schemas that
//! SQLite tells apart.

use bridge_migrate_sqlite::identifier;
use bridge_migrate_sqlite::schema::token::{TokenKind, tokenize};
use bridge_migrate_sqlite::schema::{
    Fingerprint, ObjectKind, Snapshot, TableDefinition, diff, normalise as normal_form,
};
use rusqlite::Connection;
use rusqlite::types::ValueRef;

/// What gives normal forms.
#[derive(Debug, Clone, Copy)]
pub struct Forms {
    /// The normal form of a statement.
    pub normal_form: fn(&str) -> String,
    /// A schema, with the normal forms of its statements.
    pub snapshot: fn(&Connection) -> rusqlite::Result<Snapshot>,
}

/// The product's.
pub const OURS: Forms = Forms {
    normal_form,
    snapshot: Snapshot::read,
};

/// Takes the parts between lines of `==` for the statements of one schema each.
///
/// # Panics
/// As [`check`].
pub fn normalise(data: &[u8]) {
    check(&OURS, data);
}

/// The same with those normal forms.
///
/// # Panics
/// When a normal form is not stable, is not read as the original is, or is that of another schema, too.
pub fn check(forms: &Forms, data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let parts: Vec<&str> = text.split("\n==\n").take(4).collect();
    for part in &parts {
        let normal = (forms.normal_form)(part);
        assert_eq!((forms.normal_form)(&normal), normal, "done twice, of {part:?}");
        let _ = TableDefinition::parse(part);
    }
    let schemas: Vec<Schema> = parts.iter().filter_map(|part| Schema::new(forms, part)).collect();
    for (index, schema) in schemas.iter().enumerate() {
        schema.check_own_normal_form(forms);
        for other in &schemas[..index] {
            schema.check_against(other);
        }
    }
}

/// A schema that SQLite accepts.
struct Schema {
    snapshot: Snapshot,
    meaning: Vec<String>,
}

impl Schema {
    fn new(forms: &Forms, sql: &str) -> Option<Self> {
        // Not what writes rows or files, attaches, or runs for ever.
        let creates = |statement: &[_]| {
            let word =
                |index: usize, word: &str| {
                    statement.get(index).is_some_and(
                        |token: &bridge_migrate_sqlite::schema::token::Token<'_>| token.is_word(word),
                    )
                };
            statement.is_empty()
                || (word(0, "create")
                    && !(1..5).any(|index| {
                        word(index, "virtual") || word(index, "temp") || word(index, "temporary")
                    }))
        };
        let tokens = tokenize(sql);
        let is_select = tokens
            .windows(2)
            .any(|pair| pair[0].is_word("as") && !pair[1].is_operator("("));
        if sql.contains('\0') || is_select && !tokens.iter().any(|token| token.is_word("view")) {
            return None;
        }
        // A trigger's body is made of statements that are not run here.
        let has_trigger = tokens.iter().any(|token| token.is_word("trigger"));
        if !has_trigger && !tokens.split(|token| token.is_operator(";")).all(creates) {
            return None;
        }
        if has_trigger && !creates(&tokens) {
            return None;
        }
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(sql).ok()?;
        // SQLite accepts a view of what is not there, and tells when it is read.
        if !views_can_be_read(&connection) {
            return None;
        }
        Some(Self {
            snapshot: (forms.snapshot)(&connection).unwrap(),
            meaning: meaning(&connection),
        })
    }

    fn normals(&self) -> Vec<&str> {
        self.snapshot.iter().map(|object| object.normal()).collect()
    }

    fn check_own_normal_form(&self, forms: &Forms) {
        let connection = Connection::open_in_memory().unwrap();
        for object in &self.snapshot {
            let created = connection.execute_batch(object.normal());
            // In views, triggers and indexes a lower-case text in double quotes becomes a name: of one that is not there.
            if object.kind != ObjectKind::Table && object.sql.contains('"') && created.is_err() {
                return;
            }
            created
                .unwrap_or_else(|error| panic!("no SQL, {error}: {:?} of {:?}", object.normal(), object.sql));
        }
        if !views_can_be_read(&connection) {
            return;
        }
        let again = (forms.snapshot)(&connection).unwrap();
        assert_eq!(
            again.iter().map(|object| object.normal()).collect::<Vec<_>>(),
            self.normals(),
            "the normal form has another"
        );
        assert_eq!(Fingerprint::of(&again), Fingerprint::of(&self.snapshot));
        assert_eq!(
            meaning(&connection),
            self.meaning,
            "the normal form means another schema: {:?}",
            self.normals()
        );
        assert!(diff(&self.snapshot, &again).is_empty());
    }

    fn check_against(&self, other: &Self) {
        let same = self.normals() == other.normals();
        assert_eq!(
            same,
            Fingerprint::of(&self.snapshot) == Fingerprint::of(&other.snapshot)
        );
        assert_eq!(
            same,
            diff(&self.snapshot, &other.snapshot).is_empty(),
            "{:?} {:?}",
            self.normals(),
            other.normals()
        );
        if same {
            assert_eq!(
                self.meaning,
                other.meaning,
                "two schemas have one normal form: {:?}",
                self.normals()
            );
        }
    }
}

fn views_can_be_read(connection: &Connection) -> bool {
    let mut select = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'view'")
        .unwrap();
    let names: Vec<String> = select
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    names.iter().all(|name| {
        connection
            .prepare(&format!("SELECT * FROM {}", identifier(name)))
            .is_ok()
    })
}

/// The columns of [`meaning`]'s answers whose values SQLite keeps as they were written.
const DECLARED_TYPE: &str = "declared_type";
const DEFAULT_VALUE: &str = "default_value";

/// Everything that SQLite's pragmas tell of a schema.
fn meaning(connection: &Connection) -> Vec<String> {
    let mut facts = rows(
        connection,
        "SELECT type, name, ncol, wr, strict FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    );
    let tables = "FROM sqlite_schema AS s, ";
    for sql in [
        format!(
            "SELECT s.name, t.cid, t.name, t.type AS {DECLARED_TYPE}, t.\"notnull\", t.dflt_value AS {DEFAULT_VALUE}, t.pk, t.hidden {tables} pragma_table_xinfo(s.name) AS t WHERE s.type = 'table'"
        ),
        format!(
            "SELECT s.name, f.id, f.seq, f.\"table\", f.\"from\", f.\"to\", f.on_update, f.on_delete {tables} pragma_foreign_key_list(s.name) AS f WHERE s.type = 'table'"
        ),
        format!(
            "SELECT s.name, i.\"unique\", i.origin, i.partial, x.seqno, x.cid, x.name, x.\"desc\", x.coll, x.key {tables} pragma_index_list(s.name) AS i, pragma_index_xinfo(i.name) AS x WHERE s.type = 'table'"
        ),
        "SELECT type, tbl_name FROM sqlite_schema".to_owned(),
    ] {
        facts.extend(rows(connection, &sql));
    }
    facts.sort();
    facts
}

fn rows(connection: &Connection, sql: &str) -> Vec<String> {
    let mut select = connection.prepare(sql).unwrap();
    let columns: Vec<String> = select.column_names().map(str::to_owned).collect();
    let mut rows = select.query([]).unwrap();
    let mut lines = Vec::new();
    // A table whose generated columns contradict each other cannot be looked into.
    while let Ok(Some(row)) = rows.next() {
        let values: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(index, column)| shown(connection, column, row.get_ref(index).unwrap()))
            .collect();
        lines.push(values.join("|"));
    }
    lines
}

/// A value as SQLite means it: the case of names, and the spelling of types and of defaults, do not matter.
fn shown(connection: &Connection, column: &str, value: ValueRef<'_>) -> String {
    let ValueRef::Text(bytes) = value else {
        return format!("{value:?}");
    };
    let text = String::from_utf8_lossy(bytes);
    match column {
        DEFAULT_VALUE => default_value(connection, &text),
        DECLARED_TYPE => declared_type(&text),
        _ => text.to_ascii_lowercase(),
    }
}

/// SQLite keeps the blanks and comments in VARCHAR (10).
fn declared_type(sql: &str) -> String {
    let tokens: Vec<String> = tokenize(sql)
        .iter()
        .map(|token| match token.kind {
            TokenKind::Quoted => identifier(&token.name().unwrap_or_default()),
            _ => token.text.to_owned(),
        })
        .collect();
    tokens.join(" ").to_ascii_lowercase()
}

fn default_value(connection: &Connection, sql: &str) -> String {
    let tokens = tokenize(sql);
    if let [name] = tokens[..]
        && matches!(name.kind, TokenKind::Word | TokenKind::Quoted)
        && ![
            "null",
            "true",
            "false",
            "current_date",
            "current_time",
            "current_timestamp",
        ]
        .iter()
        .any(|word| name.is_word(word))
    {
        // A bare word is a text.
        return format!("text {}", name.name().unwrap());
    }
    let words: Vec<String> = tokens
        .iter()
        .map(|token| token.text.to_ascii_lowercase())
        .collect();
    let is_of_the_moment = tokens.iter().any(|token| {
        let word = token.text.to_ascii_lowercase();
        token.kind == TokenKind::Word
            && ["current_", "random", "date", "time"]
                .iter()
                .any(|part| word.contains(part))
    });
    let value = connection.query_row(&format!("SELECT {sql}"), [], |row| match row.get_ref(0)? {
        ValueRef::Text(text) => Ok(format!("text {}", String::from_utf8_lossy(text))),
        other => Ok(format!("{other:?}")),
    });
    match value {
        Ok(value) if !is_of_the_moment => value,
        _ => words.join(" "),
    }
}
