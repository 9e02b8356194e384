//! The fingerprint of a schema: equal for equal normal forms, whatever the order in which objects were made.

use std::fmt;

use bridge_migrate_core::digest::hex;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::snapshot::Snapshot;

/// SHA-256 over the normal forms of a schema's objects in the order of their bytes, each after its length in bytes
/// as a little-endian 64-bit number. It is stored in databases: a change of the recipe or of the normal form
/// needs a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of `snapshot`.
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut normals: Vec<_> = snapshot.iter().map(|object| object.normal()).collect();
        normals.sort_unstable();
        let mut hasher = Sha256::new();
        for normal in normals {
            hasher.update((normal.len() as u64).to_le_bytes());
            hasher.update(normal);
        }
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for Fingerprint {
    /// All 64 hexadecimal digits, in lower case.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&hex(&self.0))
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Object, ObjectKind};

    fn table(name: &str, sql: &str) -> Object {
        Object::new(ObjectKind::Table, name, name, sql)
    }

    #[test]
    fn the_recipe_stays() {
        // printf '\x15\0\0\0\0\0\0\0create table a(x int)' | sha256sum
        let one = Fingerprint::of(&Snapshot::from_iter([table("a", "CREATE TABLE a (x INT)")]));
        insta::assert_snapshot!(one, @"7439254654b742db946add181fdb2b8994c329f3daf154bac0c9f065ad37ffe0");
    }

    #[test]
    fn order_and_spelling_do_not_matter_but_content_does() {
        let of = |objects: Vec<Object>| Fingerprint::of(&Snapshot::from_iter(objects));
        let both = of(vec![
            table("a", "CREATE TABLE a (x)"),
            table("b", "CREATE TABLE b (x)"),
        ]);
        let spelt = of(vec![
            table("B", "create table [B]( \"X\" )"),
            table("A", "create table A(x);"),
        ]);
        assert_eq!(both, spelt);
        assert_ne!(both, of(vec![table("a", "CREATE TABLE a (x)")]));
        assert_ne!(
            both,
            of(vec![
                table("a", "CREATE TABLE a (x)"),
                table("b", "CREATE TABLE b (x, y)")
            ])
        );
        assert_ne!(both, of(vec![]));
    }
}
