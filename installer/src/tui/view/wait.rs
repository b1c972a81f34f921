//! The screen of a machine that waits to be let in: its code, large enough to be read across an aisle.

use maekin_api::machine::Verdict;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;

use super::{red, wrapped};
use crate::tui::app::{App, Local};

/// Digits, five rows each.
const DIGITS: [[&str; 5]; 10] = [
    [" ##### ", " ##  # ", " # # # ", " #  ## ", " ##### "],
    ["   #   ", "  ##   ", "   #   ", "   #   ", "  ###  "],
    [" ####  ", "     # ", "  ###  ", " #     ", " ##### "],
    [" ####  ", "     # ", "  ###  ", "     # ", " ####  "],
    [" #   # ", " #   # ", " ##### ", "     # ", "     # "],
    [" ##### ", " #     ", " ####  ", "     # ", " ####  "],
    ["  ###  ", " #     ", " ####  ", " #   # ", "  ###  "],
    [" ##### ", "    #  ", "   #   ", "  #    ", "  #    "],
    ["  ###  ", " #   # ", "  ###  ", " #   # ", "  ###  "],
    ["  ###  ", " #   # ", "  #### ", "     # ", "  ###  "],
];
const DASH: [&str; 5] = ["       ", "       ", "  ###  ", "       ", "       "];

pub(super) fn waiting(app: &App, width: usize) -> Vec<Line<'static>> {
    let Some(waiting) = &app.waiting else { return Vec::new() };
    let bold = Style::default().add_modifier(Modifier::BOLD);
    let mut lines = vec![Line::raw(format!("The code of this machine is {}", waiting.code)), Line::raw("")];
    lines.extend(large(&waiting.code).into_iter().map(|row| Line::styled(row, bold)));
    lines.push(Line::raw(""));
    let (standing, remedy) = match &waiting.verdict {
        None => ("Nobody has decided about it yet.".to_owned(), ""),
        Some(Verdict::Denied { reason, .. }) => (
            format!("! DENIED: {reason}"),
            "It may not install itself. Whoever denied it can still let it in:",
        ),
        Some(Verdict::Expired { reason, .. }) => {
            (format!("! EXPIRED: {reason}"), "It has to be let in anew:")
        }
        Some(Verdict::Wait { reason, .. }) => (
            format!("It waits: {reason}"),
            "To let it in, compare the code on a node's console (keys 4, a), or type there:",
        ),
        Some(Verdict::Install { .. } | Verdict::Local) => ("It is let in.".to_owned(), ""),
    };
    let alarm = standing.starts_with('!');
    let starts = starts(app);
    let standing = wrapped(&standing, width).into_iter().take(if starts.is_empty() { 4 } else { 2 });
    lines.extend(standing.map(|line| if alarm { red(line) } else { Line::styled(line, bold) }));
    if !remedy.is_empty() {
        lines.push(Line::raw(remedy));
        lines.push(Line::raw(format!("  maekin-agent approve {}", waiting.code)));
    }
    lines.push(Line::raw(""));
    for text in starts {
        lines.extend(wrapped(&text, width).into_iter().take(2).map(|line| Line::styled(line, bold)));
    }
    let fields = [("Machine", &waiting.machine), ("Port", &waiting.ask.mac)];
    for (name, value) in fields {
        let text = wrapped(&format!("{name:<9}{value}"), width);
        lines.extend(text.into_iter().take(2).map(Line::raw));
    }
    if let Some(problem) = &waiting.problem {
        lines.extend(wrapped(&format!("! {problem}"), width).into_iter().take(2).map(red));
        lines.push(Line::raw("It goes on asking by itself."));
    } else {
        lines.push(Line::raw(format!("{:<9}{}", "Master", waiting.master())));
    }
    lines
}

/// What is installed, and what becomes of it.
fn starts(app: &App) -> Vec<String> {
    let Some(installed) = app.waiting.as_ref().and_then(|waiting| waiting.installed.as_ref()) else {
        return Vec::new();
    };
    match app.local {
        Local::At { left, .. } => vec![
            format!("Installed is {installed}: it starts in {left} s."),
            "Any key: stay here, to install this machine anew.".to_owned(),
        ],
        Local::Not | Local::Stayed => vec![format!("Installed is {installed}; key d starts it.")],
    }
}

/// The code in rows of signs.
fn large(code: &str) -> Vec<String> {
    let glyph = |c: char| c.to_digit(10).and_then(|d| DIGITS.get(d as usize)).unwrap_or(&DASH);
    (0..5).map(|row| code.chars().map(|c| format!("{} ", glyph(c)[row])).collect()).collect()
}
