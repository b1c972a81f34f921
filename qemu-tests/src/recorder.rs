//! Drives that keep a log: each is served to QEMU by the NBD protocol, and every write, zeroing, discard and flush of all
//! of them goes into one log, in the order in which they were done. Replaying a part of it gives what a power cut
//! leaves. A drive can also be told to fail its writes from some byte to another.
//!
//! | module | job |
//! | --- | --- |
//! | [`log`] | the log: written here, read by whoever replays it |
//! | `nbd` | the protocol (<https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md>) |

pub mod log;
mod nbd;

use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::Context;
use maekin_host::file;

use log::{Entry, Op, Writer};

/// A recorder of drives, until it is dropped; QEMU goes on being served by its threads until it closes.
pub struct Recorder {
    shared: Arc<Shared>,
    sockets: Vec<PathBuf>,
}

/// What the threads of all drives share.
struct Shared {
    log: Mutex<Writer>,
    broken: Mutex<Vec<(u8, Range<u64>)>>,
}

/// One served drive.
struct Served {
    number: u8,
    size: u64,
    image: File,
    shared: Arc<Shared>,
}

impl Recorder {
    /// Serves the raw images `drives` (made where they are missing, with these sizes), each on a socket beside its
    /// file, and logs into `dir`.
    ///
    /// # Errors
    /// When a file or a socket cannot be made.
    pub fn start(dir: &Path, drives: &[(PathBuf, u64)]) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared { log: Mutex::new(Writer::create(dir)?), broken: Mutex::default() });
        let mut sockets = Vec::new();
        for (number, (path, size)) in (0..).zip(drives) {
            let named = || format!("cannot serve {}", path.display());
            let image = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
            let image = image.with_context(named)?;
            image.set_len(*size).with_context(named)?;
            let socket = path.with_extension("nbd");
            crate::machine::check_socket(&socket)?;
            let _ = std::fs::remove_file(&socket); // of an earlier run; binding says so if it is still there
            let listener = UnixListener::bind(&socket).with_context(named)?;
            let served = Served { number, size: *size, image, shared: shared.clone() };
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    if let Err(e) = nbd::serve(&stream, &served) {
                        tracing::info!(drive = served.number, "connection ended: {e}");
                    }
                }
            });
            sockets.push(socket);
        }
        Ok(Self { shared, sockets })
    }

    /// The sockets, in the order of the drives.
    #[must_use]
    pub fn sockets(&self) -> &[PathBuf] {
        &self.sockets
    }

    /// From now on every write of `drive` that touches `bytes` fails, for ever. Zeroing by itself does not.
    pub fn break_writes(&self, drive: u8, bytes: Range<u64>) {
        lock(&self.shared.broken).push((drive, bytes));
    }

    /// Makes sure that all that was done is in the log's files.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn sync(&self) -> anyhow::Result<()> {
        lock(&self.shared.log).sync()
    }
}

/// A poisoned lock only says that a thread panicked: the log it holds is whole up to its last entry.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl nbd::Export for Served {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.image.read_exact_at(buffer, offset)
    }

    fn write(&self, offset: u64, data: &[u8], fua: bool) -> std::io::Result<()> {
        self.check(offset, data.len() as u64)?;
        let mut log = lock(&self.shared.log);
        log.append(&self.entry(Op::Write, offset, data.len() as u64, fua), data)?;
        self.image.write_all_at(data, offset)
    }

    fn zero(&self, offset: u64, len: u64, fua: bool) -> std::io::Result<()> {
        let mut log = lock(&self.shared.log);
        log.append(&self.entry(Op::Zero, offset, len, fua), &[])?;
        file::punch(&self.image, offset, len)
    }

    /// A drive may do what it likes with discarded bytes. This one keeps them.
    fn discard(&self, offset: u64, len: u64) -> std::io::Result<()> {
        lock(&self.shared.log).append(&self.entry(Op::Discard, offset, len, false), &[])
    }

    fn flush(&self) -> std::io::Result<()> {
        lock(&self.shared.log).append(&self.entry(Op::Flush, 0, 0, false), &[])
    }
}

impl Served {
    fn entry(&self, op: Op, offset: u64, len: u64, fua: bool) -> Entry {
        Entry { drive: self.number, op, offset, len, fua, data: 0, at: 0 }
    }

    fn check(&self, offset: u64, len: u64) -> std::io::Result<()> {
        let hit = |(drive, bytes): &(u8, Range<u64>)| {
            *drive == self.number && offset < bytes.end && bytes.start < offset + len
        };
        if lock(&self.shared.broken).iter().any(hit) {
            return Err(std::io::Error::other("this part of the drive is broken"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
