//! How large numbers and how long names may be.

/// The largest number a migration can have.
///
/// The history keeps numbers as 32-bit integers; seven digits stay clear of that bound and of dates.
pub const MAX_VERSION: u32 = 9_999_999;

/// The longest name, in characters: it fits a line of code and a row of a table on a terminal, and stays far
/// below any file system's limit.
pub const MAX_NAME_LENGTH: usize = 64;
