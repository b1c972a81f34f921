//! A mirror written in any order, past the cache, and read back from its halves: neighbours are served while other steps
//! go on, and after the mirror was stopped. Halves of a system slot hold the image from their first byte (the md
//! superblock is at their end), so a half can be read without the mirror.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use anyhow::{Context, Result};
use maekin_host::direct::{Scattered, read_block};
use maekin_host::md;
use maekin_swarm::store::Store;

/// What direct reads are multiples of.
const BLOCK: usize = 4096;

/// See the module.
pub(super) struct Pieces {
    /// Open while the image is being written; a device that is held open cannot be stopped.
    out: RwLock<Option<Scattered>>,
    halves: Vec<PathBuf>,
}

impl Pieces {
    pub(super) fn open(device: &Path) -> Result<Self> {
        let out = Scattered::open(device).with_context(|| format!("cannot open {}", device.display()))?;
        let name = md::kernel_name(device).with_context(|| format!("{} is no mirror", device.display()))?;
        let members = md::status(&Path::new("/sys/block").join(name)).members;
        let halves = members.into_iter().map(|member| Path::new("/dev").join(member)).collect();
        Ok(Self { out: RwLock::new(Some(out)), halves })
    }

    /// Waits until everything is on the drives. Nothing is written after that.
    pub(super) fn close(&self) -> io::Result<()> {
        let out = self.out.write().unwrap_or_else(PoisonError::into_inner).take();
        out.map_or(Ok(()), |out| out.sync())
    }
}

impl Store for Pieces {
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match &*self.out.read().unwrap_or_else(PoisonError::into_inner) {
            Some(out) => out.write_at(offset, bytes),
            None => Err(io::Error::other("it is not being written any more")),
        }
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for half in &self.halves {
            match read_block(half, offset, len.next_multiple_of(BLOCK)) {
                Ok(mut bytes) => {
                    bytes.truncate(len);
                    return Ok(bytes);
                }
                Err(e) => last = e,
            }
        }
        Err(last)
    }
}
