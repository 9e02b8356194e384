//! Runs a script from standard input on one connection, with the SQLite that the program carries: `bare DATABASE`.
//! It is the floor of the benchmarks: the same statements with nothing around them.

use std::error::Error;
use std::io::Read as _;
use std::path::Path;
use std::{env, io};

use support::database;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(path) = env::args_os().nth(1) else {
        return Err("usage: bare DATABASE <SCRIPT".into());
    };
    let mut script = String::new();
    io::stdin().read_to_string(&mut script)?;
    database::connect(Path::new(&path))?.execute_batch(&script)?;
    Ok(())
}
