//! The grammar of migration file names, releases and phases.
