//! `cargo xtask bench`: each command against its floor, in the same run and in turn, as ratios.

mod cases;
mod crowd;
mod document;
mod floor;
mod guard;
mod lab;
mod machine;
mod measure;
mod outcome;
mod race;
mod statistics;
mod table;

use std::{io::Write as _, path::PathBuf, process::ExitCode, time::Instant};

use clap::{Parser, ValueEnum};
use xtask::{Report, error::Error, project::Project};

use cases::Bench;
use lab::Lab;
use outcome::Outcome;

/// The sizes that are tried unless told otherwise.
const SIZES: [u64; 2] = [10_000, 1_000_000];
/// What `--large` adds.
const LARGE: u64 = 5_000_000;
/// From this many messages on, half of the rounds are enough: a run takes long, and its noise is small beside it. Of
/// [`LARGE`] one is enough.
const MANY: u64 = 500_000;

/// Measures each command against its floor, in the same run, and prints a table.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Options {
    /// Sizes of the database, in messages [default: 10000,1000000]
    #[arg(long, value_delimiter = ',', num_args = 1.., value_parser = clap::value_parser!(u64).range(1..))]
    messages: Vec<u64>,
    /// Also a database of 5,000,000 messages, each case once, and without the writers unless they are asked for
    #[arg(long)]
    large: bool,
    /// Only these cases [default: all]
    #[arg(long, value_enum, value_delimiter = ',', num_args = 1..)]
    cases: Vec<Case>,
    /// How many times each runs, in turn; half as often from 500000 messages on, once from 5000000 on
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Put the tables into this file, as docs/benchmarks.md
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Count the instructions of start-up and of a migration of 10000 messages, and fail when there are too many
    #[arg(long, conflicts_with_all = ["messages", "large", "cases", "rounds", "json", "write"])]
    guard: bool,
}

/// A group of measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Case {
    /// `status`, and `migrate` with nothing to do
    StartUp,
    /// A fresh database
    Fresh,
    /// 1.0.0 to the newest release
    Migrate,
    /// V005 alone
    Timestamps,
    /// 1.1.0 → latest: threads
    Threads,
    /// `backup create`
    Backup,
    /// `restore`
    Restore,
    /// `adopt`
    Adopt,
    /// `rollback` to 1.0.0
    Rollback,
    /// `undo` of all that V005 changed
    Undo,
    /// Many processes at once on a fresh database
    Crowd,
    /// What a running server's users wait meanwhile
    Writers,
}

impl Case {
    /// Whether the size of the database means nothing to it.
    fn has_no_size(self) -> bool {
        matches!(self, Self::Fresh | Self::Crowd)
    }

    fn run(self, mut bench: Bench<'_>) -> Result<(), Error> {
        match self {
            Self::StartUp => bench.start_up(),
            Self::Fresh => bench.fresh(),
            Self::Migrate => bench.migrate(),
            Self::Timestamps => bench.timestamps(),
            Self::Threads => bench.threads(),
            Self::Backup => bench.backup(),
            Self::Restore => bench.restore(),
            Self::Adopt => bench.adopt(),
            Self::Rollback => bench.rollback(),
            Self::Undo => bench.undo(),
            Self::Crowd => bench.crowd(),
            Self::Writers => bench.writers(),
        }
    }
}

impl Options {
    fn sizes(&self) -> Vec<u64> {
        let mut sizes = match self.messages.as_slice() {
            [] => SIZES.to_vec(),
            asked => asked.to_vec(),
        };
        if self.large {
            sizes.push(LARGE);
        }
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    fn cases(&self, messages: u64) -> Vec<Case> {
        match self.cases.as_slice() {
            // Beside writers a step takes five times as long, and what they wait depends on its batches, not on the size.
            [] if messages >= LARGE => Case::value_variants()
                .iter()
                .copied()
                .filter(|case| *case != Case::Writers)
                .collect(),
            [] => Case::value_variants().to_vec(),
            asked => asked.to_vec(),
        }
    }

    fn rounds(&self, messages: u64) -> usize {
        let rounds = usize::from(self.rounds);
        match messages {
            LARGE.. => 1,
            MANY.. => rounds.div_ceil(2),
            _ => rounds,
        }
    }
}

/// Measures, and says what it found.
///
/// # Errors
/// When the programs do not build, or the data cannot be made. A case that fails is reported beside the others.
fn bench(project: &Project, options: &Options) -> Result<Report, Error> {
    progress("building the programs as they are released");
    let lab = Lab::set_up(project)?;
    if options.guard {
        return guard::guard(&lab);
    }
    let mut outcome = Outcome {
        machine: machine::describe(lab.folder(), &lab.tools),
        ..Outcome::default()
    };
    let sizes = options.sizes();
    for (index, &messages) in sizes.iter().enumerate() {
        for case in options.cases(messages) {
            if index > 0 && case.has_no_size() {
                continue;
            }
            let name = case.to_possible_value().map(|value| value.get_name().to_owned());
            let name = format!("{}, {messages} messages", name.unwrap_or_default());
            progress(&name);
            let started = Instant::now();
            let bench = Bench {
                lab: &lab,
                messages,
                rounds: options.rounds(messages),
                outcome: &mut outcome,
            };
            if let Err(error) = case.run(bench) {
                outcome.failed.push(format!("{name}: {}", error.message()));
            }
            progress(&format!("  {:.1} s", started.elapsed().as_secs_f64()));
            lab.tidy()?;
        }
        lab.forget(messages)?;
    }

    let tables = table::render(&outcome);
    if let Some(path) = &options.write {
        document::write(path, &tables)?;
    }
    let passed = outcome.failed.is_empty();
    let lines = if options.json {
        vec![outcome.json().to_string()]
    } else {
        tables
    };
    Ok(Report { lines, passed })
}

/// On standard error: standard output is for the answer.
fn progress(line: &str) {
    // A reader who closed the pipe has seen enough.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

fn main() -> ExitCode {
    let options = Options::parse();
    let report = Project::find().and_then(|project| bench(&project, &options));
    report.map_or_else(|error| error.print(), |report| report.print())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[&str]) -> Options {
        let line = std::iter::once("bench").chain(arguments.iter().copied());
        Options::try_parse_from(line).unwrap()
    }

    #[test]
    fn everything_is_measured_unless_told() {
        let all = options(&[]);
        assert_eq!(all.sizes(), SIZES);
        assert_eq!(all.cases(1_000_000), Case::value_variants());
        assert!(!all.cases(LARGE).contains(&Case::Writers));
        assert_eq!([10_000, 1_000_000, LARGE].map(|size| all.rounds(size)), [5, 3, 1]);
        let some = options(&[
            "--messages",
            "20",
            "10",
            "20",
            "--large",
            "--cases",
            "migrate,start-up",
        ]);
        assert_eq!(some.sizes(), [10, 20, LARGE]);
        assert_eq!(some.cases(LARGE), [Case::Migrate, Case::StartUp]);
        assert!(Options::try_parse_from(["bench", "--messages", "0"]).is_err());
    }

    #[test]
    fn the_guard_counts_what_it_always_counts() {
        assert!(options(&["--guard"]).guard);
        assert!(Options::try_parse_from(["bench", "--guard", "--messages", "20"]).is_err());
    }
}
