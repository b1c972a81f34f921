//! Texts that others wrote, made harmless for a terminal. A machine's name, a drive's model and an error's detail come
//! from strangers: an escape sequence in them could rewrite what a person sees, and a letter that turns the direction of
//! writing could make one name look like another.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character does something else than being seen.
pub(crate) fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// `text` with every character that acts written out, so that it is one line and only seen.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        // A String takes everything.
        let _ = match c {
            '\n' => safe.write_str("\\n"),
            '\t' => safe.write_str("\\t"),
            c if acts(c) && c.is_ascii() => write!(safe, "\\x{:02x}", u32::from(c)),
            c if acts(c) => write!(safe, "\\u{{{:x}}}", u32::from(c)),
            c => safe.write_char(c),
        };
    }
    Cow::Owned(safe)
}

/// A JSON text whose strings hold no character that acts, and mean the same: RFC 8259 section 7. The line feeds between
/// its parts stay.
pub(crate) fn clean_json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || !acts(c) {
            safe.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(safe, "\\u{unit:04x}"); // a String takes everything
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cli_escape_characters_of_a_server_are_seen_and_do_nothing() {
        let rows = [
            ("plain", "node-1", "node-1"),
            ("umlauts", "Zürich", "Zürich"),
            ("clears the screen", "\u{1b}[2Jnode", "\\x1b[2Jnode"),
            ("sets the title", "\u{1b}]0;x\u{7}", "\\x1b]0;x\\x07"),
            ("eight-bit CSI", "a\u{9b}2J", "a\\u{9b}2J"),
            ("begins a new row", "a\nnode-2  ready", "a\\nnode-2  ready"),
            ("goes back over what was there", "bad\r\u{8}good", "bad\\x0d\\x08good"),
            ("turns round", "a\u{202e}b", "a\\u{202e}b"),
            ("is not there", "a\u{200b}b\u{7f}", "a\\u{200b}b\\x7f"),
        ];
        for (name, text, want) in rows {
            assert_eq!(clean(text), want, "{name}");
        }
    }

    #[test]
    fn cli_json_for_a_terminal_means_the_same() {
        let value = serde_json::json!({"a\u{9b}": "x\u{7f}\u{1b}\u{202e}\u{e0001}é\n"});
        let text = clean_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!text.chars().any(|c| acts(c) && c != '\n'), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    proptest! {
        #[test]
        fn cli_nothing_that_acts_comes_through(text in any::<String>()) {
            prop_assert!(!clean(&text).chars().any(acts));
            let json = serde_json::to_string(&text).unwrap();
            let safe = clean_json(&json);
            prop_assert!(!safe.chars().any(acts));
            prop_assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
        }
    }
}
