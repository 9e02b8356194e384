//! Times processes, and watches how much memory they take.

use std::io::{Read as _, Seek as _};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use xtask::error::Error;

/// How often a long run's memory is read: seldom enough to cost nothing.
const LONG_RUN: Duration = Duration::from_millis(2);
/// How often a short run's memory is read, which is not timed.
const SHORT_RUN: Duration = Duration::from_micros(20);

/// One run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    /// From its start until its end was noticed.
    pub(crate) seconds: f64,
    /// The most memory it had in RAM, in bytes, where the system tells.
    pub(crate) peak: Option<u64>,
}

/// Runs a process that takes long, timed and watched.
///
/// # Errors
/// When it does not start, or fails, with what it said.
pub(crate) fn run(command: &mut Command) -> Result<Sample, Error> {
    watched(command, Some(LONG_RUN))
}

/// Runs a process that takes milliseconds, timed and not watched.
///
/// # Errors
/// As [`run`].
pub(crate) fn time(command: &mut Command) -> Result<Sample, Error> {
    watched(command, None)
}

/// Runs a process that takes milliseconds, watched as closely as can be.
///
/// # Errors
/// As [`run`].
pub(crate) fn peak(command: &mut Command) -> Result<Option<u64>, Error> {
    Ok(watched(command, Some(SHORT_RUN))?.peak)
}

/// Starts all at once, and waits until the last has ended.
///
/// # Errors
/// When one does not start, or not all succeed, with what the first of the others said.
pub(crate) fn crowd(commands: &mut [Command]) -> Result<Sample, Error> {
    let started = Instant::now();
    let mut running = Vec::new();
    for command in commands.iter_mut() {
        let started = start(command);
        let stop = started.is_err();
        running.push(started);
        if stop {
            break;
        }
    }
    let number = commands.len();
    // Every child is waited for, also when one failed.
    let ended: Vec<Result<(), Error>> = running
        .into_iter()
        .zip(commands.iter())
        .map(|(child, command)| child?.end(command))
        .collect();
    let seconds = started.elapsed().as_secs_f64();
    let failed = ended.iter().filter(|end| end.is_err()).count();
    match ended.into_iter().find_map(Result::err) {
        Some(first) => Err(Error::new(format!("{failed} of {number} failed: {first}"))),
        None => Ok(Sample { seconds, peak: None }),
    }
}

fn watched(command: &mut Command, interval: Option<Duration>) -> Result<Sample, Error> {
    let started = Instant::now();
    let running = start(command)?;
    let Some(interval) = interval else {
        running.end(command)?;
        return Ok(Sample {
            seconds: started.elapsed().as_secs_f64(),
            peak: None,
        });
    };
    let id = running.child.id();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut peak = None;
            while !over.load(Ordering::Relaxed) {
                peak = peak.max(high_water_mark(id));
                thread::sleep(interval);
            }
            peak
        });
        let end = running.end(command);
        let seconds = started.elapsed().as_secs_f64();
        over.store(true, Ordering::Relaxed);
        let peak = watcher.join().unwrap_or_default();
        end.map(|()| Sample { seconds, peak })
    })
}

/// A process that runs, with what it says about its failure.
struct Started {
    child: Child,
    errors: fs::File,
}

fn start(command: &mut Command) -> Result<Started, Error> {
    let cannot = |error: std::io::Error| Error::new(format!("cannot run {}: {error}", line(command)));
    // A file and no pipe: nobody needs to read while the clock runs.
    let errors = tempfile::tempfile().map_err(cannot)?;
    let writes = errors.try_clone().map_err(cannot)?;
    command.stdout(Stdio::null()).stderr(writes);
    match command.spawn() {
        Ok(child) => Ok(Started { child, errors }),
        Err(error) => Err(Error::new(format!("cannot run {}: {error}", line(command)))),
    }
}

impl Started {
    fn end(mut self, command: &Command) -> Result<(), Error> {
        let status = self
            .child
            .wait()
            .map_err(|error| Error::new(format!("cannot wait for {}: {error}", line(command))))?;
        if status.success() {
            return Ok(());
        }
        let mut said = String::new();
        // What it said only explains; that it failed is said in any case.
        let _ = self.errors.rewind();
        let _ = self.errors.read_to_string(&mut said);
        Err(Error::new(format!(
            "{} ended with {status}: {}",
            line(command),
            said.trim()
        )))
    }
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    format!("`{}`", words.join(" "))
}

/// The most memory that a process had in RAM so far, in bytes; none where the system does not tell.
fn high_water_mark(id: u32) -> Option<u64> {
    parse_high_water_mark(&fs::read_to_string(format!("/proc/{id}/status")).ok()?)
}

fn parse_high_water_mark(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_the_systems_words() {
        let status = "Name:\tsh\nVmPeak:\t    9999 kB\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(parse_high_water_mark(status), Some(2 << 20));
        // A process that has ended but was not waited for has no memory.
        assert_eq!(parse_high_water_mark("Name:\tsh\nState:\tZ (zombie)\n"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_failure_names_the_command_and_says_what_it_said() {
        let mut command = Command::new("sh");
        let error = run(command.args(["-c", "echo broken >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("sh -c") && text.contains("broken") && text.contains('3'),
            "{text}"
        );
        let commands = ["true", "exit 1", "true"].map(|script| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        });
        let error = crowd(&mut commands.into_iter().collect::<Vec<_>>()).unwrap_err();
        assert!(error.to_string().starts_with("1 of 3 failed"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_long_run_is_timed_and_watched() {
        let sample = run(Command::new("sleep").arg("0.1")).unwrap();
        assert!(sample.seconds >= 0.1, "{sample:?}");
        assert!(sample.peak.is_some_and(|peak| peak > 100_000), "{sample:?}");
    }
}
