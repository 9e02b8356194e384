//! Runs a query as any program would that knows nothing of migrations: `query DATABASE SQL`.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it plays a program of somebody else's, for people"
)]

use std::env;
use std::error::Error;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let (Some(database), Some(sql)) = (arguments.next(), arguments.next()) else {
        return Err("usage: query DATABASE SQL".into());
    };
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = connection.prepare(&sql.to_string_lossy())?;
    let width = statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let mut values = Vec::new();
        for index in 0..width {
            values.push(match row.get(index)? {
                Value::Null => "NULL".to_owned(),
                Value::Integer(number) => number.to_string(),
                Value::Real(number) => number.to_string(),
                Value::Text(text) => text,
                Value::Blob(bytes) => format!("{} bytes", bytes.len()),
            });
        }
        println!("{}", values.join("|"));
    }
    Ok(())
}
