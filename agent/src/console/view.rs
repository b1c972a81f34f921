//! The screen, 80 by 24: the smallest that a serial line has, and the same on every console. Pure; plain ASCII.
//!
//! | module | job |
//! | --- | --- |
//! | [`pages`] | status, network, logs |
//! | [`boot`] | alarms and boot drives, on the status page |
//! | [`cluster`] | the members; how this node becomes one |
//! | [`install`] | machines that wait, the install window, installations |
//! | [`care`] | the clock, the support bundle, a new password |
//! | [`help`] | every key |
//! | [`prompt`] | what is being typed |

mod boot;
mod care;
mod cluster;
mod help;
mod install;
mod pages;
mod prompt;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use super::model::{FIRST_LINE, MENU, Model, Page};

/// Columns.
pub(super) const WIDTH: u16 = 80;
/// Lines.
pub(super) const HEIGHT: u16 = 24;
/// First line of a page's body, and how many there are.
const BODY: u16 = 2;
const BODY_LINES: u16 = 19;

/// A line of text with one style.
#[derive(Debug, Clone, Default)]
struct Line {
    text: String,
    style: Style,
}

impl Line {
    fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style::new() }
    }

    fn bold(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style::new().add_modifier(Modifier::BOLD) }
    }

    fn warn(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style::new().fg(Color::Yellow).add_modifier(Modifier::BOLD) }
    }

    fn bad(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style::new().fg(Color::Red).add_modifier(Modifier::BOLD) }
    }
}

/// A page: lines that stay, and lines that scroll under them.
#[derive(Debug, Clone, Default)]
struct Sheet {
    head: Vec<Line>,
    body: Vec<Line>,
}

impl Sheet {
    /// Lines that the body has room for, where it does not fit as a whole: the last one says what is shown.
    fn room(&self) -> usize {
        usize::from(BODY_LINES).saturating_sub(self.head.len() + 1)
    }

    /// How far it can be scrolled.
    fn most(&self) -> usize {
        if self.body.len() <= self.room() + 1 { 0 } else { self.body.len() - self.room() }
    }

    /// The lines to show, scrolled `from` lines down.
    fn lines(mut self, from: usize) -> Vec<Line> {
        let (most, room, all) = (self.most(), self.room(), self.body.len());
        if most > 0 {
            let from = from.min(most);
            self.body.drain(..from);
            self.body.truncate(room);
            let to = from + self.body.len();
            self.body.push(Line::bold(format!(
                " --- lines {} to {to} of {all}; arrows and page keys scroll ---",
                from + 1
            )));
        }
        self.head.extend(self.body);
        self.head
    }
}

/// The whole screen.
pub(super) fn render(model: &Model, now: u64) -> Buffer {
    let mut buffer = Buffer::empty(Rect::new(0, 0, WIDTH, HEIGHT));
    header(model, &mut buffer);
    let lines = match &model.shell_on {
        Some(tty) => vec![
            Line::plain(""),
            Line::bold(format!(" A shell is open on {tty}.")),
            Line::plain(" The menu comes back when it ends, by `exit` or after 15 minutes without a key."),
        ],
        None => {
            let sheet = sheet(model, now);
            // Logs begin at their end.
            let from = if model.page == Page::Logs {
                sheet.most().saturating_sub(model.scroll)
            } else {
                model.scroll
            };
            sheet.lines(from)
        }
    };
    for (y, line) in (BODY..BODY + BODY_LINES).zip(&lines) {
        put(&mut buffer, 0, y, &line.text, line.style);
    }
    // What does not fit the line at the bottom covers the end of the page until the next key.
    let long = prompt::long(model);
    for (y, line) in (0..BODY + BODY_LINES).rev().zip(long.iter().rev()) {
        put(&mut buffer, 0, y, &format!("{:<80}", line.text), line.style);
    }
    menu(model, &mut buffer);
    let line = prompt::line(model, now);
    put(&mut buffer, 0, HEIGHT - 1, &line.text, line.style);
    buffer
}

/// How far the page can be scrolled.
pub(super) fn most_scroll(model: &Model, now: u64) -> usize {
    sheet(model, now).most()
}

fn sheet(model: &Model, now: u64) -> Sheet {
    match model.page {
        Page::Status => pages::status(&model.snapshot, now),
        Page::Network => pages::network(&model.snapshot, now),
        Page::Cluster => cluster::members(model, now),
        Page::Window => install::page(&model.snapshot, now),
        Page::Logs => pages::logs(&model.logs),
        Page::Join => cluster::join(model),
        Page::Time => care::time(model, now),
        Page::Support => care::support(model),
        Page::Password => care::password(model),
        Page::Help => help::page(),
    }
}

fn header(model: &Model, buffer: &mut Buffer) {
    let (name, version) = match &model.snapshot.node {
        Some(node) => (node.name.as_str(), node.version.as_str()),
        None => ("(agent not running)", env!("CARGO_PKG_VERSION")),
    };
    let left = format!(" Maekin {version}   {name}");
    let right = match &model.snapshot.node {
        Some(node) if node.key == "throw-away" => "signed with a THROW-AWAY KEY ",
        _ => "",
    };
    let left = cut(&left, usize::from(WIDTH) - right.len() - 1);
    let gap = usize::from(WIDTH).saturating_sub(left.chars().count() + right.len());
    let text = format!("{left}{:gap$}{right}", "");
    put(buffer, 0, 0, &text, Style::new().add_modifier(Modifier::REVERSED));
}

fn menu(model: &Model, buffer: &mut Buffer) {
    let (mut x, mut y) = (1, HEIGHT - 3);
    for (i, (key, text, _)) in MENU.iter().enumerate() {
        if i == FIRST_LINE {
            (x, y) = (1, HEIGHT - 2);
        }
        let entry = format!("{key} {text}");
        let reversed = Style::new().add_modifier(Modifier::REVERSED);
        let style = if i == model.selected { reversed } else { Style::new() };
        put(buffer, x, y, &entry, style);
        x += u16::try_from(entry.len()).unwrap_or(WIDTH) + 2;
    }
}

/// Writes what fits, with a tilde where that is not all; whatever is not plain text (it may come from another machine) becomes a question mark.
fn put(buffer: &mut Buffer, x: u16, y: u16, text: &str, style: Style) {
    let room = usize::from(WIDTH.saturating_sub(x));
    let plain = |c: char| if (' '..='~').contains(&c) { c } else { '?' };
    let clean: String = cut(text, room).chars().map(plain).collect();
    buffer.set_stringn(x, y, clean, room, style);
}

/// At most `width` characters of a text; one that is longer ends with a tilde.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('~');
    short
}

#[cfg(test)]
pub(crate) mod tests;
