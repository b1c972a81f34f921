//! The screens on real consoles: only what has changed is sent, log lines scroll below, one console can be lent.

use std::cell::RefCell;
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use maekin_host::tty::{Consoles, Key};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};

use super::app::App;
use super::view;

/// Cells of the screens, whatever the console has: a serial line does not tell its size.
pub const SIZE: Rect = Rect { x: 0, y: 0, width: 80, height: 24 };
/// First line, from 1, of the log's part of the screen.
const LOG_TOP: u16 = 20;

/// Collects what a frame sends, so that each console gets it in one write.
#[derive(Clone, Default)]
struct Sink(Rc<RefCell<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// See the module.
pub struct Screen {
    consoles: Consoles,
    sink: Sink,
    terminal: Terminal<CrosstermBackend<Sink>>,
    log_lines: bool,
    fresh: bool,
}

impl Screen {
    /// Takes the consoles.
    ///
    /// # Errors
    /// None that a console can cause.
    pub fn new(consoles: Consoles) -> Result<Self> {
        let sink = Sink::default();
        let options = TerminalOptions { viewport: Viewport::Fixed(SIZE) };
        let terminal = Terminal::with_options(CrosstermBackend::new(sink.clone()), options)?;
        Ok(Self { consoles, sink, terminal, log_lines: false, fresh: true })
    }

    /// Draws what has changed.
    ///
    /// # Errors
    /// None that a console can cause.
    pub fn draw(&mut self, app: &mut App) -> Result<()> {
        if !app.dirty && !self.fresh {
            return Ok(());
        }
        app.dirty = false;
        // What the log wrote below is unknown to the terminal: it is wiped when the whole screen is wanted back.
        if self.fresh || (self.log_lines && !app.shows_log_lines()) {
            self.consoles.write_all(b"\x1b[r\x1b[2J")?;
            self.terminal.clear()?;
        }
        self.log_lines = app.shows_log_lines();
        self.fresh = false;
        self.terminal.draw(|frame| view::draw(app, frame))?;
        self.send()
    }

    /// Writes a line to the log's part of the screen, where the screen leaves it one. Only this part scrolls.
    pub fn log(&mut self, text: &str) {
        if !self.log_lines {
            return;
        }
        let bottom = SIZE.height;
        let line = format!("\x1b7\x1b[{LOG_TOP};{bottom}r\x1b[{bottom};1H{text}\r\n\x1b[r\x1b8");
        let _ = self.consoles.write_all(line.as_bytes()); // consoles never fail: one that does is left out
    }

    /// Waits for a key on any console.
    pub fn key(&mut self, limit: Duration) -> Option<(usize, Key)> {
        self.consoles.key(limit)
    }

    /// Lends one console to `work`; afterwards everything is drawn anew.
    pub fn lend<T>(&mut self, console: usize, work: impl FnOnce(&Path) -> T) -> Option<T> {
        let _ = self
            .consoles
            .write_all(b"\x1b[r\x1b[2J\x1b[H\x1b[?25hA shell on one of the consoles; exit ends it.\r\n");
        let result = self.consoles.lend(console, work);
        self.fresh = true;
        result
    }

    fn send(&mut self) -> Result<()> {
        let bytes = std::mem::take(&mut *self.sink.0.borrow_mut());
        self.consoles.write_all(&bytes)?;
        Ok(())
    }
}
