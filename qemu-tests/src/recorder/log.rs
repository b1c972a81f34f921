//! The log of what was done to drives: an index of records of equal size, and a file with the written bytes behind each
//! other.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};

const INDEX: &str = "log.index";
const DATA: &str = "log.data";
/// Bytes of a record: drive, operation, flags, padding; then offset, length, place of the data, time.
const RECORD: usize = 40;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Bytes were written.
    Write,
    /// Bytes were made zero.
    Zero,
    /// Bytes were given up; what they read as is open.
    Discard,
    /// All writes before were made durable.
    Flush,
}

const OPS: [Op; 4] = [Op::Write, Op::Zero, Op::Discard, Op::Flush];

/// One thing done to a drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Number of the drive.
    pub drive: u8,
    /// What.
    pub op: Op,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
    /// Durable by itself.
    pub fua: bool,
    /// Where the written bytes begin in the data file.
    pub data: u64,
    /// When, in milliseconds since the log began.
    pub at: u64,
}

/// A log being written.
pub struct Writer {
    index: BufWriter<File>,
    data: BufWriter<File>,
    end: u64,
    since: Instant,
}

impl Writer {
    /// An empty log in `dir`.
    ///
    /// # Errors
    /// When its files cannot be made.
    pub fn create(dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let create = |name: &str| {
            let path = dir.join(name);
            File::create(&path)
                .map(BufWriter::new)
                .with_context(|| format!("cannot create {}", path.display()))
        };
        Ok(Self { index: create(INDEX)?, data: create(DATA)?, end: 0, since: Instant::now() })
    }

    /// Appends an entry with the bytes that it wrote; the entry's place and time are filled in here.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&mut self, entry: &Entry, bytes: &[u8]) -> io::Result<()> {
        let op = OPS.iter().position(|op| *op == entry.op).and_then(|i| u8::try_from(i).ok()).unwrap_or(0);
        let at = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut record = [0; RECORD];
        record[..3].copy_from_slice(&[entry.drive, op, u8::from(entry.fua)]);
        for (i, word) in [entry.offset, entry.len, self.end, at].into_iter().enumerate() {
            record[8 + 8 * i..16 + 8 * i].copy_from_slice(&word.to_le_bytes());
        }
        self.data.write_all(bytes)?;
        self.index.write_all(&record)?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn sync(&mut self) -> anyhow::Result<()> {
        self.data.flush().and_then(|()| self.index.flush()).context("cannot write the log of the drives")
    }
}

/// A log to be replayed.
pub struct Log {
    /// What was done, in order.
    pub entries: Vec<Entry>,
    data: File,
}

impl Log {
    /// Opens the log in `dir`.
    ///
    /// # Errors
    /// When there is none, or its end is missing.
    pub fn open(dir: &Path) -> anyhow::Result<Self> {
        let open = |name: &str| {
            let path = dir.join(name);
            File::open(&path).with_context(|| format!("cannot open {}", path.display()))
        };
        let data = open(DATA)?;
        let mut index = BufReader::new(open(INDEX)?);
        let (mut entries, mut record) = (Vec::new(), [0; RECORD]);
        loop {
            match index.read_exact(&mut record) {
                Ok(()) => entries.push(parse(&record)?),
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => break,
                Err(e) => return Err(e).context("cannot read the log of the drives"),
            }
        }
        let have = data.metadata().context("cannot measure the log of the drives")?.len();
        let need = entries.iter().filter(|e| e.op == Op::Write).map(|e| e.data + e.len).max().unwrap_or(0);
        if have < need {
            bail!("the log in {} has {have} bytes of {need}", dir.display());
        }
        Ok(Self { entries, data })
    }

    /// The bytes that a write wrote, from byte `from` of it, into `buffer`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read(&self, entry: &Entry, from: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.data.read_exact_at(buffer, entry.data + from)
    }
}

fn parse(record: &[u8; RECORD]) -> anyhow::Result<Entry> {
    let word = |i: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&record[8 + 8 * i..16 + 8 * i]);
        u64::from_le_bytes(bytes)
    };
    let Some(op) = OPS.get(usize::from(record[1])) else {
        bail!("the log has an unknown operation {}", record[1])
    };
    Ok(Entry {
        drive: record[0],
        op: *op,
        fua: record[2] != 0,
        offset: word(0),
        len: word(1),
        data: word(2),
        at: word(3),
    })
}
