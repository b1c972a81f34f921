//! The kernel's log as a place to speak: what is written there reaches every console and the journal.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

/// How loud a line is (syslog(3) priorities).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something failed.
    Error,
    /// Worth knowing.
    Notice,
    /// For the log only.
    Debug,
}

/// Longest text of one record: the kernel cuts records at about 1000 bytes.
const LONGEST: usize = 800;

/// The record that says `text` in the name of `tag`; control characters become blanks.
#[must_use]
pub fn record(level: Level, tag: &str, text: &str) -> String {
    let priority = match level {
        Level::Error => 3,
        Level::Notice => 5,
        Level::Debug => 7,
    };
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("<{priority}>{tag}: {}\n", &text[..text.floor_char_boundary(LONGEST)])
}

/// Writes one line for each line of `text`. Nowhere to write to is not an error: it only speaks.
pub fn say(level: Level, tag: &str, text: &str) {
    let Ok(mut kmsg) = OpenOptions::new().write(true).open("/dev/kmsg") else { return };
    for line in text.lines() {
        let _ = kmsg.write_all(record(level, tag, line).as_bytes()); // nobody is left to be told
    }
}

/// Keeps the kernel's own messages off the consoles, except those of emergencies; for screens that are drawn.
///
/// # Errors
/// The system's error.
pub fn quiet_consoles() -> io::Result<()> {
    // Console level, default level, minimum, boot default (proc_sys_kernel(5), printk).
    write_existing(Path::new("/proc/sys/kernel/printk"), "1 4 1 7")
}

/// Lets the kernel write to the consoles again, as it does when it starts.
///
/// # Errors
/// When the setting cannot be written.
pub fn loud_consoles() -> io::Result<()> {
    write_existing(Path::new("/proc/sys/kernel/printk"), "7 4 1 7")
}

fn write_existing(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_one_line_of_bounded_length() {
        assert_eq!(record(Level::Error, "maekin", "a\tb"), "<3>maekin: a b\n");
        let long = record(Level::Notice, "m", &"ä".repeat(1000));
        assert!(long.len() < 820 && long.ends_with("ä\n"), "{}", long.len());
    }
}
