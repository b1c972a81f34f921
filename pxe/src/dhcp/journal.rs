//! The lease journal: what was promised survives a crash at any byte.
//!
//! A text file, one record a line, each with the CRC-32 of the rest of its line. A batch of records is one write and one
//! fdatasync, before the answers go out. Behind the last record there are empty lines, which the next ones overwrite: a
//! file that grew would have the file system write its own journal each time, for twice the time. A torn or damaged
//! line is skipped when reading. Opening rewrites the file whole by an atomic rename, and so does growth beyond four
//! times what is live.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use maekin_host::file::{self, FileError};

use super::lease::{NEVER, Record, Seconds};
use crate::hw::HwAddr;

/// Largest journal that is read, in bytes: a /16 of leases many times over.
const LIMIT: u64 = 64 << 20;
/// Records below which the file is not worth rewriting.
const FEW: usize = 1000;
/// Empty lines, that is bytes, that are written ahead at a time.
const AHEAD: usize = 256 << 10;

/// What reading a journal found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// The records, oldest first.
    pub records: Vec<Record>,
    /// Lines that were torn or damaged.
    pub damaged: usize,
}

/// The open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Where the next record goes, and where the file ends.
    at: u64,
    end: u64,
    lines: usize,
    /// With how many lines it is looked again how many records are live: to gather those takes long.
    look_at: usize,
    /// A write failed: what is at the end of the file is unknown, so it is rewritten before the next append.
    torn: bool,
}

impl Journal {
    /// Reads what is at `path`, if anything.
    ///
    /// # Errors
    /// [`FileError`] when it exists and cannot be read.
    pub fn read(path: &Path) -> Result<Replay, FileError> {
        match file::read_bytes(path, LIMIT) {
            Ok(bytes) => Ok(replay(&bytes)),
            Err(e) if e.source.kind() == io::ErrorKind::NotFound => Ok(Replay::default()),
            Err(e) => Err(e),
        }
    }

    /// Starts the journal at `path` anew with `live` in it.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be written; what was there is then still there.
    pub fn start(path: &Path, live: &[Record]) -> Result<Self, FileError> {
        let text: String = live.iter().map(line).collect();
        file::write_atomic(path, text.as_bytes(), 0o600)?;
        let file = OpenOptions::new().write(true).open(path).map_err(|source| FileError {
            action: "cannot open",
            path: path.to_owned(),
            source,
        })?;
        let look_at = most_lines(live.len());
        let at = text.len() as u64;
        Ok(Self { path: path.to_owned(), file, at, end: at, lines: live.len(), look_at, torn: false })
    }

    /// Starts it anew with `live` in it.
    ///
    /// # Errors
    /// As [`Journal::start`].
    pub fn begin_with(&mut self, live: &[Record]) -> Result<(), FileError> {
        *self = Self::start(&self.path, live)?;
        Ok(())
    }

    /// Makes `records` durable. `live` gives all that is live (with `records` in it), for when the file has to be
    /// rewritten.
    ///
    /// # Errors
    /// [`FileError`] when they are not durable; the promises in them must then not be made.
    pub fn append(
        &mut self,
        records: &[Record],
        live: impl FnOnce() -> Vec<Record>,
    ) -> Result<(), FileError> {
        if records.is_empty() && !self.torn {
            return Ok(());
        }
        if self.torn {
            *self = Self::start(&self.path, &live())?;
            return Ok(());
        }
        let mut text: String = records.iter().map(line).collect();
        let at = self.at + text.len() as u64;
        if at > self.end {
            text.extend(std::iter::repeat_n('\n', AHEAD));
            self.end = at + AHEAD as u64;
        }
        let write = self.file.write_all_at(text.as_bytes(), self.at).and_then(|()| self.file.sync_data());
        self.at = at;
        self.torn = write.is_err();
        write.map_err(|source| FileError { action: "cannot append to", path: self.path.clone(), source })?;
        self.lines += records.len();
        if self.lines > self.look_at {
            let live = live();
            if self.lines > most_lines(live.len()) {
                *self = Self::start(&self.path, &live)?;
            } else {
                self.look_at = most_lines(live.len()).max(self.lines + live.len() / 2);
            }
        }
        Ok(())
    }
}

/// How many lines a journal may have with so many live records.
fn most_lines(live: usize) -> usize {
    4 * live.max(FEW / 4)
}

/// Reads a journal's bytes. Pure.
#[must_use]
pub fn replay(bytes: &[u8]) -> Replay {
    let mut replay = Replay::default();
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        match parse_line(line) {
            Some(record) => replay.records.push(record),
            None if line == b"\n" => {} // written ahead
            None => replay.damaged += 1,
        }
    }
    replay
}

fn line(record: &Record) -> String {
    let body = match record {
        Record::Bound { ip, hw, until: NEVER } => format!("bound {ip} {hw} never"),
        Record::Bound { ip, hw, until } => format!("bound {ip} {hw} {until}"),
        Record::Freed { ip, hw } => format!("freed {ip} {hw}"),
    };
    format!("{body} {:08x}\n", crc32fast::hash(body.as_bytes()))
}

fn parse_line(line: &[u8]) -> Option<Record> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (body, sum) = line.rsplit_once(' ')?;
    if sum.len() != 8 || u32::from_str_radix(sum, 16).ok()? != crc32fast::hash(body.as_bytes()) {
        return None;
    }
    let mut words = body.split(' ');
    let kind = words.next()?;
    let ip: Ipv4Addr = words.next()?.parse().ok()?;
    let hw: HwAddr = words.next()?.parse().ok()?;
    let record = match (kind, words.next()) {
        ("bound", Some("never")) => Record::Bound { ip, hw, until: NEVER },
        ("bound", Some(until)) => Record::Bound { ip, hw, until: until.parse::<Seconds>().ok()? },
        ("freed", None) => Record::Freed { ip, hw },
        _ => return None,
    };
    words.next().is_none().then_some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(n: u8, until: Seconds) -> Record {
        Record::Bound { ip: Ipv4Addr::new(10, 0, 0, n), hw: HwAddr::new(&[2, 0, 0, 0, 0, n]).unwrap(), until }
    }

    fn records() -> Vec<Record> {
        let freed =
            Record::Freed { ip: Ipv4Addr::new(10, 0, 0, 1), hw: HwAddr::new(&[2, 0, 0, 0, 0, 1]).unwrap() };
        vec![bound(1, 100), bound(2, NEVER), freed, bound(1, 300)]
    }

    #[test]
    fn a_journal_cut_at_any_byte_keeps_every_whole_line_before_it() {
        let lines: Vec<String> = records().iter().map(line).collect();
        let text = lines.concat();
        for cut in 0..=text.len() {
            let whole = lines.iter().scan(0, |end, l| {
                *end += l.len();
                Some(*end)
            });
            let whole = whole.take_while(|end| *end <= cut).count();
            assert_eq!(replay(&text.as_bytes()[..cut]).records, &records()[..whole], "cut at {cut}");
        }
    }

    #[test]
    fn a_flipped_bit_loses_its_line_and_no_other() {
        let text: String = records().iter().map(line).collect();
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let got = replay(&bytes);
                // A newline that is damaged takes its neighbour with it.
                assert!(got.records.len() >= records().len() - 2, "byte {at} bit {bit}");
                assert!(got.records.iter().all(|r| records().contains(r)), "byte {at} bit {bit}: {got:?}");
            }
        }
    }

    #[test]
    fn what_was_appended_is_there_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leases");
        assert_eq!(Journal::read(&path).unwrap(), Replay::default());
        let mut journal = Journal::start(&path, &[]).unwrap();
        journal.append(&records(), Vec::new).unwrap();
        drop(journal);
        let replay = Journal::read(&path).unwrap();
        assert_eq!((replay.records, replay.damaged), (records(), 0));
    }

    #[test]
    fn a_torn_tail_does_not_swallow_what_comes_after() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leases");
        std::fs::write(&path, &line(&bound(1, 5)).as_bytes()[..20]).unwrap();
        let replay = Journal::read(&path).unwrap();
        assert_eq!((replay.records.len(), replay.damaged), (0, 1));
        let mut journal = Journal::start(&path, &replay.records).unwrap();
        journal.append(&[bound(2, 7)], Vec::new).unwrap();
        assert_eq!(Journal::read(&path).unwrap(), Replay { records: vec![bound(2, 7)], damaged: 0 });
    }

    #[test]
    fn records_that_are_cut_off_in_the_middle_of_empty_lines_are_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leases");
        let mut journal = Journal::start(&path, &[]).unwrap();
        for record in records() {
            journal.append(&[record], Vec::new).unwrap();
        }
        let whole = std::fs::read(&path).unwrap();
        let used = records().iter().map(|record| line(record).len()).sum();
        assert!(whole.len() > used && whole[used..].iter().all(|byte| *byte == b'\n'));
        for cut in 0..used {
            let mut torn = whole.clone();
            torn[cut..used].fill(b'\n');
            let replay = replay(&torn);
            assert_eq!(replay.records, &records()[..replay.records.len()], "from {cut}");
            assert!(replay.damaged <= 1, "from {cut}");
        }
    }

    #[test]
    fn a_growing_journal_is_not_looked_through_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::start(&dir.path().join("leases"), &[]).unwrap();
        let (mut live, mut looks) = (Vec::new(), 0);
        for until in 0..5000 {
            let record = bound(u8::try_from(until % 250).unwrap(), until);
            live.push(record);
            let all = || {
                looks += 1;
                live.clone()
            };
            journal.append(&[record], all).unwrap();
        }
        assert!(looks < 10, "{looks} times");
    }

    #[test]
    fn after_a_failed_write_the_file_is_rewritten_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leases");
        let mut journal = Journal::start(&path, &[]).unwrap();
        journal.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let err = journal.append(&[bound(1, 5)], || panic!("not asked for")).unwrap_err();
        assert!(err.to_string().contains("leases"), "{err}");
        journal.append(&[bound(2, 7)], || vec![bound(1, 5), bound(2, 7)]).unwrap();
        assert_eq!(Journal::read(&path).unwrap().records, [bound(1, 5), bound(2, 7)]);
        journal.append(&[bound(3, 9)], Vec::new).unwrap();
        assert_eq!(Journal::read(&path).unwrap().records.len(), 3);
    }

    #[test]
    fn a_long_journal_of_few_leases_is_rewritten_short() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leases");
        let mut journal = Journal::start(&path, &[]).unwrap();
        for until in 0..3000 {
            journal.append(&[bound(1, until)], || vec![bound(1, until)]).unwrap();
        }
        let replay = Journal::read(&path).unwrap();
        assert!(replay.records.len() <= 1001, "{}", replay.records.len());
        assert_eq!(replay.records.last(), Some(&bound(1, 2999)));
    }
}
