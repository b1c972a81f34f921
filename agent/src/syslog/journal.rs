//! Follows the journal: `journalctl --follow --output=json`, an entry a line. Few entries wait at a time; the program
//! waits with the rest.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::thread;

use maekin_host::cmd::{Cmd, CmdError};
use serde_json::Value;
use tokio::sync::mpsc;

/// Most entries that wait.
const WAITING: usize = 64;
/// Longest line, bytes. Without `--all` journalctl leaves out fields of more than 4 kB (journalctl(1)).
const LONGEST: u64 = 64 << 10;
/// What is read of an entry.
const FIELDS: &str =
    "MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,SYSLOG_FACILITY,_PID,_COMM,_TRANSPORT,__CURSOR,__REALTIME_TIMESTAMP";

/// An entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its place.
    pub(super) cursor: String,
    /// Microseconds since 1970.
    pub(super) realtime_us: i64,
    /// 0 (emergency) to 7 (debug).
    pub(super) priority: u8,
    /// RFC 5424 table 1.
    pub(super) facility: u8,
    /// Name of the program.
    pub(super) identifier: String,
    /// Its process id; empty where it has none.
    pub(super) pid: String,
    pub(super) message: String,
}

/// From where on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum From {
    /// What comes from now on.
    Now,
    /// What came since the machine started, too.
    Boot,
    /// What is behind this place.
    Cursor(String),
}

/// A running reader. It ends with this.
pub(super) struct Follow {
    child: Child,
    entries: mpsc::Receiver<Entry>,
}

impl Follow {
    /// Starts it.
    ///
    /// # Errors
    /// [`CmdError::Start`].
    pub(super) fn start(program: &str, from: &From, priority: Option<u8>) -> Result<Self, CmdError> {
        let cmd = Cmd::new(program).args(arguments(from, priority));
        let mut child = cmd.spawn(Stdio::null(), Stdio::piped(), Stdio::null())?;
        let (send, entries) = mpsc::channel(WAITING);
        if let Some(out) = child.stdout.take() {
            thread::spawn(move || read(out, &send));
        }
        Ok(Self { child, entries })
    }

    /// The next entry; `None`: the reader has ended.
    pub(super) async fn next(&mut self) -> Option<Entry> {
        self.entries.recv().await
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended by itself
        let _ = self.child.wait();
    }
}

fn arguments(from: &From, priority: Option<u8>) -> Vec<String> {
    let mut arguments = vec![
        "--follow".to_owned(),
        "--no-pager".to_owned(),
        "--quiet".to_owned(),
        "--output=json".to_owned(),
        format!("--output-fields={FIELDS}"),
    ];
    arguments.push(match from {
        From::Now => "--lines=0".to_owned(),
        From::Boot => "--boot".to_owned(),
        From::Cursor(cursor) => format!("--after-cursor={cursor}"),
    });
    if *from != From::Now {
        arguments.push("--no-tail".to_owned());
    }
    arguments.extend(priority.map(|priority| format!("--priority={}", priority.min(7))));
    arguments
}

/// Passes entries on until nobody takes them any more. A line that is too long, or no entry, is left out.
fn read(out: impl Read, send: &mpsc::Sender<Entry>) {
    let mut out = BufReader::new(out);
    let mut line = Vec::new();
    let mut skips = false;
    loop {
        line.clear();
        match out.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            Ok(1..) => {}
            _ => return,
        }
        let whole = line.ends_with(b"\n");
        let first = !std::mem::replace(&mut skips, !whole);
        if let (true, true, Some(entry)) = (whole, first, parse(&line))
            && send.blocking_send(entry).is_err()
        {
            return;
        }
    }
}

/// An entry from a line of JSON. Fields are texts; lists of bytes where they are not UTF-8, lists of such where there are
/// several, null where they are too long (systemd's JOURNAL_EXPORT_FORMATS).
fn parse(line: &[u8]) -> Option<Entry> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let field = |name: &str| value.get(name).and_then(text);
    let small = |name: &str| field(name).and_then(|text| text.parse::<u8>().ok());
    let kernel = field("_TRANSPORT").is_some_and(|transport| transport == "kernel");
    let identifier = field("SYSLOG_IDENTIFIER").or_else(|| field("_COMM"));
    Some(Entry {
        cursor: field("__CURSOR")?,
        realtime_us: field("__REALTIME_TIMESTAMP")?.parse().ok()?,
        priority: small("PRIORITY").unwrap_or(6).min(7),
        facility: small("SYSLOG_FACILITY").unwrap_or(if kernel { 0 } else { 3 }).min(23),
        identifier: identifier.unwrap_or_default(),
        pid: field("_PID").unwrap_or_default(),
        message: field("MESSAGE").unwrap_or_else(|| "(too long to be told)".to_owned()),
    })
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(list) => match list.first()? {
            Value::Number(_) => {
                let bytes: Vec<u8> =
                    list.iter().filter_map(|n| n.as_u64().and_then(|n| u8::try_from(n).ok())).collect();
                Some(String::from_utf8_lossy(&bytes).into_owned())
            }
            first => text(first),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn api_syslog_entries_are_read_as_journalctl_writes_them() {
        let head = r#""__CURSOR":"s=1","__REALTIME_TIMESTAMP":"17""#;
        let rows = [
            (
                "whole",
                format!(
                    r#"{{{head},"MESSAGE":"hi","PRIORITY":"3","SYSLOG_IDENTIFIER":"sshd","_PID":"7","SYSLOG_FACILITY":"10"}}"#
                ),
                Some((3, 10, "sshd", "7", "hi")),
            ),
            ("bare", format!("{{{head}}}"), Some((6, 3, "", "", "(too long to be told)"))),
            (
                "too long",
                format!(r#"{{{head},"MESSAGE":null}}"#),
                Some((6, 3, "", "", "(too long to be told)")),
            ),
            ("bytes", format!(r#"{{{head},"MESSAGE":[104,105,255]}}"#), Some((6, 3, "", "", "hi\u{fffd}"))),
            ("no bytes", format!(r#"{{{head},"MESSAGE":[104,999,-1,"x"]}}"#), Some((6, 3, "", "", "h"))),
            ("several", format!(r#"{{{head},"MESSAGE":["a","b"]}}"#), Some((6, 3, "", "", "a"))),
            (
                "kernel",
                format!(
                    r#"{{{head},"_TRANSPORT":"kernel","SYSLOG_IDENTIFIER":"kernel","MESSAGE":"oops","PRIORITY":"900"}}"#
                ),
                Some((6, 0, "kernel", "", "oops")),
            ),
            (
                "by its command",
                format!(r#"{{{head},"_COMM":"cron","MESSAGE":""}}"#),
                Some((6, 3, "cron", "", "")),
            ),
            ("no place", r#"{"__REALTIME_TIMESTAMP":"17"}"#.to_owned(), None),
            ("no time", r#"{"__CURSOR":"s","__REALTIME_TIMESTAMP":"x"}"#.to_owned(), None),
            ("no object", "[1]".to_owned(), None),
            ("no JSON", "-- No entries --".to_owned(), None),
        ];
        for (name, line, want) in rows {
            let got = parse(line.as_bytes());
            let got = got
                .as_ref()
                .map(|e| (e.priority, e.facility, e.identifier.as_str(), e.pid.as_str(), e.message.as_str()));
            assert_eq!(got, want, "{name}");
        }
    }

    #[test]
    fn api_syslog_an_endless_line_is_left_out() {
        let (send, mut entries) = mpsc::channel(8);
        let entry = |cursor: &str| format!("{{\"__CURSOR\":\"{cursor}\",\"__REALTIME_TIMESTAMP\":\"1\"}}\n");
        let long = format!("{}{}", "x".repeat(3 * 65536 + 5), entry("hidden"));
        read(format!("{}{long}{}", entry("a"), entry("b")).as_bytes(), &send);
        drop(send);
        let cursors: Vec<_> = std::iter::from_fn(|| entries.try_recv().ok()).map(|e| e.cursor).collect();
        assert_eq!(cursors, ["a", "b"]);
    }

    #[test]
    fn api_syslog_the_reader_begins_where_it_is_told() {
        let rows = [
            (From::Now, None, vec!["--lines=0"]),
            (From::Boot, Some(4), vec!["--boot", "--no-tail", "--priority=4"]),
            (From::Cursor("s=a;i=1".into()), None, vec!["--after-cursor=s=a;i=1", "--no-tail"]),
        ];
        for (from, priority, want) in rows {
            assert_eq!(arguments(&from, priority)[5..], want, "{from:?}");
        }
    }

    proptest! {
        #[test]
        fn api_syslog_any_line_is_read_or_left_out(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }
    }
}
