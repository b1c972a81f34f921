//! The difference between two screens, as bytes for a terminal: a serial line of 9600 baud takes two seconds for a
//! whole screen, so only what changed is sent. Sequences of ECMA-48 that every terminal since the VT100 knows. Pure.

use std::fmt::Write;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

/// Attributes off, screen cleared, cursor home and shown: for whoever gets the terminal next.
pub(super) const FRESH: &[u8] = b"\x1b[0m\x1b[2J\x1b[H\x1b[?25h";

/// What brings a terminal that shows `old` (`None`: anything) to show `new`; empty when that is the same.
pub(super) fn difference(old: Option<&Buffer>, new: &Buffer) -> Vec<u8> {
    let blank = Buffer::empty(*new.area());
    let mut text = String::new();
    if old.is_none() {
        text.push_str("\x1b[0m\x1b[2J\x1b[?25l");
    }
    let mut at = None;
    let mut style = (Color::Reset, Modifier::empty());
    for (x, y, cell) in old.unwrap_or(&blank).diff(new) {
        if at != Some((x, y)) {
            let _ = write!(text, "\x1b[{};{}H", y + 1, x + 1);
        }
        if style != look(cell) {
            style = look(cell);
            push_style(&mut text, style);
        }
        text.push_str(cell.symbol());
        at = Some((x + 1, y));
    }
    if !text.is_empty() {
        text.push_str("\x1b[0m\x1b[24;80H"); // parked where a stray message does least harm
    }
    text.into_bytes()
}

fn look(cell: &Cell) -> (Color, Modifier) {
    (cell.fg, cell.modifier)
}

fn push_style(text: &mut String, (color, modifier): (Color, Modifier)) {
    text.push_str("\x1b[0");
    if modifier.contains(Modifier::BOLD) {
        text.push_str(";1");
    }
    if modifier.contains(Modifier::REVERSED) {
        text.push_str(";7");
    }
    match color {
        Color::Red => text.push_str(";31"),
        Color::Green => text.push_str(";32"),
        Color::Yellow => text.push_str(";33"),
        _ => {}
    }
    text.push('m');
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::style::Style;

    fn screen(lines: &[&str]) -> Buffer {
        Buffer::with_lines(lines.iter().copied())
    }

    fn sent(old: Option<&Buffer>, new: &Buffer) -> String {
        String::from_utf8(difference(old, new)).unwrap()
    }

    #[test]
    fn only_what_changed_is_sent() {
        let old = screen(&["name node-1", "state idle "]);
        assert_eq!(sent(Some(&old), &old), "");
        let new = screen(&["name node-1", "state busy "]);
        assert_eq!(sent(Some(&old), &new), "\x1b[2;7Hbusy\x1b[0m\x1b[24;80H");
        let far = screen(&["Xame node-2", "state idle "]);
        assert_eq!(sent(Some(&old), &far), "\x1b[1;1HX\x1b[1;11H2\x1b[0m\x1b[24;80H");
    }

    #[test]
    fn an_unknown_screen_is_cleared_first() {
        let text = sent(None, &screen(&["ab"]));
        assert!(text.starts_with("\x1b[0m\x1b[2J\x1b[?25l\x1b[1;1Hab"), "{text:?}");
    }

    #[test]
    fn styles_are_sent_once() {
        let mut new = screen(&["abc"]);
        new.set_style(*new.area(), Style::new().fg(Color::Red).add_modifier(Modifier::BOLD));
        let text = sent(Some(&screen(&["   "])), &new);
        assert_eq!(text, "\x1b[1;1H\x1b[0;1;31mabc\x1b[0m\x1b[24;80H");
    }
}
