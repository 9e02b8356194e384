//! The words that migrations are written with: barrel's types, and what barrel lacks for today's SQLite.
//!
//! ```
//! use bridge_migrate::authoring::{Definition, Phase, text};
//!
//! fn migration() -> Definition {
//!     Definition::new("1.1.0", Phase::Expand)
//!         .up(|m| m.change_table("rooms", |t| t.add_column("colour", text().nullable(true).default("it's red"))))
//!         .down(|m| m.change_table("rooms", |t| t.drop_column("colour")))
//! }
//! # migration();
//! ```
//!
//! Columns are NOT NULL unless `.nullable(true)` says otherwise, as in barrel. Only the types that SQLite
//! stores are here: a UUID, a date or JSON is [`text`], a boolean is [`integer`].

mod definition;
mod generator;
mod layout;
mod rebuilt;
mod schema;
mod table;
mod trigger;

pub use barrel::types::{ReferentialAction, binary, double, integer, text};
pub use bridge_migrate_core::Phase;
pub use bridge_migrate_core::TimeZone;
pub use bridge_migrate_core::{ChainRoots, Rewrite, Rewritten};

pub use definition::Definition;
pub use generator::Sqlite;
pub use rebuilt::RebuiltTable;
pub use schema::Schema;
pub use table::{ForeignKey, NewTable, TableChanges};
pub use trigger::Trigger;
