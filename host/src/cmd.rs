//! The one runner of child processes: argument vector (never a shell), logged, bounded in time, and an error that
//! carries the command line and the tail of what it said.
#![allow(clippy::disallowed_types)] // this module is where the fence leads to

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;

/// Most bytes of standard error kept for an error message.
const TAIL: usize = 4096;
/// How long a command may take unless [`Cmd::limit`] says otherwise.
const DEFAULT_LIMIT: Duration = Duration::from_secs(120);

/// A child process could not be run, or did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CmdError {
    /// The program could not be started at all.
    #[error("cannot start `{line}`")]
    Start {
        /// The command line.
        line: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It ended with a failure.
    #[error("`{line}` failed ({status}): {}", stderr.trim_end())]
    Failed {
        /// The command line.
        line: String,
        /// How it ended.
        status: ExitStatus,
        /// The tail of its standard error.
        stderr: String,
    },
    /// It did not end in time and was killed.
    #[error("`{line}` did not end within {} s and was killed: {}", limit.as_secs(), stderr.trim_end())]
    TimedOut {
        /// The command line.
        line: String,
        /// The limit.
        limit: Duration,
        /// The tail of its standard error.
        stderr: String,
    },
    /// Its output was not what was expected.
    #[error("cannot understand the output of `{line}`")]
    Output {
        /// The command line.
        line: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// A command to run, built like [`std::process::Command`].
///
/// Its environment may carry a secret, so [`fmt::Debug`] shows the command line alone.
#[derive(Clone)]
pub struct Cmd {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    input: Option<Vec<u8>>,
    limit: Duration,
    grace: Duration,
    inherit: bool,
    any_status: bool,
    most: usize,
}

impl fmt::Debug for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cmd(`{}`)", self.line())
    }
}

impl Cmd {
    /// A command that runs `program`, looked up in `PATH`.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            dir: None,
            input: None,
            limit: DEFAULT_LIMIT,
            grace: Duration::ZERO,
            inherit: false,
            any_status: false,
            most: usize::MAX,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable for the child.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Runs the child in `dir`.
    #[must_use]
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = Some(dir.as_ref().to_owned());
        self
    }

    /// Feeds `bytes` to the child's standard input (else it is empty).
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// Kills the child when it has not ended after `limit` (default 120 s).
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Tells the child to end (SIGTERM) when `limit` is over, and kills it only when it has not after `grace` more: for one
    /// that must not be stopped in the middle (default: none).
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Takes the child's output whatever its exit status says: of a program whose status is no word on the output.
    #[must_use]
    pub fn any_status(mut self) -> Self {
        self.any_status = true;
        self
    }

    /// Keeps only the last `bytes` of the child's output, however much it says.
    #[must_use]
    pub fn most(mut self, bytes: usize) -> Self {
        self.most = bytes;
        self
    }

    /// Lets the child write to our standard output and error instead of collecting them.
    #[must_use]
    pub fn inherit(mut self) -> Self {
        self.inherit = true;
        self
    }

    /// The command line as a person would type it.
    #[must_use]
    pub fn line(&self) -> String {
        let quote = |s: &OsString| {
            let s = s.to_string_lossy();
            if s.is_empty() || s.contains(|c: char| c.is_whitespace() || "'\"$&|;<>()*?".contains(c)) {
                format!("'{}'", s.replace('\'', r"'\''"))
            } else {
                s.into_owned()
            }
        };
        std::iter::once(&self.program).chain(&self.args).map(quote).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).envs(self.env.iter().map(|(k, v)| (k, v)));
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command
    }

    /// Runs the child to its end and returns its standard output.
    ///
    /// # Errors
    /// [`CmdError`] when it cannot be started, fails, or runs past its limit.
    pub fn output(&self) -> Result<Vec<u8>, CmdError> {
        let line = self.line();
        tracing::debug!(command = %line, "run");
        let start_error = |source| CmdError::Start { line: line.clone(), source };
        let pipe = || if self.inherit { Stdio::inherit() } else { Stdio::piped() };
        let mut child = self
            .command()
            .stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(pipe())
            .stderr(pipe())
            .spawn()
            .map_err(start_error)?;
        let feeder = child.stdin.take().zip(self.input.clone()).map(|(mut stdin, input)| {
            // A child that ends without reading all its input is judged by its exit status, not by this pipe.
            thread::spawn(move || drop(stdin.write_all(&input)))
        });
        let most = self.most;
        let out = child.stdout.take().map(|pipe| thread::spawn(move || read_last(pipe, most)));
        let err = child.stderr.take().map(|pipe| thread::spawn(move || read_last(pipe, TAIL)));
        let status = wait_limited(&mut child, self.limit).map_err(start_error)?;
        if status.is_none() {
            if !self.grace.is_zero() {
                end(&mut child, self.grace);
            }
            let _ = child.kill(); // it may have ended in this very moment
            let _ = child.wait();
        }
        if let Some(feeder) = feeder {
            let _ = feeder.join();
        }
        let stdout = out.and_then(|t| t.join().ok()).unwrap_or_default();
        let stderr = err.and_then(|t| t.join().ok()).unwrap_or_default();
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        match status {
            None => Err(CmdError::TimedOut { line, limit: self.limit, stderr }),
            Some(status) if !status.success() && !self.any_status => {
                Err(CmdError::Failed { line, status, stderr })
            }
            Some(_) => Ok(stdout),
        }
    }

    /// Runs the child to its end, caring only that it succeeds.
    ///
    /// # Errors
    /// As [`Cmd::output`].
    pub fn run(&self) -> Result<(), CmdError> {
        self.output().map(drop)
    }

    /// Runs the child and returns its standard output as text (invalid UTF-8 replaced).
    ///
    /// # Errors
    /// As [`Cmd::output`].
    pub fn text(&self) -> Result<String, CmdError> {
        self.output().map(|out| String::from_utf8_lossy(&out).into_owned())
    }

    /// Runs the child and parses its standard output as JSON.
    ///
    /// # Errors
    /// As [`Cmd::output`], and [`CmdError::Output`] when it is not the JSON expected.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, CmdError> {
        let out = self.output()?;
        serde_json::from_slice(&out).map_err(|source| CmdError::Output { line: self.line(), source })
    }

    /// Starts a child that outlives this call, with the standard streams given.
    ///
    /// # Errors
    /// [`CmdError::Start`].
    pub fn spawn(
        &self,
        stdin: Stdio,
        stdout: impl Into<Stdio>,
        stderr: impl Into<Stdio>,
    ) -> Result<Child, CmdError> {
        let line = self.line();
        tracing::debug!(command = %line, "spawn");
        self.command()
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .map_err(|source| CmdError::Start { line, source })
    }
}

/// Whether `program` can be found in `PATH` (or exists, when it is a path).
#[must_use]
pub fn exists(program: &str) -> bool {
    if program.contains('/') {
        return Path::new(program).exists();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Tells a child to end, and waits for that as long as `grace`.
fn end(child: &mut Child, grace: Duration) {
    if let Ok(pid) = i32::try_from(child.id()) {
        let _ = signal::kill(Pid::from_raw(pid), Signal::SIGTERM); // it may have ended by itself
    }
    let _ = wait_limited(child, grace); // whoever goes on after that is killed
}

fn wait_limited(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    let mut nap = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= limit {
            return Ok(None);
        }
        #[allow(clippy::disallowed_methods)] // bounded by `limit`, and std has no wait with a limit
        thread::sleep(nap);
        nap = (nap * 2).min(Duration::from_millis(50));
    }
}

/// The last `most` bytes of what comes; a broken pipe ends it, and the exit status tells the rest.
fn read_last(mut pipe: impl Read, most: usize) -> Vec<u8> {
    let mut last = Vec::new();
    let mut chunk = [0; 16 << 10];
    while let Ok(n @ 1..) = pipe.read(&mut chunk) {
        last.extend_from_slice(&chunk[..n]);
        if last.len() > most.saturating_mul(2) {
            last.drain(..last.len() - most);
        }
    }
    last.drain(..last.len().saturating_sub(most));
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_carries_command_line_and_stderr() {
        let err = Cmd::new("sh").args(["-c", "echo why >&2; exit 3"]).run().unwrap_err();
        let text = err.to_string();
        assert!(text.contains("sh -c") && text.contains("why") && text.contains('3'), "{text}");
    }

    #[test]
    fn output_is_taken_in_spite_of_the_status_where_asked() {
        let cmd = Cmd::new("sh").args(["-c", "echo out; exit 4"]);
        assert!(cmd.run().is_err());
        assert_eq!(cmd.any_status().text().unwrap(), "out\n");
    }

    #[test]
    fn a_child_past_its_limit_is_killed() {
        let err = Cmd::new("sleep").arg("60").limit(Duration::from_millis(50)).run().unwrap_err();
        assert!(matches!(err, CmdError::TimedOut { .. }), "{err}");
    }

    #[test]
    fn a_child_that_must_not_be_stopped_in_the_middle_is_told_to_end_first() {
        let dir = tempfile::tempdir().unwrap();
        let ended = dir.path().join("ended");
        // As LVM does: the signal is heeded when the change is done.
        let script = format!(
            "trap 'echo done > {}; exit 0' TERM; echo ready; while :; do sleep 0.02; done",
            ended.display()
        );
        let cmd = Cmd::new("sh").args(["-c", &script]).limit(Duration::from_millis(500));
        let err = cmd.grace(Duration::from_secs(20)).run().unwrap_err();
        assert!(matches!(err, CmdError::TimedOut { .. }), "{err}");
        assert!(ended.exists(), "it came to its end");
        let deaf = Cmd::new("sh").args(["-c", "trap '' TERM; while :; do sleep 0.02; done"]);
        let deaf = deaf.limit(Duration::from_millis(50)).grace(Duration::from_millis(50));
        assert!(matches!(deaf.run(), Err(CmdError::TimedOut { .. })), "one that does not heed it is killed");
    }

    #[test]
    fn input_larger_than_a_pipe_goes_through() {
        let input = vec![b'x'; 1 << 20];
        assert_eq!(Cmd::new("cat").input(input.clone()).output().unwrap(), input);
    }

    #[test]
    fn only_the_end_of_a_long_output_is_kept_where_asked() {
        let cmd = Cmd::new("seq").args(["1", "100000"]);
        assert_eq!(cmd.clone().most(13).text().unwrap(), "99999\n100000\n");
        assert_eq!(cmd.most(usize::MAX).text().unwrap().lines().count(), 100_000);
    }

    #[test]
    fn json_that_is_not_is_said_with_the_command() {
        let err = Cmd::new("echo").arg("{").json::<serde_json::Value>().unwrap_err();
        assert!(err.to_string().contains("echo"), "{err}");
    }
}
