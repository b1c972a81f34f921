//! Drawing. Plain characters and few colours: it must be readable on any terminal, and cheap on a serial line. Colour is
//! never the only sign.
//!
//! | module | job |
//! | --- | --- |
//! | `choose` | welcome, drives, forms |
//! | `network` | the ports with their switches, the trial of the network |
//! | `plan` | what will happen |
//! | `run` | progress, and the ends |
//! | `wait` | a machine that nobody has let in |

mod choose;
mod network;
pub mod plan;
mod run;
mod wait;

use maekin_image::manifest::Manifest;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Widget, Wrap};

use super::app::{App, Page, Trying};
use super::screen;
use crate::facts::size_text;

/// Columns that the log is wrapped at: those of the smallest console.
const LOG_WIDTH: usize = 78;

/// What the screen that `app` is on looks like on a console of this size, 80 by 24 at least.
#[must_use]
pub fn render(app: &App, area: Rect) -> Buffer {
    let mut buffer = Buffer::empty(area);
    let (title, keys) = title_and_keys(app);
    let row = |y: u16, height: u16| Rect { x: 1, y, width: area.width - 2, height };
    let mut put = |area: Rect, lines: Vec<Line<'_>>| {
        Paragraph::new(lines).wrap(Wrap { trim: false }).render(area, &mut buffer);
    };
    put(Rect { height: 1, ..area }, vec![title_line(app, title, usize::from(area.width))]);
    let footer = if app.shows_log_lines() {
        area.height - 1 - screen::log_lines(area.height)
    } else {
        area.height - 1
    };
    let body = row(2, footer - 3);
    put(body, lines(app, usize::from(body.width), usize::from(body.height)));
    put(row(footer, 1), vec![Line::raw(keys)]);
    buffer
}

fn title_line(app: &App, title: &str, width: usize) -> Line<'static> {
    let left = format!(" Maekin{} | {title}", version(app.manifest.as_ref()));
    let right = app.facts.as_ref().map_or_else(String::new, |facts| {
        format!("{}, {} of memory ", facts.firmware, size_text(facts.memory))
    });
    let gap = width.saturating_sub(left.chars().count() + right.chars().count());
    let style = Style::default().add_modifier(Modifier::REVERSED);
    Line::styled(format!("{left}{}{right}", " ".repeat(gap)), style)
}

fn version(manifest: Option<&Manifest>) -> String {
    manifest.map_or_else(String::new, |m| format!(" {}", m.version))
}

fn title_and_keys(app: &App) -> (&'static str, &'static str) {
    let form = "Up Down: field   Left Right: choose   Enter: next   Esc: back";
    match app.page {
        Page::Starting => ("starting the installer", "wait: this machine is being looked at"),
        Page::Waiting => {
            ("waiting to be let in", "d: boot from its disk   b: reboot   p: power off   s: shell   l: log")
        }
        Page::Welcome => ("installer", "Up Down: move   Enter: choose"),
        Page::Drives => {
            ("drives", "Up Down: move   Space: take or leave   r: look again   Enter: next   Esc: back")
        }
        Page::Node => ("this node", form),
        Page::Network => ("network", form),
        Page::Cluster => ("cluster", form),
        Page::Trial if matches!(app.trying, Trying::Now(_)) => ("trying the network", "Esc: stop"),
        Page::Trial => {
            ("trying the network", "Up Down: move   Enter: choose   PageUp PageDown: results   Esc: back")
        }
        Page::Plan => ("what will happen", "Enter: do it   Up Down: more of it   Esc: back"),
        Page::Progress => ("installing", "wait: it goes on by itself, whatever happens to this console"),
        Page::Done => {
            ("installed", "b: reboot   p: power off   l: log   w: log to a stick   other: stay here")
        }
        Page::Failed => {
            ("failed", "r: try again  l: log  w: log to a stick  s: shell  b: reboot  p: power off")
        }
        Page::Log => ("log", "Up Down PageUp PageDown: move   q: back"),
    }
}

/// The lines of the body, which has `width` by `height` cells.
fn lines(app: &App, width: usize, height: usize) -> Vec<Line<'static>> {
    match app.page {
        Page::Starting => vec![Line::raw("Looking at this machine ...")],
        Page::Waiting => wait::waiting(app, width),
        Page::Welcome => choose::welcome(app, width),
        Page::Drives => choose::drives(app, width, height),
        Page::Node => choose::node(app, width),
        Page::Network => network::form(app, width, height),
        Page::Cluster => choose::form(app, "Is it the first node of a new cluster?", |d| &d.cluster, width),
        Page::Trial => network::trial(app, width, height),
        Page::Plan => plan::page(app, height),
        Page::Progress => run::progress(app, width),
        Page::Done => run::done(app, width),
        Page::Failed => run::failed(app, width, height),
        Page::Log => log(app, height),
    }
}

/// The log as it is shown: long lines go on below, indented.
#[must_use]
pub fn log_lines(app: &App) -> Vec<String> {
    app.log.iter().flat_map(|line| wrapped(line, LOG_WIDTH)).collect()
}

/// How many lines the results of the network's trial have on the smallest console.
#[must_use]
pub fn trial_lines(app: &App) -> usize {
    network::results(app, LOG_WIDTH).len()
}

fn log(app: &App, height: usize) -> Vec<Line<'static>> {
    let lines = log_lines(app);
    // A larger console shows more of it, and nothing below its end.
    let first = app.scroll.min(lines.len().saturating_sub(height));
    lines.into_iter().skip(first).take(height).map(Line::raw).collect()
}

/// `text` in lines of at most `width`, cut between words where that is possible; all but the first are indented.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_inclusive(' ') {
        let mut word = word.to_owned();
        while line.chars().count() + word.trim_end().chars().count() > width {
            if line.trim().is_empty() {
                let room = width - line.chars().count();
                let rest: String = word.chars().skip(room).collect();
                line.extend(word.chars().take(room));
                word = rest;
            }
            lines.push(line.trim_end().to_owned());
            line = "  ".to_owned();
        }
        line.push_str(&word);
    }
    lines.push(line.trim_end().to_owned());
    lines
}

fn red(text: impl Into<String>) -> Line<'static> {
    Line::styled(text.into(), Style::default().fg(Color::Red).add_modifier(Modifier::BOLD))
}

fn marked(text: String, focus: bool) -> Line<'static> {
    if focus {
        Line::styled(text, Style::default().add_modifier(Modifier::REVERSED))
    } else {
        Line::raw(text)
    }
}

/// An item of a menu: `>` says where the cursor is on terminals that show no attributes.
fn item(text: &str, focus: bool) -> Line<'static> {
    marked(format!("{} {text} ", if focus { '>' } else { ' ' }), focus)
}

/// What stands against going on: a red line each, and a sign beside the colour.
fn problems(app: &App) -> Vec<Line<'static>> {
    let wrapped = app.problems.iter().flat_map(|problem| wrapped(&format!("! {problem}"), LOG_WIDTH));
    wrapped.map(red).collect()
}

/// The first `width` characters, with a sign where something is missing.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['~']).collect()
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn long_lines_are_cut_between_words() {
        let rows: &[(&str, &[&str])] = &[
            ("", &[""]),
            ("short", &["short"]),
            ("one two three four", &["one two", "  three", "  four"]),
            ("a/very/long/path/without/blanks", &["a/very/l", "  ong/pa", "  th/wit", "  hout/b", "  lanks"]),
            ("an averylongword", &["an", "  averyl", "  ongwor", "  d"]),
        ];
        for (text, want) in rows {
            assert_eq!(&wrapped(text, 8), want, "{text}");
        }
    }
}
