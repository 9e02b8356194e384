//! The things that are read, each with the function that reads it, and with a check that takes another reader, too: the
//! proofs that a check can fail hand it readers with a mistake.

pub mod config;
pub mod contract;
mod edit;
pub mod history;
pub mod lock;
pub mod manifest;
pub mod migration_name;
pub mod normalise;
mod one_line;
pub mod quoting;
pub mod receipt;
pub mod rollback_note;
pub mod run_log;
pub mod script;
pub mod target;
pub mod timestamp;
pub mod tokens;

pub use config::config;
pub use contract::contract;
pub use history::history;
pub use lock::lock;
pub use manifest::manifest;
pub use migration_name::migration_name;
pub use normalise::normalise;
pub use quoting::quoting;
pub use receipt::receipt;
pub use rollback_note::rollback_note;
pub use run_log::run_log;
pub use script::script;
pub use target::target;
pub use timestamp::timestamp;
pub use tokens::tokens;

/// A thing that is read.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name of its fuzz target and of the folder of its seeds.
    pub name: &'static str,
    /// Reads bytes as that thing, and panics when a property does not hold.
    pub run: fn(&[u8]),
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        /// All of them.
        pub const TARGETS: &[Target] = &[$(Target { name: stringify!($name), run: $name }),*];
    };
}

targets![
    config,
    contract,
    history,
    lock,
    manifest,
    migration_name,
    normalise,
    quoting,
    receipt,
    rollback_note,
    run_log,
    script,
    target,
    timestamp,
    tokens,
];
