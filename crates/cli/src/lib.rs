//! The `bridge-migrate` command.
//!
//! It knows arguments, streams, rendering for people and for scripts, progress bars and exit codes. It must
//! never know SQL or pragmas: what happens to a database is the engine's. Its rooms stand in this order, each on those
//! before it:
//!
//! 1. `exit_code`: the table from what happened to an exit code
//! 2. `hint`: the command to type next, as a shell takes it
//! 3. `text`: how names, numbers, times and tables look, and that none of them moves a cursor
//! 4. `options`: the options of every command: flags, environment, file; a database that a URL names
//! 5. `output`: the streams: an answer for people or as JSON, a failure, what is said beside them
//! 6. `progress`: what happens while the engine works, as lines and bars
//! 7. `report`: a rehearsal's page
//! 8. `render`: what each command answers: its keys, its text
//! 9. `context`: the engine's settings and the streams together
//! 10. `commands`: one file for each: its arguments, the call of the engine, the answer
//! 11. `program`: from arguments to an exit code

mod commands;
mod context;
mod exit_code;
mod hint;
mod options;
mod output;
mod program;
mod progress;
mod render;
mod report;
mod text;

pub use options::config_file;
pub use program::run;
