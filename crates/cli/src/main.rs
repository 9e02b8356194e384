//! The `bridge-migrate` command.

fn main() {}
