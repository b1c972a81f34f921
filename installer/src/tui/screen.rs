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

/// Turns the model into what terminals must be sent.
struct Painter {
    sink: Sink,
    terminal: Terminal<CrosstermBackend<Sink>>,
}

impl Painter {
    fn new() -> io::Result<Self> {
        let sink = Sink::default();
        let options = TerminalOptions { viewport: Viewport::Fixed(SIZE) };
        let terminal = Terminal::with_options(CrosstermBackend::new(sink.clone()), options)?;
        Ok(Self { sink, terminal })
    }

    /// What differs from the last frame; everything, where `whole`.
    fn paint(&mut self, app: &App, whole: bool) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if whole {
            // A new terminal believes its screen to be empty. (Asking the old one to clear itself would have it look
            // for a controlling terminal, which an initrd's job does not have.)
            *self = Self::new()?;
            bytes.extend_from_slice(b"\x1b[r\x1b[0m\x1b[2J");
        }
        self.terminal.draw(|frame| view::draw(app, frame))?;
        bytes.append(&mut self.sink.0.borrow_mut());
        Ok(bytes)
    }
}

/// See the module.
pub struct Screen {
    consoles: Consoles,
    painter: Painter,
    log_lines: bool,
    fresh: bool,
}

impl Screen {
    /// Takes the consoles.
    ///
    /// # Errors
    /// None that a console can cause.
    pub fn new(consoles: Consoles) -> Result<Self> {
        Ok(Self { consoles, painter: Painter::new()?, log_lines: false, fresh: true })
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
        let whole = self.fresh || (self.log_lines && !app.shows_log_lines());
        self.log_lines = app.shows_log_lines();
        self.fresh = false;
        let bytes = self.painter.paint(app, whole)?;
        self.consoles.write_all(&bytes)?;
        Ok(())
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::event::Event;
    use uuid::Uuid;

    #[test]
    fn only_what_has_changed_is_sent() {
        let mut painter = Painter::new().unwrap();
        let mut app = App::new(Uuid::nil());
        let whole = painter.paint(&app, true).unwrap();
        assert!(String::from_utf8_lossy(&whole).contains("starting the installer"));
        assert!(painter.paint(&app, false).unwrap().len() < 60, "nothing has changed");
        app.page = crate::tui::app::Page::Progress;
        app.update(Event::Work { done: 50, total: 100 });
        painter.paint(&app, false).unwrap();
        app.update(Event::Work { done: 51, total: 100 });
        let bytes = painter.paint(&app, false).unwrap();
        assert!(bytes.len() < 200, "{} bytes for one percent", bytes.len());
        assert!(painter.paint(&app, true).unwrap().len() > bytes.len(), "everything");
    }
}
