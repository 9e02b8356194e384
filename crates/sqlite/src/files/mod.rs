//! Files beside the database, and the database as a file.

pub(crate) mod database_file;
pub(crate) mod json_file;
pub(crate) mod kernel_locks;
pub(crate) mod lock;
pub(crate) mod private_folder;
pub(crate) mod raw_file;
