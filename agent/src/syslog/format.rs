//! A journal entry as a syslog message (RFC 5424 section 6). Pure. Programs write what they like into the journal: here it
//! becomes one message, of bounded length, with nothing in its head that is no part of it.

use std::fmt::Write;

use super::journal::Entry;

/// Longest parts of the head, characters (RFC 5424 section 6).
const HOSTNAME: usize = 255;
const APP_NAME: usize = 48;
const PROCID: usize = 128;

/// The message, of at most `longest` bytes.
pub(super) fn message(entry: &Entry, host: &str, longest: usize) -> String {
    let value = u16::from(entry.facility.min(23)) * 8 + u16::from(entry.priority.min(7));
    let mut text = format!(
        "<{value}>1 {} {} {} {} - - ",
        timestamp(entry.realtime_us),
        word(host, HOSTNAME),
        word(&entry.identifier, APP_NAME),
        word(&entry.pid, PROCID),
    );
    for c in entry.message.trim_end().chars() {
        let c = if c.is_control() { ' ' } else { c };
        if text.len() + c.len_utf8() > longest {
            break;
        }
        text.push(c);
    }
    text
}

/// RFC 3339 with microseconds; `-` where it is no time.
fn timestamp(us: i64) -> String {
    let Ok(time) = jiff::Timestamp::from_microsecond(us) else { return "-".to_owned() };
    time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Printable US-ASCII without blanks; `-` where nothing is left.
fn word(text: &str, longest: usize) -> String {
    let mut word = String::new();
    for c in text.chars().filter(char::is_ascii_graphic).take(longest) {
        let _ = word.write_char(c); // into a string: never fails
    }
    if word.is_empty() { "-".to_owned() } else { word }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(identifier: &str, message: &str) -> Entry {
        Entry {
            cursor: "s=1".into(),
            realtime_us: 1_780_272_000_123_456,
            priority: 6,
            facility: 3,
            identifier: identifier.into(),
            pid: "42".into(),
            message: message.into(),
        }
    }

    #[test]
    fn api_syslog_messages_are_as_the_rfc_has_them() {
        let head = "<30>1 2026-06-01T00:00:00.123456Z node-1";
        let rows = [
            ("plain", entry("sshd", "Accepted"), format!("{head} sshd 42 - - Accepted")),
            ("no name", entry("", "x"), format!("{head} - 42 - - x")),
            ("a name with blanks", entry("my prog\n<0>1 ", "x"), format!("{head} myprog<0>1 42 - - x")),
            ("two lines", entry("a", "x\r\ny\n"), format!("{head} a 42 - - x  y")),
            ("letters", entry("ä-b", "grün"), format!("{head} -b 42 - - grün")),
            ("nothing", entry("a", ""), format!("{head} a 42 - - ")),
            (
                "urgent kernel",
                Entry { priority: 0, facility: 0, ..entry("kernel", "x") },
                "<0>1 2026-06-01T00:00:00.123456Z node-1 kernel 42 - - x".to_owned(),
            ),
            (
                "out of bounds",
                Entry { priority: 99, facility: 99, ..entry("a", "x") },
                "<191>1 2026-06-01T00:00:00.123456Z node-1 a 42 - - x".to_owned(),
            ),
            (
                "no time",
                Entry { realtime_us: i64::MAX, ..entry("a", "x") },
                "<30>1 - node-1 a 42 - - x".to_owned(),
            ),
        ];
        for (name, entry, want) in rows {
            assert_eq!(message(&entry, "node-1", 2048), want, "{name}");
        }
        let long = message(&entry("a", &"ä".repeat(5000)), "node-1", 2048);
        assert!(long.len() <= 2048 && long.len() > 2040, "{}", long.len());
    }

    proptest! {
        #[test]
        fn api_syslog_any_entry_is_one_bounded_message(
            identifier in ".{0,80}", pid in ".{0,200}", text in "(?s).{0,3000}", us in any::<i64>(),
            priority in any::<u8>(), facility in any::<u8>(),
        ) {
            let entry = Entry { cursor: String::new(), realtime_us: us, priority, facility, identifier, pid, message: text };
            let text = message(&entry, "node-1", 2048);
            prop_assert!(text.len() <= 2048);
            prop_assert!(!text.contains(char::is_control), "{text:?}");
            prop_assert!(text.splitn(8, ' ').count() == 8, "{text:?}");
        }
    }
}
