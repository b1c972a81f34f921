//! The difference between two screens as bytes for a terminal: a serial line of 9600 baud takes two seconds for a whole
//! screen, so only what changed is sent. Sequences of ECMA-48 that every terminal since the VT100 knows. Pure.

use std::fmt::Write;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

/// Scrolling as usual, attributes off, screen cleared, cursor home and shown: for whoever gets the terminal next.
pub const FRESH: &str = "\x1b[r\x1b[0m\x1b[2J\x1b[H\x1b[?25h";
/// Unchanged characters that are cheaper to send again than to jump over.
const GAP: u16 = 6;

type Look = (Color, Modifier);

/// What brings a terminal that shows `old` (`None`: anything) to show `new`; empty when that is the same. It leaves the
/// terminal without attributes and without a cursor.
#[must_use]
pub fn difference(old: Option<&Buffer>, new: &Buffer) -> Vec<u8> {
    let blank = Buffer::empty(*new.area());
    let mut text = String::new();
    if old.is_none() {
        text.push_str("\x1b[r\x1b[0m\x1b[2J\x1b[?25l");
    }
    let mut at: Option<(u16, u16)> = None;
    let mut look: Look = (Color::Reset, Modifier::empty());
    for (x, y, cell) in old.unwrap_or(&blank).diff(new) {
        match at {
            Some((column, row)) if row == y && column <= x && x - column <= GAP => {
                for between in column..x {
                    push(&mut text, &new[(between, y)], &mut look);
                }
            }
            _ => drop(write!(text, "\x1b[{};{}H", y + 1, x + 1)),
        }
        push(&mut text, cell, &mut look);
        at = Some((x + 1, y));
    }
    if look != (Color::Reset, Modifier::empty()) {
        text.push_str("\x1b[0m");
    }
    text.into_bytes()
}

fn push(text: &mut String, cell: &Cell, look: &mut Look) {
    let wanted = (cell.fg, cell.modifier);
    if *look != wanted {
        *look = wanted;
        text.push_str("\x1b[0");
        for (modifier, code) in [(Modifier::BOLD, ";1"), (Modifier::DIM, ";2"), (Modifier::REVERSED, ";7")] {
            if wanted.1.contains(modifier) {
                text.push_str(code);
            }
        }
        text.push_str(match wanted.0 {
            Color::Red => ";31m",
            Color::Green => ";32m",
            Color::Yellow => ";33m",
            _ => "m",
        });
    }
    text.push_str(cell.symbol());
}

#[cfg(test)]
mod tests {
    use ratatui::style::Style;

    use super::*;

    fn sent(old: Option<&Buffer>, new: &Buffer) -> String {
        String::from_utf8(difference(old, new)).unwrap()
    }

    #[test]
    fn only_what_changed_is_sent() {
        let old = Buffer::with_lines(["name node-1, first of its rack", "state idle "]);
        assert_eq!(sent(Some(&old), &old), "");
        let new = Buffer::with_lines(["name node-1, first of its rack", "state busy "]);
        assert_eq!(sent(Some(&old), &new), "\x1b[2;7Hbusy");
        let new = Buffer::with_lines(["Name node-1, first of its racK", "state idle "]);
        assert_eq!(sent(Some(&old), &new), "\x1b[1;1HN\x1b[1;30HK");
        let new = Buffer::with_lines(["Name Node-1, first of its rack", "state idle "]);
        assert_eq!(sent(Some(&old), &new), "\x1b[1;1HName N", "a short gap is sent again");
    }

    #[test]
    fn an_unknown_screen_is_cleared_first_and_styles_are_sent_once() {
        let mut new = Buffer::with_lines(["abc"]);
        new.set_style(*new.area(), Style::new().fg(Color::Red).add_modifier(Modifier::BOLD));
        assert_eq!(sent(None, &new), "\x1b[r\x1b[0m\x1b[2J\x1b[?25l\x1b[1;1H\x1b[0;1;31mabc\x1b[0m");
    }
}
