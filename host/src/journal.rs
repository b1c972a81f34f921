//! The journal as a place to write entries with fields (systemd.journal-fields(7)), by its own protocol: one datagram an
//! entry, `FIELD=value` a line, and a length in front of a value that has lines itself.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// Where the journal listens.
const SOCKET: &str = "/run/systemd/journal/socket";
/// Longest value, bytes: with what comes with it, it fits into one datagram of any kernel's default size.
const LONGEST: usize = 64 << 10;

/// A way to write entries.
#[derive(Debug)]
pub struct Journal {
    socket: UnixDatagram,
    at: PathBuf,
}

impl Journal {
    /// The journal, where this process's standard error goes there; `None` where a person or a file reads it.
    #[must_use]
    pub fn of_stderr() -> Option<Self> {
        let stream = std::env::var("JOURNAL_STREAM").ok()?;
        let stderr = std::fs::metadata("/proc/self/fd/2").ok()?;
        if !is_stream(&stream, stderr.dev(), stderr.ino()) {
            return None;
        }
        Self::at(Path::new(SOCKET)).ok()
    }

    /// The journal that listens at `at`.
    ///
    /// # Errors
    /// The system's error.
    pub fn at(at: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?; // who only speaks does not wait for a journal that has too much to do
        Ok(Self { socket, at: at.to_owned() })
    }

    /// Writes one entry; fields with nothing in them are left out.
    ///
    /// # Errors
    /// The system's error: the journal is not there, or has too much to do.
    pub fn write(&self, fields: &[(&str, &str)]) -> io::Result<()> {
        self.socket.send_to(&entry(fields), &self.at).map(drop)
    }
}

/// Whether the `stream` of systemd.exec(5), `$JOURNAL_STREAM`, is the file of this device and inode. Pure.
fn is_stream(stream: &str, dev: u64, ino: u64) -> bool {
    stream.split_once(':').is_some_and(|(d, i)| d.parse() == Ok(dev) && i.parse() == Ok(ino))
}

/// The datagram of an entry. Pure.
fn entry(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut all = Vec::new();
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        let value = &value[..value.floor_char_boundary(LONGEST)];
        all.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            all.push(b'\n');
            all.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            all.push(b'=');
        }
        all.extend_from_slice(value.as_bytes());
        all.push(b'\n');
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name, fields, the datagram.
    type Case = (&'static str, &'static [(&'static str, &'static str)], &'static [u8]);

    #[test]
    fn entries_are_as_the_journal_reads_them() {
        let rows: [Case; 5] = [
            ("plain", &[("A", "1"), ("B", "x=y")], b"A=1\nB=x=y\n"),
            ("lines", &[("A", "1\n2")], b"A\n\x03\0\0\0\0\0\0\x001\n2\n"),
            ("no way to forge a field", &[("A", "1\nB=2")], b"A\n\x05\0\0\0\0\0\0\x001\nB=2\n"),
            ("empty", &[("A", ""), ("B", "2")], b"B=2\n"),
            ("nothing", &[], b""),
        ];
        for (name, fields, want) in rows {
            assert_eq!(entry(fields), want, "{name}");
        }
        let long = entry(&[("A", &"ä".repeat(LONGEST))]);
        assert_eq!(long.len(), LONGEST + 3, "cut, at a character's end");
    }

    #[test]
    fn a_stream_is_known_by_device_and_inode() {
        let rows =
            [("5:17", true), ("5:18", false), ("4:17", false), ("5", false), ("", false), ("5:x", false)];
        for (stream, want) in rows {
            assert_eq!(is_stream(stream, 5, 17), want, "{stream:?}");
        }
    }

    #[test]
    fn an_entry_reaches_whoever_listens_and_nobody_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("socket");
        let journal = Journal::at(&at).unwrap();
        journal.write(&[("A", "1")]).unwrap_err();
        let listens = UnixDatagram::bind(&at).unwrap();
        journal.write(&[("A", "1")]).unwrap();
        let mut got = [0; 16];
        let n = listens.recv(&mut got).unwrap();
        assert_eq!(&got[..n], b"A=1\n");
        let full = (0..100_000).find_map(|_| journal.write(&[("A", "1")]).err());
        assert_eq!(full.map(|e| e.kind()), Some(io::ErrorKind::WouldBlock), "full, and told at once");
    }
}
