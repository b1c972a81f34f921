//! Child processes that stay: started with a pid file, found again by it, and ended for certain.
//!
//! A process is known by its pid *and* its start time, so that a pid taken over by another program is never signalled.
#![allow(clippy::disallowed_types)] // starts processes, as `cmd` does

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid, getppid, setsid};

use crate::cmd::Cmd;
use crate::file;
use crate::wait;

/// How often an ending process is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long the kernel may take to end what it was told to kill.
const KILLED: Duration = Duration::from_secs(10);

/// When a process started by [`start`] ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It lives on when we end, in a session of its own.
    Detached,
    /// The kernel kills it when we end, however we end (prctl(2), `PR_SET_PDEATHSIG`).
    WithUs,
}

/// A process could not be started or ended; the message names it.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct ProcessError {
    /// What failed.
    pub what: String,
    /// Why.
    #[source]
    pub source: io::Error,
}

fn error(what: impl Into<String>) -> impl FnOnce(io::Error) -> ProcessError {
    let what = what.into();
    move |source| ProcessError { what, source }
}

/// A running process, or one that ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    pid: i32,
    /// Start time in clock ticks since boot, proc(5).
    started: u64,
}

impl Process {
    /// The process that a pid file written by [`start`] names; `None` without such a file.
    #[must_use]
    pub fn from_pid_file(path: &Path) -> Option<Self> {
        parse_pid_file(&fs::read_to_string(path).ok()?)
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether it still runs. A zombie does not.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        parse_stat(&stat)
            .is_some_and(|(state, started)| started == self.started && !matches!(state, 'Z' | 'X'))
    }

    /// Ends it: SIGTERM, and SIGKILL where that has not helped within `grace`.
    ///
    /// # Errors
    /// [`ProcessError`] when it is still there afterwards.
    pub fn end(&self, grace: Duration) -> Result<(), ProcessError> {
        if self.ends_by(Signal::SIGTERM, grace) { Ok(()) } else { self.kill() }
    }

    /// Ends it at once: SIGKILL, which leaves it no last word.
    ///
    /// # Errors
    /// [`ProcessError`] when it is still there afterwards.
    pub fn kill(&self) -> Result<(), ProcessError> {
        if self.ends_by(Signal::SIGKILL, KILLED) {
            return Ok(());
        }
        let stuck = io::Error::new(io::ErrorKind::TimedOut, "it survived SIGKILL");
        Err(error(format!("cannot end process {}", self.pid))(stuck))
    }

    /// Whether it is gone within `limit` of this signal, or was before.
    fn ends_by(&self, signal: Signal, limit: Duration) -> bool {
        if !self.is_alive() {
            return true;
        }
        let _ = kill(Pid::from_raw(self.pid), signal); // it may end in this very moment; looked at below
        let what = format!("process {} to end after {signal}", self.pid);
        wait::until(&what, limit, LOOK, || (!self.is_alive()).then_some(())).is_ok()
    }
}

/// Starts `cmd` with its output appended to `log`, and writes `pid_file`.
///
/// # Errors
/// [`ProcessError`] naming the command line or the file.
pub fn start(cmd: &Cmd, life: Life, log: &Path, pid_file: &Path) -> Result<Process, ProcessError> {
    let output = File::options()
        .create(true)
        .append(true)
        .open(log)
        .map_err(error(format!("cannot open {}", log.display())))?;
    let errors = output.try_clone().map_err(error(format!("cannot open {}", log.display())))?;
    let mut command = cmd.command();
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    set_life(&mut command, life);
    tracing::debug!(command = %cmd.line(), "start");
    let mut child =
        spawn_from_lasting_thread(command).map_err(error(format!("cannot start `{}`", cmd.line())))?;
    let pid = i32::try_from(child.id()).unwrap_or(i32::MAX); // pids are below 2^22, proc(5)
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let (_, started) = parse_stat(&stat).ok_or_else(|| {
        let gone = io::Error::new(io::ErrorKind::NotFound, "it was gone at once");
        error(format!("cannot start `{}`", cmd.line()))(gone)
    })?;
    // Reaped as soon as it ends, so that it does not stay as a zombie while we live.
    thread::spawn(move || child.wait());
    let process = Process { pid, started };
    file::write_atomic(pid_file, format!("{pid} {started}\n").as_bytes(), 0o644).map_err(|e| {
        let _ = process.end(Duration::ZERO); // without a pid file nobody would find it again
        error(e.to_string())(e.source)
    })?;
    Ok(process)
}

/// Where to write for a process started under `dir` by the name `name`: its log and its pid file.
#[must_use]
pub fn files(dir: &Path, name: &str) -> (PathBuf, PathBuf) {
    (dir.join(format!("{name}.log")), dir.join(format!("{name}.pid")))
}

fn set_life(command: &mut Command, life: Life) {
    let us = getpid();
    let prepare = move || -> io::Result<()> {
        match life {
            Life::Detached => {
                setsid()?;
            }
            Life::WithUs => {
                prctl::set_pdeathsig(Signal::SIGKILL)?;
                if getppid() != us {
                    return Err(io::Error::from_raw_os_error(nix::libc::ESRCH)); // we ended before the line above
                }
            }
        }
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; setsid, prctl and getppid are plain
    // system calls, and the closure neither allocates nor takes a lock.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(prepare);
    }
}

/// The parent-death signal fires when the *thread* that forked ends, so all children are forked by one thread that
/// lives as long as the process.
fn spawn_from_lasting_thread(command: Command) -> io::Result<Child> {
    type Job = (Command, Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, queue) = mpsc::channel::<Job>();
        thread::spawn(move || {
            for (mut command, answer) in queue {
                let _ = answer.send(command.spawn()); // nobody waits only if the asking thread died
            }
        });
        jobs
    });
    let (answer, result) = mpsc::channel();
    let lost = || io::Error::other("the thread that starts processes is gone");
    spawner.send((command, answer)).map_err(|_| lost())?;
    result.recv().map_err(|_| lost())?
}

fn parse_pid_file(text: &str) -> Option<Process> {
    let (pid, started) = text.trim().split_once(' ')?;
    Some(Process { pid: pid.parse().ok().filter(|pid| *pid > 1)?, started: started.parse().ok()? })
}

/// State and start time from the text of `/proc/PID/stat`, proc(5). The name in parentheses may hold anything.
fn parse_stat(text: &str) -> Option<(char, u64)> {
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines() {
        let tail = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 0 0";
        let rows = [
            ("plain", format!("42 (sleep) {tail}"), Some(('S', 4711))),
            ("name with parentheses and blanks", format!("42 (a) b (c) {tail}"), Some(('S', 4711))),
            ("empty", String::new(), None),
            ("cut short", "42 (sleep) S 1 2".to_owned(), None),
        ];
        for (name, text, want) in rows {
            assert_eq!(parse_stat(&text), want, "{name}");
        }
    }

    #[test]
    fn pid_files() {
        let rows = [
            ("good", "42 4711\n", Some(Process { pid: 42, started: 4711 })),
            ("init is never ours", "1 4711", None),
            ("negative would be a group", "-5 4711", None),
            ("no start time", "42", None),
            ("garbage", "x y", None),
        ];
        for (name, text, want) in rows {
            assert_eq!(parse_pid_file(text), want, "{name}");
        }
    }

    #[test]
    fn a_started_process_is_found_again_and_ended() {
        let dir = tempfile::tempdir().unwrap();
        let (log, pid_file) = files(dir.path(), "sleeper");
        for life in [Life::Detached, Life::WithUs] {
            let process = start(&Cmd::new("sleep").arg("60"), life, &log, &pid_file).unwrap();
            assert_eq!(Process::from_pid_file(&pid_file), Some(process), "{life:?}");
            assert!(process.is_alive(), "{life:?}");
            process.end(Duration::from_secs(5)).unwrap();
            assert!(!process.is_alive(), "{life:?}");
        }
    }

    #[test]
    fn one_that_ignores_sigterm_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let (log, pid_file) = files(dir.path(), "stubborn");
        let stubborn = Cmd::new("sh").args(["-c", "trap '' TERM; echo set; while :; do sleep 1; done"]);
        let process = start(&stubborn, Life::WithUs, &log, &pid_file).unwrap();
        wait::until("the trap", Duration::from_secs(10), LOOK, || {
            fs::read_to_string(&log).is_ok_and(|text| text.contains("set")).then_some(())
        })
        .unwrap();
        process.end(Duration::from_millis(100)).unwrap();
        assert!(!process.is_alive());
    }

    #[test]
    fn a_missing_program_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (log, pid_file) = files(dir.path(), "missing");
        let err = start(&Cmd::new("/nonexistent/program"), Life::WithUs, &log, &pid_file).unwrap_err();
        assert!(err.to_string().contains("/nonexistent/program"), "{err}");
    }
}
