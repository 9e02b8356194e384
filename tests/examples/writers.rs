//! Plays the 1.0.0 server until standard input ends, and then says how long its users waited, as one JSON object:
//! `writers DATABASE WRITERS PAUSE_MS`. It says `ready` when the writers write.
#![allow(clippy::print_stdout, reason = "it is a program for benchmarks")]

use std::error::Error;
use std::path::Path;
use std::time::Duration;
use std::{env, io};

use serde_json::json;
use support::Server;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let [path, writers, pause] = arguments.as_slice() else {
        return Err("usage: writers DATABASE WRITERS PAUSE_MS".into());
    };
    let writers: u64 = writers.to_string_lossy().parse()?;
    let pause = Duration::from_millis(pause.to_string_lossy().parse()?);
    let server = Server::start_paced(Path::new(path), writers, pause);
    server.wait_for_calls(writers);
    println!("ready");
    io::copy(&mut io::stdin(), &mut io::sink())?;
    let report = server.stop();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "{}",
        json!({
            "calls": report.writes + report.reads + report.errors.len() as u64,
            "errors": report.errors.len(),
            "first_error": report.errors.first(),
            "p50_ms": milliseconds(report.p50()),
            "p99_ms": milliseconds(report.p99()),
            "max_ms": milliseconds(report.max()),
        })
    );
    Ok(())
}
