//! The screen, 80 by 24: the smallest that a serial line has, and the same on every console. Pure; plain ASCII.

mod boot;
mod pages;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use super::model::{MENU, Model, Page, PromptKind};

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
        None => match model.page {
            Page::Status => pages::status(&model.snapshot, now),
            Page::Network => pages::network(&model.snapshot),
            Page::Cluster => pages::cluster(&model.snapshot, model.scroll),
            Page::Window => pages::install(&model.snapshot, model.scroll, now),
            Page::Logs => pages::logs(&model.logs, model.scroll),
        },
    };
    for (y, line) in (BODY..BODY + BODY_LINES).zip(&lines) {
        put(&mut buffer, 0, y, &line.text, line.style);
    }
    menu(model, &mut buffer);
    footer(model, &mut buffer);
    buffer
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
    let gap = usize::from(WIDTH).saturating_sub(left.len() + right.len());
    let text = format!("{left}{:gap$}{right}", "");
    put(buffer, 0, 0, &text, Style::new().add_modifier(Modifier::REVERSED));
}

fn menu(model: &Model, buffer: &mut Buffer) {
    let mut x = 1;
    for (i, (digit, text, _)) in MENU.iter().enumerate() {
        let entry = format!("{digit} {text}");
        let reversed = Style::new().add_modifier(Modifier::REVERSED);
        let style = if i == model.selected { reversed } else { Style::new() };
        put(buffer, x, HEIGHT - 2, &entry, style);
        x += u16::try_from(entry.len()).unwrap_or(WIDTH) + 2;
    }
}

fn footer(model: &Model, buffer: &mut Buffer) {
    let name = model.snapshot.node.as_ref().map_or("this node", |n| &n.name);
    let line = match &model.prompt {
        Some(prompt) => match prompt.kind {
            PromptKind::Password => {
                let stars = "*".repeat(prompt.typed.chars().count().min(40));
                Line::bold(format!(" Admin password: {stars}_   (Enter, or Esc to leave)"))
            }
            PromptKind::Code { yes } => {
                let (word, typed) = (if yes { "let in" } else { "tell no" }, &prompt.typed);
                Line::bold(format!(" Code of the machine to {word} (Enter, or Esc to leave): {typed}_"))
            }
            PromptKind::Confirm(word) => {
                let typed = &prompt.typed;
                Line::warn(format!(" To {word} {name}, type `{word}` and Enter (Esc to leave): {typed}_"))
            }
        },
        None => Line::bold(format!(" {}", model.message)),
    };
    put(buffer, 0, HEIGHT - 1, &line.text, line.style);
}

/// Writes what fits; whatever is not plain text (it may come from another machine) becomes a question mark.
fn put(buffer: &mut Buffer, x: u16, y: u16, text: &str, style: Style) {
    let clean: String = text.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect();
    buffer.set_stringn(x, y, clean, usize::from(WIDTH.saturating_sub(x)), style);
}

#[cfg(test)]
mod tests;
