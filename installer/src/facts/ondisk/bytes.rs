//! Bytes of a drive, and numbers out of them. Reading past an end gives fewer bytes, never a panic.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Longest read at once: more is never needed, and a superblock's word is not trusted about it.
const LONGEST: usize = 16 << 20;

/// A place with bytes in it.
pub trait Region {
    /// How many.
    fn size(&self) -> u64;

    /// `len` bytes from `at`; fewer where the place ends.
    ///
    /// # Errors
    /// The device's error.
    fn read(&self, at: u64, len: usize) -> io::Result<Vec<u8>>;
}

/// A range of a device, opened for reading only.
#[derive(Debug)]
pub struct DeviceRange {
    file: File,
    start: u64,
    size: u64,
}

impl DeviceRange {
    /// The `size` bytes from `start` of `device`.
    ///
    /// # Errors
    /// When the device cannot be opened.
    pub fn open(device: &Path, start: u64, size: u64) -> io::Result<Self> {
        Ok(Self { file: File::open(device)?, start, size })
    }

    /// The same device, another range of it.
    ///
    /// # Errors
    /// The system's.
    pub fn range(&self, start: u64, size: u64) -> io::Result<Self> {
        Ok(Self { file: self.file.try_clone()?, start, size })
    }
}

impl Region for DeviceRange {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let room = self.size.saturating_sub(at).min(len.min(LONGEST) as u64);
        let mut bytes = vec![0; usize::try_from(room).unwrap_or(LONGEST)];
        let mut have = 0;
        while have < bytes.len() {
            let Some(place) = self.start.checked_add(at).and_then(|from| from.checked_add(have as u64))
            else {
                break;
            };
            match self.file.read_at(&mut bytes[have..], place)? {
                0 => break,
                n => have += n,
            }
        }
        bytes.truncate(have);
        Ok(bytes)
    }
}

/// A capture: pieces of a device, zeros between them.
#[derive(Debug, Default, Clone)]
pub struct Capture {
    /// Bytes of the whole device.
    pub size: u64,
    /// Where each piece begins, and what it is.
    pub pieces: Vec<(u64, Vec<u8>)>,
}

impl Region for Capture {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let room = self.size.saturating_sub(at).min(len.min(LONGEST) as u64);
        let mut bytes = vec![0; usize::try_from(room).unwrap_or(LONGEST)];
        let end = at.saturating_add(bytes.len() as u64);
        for (start, piece) in &self.pieces {
            // What of the piece lies in [at, end), from its own start and from ours.
            let from = at.max(*start);
            let to = end.min(start.saturating_add(piece.len() as u64));
            let near = |place: u64, base: u64| usize::try_from(place - base).unwrap_or(LONGEST);
            if from < to {
                bytes[near(from, at)..near(to, at)]
                    .copy_from_slice(&piece[near(from, *start)..near(to, *start)]);
            }
        }
        Ok(bytes)
    }
}

/// `N` bytes at `at`.
#[must_use]
pub fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// 16 bits, little-endian.
#[must_use]
pub fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

/// 32 bits, little-endian.
#[must_use]
pub fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// 64 bits, little-endian.
#[must_use]
pub fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// 16 bits, big-endian.
#[must_use]
pub fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

/// 32 bits, big-endian.
#[must_use]
pub fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

/// 64 bits, big-endian.
#[must_use]
pub fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_be_bytes)
}

/// Text of at most `len` bytes at `at`, up to its first zero.
#[must_use]
pub fn text(bytes: &[u8], at: usize, len: usize) -> String {
    let end = at.saturating_add(len).min(bytes.len());
    let all = bytes.get(at..end).unwrap_or_default();
    let upto = all.iter().position(|b| *b == 0).unwrap_or(all.len());
    String::from_utf8_lossy(&all[..upto]).trim().to_owned()
}

/// A UUID's 16 bytes at `at` in its usual form; empty when there are none.
#[must_use]
pub fn uuid(bytes: &[u8], at: usize) -> String {
    array(bytes, at).map(|raw| uuid::Uuid::from_bytes(raw).to_string()).unwrap_or_default()
}
