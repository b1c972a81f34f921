//! Several consoles as one: what is written goes to all of them, keys come from any.
//!
//! A server is looked at on VGA, on a serial line, or over a BMC, and nobody knows beforehand which. Terminals are put
//! into raw mode and restored when [`Consoles`] is dropped. A console that fails is left out, never waited for.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{self, SetArg, Termios};

/// How long a terminal may take to accept output before the rest of it is dropped.
const WRITE_LIMIT: Duration = Duration::from_secs(2);
/// How long after an ESC byte the rest of a key sequence may take: two characters at 9600 baud, and some.
const ESCAPE_LIMIT: Duration = Duration::from_millis(40);

/// A key as a person presses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A printable character.
    Char(char),
    /// A control key with a letter, e.g. `Ctrl('c')`.
    Ctrl(char),
    /// Return.
    Enter,
    /// Backspace or Delete-left.
    Backspace,
    /// Tab.
    Tab,
    /// Shift and Tab.
    BackTab,
    /// Escape by itself.
    Esc,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Arrow left.
    Left,
    /// Arrow right.
    Right,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
}

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

struct Tty {
    path: PathBuf,
    file: File,
    saved: Termios,
    pending: Vec<u8>,
}

/// Consoles in raw mode, used as one.
pub struct Consoles {
    ttys: Vec<Tty>,
}

impl Consoles {
    /// Opens `paths`, in raw mode. Those that are no usable terminals are left out.
    ///
    /// # Errors
    /// The last reason, when not one of them could be opened.
    pub fn open(paths: &[PathBuf]) -> io::Result<Self> {
        let mut ttys = Vec::new();
        let mut last = io::Error::new(io::ErrorKind::NotFound, "no console was named");
        for path in paths {
            match open_raw(path) {
                Ok(tty) => ttys.push(tty),
                Err(e) => {
                    tracing::info!(console = %path.display(), error = %e, "console left out");
                    last = io::Error::new(e.kind(), format!("console {}: {e}", path.display()));
                }
            }
        }
        if ttys.is_empty() { Err(last) } else { Ok(Self { ttys }) }
    }

    /// The terminals in use; a key's console is an index into this.
    #[must_use]
    pub fn paths(&self) -> Vec<&Path> {
        self.ttys.iter().map(|tty| tty.path.as_path()).collect()
    }

    /// Waits at most `limit` for a key on any console; says which console it came from.
    pub fn key(&mut self, limit: Duration) -> Option<(usize, Key)> {
        let deadline = Instant::now() + limit;
        loop {
            for (i, tty) in self.ttys.iter_mut().enumerate() {
                if let Some(key) = decode(&mut tty.pending, false) {
                    return Some((i, key));
                }
            }
            let partial = self.ttys.iter().any(|tty| !tty.pending.is_empty());
            let left = deadline.saturating_duration_since(Instant::now());
            let wait = if partial { ESCAPE_LIMIT } else { left };
            if !self.fill(wait) {
                if partial {
                    for (i, tty) in self.ttys.iter_mut().enumerate() {
                        if let Some(key) = decode(&mut tty.pending, true) {
                            return Some((i, key));
                        }
                    }
                } else if left.is_zero() || wait == left {
                    return None;
                }
            }
        }
    }

    /// Runs `work` with console `index` back in its normal mode (for a shell, say), then takes it again.
    pub fn lend<T>(&mut self, index: usize, work: impl FnOnce(&Path) -> T) -> Option<T> {
        let tty = self.ttys.get_mut(index)?;
        let _ = termios::tcsetattr(&tty.file, SetArg::TCSADRAIN, &tty.saved); // a lost terminal shows at next use
        let result = work(&tty.path);
        let _ = set_raw(&tty.file, &tty.saved);
        tty.pending.clear();
        Some(result)
    }

    /// Reads what has come in; false when nothing came within `wait`.
    fn fill(&mut self, wait: Duration) -> bool {
        let mut fds: Vec<_> =
            self.ttys.iter().map(|tty| PollFd::new(tty.file.as_fd(), PollFlags::POLLIN)).collect();
        let timeout = PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX);
        if !matches!(poll(&mut fds, timeout), Ok(1..)) {
            return false;
        }
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        drop(fds);
        let mut any = false;
        let mut chunk = [0; 256];
        for (tty, _) in self.ttys.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            if let Ok(n @ 1..) = tty.file.read(&mut chunk) {
                tty.pending.extend_from_slice(&chunk[..n]);
                any = true;
            }
        }
        any
    }
}

impl Write for Consoles {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for tty in &mut self.ttys {
            write_bounded(&mut tty.file, bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Consoles {
    fn drop(&mut self) {
        for tty in &self.ttys {
            let _ = termios::tcsetattr(&tty.file, SetArg::TCSADRAIN, &tty.saved); // nothing left to tell it to
        }
    }
}

fn open_raw(path: &Path) -> io::Result<Tty> {
    let flags = (OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).bits();
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
    let saved = termios::tcgetattr(&file)?;
    set_raw(&file, &saved)?;
    Ok(Tty { path: path.to_owned(), file, saved, pending: Vec::new() })
}

fn set_raw(file: &File, saved: &Termios) -> io::Result<()> {
    let mut raw = saved.clone();
    termios::cfmakeraw(&mut raw);
    termios::tcsetattr(file, SetArg::TCSADRAIN, &raw)?;
    Ok(())
}

/// Writes all of `bytes`, or gives up on a terminal that takes nothing (a serial line held by flow control).
fn write_bounded(file: &mut File, mut bytes: &[u8]) {
    let deadline = Instant::now() + WRITE_LIMIT;
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline => {
                let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLOUT)];
                let _ = poll(&mut fds, PollTimeout::from(100u8)); // the loop looks again either way
            }
            Err(_) => return,
        }
    }
}

/// Takes one key off the front of `bytes`. A sequence that may still go on is left there, unless `ended`.
fn decode(bytes: &mut Vec<u8>, ended: bool) -> Option<Key> {
    let (key, used) = match bytes.as_slice() {
        [] => return None,
        [0x1b, b'[' | b'O', rest @ ..] => match sequence(rest) {
            Some((key, n)) => (key, n + 2),
            None if ended => (Some(Key::Esc), bytes.len()),
            None => return None,
        },
        [0x1b] if !ended => return None,
        [0x1b, ..] => (Some(Key::Esc), 1),
        [b'\r' | b'\n', ..] => (Some(Key::Enter), 1),
        [0x7f | 0x08, ..] => (Some(Key::Backspace), 1),
        [b'\t', ..] => (Some(Key::Tab), 1),
        [c @ 1..=26, ..] => (Some(Key::Ctrl(char::from(c + b'a' - 1))), 1),
        [c @ 0x20..=0x7e, ..] => (Some(Key::Char(char::from(*c))), 1),
        [0..=0x1f, ..] => (None, 1),
        other => {
            let width = match other[0] {
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                _ => 1,
            };
            if other.len() < width && !ended {
                return None;
            }
            let text = std::str::from_utf8(&other[..width.min(other.len())]).ok();
            (text.and_then(|t| t.chars().next()).map(Key::Char), width.min(other.len()))
        }
    };
    bytes.drain(..used);
    key.or_else(|| decode(bytes, ended))
}

/// The key of a CSI or SS3 sequence after its introducer, and its length; `None` while it is incomplete.
fn sequence(rest: &[u8]) -> Option<(Option<Key>, usize)> {
    let end = rest.iter().position(|b| (0x40..=0x7e).contains(b))?;
    let key = match (&rest[..end], rest[end]) {
        (_, b'A') => Some(Key::Up),
        (_, b'B') => Some(Key::Down),
        (_, b'C') => Some(Key::Right),
        (_, b'D') => Some(Key::Left),
        (_, b'Z') => Some(Key::BackTab),
        (b"5", b'~') => Some(Key::PageUp),
        (b"6", b'~') => Some(Key::PageDown),
        (b"3", b'~') => Some(Key::Backspace),
        _ => None,
    };
    Some((key, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<Key> {
        let mut pending = bytes.to_vec();
        std::iter::from_fn(|| decode(&mut pending, true)).collect()
    }

    #[test]
    fn bytes_become_keys() {
        let rows: &[(&str, &[u8], &[Key])] = &[
            ("letters", b"ab", &[Key::Char('a'), Key::Char('b')]),
            ("arrows, CSI and SS3", b"\x1b[A\x1bOB", &[Key::Up, Key::Down]),
            ("escape alone", b"\x1b", &[Key::Esc]),
            ("escape, then a letter", b"\x1bx", &[Key::Esc, Key::Char('x')]),
            ("return and line feed", b"\r\n", &[Key::Enter, Key::Enter]),
            ("control", b"\x03", &[Key::Ctrl('c')]),
            ("backspace of both kinds", b"\x7f\x08", &[Key::Backspace, Key::Backspace]),
            ("umlaut", "ä".as_bytes(), &[Key::Char('ä')]),
            ("unknown sequence is skipped", b"\x1b[15~q", &[Key::Char('q')]),
            ("bad UTF-8 is skipped", b"\xff\xfeq", &[Key::Char('q')]),
            ("nul is skipped", b"\0q", &[Key::Char('q')]),
            ("shift tab", b"\x1b[Z", &[Key::BackTab]),
        ];
        for (name, bytes, keys) in rows {
            assert_eq!(&all(bytes), keys, "{name}");
        }
    }

    #[test]
    fn a_sequence_cut_in_two_waits_for_its_rest() {
        let mut pending = b"\x1b[".to_vec();
        assert_eq!(decode(&mut pending, false), None);
        pending.push(b'A');
        assert_eq!(decode(&mut pending, false), Some(Key::Up));
    }

    #[test]
    fn the_kernels_list_names_terminals_once() {
        assert_eq!(parse_active("tty0 ttyS0\n"), [PathBuf::from("/dev/tty1"), PathBuf::from("/dev/ttyS0")]);
        assert_eq!(parse_active("tty0 tty1"), [PathBuf::from("/dev/tty1")]);
    }
}
