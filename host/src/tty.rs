//! Several consoles as one: what is written goes to all of them or to each its own, keys come from any.
//!
//! A server is looked at on VGA, on a serial line, or over a BMC, and nobody knows beforehand which. Terminals are put
//! into raw mode and restored when [`Consoles`] is dropped. Every console has a queue of its own that is emptied as
//! fast as it takes bytes: a slow one gets less, one that takes nothing (flow control, no reader) loses what it does
//! not take, and no call ever waits for it. One that hangs up is left out.
//!
//! | module | job |
//! | --- | --- |
//! | `keys` | bytes become keys |
//! | `line` | one terminal: raw mode, queue, size |
//! | [`pseudo`] | pseudo-terminals, for tests |

mod keys;
mod line;
pub mod pseudo;

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

pub use keys::Key;
use keys::{Input, decode, drop_orphan};
use line::Line;

/// How long [`Consoles::write`] waits for terminals that were taking output until then.
const WRITE_LIMIT: Duration = Duration::from_secs(2);
/// How long after an ESC byte the rest of a key sequence may take. A serial line needs 2 ms at 9600 baud, but a BMC that
/// sends characters in packets may cut a sequence in two.
const ESCAPE_LIMIT: Duration = Duration::from_millis(400);
/// How long after an Escape that was taken for one the rest of a sequence is still known as such, and thrown away: it
/// would be typed into a field otherwise.
const ORPHAN_LIMIT: Duration = Duration::from_secs(3);

/// The terminals that the kernel's console goes to, from the text of `/sys/class/tty/console/active`.
/// The current virtual terminal, `tty0`, becomes `tty1`, where a person looks after boot.
#[must_use]
pub fn parse_active(text: &str) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for name in text.split_whitespace() {
        let path = Path::new("/dev").join(if name == "tty0" { "tty1" } else { name });
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

/// The terminals that the kernel's console goes to; `/dev/tty1` and `/dev/ttyS0` where the kernel does not say.
#[must_use]
pub fn active() -> Vec<PathBuf> {
    let text =
        fs::read_to_string("/sys/class/tty/console/active").unwrap_or_else(|_| "tty0 ttyS0".to_owned());
    parse_active(&text)
}

/// Writes one line to each of `paths` that takes it at once.
pub fn announce(paths: &[PathBuf], text: &str) {
    if let Ok(mut consoles) = Consoles::open(paths) {
        let _ = consoles.write_all(format!("\r\n{text}\r\n").as_bytes()); // consoles never fail
    }
}

/// Consoles in raw mode, used as one.
pub struct Consoles {
    lines: Vec<Line>,
}

impl Consoles {
    /// Opens `paths`, in raw mode. Those that are no usable terminals are left out.
    ///
    /// # Errors
    /// The last reason, when not one of them could be opened.
    pub fn open(paths: &[PathBuf]) -> io::Result<Self> {
        let mut lines = Vec::new();
        let mut last = io::Error::new(io::ErrorKind::NotFound, "no console was named");
        for path in paths {
            match Line::open(path) {
                Ok(line) => lines.push(line),
                Err(e) => {
                    tracing::info!(console = %path.display(), error = %e, "console left out");
                    last = io::Error::new(e.kind(), format!("console {}: {e}", path.display()));
                }
            }
        }
        if lines.is_empty() { Err(last) } else { Ok(Self { lines }) }
    }

    /// The terminals in use; a key's console is an index into this.
    #[must_use]
    pub fn paths(&self) -> Vec<&Path> {
        self.lines.iter().map(|line| line.path.as_path()).collect()
    }

    /// Columns and rows of console `index`, as the kernel or the terminal itself says; `None`: nobody does.
    #[must_use]
    pub fn size(&self, index: usize) -> Option<(u16, u16)> {
        self.lines.get(index)?.size()
    }

    /// Queues `bytes` for console `index`, and sends what it takes at once.
    pub fn send(&mut self, index: usize, bytes: &[u8]) {
        if let Some(line) = self.lines.get_mut(index) {
            line.queue(bytes);
            line.pump();
        }
    }

    /// Bytes that wait for console `index` here, beside those in the kernel.
    #[must_use]
    pub fn backlog(&self, index: usize) -> usize {
        self.lines.get(index).map_or(0, Line::backlog)
    }

    /// Whether everything sent to console `index` has gone out, but for what a slow line sends within a blink.
    pub fn is_drained(&mut self, index: usize) -> bool {
        self.lines.get_mut(index).is_some_and(|line| {
            line.pump();
            line.is_drained()
        })
    }

    /// Whether console `index` has lost output since this was last asked: what it shows is then unknown.
    pub fn has_lost(&mut self, index: usize) -> bool {
        self.lines.get_mut(index).is_some_and(|line| std::mem::take(&mut line.lost))
    }

    /// Waits at most `limit` for a key on any console; says which console it came from.
    pub fn key(&mut self, limit: Duration) -> Option<(usize, Key)> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(found) = self.decode() {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            self.poll(left);
            if left.is_zero() {
                return self.decode();
            }
        }
    }

    /// Runs `work` with console `index` back in its normal mode (for a shell, say), then takes it again.
    pub fn lend<T>(&mut self, index: usize, work: impl FnOnce(&Path) -> T) -> Option<T> {
        let line = self.lines.get_mut(index)?;
        line.restore();
        let result = work(&line.path);
        line.take_back();
        Some(result)
    }

    /// The first key among what has come in.
    fn decode(&mut self) -> Option<(usize, Key)> {
        for (i, line) in self.lines.iter_mut().enumerate() {
            let mut ended = line.is_overdue();
            if ended && line.pending.first() == Some(&0x1b) {
                line.fill_ready(); // a process that had to wait itself must not blame the line
                ended = line.is_overdue();
            }
            if line.escaped.is_some_and(|at| at.elapsed() < ORPHAN_LIMIT)
                && !drop_orphan(&mut line.pending, ended)
            {
                continue;
            }
            while let Some(input) = decode(&mut line.pending, ended) {
                match input {
                    Input::Key(key) => {
                        line.escaped = (key == Key::Esc).then(Instant::now);
                        return Some((i, key));
                    }
                    Input::Cursor(row, column) => line.told = Some((column, row)),
                }
            }
        }
        None
    }

    /// Waits at most `limit` until a console sends something, or takes something that is queued for it.
    fn poll(&mut self, limit: Duration) {
        // A sequence that has begun is looked at again when it counts as ended.
        let partial = self.lines.iter().filter(|line| !line.pending.is_empty());
        let wait = partial.map(|line| ESCAPE_LIMIT.saturating_sub(line.heard.elapsed())).min();
        let wait = wait.map_or(limit, |wait| limit.min(wait + Duration::from_millis(1)));
        let mut live: Vec<&mut Line> = self.lines.iter_mut().filter_map(Line::live).collect();
        let ready: Vec<PollFlags> = {
            let flags = |line: &Line| if line.is_queued() { PollFlags::POLLOUT } else { PollFlags::empty() };
            let mut fds: Vec<_> = live
                .iter()
                .map(|line| PollFd::new(line.file.as_fd(), PollFlags::POLLIN | flags(line)))
                .collect();
            // Rounded up, so that the last millisecond is no busy loop.
            let timeout = PollTimeout::try_from(wait + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
            if poll(&mut fds, timeout).is_err() {
                return; // interrupted: the caller looks again
            }
            fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty())).collect()
        };
        for (line, flags) in live.iter_mut().zip(ready) {
            if flags.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR) {
                line.fill();
            }
            line.pump();
        }
    }
}

impl Write for Consoles {
    /// Queues `bytes` for every console, and waits a little for those that take them.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for line in &mut self.lines {
            line.queue(bytes);
            line.pump();
        }
        let deadline = Instant::now() + WRITE_LIMIT;
        while self.lines.iter().any(|line| line.is_queued() && !line.stuck) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                for line in self.lines.iter_mut().filter(|line| line.is_queued()) {
                    line.stuck = true; // not waited for again until it takes something
                }
                break;
            }
            self.poll(left.min(Duration::from_millis(50)));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
