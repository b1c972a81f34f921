//! Devices read and written past the kernel's cache, front to back, without `unsafe`: the buffer is over-allocated and
//! used from its first aligned byte.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

/// Alignment of memory, offsets and lengths that satisfies direct I/O on every disk.
const DIRECT: usize = 4096;
/// Bytes of one direct request.
pub const CHUNK: usize = 4 << 20;

/// A device read and written past the kernel's cache, front to back, [`CHUNK`] bytes at a time.
#[derive(Debug)]
pub struct Direct {
    file: File,
    room: Vec<u8>,
    at: usize,
}

impl Direct {
    /// Opens `device` for reading or, with `write`, for writing.
    ///
    /// # Errors
    /// The system's error.
    pub fn open(device: &Path, write: bool) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(!write).write(write).custom_flags((OFlag::O_DIRECT | OFlag::O_CLOEXEC).bits());
        let room = vec![0; CHUNK + DIRECT];
        let at = room.as_ptr().align_offset(DIRECT);
        Ok(Self { file: options.open(device)?, room, at })
    }

    /// The buffer that the next chunk is written from.
    pub fn buffer(&mut self) -> &mut [u8] {
        &mut self.room[self.at..self.at + CHUNK]
    }

    /// Writes the first `len` bytes of the buffer, padded with zeros to whole blocks of 4096 bytes.
    ///
    /// # Errors
    /// The device's error.
    pub fn write(&mut self, len: usize) -> io::Result<()> {
        let end = self.at + len.min(CHUNK).next_multiple_of(DIRECT);
        self.room[self.at + len.min(CHUNK)..end].fill(0);
        self.file.write_all(&self.room[self.at..end])
    }

    /// Reads the next chunk of at most `len` bytes, fewer only at the end of the device.
    ///
    /// # Errors
    /// The device's error.
    pub fn read(&mut self, len: usize) -> io::Result<&[u8]> {
        let want = len.min(CHUNK).next_multiple_of(DIRECT);
        let mut have = 0;
        while have < want {
            let n = self.file.read(&mut self.room[self.at + have..self.at + want])?;
            have += n;
            if n == 0 || !have.is_multiple_of(DIRECT) {
                break;
            }
        }
        Ok(&self.room[self.at..self.at + have.min(len)])
    }

    /// Waits until what was written is on the medium.
    ///
    /// # Errors
    /// The device's error.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

/// A device written past the kernel's cache anywhere, by several threads.
#[derive(Debug)]
pub struct Scattered(File);

impl Scattered {
    /// Opens `device` for writing.
    ///
    /// # Errors
    /// The system's error.
    pub fn open(device: &Path) -> io::Result<Self> {
        let flags = (OFlag::O_DIRECT | OFlag::O_CLOEXEC).bits();
        Ok(Self(OpenOptions::new().write(true).custom_flags(flags).open(device)?))
    }

    /// Writes `bytes` at `offset`, a multiple of 4096, padded with zeros to whole blocks of 4096 bytes.
    ///
    /// # Errors
    /// The device's error.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let len = bytes.len().next_multiple_of(DIRECT);
        let mut room = vec![0; len + DIRECT];
        let at = room.as_ptr().align_offset(DIRECT);
        room[at..at + bytes.len()].copy_from_slice(bytes);
        self.0.write_all_at(&room[at..at + len], offset)
    }

    /// Waits until what was written is on the medium.
    ///
    /// # Errors
    /// The device's error.
    pub fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

/// Reads one block of `len` bytes at `offset` of `device`, both multiples of 4096, from the device itself.
///
/// # Errors
/// The device's error, also at its end.
pub fn read_block(device: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let flags = (OFlag::O_DIRECT | OFlag::O_CLOEXEC).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(device)?;
    let mut room = vec![0; len + DIRECT];
    let at = room.as_ptr().align_offset(DIRECT);
    file.read_exact_at(&mut room[at..at + len], offset)?;
    Ok(room[at..at + len].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn direct_writes_are_read_back_and_padded() {
        let Ok(dir) = tempfile::tempdir_in(".") else { return };
        let path = dir.path().join("disk");
        fs::write(&path, vec![9; 3 * DIRECT]).unwrap();
        let Ok(mut direct) = Direct::open(&path, true) else { return }; // tmpfs has no direct I/O before Linux 6.6
        direct.buffer()[..5000].fill(1);
        direct.write(5000).unwrap();
        direct.sync().unwrap();
        let mut direct = Direct::open(&path, false).unwrap();
        let bytes = direct.read(3 * DIRECT).unwrap();
        assert_eq!((bytes[4999], bytes[5000], bytes[8191], bytes[8192]), (1, 0, 0, 9));
        let scattered = Scattered::open(&path).unwrap();
        scattered.write_at(8192, &[2; 10]).unwrap();
        scattered.sync().unwrap();
        let block = read_block(&path, 8192, DIRECT).unwrap();
        assert_eq!((block[9], block[10], block[DIRECT - 1]), (2, 0, 0));
    }
}
