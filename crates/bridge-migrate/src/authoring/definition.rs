//! What the author of a migration says of it.

use bridge_migrate_core::{
    DataStep, Error, ErrorKind, Hint, Import, Migration, Phase, Release, Result, RowChange, RowChangeKind,
};

use super::schema::Schema;

/// A migration without what its file says of it: number, name, summary, rollback note.
#[derive(Debug)]
pub struct Definition {
    release: String,
    phase: Phase,
    up: Schema,
    down: Schema,
    data: Option<DataStep>,
    import: Option<Box<dyn Import>>,
    row_changes: Vec<RowChange>,
    retires: Option<String>,
}

impl Definition {
    /// A migration of a release (`1.1.0`). The build script reads the release from the source text, so it
    /// must be written out here.
    #[must_use]
    pub fn new(release: &str, phase: Phase) -> Self {
        Self {
            release: release.to_owned(),
            phase,
            up: Schema::default(),
            down: Schema::default(),
            data: None,
            import: None,
            row_changes: Vec::new(),
            retires: None,
        }
    }

    /// The schema changes.
    #[must_use]
    pub fn up(mut self, build: impl FnOnce(&mut Schema)) -> Self {
        build(&mut self.up);
        self
    }

    /// How the schema changes are taken back.
    #[must_use]
    pub fn down(mut self, build: impl FnOnce(&mut Schema)) -> Self {
        build(&mut self.down);
        self
    }

    /// A change of rows in batches, instead of schema changes.
    #[must_use]
    pub fn data(mut self, step: impl Into<DataStep>) -> Self {
        self.data = Some(step.into());
        self
    }

    /// Rows that come from the companion file, in the transaction of the schema changes. Say with
    /// [`Self::adds_rows_to`] which tables they go to.
    #[must_use]
    pub fn import(mut self, import: impl Import + 'static) -> Self {
        self.import = Some(Box::new(import));
        self
    }

    /// Declares that a table may have more rows afterwards.
    #[must_use]
    pub fn adds_rows_to(self, table: &str) -> Self {
        self.changes_rows(table, RowChangeKind::Adds)
    }

    /// Declares that a table may have fewer rows afterwards.
    #[must_use]
    pub fn removes_rows_from(self, table: &str) -> Self {
        self.changes_rows(table, RowChangeKind::Removes)
    }

    /// Says which release's servers no longer work once it is applied, and those of all releases before it.
    /// A contract migration must say so, and no other may.
    #[must_use]
    pub fn retires(mut self, release: &str) -> Self {
        self.retires = Some(release.to_owned());
        self
    }

    fn changes_rows(mut self, table: &str, kind: RowChangeKind) -> Self {
        self.row_changes.push(RowChange {
            table: table.to_owned(),
            kind,
        });
        self
    }

    /// Joins it with what its file says.
    ///
    /// # Errors
    /// [`ErrorKind::CatalogInvalid`] when the release is none, a column cannot be in SQLite, a change has no
    /// way back, or rows are imported into a table that does not declare them.
    pub fn build(self, version: u32, name: &str, summary: &str, rollback: &str) -> Result<Migration> {
        let invalid = |why: String| {
            Error::new(
                ErrorKind::CatalogInvalid,
                format!("migration V{version:03}__{name}: {why}"),
            )
            .with_hint(Hint::CheckMigrations)
        };
        let release = Release::parse(&self.release).map_err(|source| invalid(source.to_string()))?;
        let mut problems = self.up.problems();
        problems.append(&mut self.down.problems());
        let retires = self
            .retires
            .as_deref()
            .map(Release::parse)
            .transpose()
            .map_err(|source| invalid(source.to_string()))?;
        let (up, down) = (self.up.sql(), self.down.sql());
        if up.is_empty() != down.is_empty() {
            problems.push("it needs both an `up` and a `down`".to_owned());
        }
        if self.import.is_some() && (self.up.rebuilds() || self.down.rebuilds()) {
            problems.push("it imports rows and rebuilds a table: these are two migrations".to_owned());
        }
        for table in self.import.iter().flat_map(|import| import.tables()) {
            let table = table.name;
            let adds = |change: &RowChange| change.table == table && change.kind == RowChangeKind::Adds;
            if !self.row_changes.iter().any(adds) {
                problems.push(format!(
                    "it imports into {table} without adds_rows_to(\"{table}\")"
                ));
            }
        }
        if !problems.is_empty() {
            return Err(invalid(problems.join("; ")));
        }
        Ok(Migration {
            phase: self.phase,
            data: self.data,
            import: self.import,
            row_changes: self.row_changes,
            retires,
            ..Migration::new(version, name, release)
                .summary(summary)
                .rollback(rollback)
                .up(up)
                .down(down)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authoring::text;
    use crate::tokens::TokenImport;

    fn refusal(definition: Definition) -> String {
        let error = definition.build(7, "try_it", "", "").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CatalogInvalid);
        error.to_string()
    }

    #[test]
    fn mistakes_name_the_migration() {
        insta::assert_snapshot!(
            refusal(Definition::new("1.1", Phase::Expand).up(|m| m.drop_table("t")).down(|m| m.drop_table("t"))),
            @"migration V007__try_it: `1.1` is not a release: write three numbers without leading zeros, as in `1.1.0`"
        );
        insta::assert_snapshot!(
            refusal(Definition::new("1.1.0", Phase::Expand).up(|m| m.create_table("t", |t| t.add_column("a", text())))),
            @"migration V007__try_it: it needs both an `up` and a `down`"
        );
        insta::assert_snapshot!(
            refusal(Definition::new("1.1.0", Phase::Expand).up(|m| {
                m.rebuild_table("t", |t| {
                    t.add_column("a", text());
                    t.add_sql_column("n", "AS (length(a))");
                    t.fill("n", "1");
                    t.fill("b", "1");
                    t.fill("a", "1");
                    t.from("A", "b");
                });
                m.rebuild_table("u", |t| {
                    t.add_column("a", text());
                    t.fill("a", "(SELECT max(a) FROM u)");
                });
                m.rebuild_table("v", |t| t.add_column("a", text()));
                m.drop_table("w");
            }).down(|m| m.drop_table("v"))),
            @"migration V007__try_it: rebuild_table of t: column a is given two values; rebuild_table of t: it gives a value to n, which is no column of the new table that can have one; rebuild_table of t: it gives a value to b, which is no column of the new table that can have one; rebuild_table of u: the value of column a reads other rows than its own; rebuild_table of v must be alone in its direction: put other changes into a migration of their own"
        );
        insta::assert_snapshot!(
            refusal(Definition::new("1.1.0", Phase::Expand).import(TokenImport).adds_rows_to("auth_tokens")),
            @r#"migration V007__try_it: it imports into revoked_tokens without adds_rows_to("revoked_tokens")"#
        );
    }
}
