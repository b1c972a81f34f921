//! The serial line of a node: what it said, waiting for what it will say, and typing.
//!
//! QEMU keeps everything in a log file, so that nothing is lost while nobody looks and any number may read. Typing
//! needs the socket, which takes one client at a time.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use maekin_host::wait;

/// A log longer than this means a guest that floods its console; nothing waits on it any longer.
const MAX_LOG: u64 = 64 << 20;
/// Lines of the log that an error shows.
const TAIL_LINES: usize = 40;
/// How often the log is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// What the kernel, the initrd or the first process says when there is no point in waiting any longer.
pub const FATAL: [&str; 5] = [
    "Kernel panic - not syncing",
    // The first process gives up: seen on a host so busy that what it started had said nothing for 90 s.
    "Freezing execution.",
    "You are in emergency mode",
    "Entering emergency mode",
    "error: no such partition",
];

/// Reads the log of one serial line from where it last stopped.
#[derive(Debug, Clone)]
pub struct Serial {
    log: PathBuf,
    socket: PathBuf,
    offset: u64,
    /// What came after the last complete line.
    partial: Vec<u8>,
    /// Whole lines read and not yet given out.
    pending: std::collections::VecDeque<String>,
}

impl Serial {
    /// Reads from the start of `log`.
    #[must_use]
    pub fn new(log: &Path, socket: &Path) -> Self {
        Self {
            log: log.to_owned(),
            socket: socket.to_owned(),
            offset: 0,
            partial: Vec::new(),
            pending: std::collections::VecDeque::new(),
        }
    }

    /// Skips what has been said so far: only what comes from now on counts.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn skip(&mut self) -> anyhow::Result<()> {
        self.fill()?;
        self.pending.clear();
        self.partial.clear();
        Ok(())
    }

    /// The next whole line, without control sequences; `None` when there is none yet.
    ///
    /// # Errors
    /// When the log cannot be read, or has grown too long.
    pub fn line(&mut self) -> anyhow::Result<Option<String>> {
        if self.pending.is_empty() {
            self.fill()?;
        }
        Ok(self.pending.pop_front())
    }

    /// The line that is not ended yet, e.g. a prompt.
    #[must_use]
    pub fn unfinished(&self) -> String {
        plain(&self.partial)
    }

    /// Waits until a line (or a prompt without end of line) holds one of `patterns`; returns its index and the line.
    /// Lines up to and with that one are used up.
    ///
    /// # Errors
    /// After `limit`, or at once when the guest is lost (see [`FATAL`]); says what was waited for and shows the tail of the log.
    pub fn expect_any(
        &mut self,
        what: &str,
        patterns: &[&str],
        limit: Duration,
    ) -> anyhow::Result<(usize, String)> {
        let seen = |line: &str, patterns: &[&str]| patterns.iter().position(|p| line.contains(p));
        let found = wait::until(what, limit, LOOK, || {
            loop {
                match self.line() {
                    Err(e) => return Some(Err(e)),
                    Ok(None) => break,
                    Ok(Some(line)) => {
                        if let Some(i) = seen(&line, patterns) {
                            return Some(Ok((i, line)));
                        }
                        if seen(&line, &FATAL).is_some() {
                            return Some(Err(anyhow::anyhow!("the node is lost: {line}")));
                        }
                    }
                }
            }
            let prompt = self.unfinished();
            let index = seen(&prompt, patterns)?;
            self.partial.clear();
            Some(Ok((index, prompt)))
        });
        found
            .map_err(anyhow::Error::from)
            .and_then(|result| result.with_context(|| format!("while waiting for {what}")))
            .with_context(|| format!("serial log {}:\n{}", self.log.display(), self.tail()))
    }

    /// Waits for one pattern; see [`Serial::expect_any`].
    ///
    /// # Errors
    /// As [`Serial::expect_any`].
    pub fn expect(&mut self, what: &str, pattern: &str, limit: Duration) -> anyhow::Result<String> {
        self.expect_any(what, &[pattern], limit).map(|(_, line)| line)
    }

    /// Types `text`; a line feed is the Return key.
    ///
    /// # Errors
    /// When nothing listens, or the guest does not take the text within 30 s.
    pub fn send(&self, text: &str) -> anyhow::Result<()> {
        let name = || format!("cannot type on {}", self.socket.display());
        let mut stream = UnixStream::connect(&self.socket).with_context(name)?;
        stream.set_write_timeout(Some(Duration::from_secs(30))).with_context(name)?;
        // A UART of the guest has 16 bytes; QEMU takes more only as the guest reads them.
        stream.write_all(text.replace('\n', "\r").as_bytes()).with_context(name)?;
        // Closing at once could drop what QEMU has not read yet: the half-closed end tells when it has.
        stream.shutdown(std::net::Shutdown::Write).with_context(name)?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).with_context(name)?;
        let _ = std::io::copy(&mut stream, &mut std::io::sink()); // what the guest says is in the log
        Ok(())
    }

    /// The last lines of the whole log.
    #[must_use]
    pub fn tail(&self) -> String {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = File::open(&self.log)?;
            let size = file.metadata()?.len();
            file.seek(SeekFrom::Start(size.saturating_sub(16 << 10)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match read() {
            Err(e) => format!("  ({e})"),
            Ok(bytes) => {
                let text = plain(&bytes);
                let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
                let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
                tail.iter().map(|l| format!("  | {}\n", l.trim_end())).collect()
            }
        }
    }

    fn fill(&mut self) -> anyhow::Result<()> {
        let mut file = match File::open(&self.log) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()), // not switched on yet
            other => other.with_context(|| format!("cannot open {}", self.log.display()))?,
        };
        let name = || format!("cannot read {}", self.log.display());
        file.seek(SeekFrom::Start(self.offset)).with_context(name)?;
        let mut new = Vec::new();
        (&mut file).take(1 << 20).read_to_end(&mut new).with_context(name)?;
        self.offset += new.len() as u64;
        if self.offset > MAX_LOG {
            bail!("{} is longer than {} MiB: the node floods its console", self.log.display(), MAX_LOG >> 20);
        }
        self.partial.extend(new);
        while let Some(end) = self.partial.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            self.pending.push_back(plain(&line).trim_end().to_owned());
        }
        Ok(())
    }
}

/// Text without escape sequences (ECMA-48) and control characters, as a person reads it.
#[must_use]
pub fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => match chars.next() {
                // CSI: parameters, then one final byte
                Some('[') => while chars.next().is_some_and(|c| !('\x40'..='\x7e').contains(&c)) {},
                // OSC: up to BEL or ESC \
                Some(']') => while chars.next().is_some_and(|c| c != '\x07' && c != '\x1b') {},
                // character set: one more byte
                Some('(' | ')') => drop(chars.next()),
                _ => {}
            },
            '\n' | '\t' => out.push(c),
            '\r' if chars.peek() != Some(&'\n') => out.push('\n'),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_at(dir: &Path, said: &str) -> Serial {
        let log = dir.join("serial.log");
        std::fs::write(&log, said).unwrap();
        Serial::new(&log, &dir.join("serial.sock"))
    }

    #[test]
    fn control_sequences_are_not_text() {
        let rows = [
            ("colour", "\x1b[1;31mred\x1b[0m text", "red text"),
            ("title", "\x1b]0;title\x07shell", "shell"),
            ("character set", "\x1b(Bx", "x"),
            ("cut in the middle", "text\x1b[1;", "text"),
            ("escape at the end", "text\x1b", "text"),
            ("carriage return alone starts over", "10%\r20%", "10%\n20%"),
            ("carriage return, line feed", "a\r\nb", "a\nb"),
            ("bell and nul", "a\x07\0b", "ab"),
        ];
        for (name, said, want) in rows {
            assert_eq!(plain(said.as_bytes()), want, "{name}");
        }
    }

    #[test]
    fn expects_in_order_and_sees_prompts() {
        let dir = tempfile::tempdir().unwrap();
        let mut serial = line_at(dir.path(), "GRUB\r\nmaekin-install: probe\r\nlogin: ");
        let limit = Duration::from_millis(50);
        assert_eq!(serial.expect("step", "maekin-install:", limit).unwrap(), "maekin-install: probe");
        assert_eq!(serial.expect_any("prompt", &["password", "login"], limit).unwrap().0, 1);
        let err = serial.expect("the past", "GRUB", limit).unwrap_err();
        let text = format!("{err:#}");
        assert!(text.contains("the past") && text.contains("| maekin-install: probe"), "{text}");
    }

    #[test]
    fn a_lost_node_ends_the_wait_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut serial = line_at(dir.path(), "[ 1.0] Kernel panic - not syncing: no init\n");
        let err = serial.expect("ready", "ready", Duration::from_secs(60)).unwrap_err();
        assert!(format!("{err:#}").contains("the node is lost"), "{err:#}");
    }

    #[test]
    fn what_was_said_before_does_not_count_after_skip() {
        let dir = tempfile::tempdir().unwrap();
        let mut serial = line_at(dir.path(), "ready\n");
        serial.skip().unwrap();
        assert!(serial.expect("ready", "ready", Duration::from_millis(20)).is_err());
    }

    #[test]
    fn what_is_typed_arrives_with_return_keys() {
        use std::os::unix::net::UnixListener;
        let dir = tempfile::tempdir().unwrap();
        let serial = line_at(dir.path(), "");
        let listener = UnixListener::bind(dir.path().join("serial.sock")).unwrap();
        let node = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut typed = String::new();
            stream.read_to_string(&mut typed).unwrap();
            typed
        });
        serial.send("root\nsecret\n").unwrap();
        assert_eq!(node.join().unwrap(), "root\rsecret\r");
    }
}
