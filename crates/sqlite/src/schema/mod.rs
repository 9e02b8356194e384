//! The schema of a database as a value: read, normalised, fingerprinted and compared.

pub(crate) mod affinity;
pub(crate) mod around;
mod diagram;
mod diff;
mod difference;
pub(crate) mod dropped;
pub(crate) mod effects;
pub mod expected;
mod fingerprint;
mod head;
pub(crate) mod index_definition;
mod keyword;
mod normalise;
mod object;
pub(crate) mod own_values;
pub(crate) mod probe;
mod rebuild;
pub(crate) mod refusal;
mod role;
pub(crate) mod row_number;
pub mod script;
pub(crate) mod since;
mod snapshot;
pub(crate) mod statement;
mod switched;
mod table_definition;
mod table_detail;
pub(crate) mod table_shape;
pub mod token;
pub mod tool_tables;
pub(crate) mod trial;

pub use diagram::mermaid;
pub use diff::diff;
pub use difference::{Difference, render_diff};
pub use fingerprint::Fingerprint;
pub(crate) use keyword::is_constant;
pub use normalise::normalise;
pub use object::{Object, ObjectKind};
pub use snapshot::Snapshot;
pub use table_definition::{ColumnDefinition, TableDefinition};
pub use table_detail::{Column, ForeignKey, ForeignKeyAction, Hidden, TableDetail};

#[cfg(test)]
mod tests;
