//! All objects of a database's schema at one moment.

use std::collections::HashMap;

use rusqlite::{Connection, types::ValueRef};

use super::object::{Object, ObjectKind};

/// The objects of the schema `main`, in a stable order: by kind, then by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    objects: Vec<Object>,
}

impl Snapshot {
    /// Reads the objects of `main`, with one statement over `sqlite_schema`.
    ///
    /// SQLite's own objects (`sqlite_…`) are left out, and so are indexes that a UNIQUE or PRIMARY KEY made, which
    /// have no statement. Bytes that are no UTF-8 appear as U+FFFD.
    ///
    /// # Errors
    /// When the schema cannot be read: the file is no database, is damaged, or is locked for too long.
    pub fn read(connection: &Connection) -> Result<Self, rusqlite::Error> {
        Self::read_again(connection, &Self::default(), |_| true)
    }

    /// Like [`Snapshot::read`], but only the objects that are `wanted`, and at the cost of what differs
    /// from `before`: most of the work is to normalise what an object's statement says.
    ///
    /// # Errors
    /// As [`Snapshot::read`].
    pub(crate) fn read_again(
        connection: &Connection,
        before: &Self,
        wanted: impl Fn(&Object) -> bool,
    ) -> Result<Self, rusqlite::Error> {
        let known: HashMap<(ObjectKind, &str), &Object> = before
            .iter()
            .map(|object| ((object.kind, object.name.as_str()), object))
            .collect();
        let mut statement = connection.prepare_cached(
            r"SELECT type, name, tbl_name, sql FROM main.sqlite_schema
              WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\_%' ESCAPE '\'",
        )?;
        let mut rows = statement.query([])?;
        let mut objects = Vec::new();
        while let Some(row) = rows.next()? {
            if let Some(kind) = ObjectKind::from_schema_type(&text(row.get_ref(0)?)) {
                let [name, table, sql] = [
                    text(row.get_ref(1)?),
                    text(row.get_ref(2)?),
                    text(row.get_ref(3)?),
                ];
                let same = known
                    .get(&(kind, name.as_str()))
                    .filter(|object| object.sql == sql && object.table == table);
                let object = match same {
                    Some(object) => Object::clone(object),
                    None => Object::new(kind, name, table, sql),
                };
                if wanted(&object) {
                    objects.push(object);
                }
            }
        }
        Ok(Self::from_iter(objects))
    }

    /// The objects, by kind, then by name.
    pub fn iter(&self) -> std::slice::Iter<'_, Object> {
        self.objects.iter()
    }

    /// The objects of one kind, by name.
    pub fn of_kind(&self, kind: ObjectKind) -> impl Iterator<Item = &Object> {
        self.objects.iter().filter(move |object| object.kind == kind)
    }

    /// The object of that kind and name; the case of ASCII letters in the name does not matter.
    pub fn get(&self, kind: ObjectKind, name: &str) -> Option<&Object> {
        let wanted = (kind, name.to_ascii_lowercase());
        let place = self
            .objects
            .partition_point(|object| (object.kind, object.name.to_ascii_lowercase()) < wanted);
        let object = self.objects.get(place)?;
        (object.kind == kind && object.is_named(name)).then_some(object)
    }

    /// The same schema without the objects for which `leave_out` is true.
    pub(crate) fn without(&self, mut leave_out: impl FnMut(&Object) -> bool) -> Self {
        Self {
            objects: self
                .objects
                .iter()
                .filter(|object| !leave_out(object))
                .cloned()
                .collect(),
        }
    }

    /// How many objects there are.
    pub(crate) fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is no object, as in a new database.
    pub(crate) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}

impl FromIterator<Object> for Snapshot {
    fn from_iter<I: IntoIterator<Item = Object>>(objects: I) -> Self {
        let mut objects: Vec<_> = objects.into_iter().collect();
        // By folded name first, so that schemas that differ only in the case of names come in the same order.
        objects.sort_by_cached_key(|object| {
            (object.kind, object.name.to_ascii_lowercase(), object.name.clone())
        });
        Self { objects }
    }
}

impl<'a> IntoIterator for &'a Snapshot {
    type Item = &'a Object;
    type IntoIter = std::slice::Iter<'a, Object>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The text of a column of `sqlite_schema`, in which `writable_schema` can leave a value of any type.
fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
    }
}
