//! The switch's control socket: one command a line, answered by text and a last line `ok` or `error: ...`.
//!
//! `add NAME`, `up NAME`, `down NAME`, `partition A,B C,D`, `heal`, `status`.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

use super::{Switch, control_socket};

/// The longest command line taken.
const MAX_LINE: u64 = 4096;
/// How long either side waits for the other.
const LIMIT: Duration = Duration::from_secs(10);

/// Controls a switch from another place, or process.
#[derive(Debug, Clone)]
pub struct Control {
    socket: PathBuf,
}

impl Control {
    /// The switch whose directory is `dir`.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self { socket: control_socket(dir) }
    }

    /// Adds a port, unless there is one of that name.
    ///
    /// # Errors
    /// When the switch is not there or refuses.
    pub fn add(&self, name: &str) -> anyhow::Result<()> {
        self.ask(&format!("add {name}")).map(drop)
    }

    /// Plugs or pulls a port's cable.
    ///
    /// # Errors
    /// As [`Control::add`].
    pub fn set_up(&self, name: &str, up: bool) -> anyhow::Result<()> {
        self.ask(&format!("{} {name}", if up { "up" } else { "down" })).map(drop)
    }

    /// Splits the network: ports of different groups do not hear each other; those in none form a group too.
    ///
    /// # Errors
    /// As [`Control::add`].
    pub fn partition(&self, groups: &[&[&str]]) -> anyhow::Result<()> {
        let groups: Vec<String> = groups.iter().map(|names| names.join(",")).collect();
        self.ask(&format!("partition {}", groups.join(" "))).map(drop)
    }

    /// Makes it one network again.
    ///
    /// # Errors
    /// As [`Control::add`].
    pub fn heal(&self) -> anyhow::Result<()> {
        self.ask("heal").map(drop)
    }

    /// One line for each port: cable, guest, group and counters.
    ///
    /// # Errors
    /// As [`Control::add`].
    pub fn status(&self) -> anyhow::Result<String> {
        self.ask("status")
    }

    fn ask(&self, command: &str) -> anyhow::Result<String> {
        let name = || format!("the switch at {} does not answer {command:?}", self.socket.display());
        let mut stream = UnixStream::connect(&self.socket).with_context(name)?;
        stream.set_read_timeout(Some(LIMIT)).with_context(name)?;
        stream.write_all(format!("{command}\n").as_bytes()).with_context(name)?;
        let mut text = String::new();
        stream.take(1 << 20).read_to_string(&mut text).with_context(name)?;
        let (body, last) = text.trim_end().rsplit_once('\n').unwrap_or(("", text.trim_end()));
        match last.strip_prefix("error: ") {
            None if last == "ok" => Ok(body.to_owned()),
            Some(reason) => bail!("the switch refuses {command:?}: {reason}"),
            None => bail!("the switch broke off its answer to {command:?}"),
        }
    }
}

/// Answers commands on `listener` from now on, one connection at a time.
pub(super) fn serve(switch: Switch, listener: &UnixListener) -> anyhow::Result<()> {
    let listener = listener.try_clone().context("cannot serve the switch's control socket")?;
    thread::Builder::new().name("control".to_owned()).spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Err(e) = answer(&switch, &stream) {
                tracing::debug!(error = %e, "control connection broken off");
            }
        }
    })?;
    Ok(())
}

fn answer(switch: &Switch, mut stream: &UnixStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_LINE)).read_line(&mut line)?;
    let text = match execute(switch, line.trim()) {
        Ok(text) => format!("{text}ok\n"),
        Err(e) => format!("error: {}\n", format!("{e:#}").replace('\n', " ")),
    };
    stream.write_all(text.as_bytes())
}

fn execute(switch: &Switch, line: &str) -> anyhow::Result<String> {
    let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
    match command {
        "add" => switch.add_port(rest)?,
        "up" => switch.set_up(rest, true)?,
        "down" => switch.set_up(rest, false)?,
        "partition" => {
            let groups: Vec<Vec<&str>> =
                rest.split_whitespace().map(|group| group.split(',').collect()).collect();
            switch.partition(&groups)?;
        }
        "heal" => switch.partition(&[])?,
        "status" => return Ok(switch.status()),
        _ => bail!("unknown command {command:?}; there are add, up, down, partition, heal and status"),
    }
    Ok(String::new())
}
