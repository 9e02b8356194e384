//! One object of a schema: a table, an index, a view or a trigger.

use std::{fmt, sync::OnceLock};

use serde::Serialize;

use super::normalise::normalise;

/// What an object of the schema is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// A table, ordinary or virtual.
    Table,
    /// An index that a CREATE INDEX made.
    Index,
    /// A view.
    View,
    /// A trigger.
    Trigger,
}

impl ObjectKind {
    /// The kind that the column `type` of `sqlite_schema` names.
    pub(crate) fn from_schema_type(name: &str) -> Option<Self> {
        match name {
            "table" => Some(Self::Table),
            "index" => Some(Self::Index),
            "view" => Some(Self::View),
            "trigger" => Some(Self::Trigger),
            _ => None,
        }
    }

    /// The word for the kind, as SQL and `sqlite_schema` write it, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Index => "index",
            Self::View => "view",
            Self::Trigger => "trigger",
        }
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// One object of a schema.
#[derive(Clone, Debug)]
pub struct Object {
    /// What the object is.
    pub kind: ObjectKind,
    /// Its name, as stored.
    pub name: String,
    /// The table or view that it belongs to; its own name for a table or view.
    pub table: String,
    /// The statement that creates it, as stored.
    pub sql: String,
    /// What [`Object::normal`] made of it, when somebody asked.
    pub normal: OnceLock<String>,
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            kind,
            name,
            table,
            sql,
            normal: _,
        } = self;
        (*kind, name, table, sql) == (other.kind, &other.name, &other.table, &other.sql)
    }
}

impl Eq for Object {}

impl Object {
    /// An object whose `sql` nobody has looked at yet.
    pub(crate) fn new(
        kind: ObjectKind,
        name: impl Into<String>,
        table: impl Into<String>,
        sql: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            name: name.into(),
            table: table.into(),
            sql: sql.into(),
            normal: OnceLock::new(),
        }
    }

    /// The normal form of `sql`: see [`normalise`]. Made when it is first asked for, since most objects are compared as
    /// they are stored.
    pub fn normal(&self) -> &str {
        self.normal.get_or_init(|| normalise(&self.sql))
    }

    /// Whether `name` names this object: SQLite's names differ in more than the case of ASCII letters.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}
