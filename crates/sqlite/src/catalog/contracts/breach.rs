//! One way in which a schema does not serve a release.

use naming::Release;

use crate::schema::{ObjectKind, Snapshot, TableDefinition};
use bridge_migrate_core::{Finding, Severity};

/// A statement no longer compiles: a table or column that it names is gone.
pub(crate) const GONE: &str = "BM301";
/// A constraint refuses what the server writes.
pub(crate) const REFUSED: &str = "BM302";
/// A trigger refuses what the server writes.
pub(crate) const TRIGGER: &str = "BM303";
/// A statement changes another number of rows than the server expects.
pub(crate) const OTHER_ROWS: &str = "BM304";
/// A column that the server reads by name is not in what comes back.
pub(crate) const UNREADABLE: &str = "BM305";
/// INSERT OR REPLACE sets a column back that the release does not know.
pub(crate) const RESET: &str = "BM306";
/// Rows of another table disappear.
pub(crate) const LOST: &str = "BM307";

/// One way in which a schema does not serve a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Breach {
    pub(crate) code: &'static str,
    pub(crate) release: Release,
    pub(crate) statement: String,
    pub(crate) message: String,
    /// The table and column that are set back.
    pub(crate) column: Option<(String, String)>,
}

impl Breach {
    /// The migration that has to allow the breach, if it is to be allowed: the one that adds the column.
    /// None when any of those since the release may.
    pub(crate) fn answerable(&self, schemas: &[Snapshot]) -> Option<usize> {
        let (table, column) = self.column.as_ref()?;
        schemas.iter().position(|schema| {
            schema
                .get(ObjectKind::Table, table)
                .and_then(|object| TableDefinition::parse(&object.sql))
                .is_some_and(|definition| definition.column(column).is_some())
        })
    }

    /// What to do instead.
    pub(crate) fn fix(&self) -> String {
        let release = self.release;
        match self.code {
            GONE | UNREADABLE => format!(
                "leave it in place until servers of {release} are gone, and remove it in a contract migration \
                 with `.retires(\"{release}\")`"
            ),
            REFUSED => format!(
                "give the column a default or let it be NULL while servers of {release} run; tighten it in a \
                 contract migration with `.retires(\"{release}\")`"
            ),
            TRIGGER | OTHER_ROWS => {
                format!("write the trigger so that it lets pass what servers of {release} write")
            }
            RESET => "put the column in a table of its own, keyed alike; or allow it, and say what is lost"
                .to_owned(),
            _ => "take the action or the DELETE out, or allow it, and say what is lost".to_owned(),
        }
    }

    /// The breach as a finding about the release.
    pub(crate) fn finding(&self) -> Finding {
        Finding {
            code: self.code,
            severity: Severity::Error,
            subject: format!("servers of {}, {}", self.release, self.statement),
            message: self.message.clone(),
            fix: self.fix(),
        }
    }
}
