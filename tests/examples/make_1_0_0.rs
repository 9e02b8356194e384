//! Makes a database as a server of 1.0.0 leaves it, with its token file: `make_1_0_0 FOLDER MESSAGES`.
#![allow(clippy::print_stdout, reason = "it is a program for people")]

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use support::{Population, database, schema_1_0_0, tokens};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let (Some(folder), Some(messages)) = (arguments.next(), arguments.next()) else {
        return Err("usage: make_1_0_0 FOLDER MESSAGES".into());
    };
    let folder = PathBuf::from(folder);
    let messages: u64 = messages.to_string_lossy().parse()?;
    fs::create_dir_all(&folder)?;
    let path = folder.join("collab.db");
    if path.exists() {
        return Err(format!("{} is there already", path.display()).into());
    }
    let connection = database::connect(&path)?;
    for sql in schema_1_0_0::start_up() {
        connection.execute_batch(sql)?;
    }
    let population = Population::of_messages(messages);
    population.write(&connection)?;
    fs::write(
        folder.join("tokens.json"),
        tokens::tokens_json(population.seed, 40),
    )?;
    println!(
        "{} messages in {} rooms, 40 tokens",
        population.messages, population.rooms
    );
    Ok(())
}
