//! The migrations of the Bridge.
