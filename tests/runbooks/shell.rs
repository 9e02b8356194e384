//! Runs a line as an operator types it, and takes out of what it says what differs from run to run.

use std::process::{Command, Stdio};

use support::catalog::as_at_1_2_0;
use support::redaction::redact;
use support::{TestDatabase, command};

/// The day of the rows that pages show.
const OF_ROWS: &str = "2026-02-22";
/// Breaks the shape of a time.
const MARK: &str = "\u{1}";

/// Runs `line` in the folder above `data/`, after a command that ended with `last`. Gives both streams in their order,
/// and the exit code.
pub(crate) fn run(database: &TestDatabase, line: &str, last: i32, process: Option<u32>) -> (String, i32) {
    let line = match process {
        Some(process) => line.replace("[PID]", &process.to_string()),
        None => line.to_owned(),
    };
    let mut path = command::binary().parent().unwrap().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("exec 2>&1\n(exit {last})\n{line}"))
        .current_dir(database.root())
        .env("PATH", path)
        .env("TZ", "UTC")
        .stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("BRIDGE_")
            || ["DATABASE_PATH", "NO_COLOR", "CLICOLOR_FORCE"].contains(&text.as_ref())
        {
            shell.env_remove(&name);
        }
    }
    let output = shell.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let code = output.status.code().unwrap_or(-1);
    (plain(database, &text, process), code)
}

fn plain(database: &TestDatabase, text: &str, process: Option<u32>) -> String {
    let root = format!("{}/", database.root().display());
    let mut literals = vec![(root, String::new())];
    if let Some(process) = process {
        for before in ["process ", "ps -fp "] {
            literals.push((format!("{before}{process}"), format!("{before}[PID]")));
        }
    }
    if let Ok(host) = std::fs::read_to_string("/proc/sys/kernel/hostname") {
        literals.push((format!(" on {} ", host.trim()), " on [HOST] ".to_owned()));
    }
    // The times of the rows that a page is about are always the same.
    literals.push((OF_ROWS.to_owned(), format!("{OF_ROWS}{MARK}")));
    let text = as_at_1_2_0(&redact(text, &literals).replace(MARK, ""));
    // Two backups within a second.
    let text = (2..10).fold(text, |text, number| {
        text.replace(&format!("[STAMP]_{number}"), "[STAMP]")
    });
    let mut lines: Vec<String> = text.lines().map(stable).collect();
    for first in 0..lines.len() {
        if is_heading(&lines[first]) {
            let rows = lines[first..]
                .iter()
                .take_while(|line| line.contains("  "))
                .count();
            align(&mut lines[first..first + rows]);
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

/// The first line of a table.
fn is_heading(line: &str) -> bool {
    line.contains("  ") && line.chars().all(|c| c.is_ascii_uppercase() || c == ' ')
}

/// Gives a table the widths of what stands in it now, if anything in it was taken out.
fn align(table: &mut [String]) {
    if !table.iter().any(|line| line.contains("[")) {
        return;
    }
    let cells: Vec<Vec<String>> = table
        .iter()
        .map(|line| {
            let cells = line
                .trim()
                .split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty());
            cells.map(str::to_owned).collect()
        })
        .collect();
    let columns = cells.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            cells
                .iter()
                .filter_map(|row| row.get(column))
                .map(String::len)
                .max()
        })
        .map(Option::unwrap_or_default)
        .collect();
    for (line, row) in table.iter_mut().zip(&cells) {
        let padded = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        *line = padded.collect::<Vec<_>>().join("  ").trim_end().to_owned();
    }
}

/// Names of runs, sizes and the blanks around durations.
fn stable(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    let mut words: Vec<String> = Vec::new();
    for part in line.trim_start().split(' ') {
        let bare = part.trim_matches(|c: char| !c.is_alphanumeric());
        let is_run = bare.len() == 8
            && bare
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if is_run {
            words.push(part.replace(bare, "[RUN]"));
        } else if matches!(bare, "B" | "KiB" | "MiB" | "GiB" | "TiB")
            && words.last().is_some_and(|last| last.parse::<f64>().is_ok())
        {
            words.pop();
            words.push(part.replace(bare, "[SIZE]"));
        } else {
            words.push(part.to_owned());
        }
    }
    let mut text = words.join(" ");
    // Tables are as wide as what they hold.
    for stands_for in [
        "[DURATION]",
        "[SIZE]",
        "[TIME]",
        "[RUN]",
        "[STAMP]",
        "[HOST]",
        "[PID]",
    ] {
        for (wide, narrow) in [
            (format!("   {stands_for}"), format!("  {stands_for}")),
            (format!("{stands_for}   "), format!("{stands_for}  ")),
        ] {
            while text.contains(&wide) {
                text = text.replace(&wide, &narrow);
            }
        }
    }
    format!("{}{}", " ".repeat(indent), text.trim_end())
}
