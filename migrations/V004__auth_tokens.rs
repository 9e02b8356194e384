//! Creates the tables of authentication tokens, and fills them from the token file.
//!
//! # Why
//! The token file is rewritten as a whole at each change, and holds the tokens themselves. The tables hold
//! the SHA-256 of each token, in hexadecimal, which is enough to recognise one and useless to whoever reads
//! it. Servers look a token up by its hash, the primary key; there are too few tokens for another index to
//! be worth its upkeep. A revoked token need not be in `auth_tokens`, so no foreign key joins the two.
//!
//! The file stays as it is, so that old servers go on; `tokens import` adds what came since.
//!
//! # Rollback
//! Drops both tables. The token file still has the tokens that were imported; tokens that a server issued or
//! revoked only in the database since are lost, and their clients must sign in again.

use crate::authoring::{Definition, Phase, text};
use crate::tokens::TokenImport;

pub(crate) fn migration() -> Definition {
    Definition::new("1.1.0", Phase::Expand)
        .up(|m| {
            m.create_table("auth_tokens", |t| {
                t.add_column("token_hash", text().primary(true));
                t.add_column("client_id", text());
                t.add_column("created_at", text().nullable(true));
                t.add_column("expires_at", text().nullable(true));
            });
            m.create_table("revoked_tokens", |t| {
                t.add_column("token_hash", text().primary(true));
                t.add_column("revoked_at", text());
            });
        })
        .down(|m| {
            m.drop_table("revoked_tokens");
            m.drop_table("auth_tokens");
        })
        .import(TokenImport)
        .adds_rows_to("auth_tokens")
        .adds_rows_to("revoked_tokens")
}
