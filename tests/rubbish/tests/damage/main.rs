//! Damaged databases: pages lost, exchanged or bent, files cut off. Every command answers in time, with a result or an
//! error that says so, and makes nothing worse.

mod backups;
mod commands;
mod damage;
mod look;
mod program;
mod proving;
mod reading;
mod writing;
