//! Made to contract.
//!
//! # Why
//! PENDING: what needs this change, and what would go wrong without it.
//!
//! # Rollback
//! PENDING: what going back does, and what it loses.

use crate::authoring::{Definition, Phase, text};

// PENDING: replace this example; `down` undoes all that `up` does.
const TABLE: &str = "example_made_to_contract";

pub(crate) fn migration() -> Definition {
    Definition::new("1.3.0", Phase::Contract)
        // PENDING: the newest release whose servers no longer work once this is applied; all releases
        // before it end too.
        .retires("1.2.0")
        .up(|m| {
            m.create_table(TABLE, |t| {
                t.add_column("id", text().primary(true));
            });
        })
        .down(|m| {
            m.drop_table(TABLE);
        })
}
