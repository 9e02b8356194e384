//! Runs the program and stops it at each call that matters: before it, to decide, and after it, to see the result.
//!
//! One such call runs at a time. The program's other threads wait at theirs, so that what is seen first was first.

#![allow(
    unsafe_code,
    reason = "what a child does before its exec, and a handle on a process"
)]

use std::collections::{HashSet, VecDeque};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::call::{Call, Process};
use super::filter;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is made.
    Pass,
    /// It is not made, and the program is told this result: negative for an error.
    Answer(i64),
    /// The program is killed before it.
    Kill,
}

/// Looks at the calls.
pub trait Watcher {
    /// Before a call.
    fn before(&mut self, call: &Call) -> Verdict;
    /// After a call that was made or answered; `result` is negative for an error.
    fn after(&mut self, process: &Process, call: &Call, result: i64);
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Whether it had to be ended because it took too long.
    pub hung: bool,
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "code {:?}: {} {}",
            self.code,
            self.stdout.trim(),
            self.stderr.trim()
        )
    }
}

/// Why this machine does not let a program be traced.
pub fn refusal() -> Option<String> {
    struct Nobody;
    impl Watcher for Nobody {
        fn before(&mut self, _: &Call) -> Verdict {
            Verdict::Pass
        }
        fn after(&mut self, _: &Process, _: &Call, _: i64) {}
    }
    let mut command = Command::new(support::command::binary());
    command.arg("--version");
    match run(
        command,
        Path::new("/nowhere"),
        Duration::from_secs(60),
        &mut Nobody,
    ) {
        Ok(ending) if ending.code == Some(0) => None,
        Ok(ending) => Some(ending.to_string()),
        Err(error) => Some(error.to_string()),
    }
}

/// Runs `command` and shows `watcher` its calls below `watched`, and what it prints. A run that takes longer than
/// `patience` is killed.
///
/// # Errors
/// When the system refuses to have it traced.
///
/// # Panics
/// When the program cannot be started for another reason.
pub fn run(
    mut command: Command,
    watched: &Path,
    patience: Duration,
    watcher: &mut dyn Watcher,
) -> io::Result<Ending> {
    let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
    command
        .stdin(Stdio::null())
        .stdout(stdout.try_clone()?)
        .stderr(stderr.try_clone()?);
    let program = filter::program();
    // SAFETY: between fork and exec, only system calls are made.
    unsafe {
        command.pre_exec(move || {
            ptrace::traceme()?;
            filter::set(&program)
        });
    }
    let child = command.spawn()?;
    let leader = Pid::from_raw(i32::try_from(child.id()).unwrap());
    // The exec itself stops it, with a trap.
    wait()?;
    let options = Options::PTRACE_O_EXITKILL
        | Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACESECCOMP
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK;
    ptrace::setoptions(leader, options)?;
    let process = Process::open(leader.as_raw())?;
    let dog = Watchdog::start(leader, patience)?;
    ptrace::cont(leader, None)?;

    let mut tracer = Tracer {
        leader,
        process,
        watched,
        watcher,
        started: HashSet::from([leader]),
        ended: None,
        later: VecDeque::new(),
    };
    let code = tracer.until_end()?;
    let hung = dog.stop();
    let mut ending = Ending {
        code,
        stdout: String::new(),
        stderr: String::new(),
        hung,
    };
    stdout.rewind()?;
    stdout.read_to_string(&mut ending.stdout)?;
    stderr.rewind()?;
    stderr.read_to_string(&mut ending.stderr)?;
    Ok(ending)
}

/// Waits for one of this thread's children, of which other threads of the tests have their own.
fn wait() -> nix::Result<WaitStatus> {
    loop {
        match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)) {
            Err(Errno::EINTR) => {}
            status => return status,
        }
    }
}

struct Tracer<'a> {
    leader: Pid,
    process: Process,
    watched: &'a Path,
    watcher: &'a mut dyn Watcher,
    /// Threads that have left the stop in which they are born.
    started: HashSet<Pid>,
    /// How the program ended, once it did.
    ended: Option<Option<i32>>,
    /// What other threads stand at since a call is under way.
    later: VecDeque<WaitStatus>,
}

impl Tracer<'_> {
    /// The exit code.
    fn until_end(&mut self) -> io::Result<Option<i32>> {
        loop {
            if let Some(code) = self.ended {
                return Ok(code);
            }
            let status = match self.later.pop_front() {
                Some(status) => status,
                None => wait()?,
            };
            match status {
                WaitStatus::Exited(pid, code) if pid == self.leader => self.ended = Some(Some(code)),
                WaitStatus::Signaled(pid, _, _) if pid == self.leader => self.ended = Some(None),
                WaitStatus::PtraceEvent(pid, _, libc::PTRACE_EVENT_SECCOMP) => self.call(pid)?,
                WaitStatus::Stopped(pid, Signal::SIGSTOP) if self.started.insert(pid) => go_on(pid, None)?,
                WaitStatus::Stopped(pid, signal) => go_on(pid, Some(signal))?,
                WaitStatus::PtraceEvent(pid, _, _) | WaitStatus::PtraceSyscall(pid) => go_on(pid, None)?,
                _ => {}
            }
        }
    }

    /// A thread stands before a call.
    fn call(&mut self, pid: Pid) -> io::Result<()> {
        let Some(mut registers) = gone(ptrace::getregs(pid))? else {
            return Ok(());
        };
        let number = registers.orig_rax as i64;
        let arguments = [
            registers.rdi,
            registers.rsi,
            registers.rdx,
            registers.r10,
            registers.r8,
            registers.r9,
        ];
        // Arguments that lead nowhere are the kernel's to refuse.
        let Ok(Some(call)) = self.process.decode(number, arguments, self.watched) else {
            return go_on(pid, None);
        };
        match self.watcher.before(&call) {
            Verdict::Pass => {}
            Verdict::Kill => {
                gone(kill(self.leader, Signal::SIGKILL))?;
                return Ok(());
            }
            Verdict::Answer(result) => {
                // No call has this number, and what stands in the register for results stays.
                registers.orig_rax = u64::MAX;
                registers.rax = result as u64;
                if gone(ptrace::setregs(pid, registers))?.is_none() {
                    return Ok(());
                }
            }
        }
        if gone(ptrace::syscall(pid, None))?.is_none() {
            return Ok(());
        }
        loop {
            // Those of the other threads, too: a leader that was killed has not ended before they are seen to end.
            match wait()? {
                status if status.pid() != Some(pid) => {
                    let is_end = matches!(status, WaitStatus::Exited(..) | WaitStatus::Signaled(..));
                    if !is_end || status.pid() == Some(self.leader) {
                        self.later.push_back(status);
                    }
                }
                WaitStatus::PtraceSyscall(_) => break,
                WaitStatus::Stopped(pid, signal) => {
                    gone(ptrace::syscall(pid, signal))?;
                }
                // Killed within the call.
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {
                    self.ended = (pid == self.leader).then_some(None);
                    return Ok(());
                }
                _ => return Ok(()),
            }
        }
        if let Some(registers) = gone(ptrace::getregs(pid))? {
            self.watcher.after(&self.process, &call, registers.rax as i64);
        }
        go_on(pid, None)
    }
}

fn go_on(pid: Pid, signal: Option<Signal>) -> io::Result<()> {
    gone(ptrace::cont(pid, signal))?;
    Ok(())
}

/// `None` for a thread that was killed meanwhile, of which the next wait tells.
fn gone<T>(result: nix::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::ESRCH) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Kills the program when it takes too long.
struct Watchdog {
    over: mpsc::Sender<()>,
    thread: std::thread::JoinHandle<bool>,
}

impl Watchdog {
    fn start(pid: Pid, patience: Duration) -> io::Result<Self> {
        // A number may be another process's by then; a handle never is.
        // SAFETY: it takes two numbers and gives a new descriptor.
        let handle = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
        if handle < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: nobody else has this descriptor.
        let handle = unsafe { <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(handle as i32) };
        let (over, end) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let hangs = end.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout);
            if hangs {
                let fd = std::os::fd::AsRawFd::as_raw_fd(&handle);
                // SAFETY: the descriptor is open, and the kernel reads nothing from a null pointer.
                unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, libc::SIGKILL, 0, 0) };
            }
            hangs
        });
        Ok(Self { over, thread })
    }

    /// Whether it had to.
    fn stop(self) -> bool {
        // It may have acted and gone.
        let _ = self.over.send(());
        self.thread.join().unwrap()
    }
}
