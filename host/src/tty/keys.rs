//! Bytes of a terminal become keys. Sequences as VT100, xterm, the Linux console and BMCs send them (ECMA-48).

/// A key as a person presses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A printable character.
    Char(char),
    /// A control key with a letter, e.g. `Ctrl('c')`.
    Ctrl(char),
    /// Return.
    Enter,
    /// Backspace or Delete-left.
    Backspace,
    /// Tab.
    Tab,
    /// Shift and Tab.
    BackTab,
    /// Escape by itself.
    Esc,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Arrow left.
    Left,
    /// Arrow right.
    Right,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
}

/// Something that a terminal sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// A key.
    Key(Key),
    /// Where its cursor is: row and column, from 1 (the answer to `CSI 6n`).
    Cursor(u16, u16),
}

/// Longest sequence that is waited for; a terminal that sends more is babbling.
const LONGEST: usize = 32;

/// Takes one input off the front of `bytes`. A sequence that may still go on is left there, unless `ended`.
pub(super) fn decode(bytes: &mut Vec<u8>, ended: bool) -> Option<Input> {
    loop {
        match decode_one(bytes, ended)? {
            (Some(input), used) => {
                bytes.drain(..used);
                return Some(input);
            }
            (None, used) => drop(bytes.drain(..used)),
        }
    }
}

/// Throws away the rest of a cursor key whose ESC was taken for the key Escape. False while it is not known whether
/// the bytes are one, unless `ended`.
pub(super) fn drop_orphan(bytes: &mut Vec<u8>, ended: bool) -> bool {
    let [b'[', rest @ ..] = bytes.as_slice() else { return true };
    match sequence(rest) {
        Some((Some(Input::Key(_)), used)) => drop(bytes.drain(..=used)),
        None if rest.is_empty() && !ended => return false,
        _ => {}
    }
    true
}

/// The first input and its length, or the length of something that means nothing.
fn decode_one(bytes: &[u8], ended: bool) -> Option<(Option<Input>, usize)> {
    let (key, used) = match bytes {
        [] => return None,
        [0x1b, b'[' | b'O', rest @ ..] => match sequence(rest) {
            Some((input, n)) => return Some((input, n + 2)),
            None if rest.len() > LONGEST => (None, bytes.len()),
            None if ended => (Some(Key::Esc), bytes.len()),
            None => return None,
        },
        [0x1b] if !ended => return None,
        [0x1b, ..] => (Some(Key::Esc), 1),
        [b'\r', b'\n', ..] => (Some(Key::Enter), 2), // some serial terminals send both for Return
        [b'\r' | b'\n', ..] => (Some(Key::Enter), 1),
        [0x7f | 0x08, ..] => (Some(Key::Backspace), 1),
        [b'\t', ..] => (Some(Key::Tab), 1),
        [c @ 1..=26, ..] => (Some(Key::Ctrl(char::from(c + b'a' - 1))), 1),
        [c @ 0x20..=0x7e, ..] => (Some(Key::Char(char::from(*c))), 1),
        [0..=0x1f, ..] => (None, 1),
        other => {
            let width = match other[0] {
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                _ => 1,
            };
            if other.len() < width && !ended {
                return None;
            }
            let text = std::str::from_utf8(&other[..width.min(other.len())]).ok();
            (text.and_then(|t| t.chars().next()).map(Key::Char), width.min(other.len()))
        }
    };
    Some((key.map(Input::Key), used))
}

/// The key of a CSI or SS3 sequence after its introducer, and its length; `None` while it is incomplete.
fn sequence(rest: &[u8]) -> Option<(Option<Input>, usize)> {
    let end = rest.iter().position(|b| (0x40..=0x7e).contains(b))?;
    let key = match (&rest[..end], rest[end]) {
        (place, b'R') => return Some((cursor(place), end + 1)),
        (_, b'A') => Some(Key::Up),
        (_, b'B') => Some(Key::Down),
        (_, b'C') => Some(Key::Right),
        (_, b'D') => Some(Key::Left),
        (_, b'Z') => Some(Key::BackTab),
        (b"5", b'~') => Some(Key::PageUp),
        (b"6", b'~') => Some(Key::PageDown),
        (b"3", b'~') => Some(Key::Backspace),
        _ => None,
    };
    Some((key.map(Input::Key), end + 1))
}

/// `row;column` of a cursor position report.
fn cursor(place: &[u8]) -> Option<Input> {
    let (row, column) = std::str::from_utf8(place).ok()?.split_once(';')?;
    Some(Input::Cursor(row.parse().ok()?, column.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<Key> {
        let mut pending = bytes.to_vec();
        let keys = std::iter::from_fn(|| decode(&mut pending, true));
        keys.filter_map(|input| if let Input::Key(key) = input { Some(key) } else { None }).collect()
    }

    #[test]
    fn bytes_become_keys() {
        let rows: &[(&str, &[u8], &[Key])] = &[
            ("letters", b"ab", &[Key::Char('a'), Key::Char('b')]),
            ("arrows, CSI and SS3", b"\x1b[A\x1bOB", &[Key::Up, Key::Down]),
            ("escape alone", b"\x1b", &[Key::Esc]),
            ("escape, then a letter", b"\x1bx", &[Key::Esc, Key::Char('x')]),
            ("return, line feed, both for one key", b"\r\n\r\n\n", &[Key::Enter, Key::Enter, Key::Enter]),
            ("return twice", b"\r\r", &[Key::Enter, Key::Enter]),
            ("control", b"\x03", &[Key::Ctrl('c')]),
            ("backspace of both kinds", b"\x7f\x08", &[Key::Backspace, Key::Backspace]),
            ("umlaut", "ä".as_bytes(), &[Key::Char('ä')]),
            ("unknown sequence is skipped", b"\x1b[15~q", &[Key::Char('q')]),
            ("bad UTF-8 is skipped", b"\xff\xfeq", &[Key::Char('q')]),
            ("nul is skipped", b"\0q", &[Key::Char('q')]),
            ("shift tab", b"\x1b[Z", &[Key::BackTab]),
        ];
        for (name, bytes, keys) in rows {
            assert_eq!(&all(bytes), keys, "{name}");
        }
    }

    #[test]
    fn a_sequence_cut_in_two_waits_for_its_rest() {
        let mut pending = b"\x1b[".to_vec();
        assert_eq!(decode(&mut pending, false), None);
        pending.push(b'A');
        assert_eq!(decode(&mut pending, false), Some(Input::Key(Key::Up)));
    }

    #[test]
    fn a_terminal_tells_where_its_cursor_is() {
        assert_eq!(decode(&mut b"\x1b[50;132Rx".to_vec(), false), Some(Input::Cursor(50, 132)));
        for bad in ["\x1b[R", "\x1b[1R", "\x1b[99999999;1R", "\x1b[-1;2R"] {
            assert_eq!(all(format!("{bad}q").as_bytes()), [Key::Char('q')], "{bad:?}");
        }
    }

    #[test]
    fn a_sequence_without_an_end_is_not_waited_for() {
        let mut pending = b"\x1b[".to_vec();
        pending.extend(std::iter::repeat_n(b'1', 1000));
        assert_eq!(decode(&mut pending, false), None);
        assert!(pending.is_empty(), "{} bytes are kept", pending.len());
    }
}
