//! What of the command can be used without running it: the grammar of its configuration file.

pub mod config_file;
