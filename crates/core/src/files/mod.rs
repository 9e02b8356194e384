//! Files: whole, regular, digested, and the room that is left for them.

pub mod beside;
pub mod digest;
pub mod disk;
pub mod regular_file;
pub mod whole_file;
