//! A terminal for the serial line: what a person would see on it, of the sequences (ECMA-48) that our screens use.
//! Sequences it does not know change nothing.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use maekin_host::wait;

const COLUMNS: usize = 80;
const ROWS: usize = 24;
/// How often the line is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// A line that said something is at rest after so long.
const QUIET: Duration = Duration::from_millis(500);
/// A line that says nothing at all is at rest after so long.
const DEAF: Duration = Duration::from_secs(3);

/// The terminal's screen.
#[derive(Debug, Clone)]
pub struct Terminal {
    cells: Vec<[char; COLUMNS]>,
    row: usize,
    column: usize,
    saved: (usize, usize),
    region: (usize, usize),
    rest: Vec<u8>,
    log: PathBuf,
    offset: usize,
}

impl Terminal {
    /// A terminal on the serial line whose log is `log`.
    #[must_use]
    pub fn new(log: &Path) -> Self {
        Self {
            cells: vec![[' '; COLUMNS]; ROWS],
            row: 0,
            column: 0,
            saved: (0, 0),
            region: (0, ROWS - 1),
            rest: Vec::new(),
            log: log.to_owned(),
            offset: 0,
        }
    }

    /// What is seen: a line a row.
    #[must_use]
    pub fn text(&self) -> String {
        let row = |cells: &[char; COLUMNS]| cells.iter().collect::<String>().trim_end().to_owned() + "\n";
        self.cells.iter().map(row).collect()
    }

    /// Waits until all of `wanted` are seen at once.
    ///
    /// # Errors
    /// After `limit`, with what is seen instead.
    pub fn see(&mut self, what: &str, wanted: &[&str], limit: Duration) -> anyhow::Result<String> {
        let found = wait::until(what, limit, LOOK, || match self.look() {
            Err(e) => Some(Err(e)),
            Ok(()) => {
                let text = self.text();
                wanted.iter().all(|part| text.contains(part)).then_some(Ok(text))
            }
        });
        match found {
            Ok(outcome) => outcome,
            Err(e) => {
                Err(anyhow::Error::from(e).context(format!("{wanted:?} is not seen:\n{}", self.text())))
            }
        }
    }

    /// Waits until something has come over the line and then nothing more for half a second; a key that changes nothing
    /// is given three seconds.
    ///
    /// # Errors
    /// When the line does not come to rest within `limit`.
    pub fn settle(&mut self, limit: Duration) -> anyhow::Result<()> {
        let (begin, start) = (self.offset, Instant::now());
        let mut changed = Instant::now();
        wait::until("the serial line to come to rest", limit, LOOK, || {
            let before = self.offset;
            if let Err(e) = self.look() {
                return Some(Err(e));
            }
            if self.offset != before {
                changed = Instant::now();
            }
            let quiet =
                if self.offset == begin { start.elapsed() >= DEAF } else { changed.elapsed() >= QUIET };
            quiet.then_some(Ok(()))
        })?
    }

    /// Takes in what has come over the line.
    fn look(&mut self) -> anyhow::Result<()> {
        let all = std::fs::read(&self.log).with_context(|| format!("cannot read {}", self.log.display()))?;
        let new = all.get(self.offset..).unwrap_or_default().to_vec();
        self.offset = all.len();
        self.take(&new);
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) {
        let mut bytes: Vec<u8> = self.rest.drain(..).chain(bytes.iter().copied()).collect();
        while let Some(used) = self.one(&bytes) {
            bytes.drain(..used);
        }
        self.rest = bytes;
    }

    /// Takes one character or sequence; `None` where it is not whole yet.
    fn one(&mut self, bytes: &[u8]) -> Option<usize> {
        match bytes {
            [] | [0x1b] => return None,
            [0x1b, b'[', rest @ ..] => {
                let end = rest.iter().position(|b| (0x40..=0x7e).contains(b))?;
                let text = String::from_utf8_lossy(&rest[..end]).into_owned();
                self.control(&text, rest[end]);
                return Some(end + 3);
            }
            [0x1b, b'7', ..] => self.saved = (self.row, self.column),
            [0x1b, b'8', ..] => (self.row, self.column) = self.saved,
            [0x1b, ..] => {}
            [b'\r', ..] => self.column = 0,
            [b'\n', ..] => self.feed(),
            [c, ..] if *c < 0x20 => {}
            [c, ..] => {
                if self.column == COLUMNS {
                    self.column = 0;
                    self.feed();
                }
                self.cells[self.row][self.column] = char::from(*c);
                self.column += 1;
            }
        }
        Some(if bytes[0] == 0x1b { 2 } else { 1 })
    }

    fn control(&mut self, text: &str, end: u8) {
        let number =
            |i: usize| text.split(';').nth(i).and_then(|n| n.parse::<usize>().ok()).unwrap_or(1).max(1);
        match end {
            b'H' => (self.row, self.column) = (number(0).min(ROWS) - 1, number(1).min(COLUMNS) - 1),
            b'J' if text == "2" => self.cells.fill([' '; COLUMNS]),
            b'r' if text.is_empty() => self.region = (0, ROWS - 1),
            b'r' => self.region = (number(0).min(ROWS) - 1, number(1).min(ROWS) - 1),
            _ => {}
        }
    }

    /// One line down; at the end of the scrolling region its lines go up.
    fn feed(&mut self) {
        let (top, bottom) = self.region;
        if self.row == bottom {
            self.cells[top..=bottom].rotate_left(1);
            self.cells[bottom] = [' '; COLUMNS];
        } else {
            self.row = (self.row + 1).min(ROWS - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(parts: &[&[u8]]) -> String {
        let path = Path::new("/nowhere");
        let mut terminal = Terminal::new(path);
        parts.iter().for_each(|part| terminal.take(part));
        terminal.text().trim_end().to_owned()
    }

    #[test]
    fn sequences_move_and_clear_and_scroll() {
        let rows: &[(&str, &[&[u8]], &str)] = &[
            ("text", &[b"ab\r\ncd"], "ab\ncd"),
            ("placed", &[b"\x1b[2;3Hx\x1b[1;1Hy"], "y\n  x"),
            ("cut in two", &[b"\x1b[2", b";3Hx"], "\n  x"),
            ("cleared", &[b"old\x1b[2J\x1b[1;1Hnew"], "new"),
            ("colours are not text", &[b"\x1b[0;1;31mred\x1b[0m"], "red"),
            ("a region scrolls alone", &[b"top\x1b[2;3r\x1b[3;1Ha\r\n\x1b[3;1Hb\r\n\x1b[r"], "top\nb"),
            ("the cursor comes back", &[b"a\x1b7\x1b[9;9Hz\x1b8b\x1b[9;9H "], "ab"),
            (
                "far outside",
                &[b"\x1b[999;999Hx\x1b[0;0Hy"],
                &format!("y{}{}x", "\n".repeat(23), " ".repeat(79)),
            ),
            ("unknown", &[b"\x1b[?25l\x1b(x\x1b[6n"], "x"),
        ];
        for (name, parts, want) in rows {
            assert_eq!(&shown(parts), want, "{name}");
        }
    }
}
