//! The screens on real consoles: each console has its own size and its own pace. Only what has changed is sent, a slow
//! line gets fewer frames instead of old ones, log lines scroll below, one console can be lent.

use std::path::Path;
use std::time::{Duration, Instant};

use maekin_host::tty::{Consoles, Key};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::app::App;
use super::{paint, view};

/// Cells of a console that does not tell its size, as a serial line.
pub const SIZE: (u16, u16) = (80, 24);
/// Bytes that may wait for a console before it gets no more log lines: what it shows when it goes on must not be old.
const BACKLOG: usize = 8 << 10;

/// Lines at the bottom that the log scrolls in on a console with so many rows, on screens that leave it some.
#[must_use]
pub fn log_lines(rows: u16) -> u16 {
    5 + rows.saturating_sub(SIZE.1) / 2
}

/// A key on a console after so long: somebody has just come to it, and may see anything.
const AWAY: Duration = Duration::from_secs(60);
/// Asks a terminal how large it is: the cursor stops at its last corner, and says where that is.
const ASK_SIZE: &str = "\x1b7\x1b[999;999H\x1b[6n\x1b8";

/// What one console shows.
#[derive(Default)]
struct Painter {
    /// The last frame; `None`: unknown.
    shown: Option<Buffer>,
    /// The version of the model that it shows.
    seen: Option<u64>,
    /// Its lower lines belong to the log.
    log_lines: bool,
    /// When it last gave a key.
    touched: Option<Instant>,
}

impl Painter {
    /// What brings the console from what it shows to `app`.
    fn paint(&mut self, app: &App, (columns, rows): (u16, u16)) -> Vec<u8> {
        let area = Rect { x: 0, y: 0, width: columns, height: rows };
        // What the log wrote below is unknown: it is wiped when the whole screen is wanted back.
        let whole = self.log_lines && !app.shows_log_lines();
        self.log_lines = app.shows_log_lines();
        let next = view::render(app, area);
        let same_size = self.shown.as_ref().is_some_and(|shown| *shown.area() == area);
        let old = self.shown.as_ref().filter(|_| same_size && !whole);
        let bytes = paint::difference(old, &next);
        self.shown = Some(next);
        bytes
    }
}

/// See the module.
pub struct Screen {
    consoles: Consoles,
    painters: Vec<Painter>,
    version: u64,
}

impl Screen {
    /// Takes the consoles.
    #[must_use]
    pub fn new(consoles: Consoles) -> Self {
        let painters = consoles.paths().iter().map(|_| Painter::default()).collect();
        Self { consoles, painters, version: 0 }
    }

    /// Draws what has changed, on each console that has taken what it was sent before.
    pub fn draw(&mut self, app: &mut App) {
        if std::mem::take(&mut app.dirty) {
            self.version += 1;
        }
        for (i, painter) in self.painters.iter_mut().enumerate() {
            let known = self.consoles.size(i);
            let size = known.unwrap_or(SIZE);
            let resized =
                painter.shown.as_ref().is_some_and(|shown| (shown.area().width, shown.area().height) != size);
            if self.consoles.has_lost(i) || resized {
                painter.shown = None;
            }
            let current = painter.seen == Some(self.version) && painter.shown.is_some();
            if current || !self.consoles.is_drained(i) {
                continue;
            }
            if painter.shown.is_none() && known.is_none() {
                self.consoles.send(i, ASK_SIZE.as_bytes());
            }
            painter.seen = Some(self.version);
            let bytes = painter.paint(app, size);
            self.consoles.send(i, &bytes);
        }
    }

    /// Writes a line to the log's part of each screen that leaves it one. Only this part scrolls.
    pub fn log(&mut self, text: &str) {
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        for (i, _) in self.painters.iter().enumerate().filter(|(_, painter)| painter.log_lines) {
            let bottom = self.consoles.size(i).unwrap_or(SIZE).1;
            let top = bottom - log_lines(bottom) + 1;
            let line = format!("\x1b7\x1b[{top};{bottom}r\x1b[{bottom};1H{text}\r\n\x1b[r\x1b8");
            if self.consoles.backlog(i) + line.len() <= BACKLOG {
                self.consoles.send(i, line.as_bytes());
            }
        }
    }

    /// Waits for a key on any console.
    pub fn key(&mut self, limit: Duration) -> Option<(usize, Key)> {
        let (console, key) = self.consoles.key(limit)?;
        if let Some(painter) = self.painters.get_mut(console) {
            if painter.touched.is_none_or(|last| last.elapsed() >= AWAY) {
                painter.shown = None;
            }
            painter.touched = Some(Instant::now());
        }
        Some((console, key))
    }

    /// Draws console `console` anew: whoever is there asks for it.
    pub fn refresh(&mut self, console: usize) {
        if let Some(painter) = self.painters.get_mut(console) {
            painter.shown = None;
        }
    }

    /// Columns and rows of a console.
    #[must_use]
    pub fn size(&self, console: usize) -> (u16, u16) {
        self.consoles.size(console).unwrap_or(SIZE)
    }

    /// Lends one console to `work`; afterwards everything is drawn anew.
    pub fn lend<T>(&mut self, console: usize, work: impl FnOnce(&Path) -> T) -> Option<T> {
        let name = self.consoles.paths().get(console).map(|path| path.display().to_string())?;
        for i in 0..self.painters.len() {
            let word = if i == console { "exit ends it" } else { "this console goes on when it ends" };
            let text = format!("{}A shell on {name}; {word}.\r\n", paint::FRESH);
            self.consoles.send(i, text.as_bytes());
        }
        let result = self.consoles.lend(console, work);
        for painter in &mut self.painters {
            painter.shown = None;
        }
        result
    }
}

#[cfg(test)]
mod on_screens;
