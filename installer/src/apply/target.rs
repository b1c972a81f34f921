//! The dangerous world: what an installation can do to a machine. Each call has reached the medium when it returns.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Result;
use maekin_host::md::Create;
use maekin_image::gpt::TablePart;
use maekin_swarm::store::Store;
use uuid::Uuid;

use crate::source::Stream;

/// A file system that the installer writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// FAT, of an ESP.
    Vfat,
    /// ext4, of the state array.
    Ext4,
}

/// A machine to install on. Devices are named by their nodes. Every method's error names the device.
#[allow(clippy::missing_errors_doc)] // said once above
pub trait Target {
    /// Stops arrays and mounts that use `disk`.
    fn release(&mut self, disk: &Path) -> Result<()>;
    /// Writes `bytes` at `offset` of `device`.
    fn write(&mut self, device: &Path, offset: u64, bytes: &[u8]) -> Result<()>;
    /// Zeroes byte ranges (offset, length) of `device`.
    fn zero(&mut self, device: &Path, ranges: &[(u64, u64)]) -> Result<()>;
    /// Writes a partition table; the partitions can be used on return.
    fn write_table(&mut self, disk: &Path, sector: u64, guid: Uuid, parts: &[TablePart]) -> Result<()>;
    /// Creates a mirror at `/dev/md/<name>`.
    fn create_array(&mut self, array: &Create) -> Result<()>;
    /// Zeroes `device` from byte `from` to its end.
    fn zero_rest(&mut self, device: &Path, from: u64) -> Result<()>;
    /// Writes a stream from the first byte of `device`; returns its length. `moved` is told the bytes of each chunk.
    fn write_stream(&mut self, device: &Path, stream: Stream, moved: &mut dyn FnMut(u64)) -> Result<u64>;
    /// Has `fetch` write pieces of an image to `device` from its first byte on, in any order. What was written may be read
    /// from the store for as long as that is kept; nothing is written any more when this has returned.
    fn write_pieces(
        &mut self,
        device: &Path,
        fetch: &mut dyn FnMut(Box<dyn Store>) -> Result<()>,
    ) -> Result<()>;
    /// SHA-256 of the first `len` bytes of each device, read from the medium.
    fn read_back(&mut self, devices: &[PathBuf], len: u64, moved: &mut dyn FnMut(u64))
    -> Result<Vec<String>>;
    /// Makes a FAT32 file system.
    fn make_vfat(&mut self, device: &Path, serial: u32, label: &str) -> Result<()>;
    /// Makes an ext4 file system.
    fn make_ext4(&mut self, device: &Path, uuid: Uuid, label: &str) -> Result<()>;
    /// Mounts `device`, for the calls that follow.
    fn mount(&mut self, device: &Path, kind: FileSystem) -> Result<()>;
    /// Unmounts it; nothing of it stays in memory.
    fn unmount(&mut self, device: &Path) -> Result<()>;
    /// Writes one file to each of these mounted devices, reading `content` once.
    fn write_file(
        &mut self,
        devices: &[PathBuf],
        path: &str,
        mode: u32,
        content: &mut dyn Read,
    ) -> Result<()>;
    /// Gives a file of a mounted device another name in the same directory.
    fn rename_file(&mut self, device: &Path, from: &str, to: &str) -> Result<()>;
    /// Reads a small file of a mounted device.
    fn read_file(&mut self, device: &Path, path: &str) -> Result<Vec<u8>>;
    /// SHA-256 of a file of a mounted device.
    fn digest_file(&mut self, device: &Path, path: &str) -> Result<String>;
    /// Makes a UEFI boot entry. Entries of the same maker whose partition is gone are removed, and returned in words.
    fn boot_entry(&mut self, label: &str, disk: &Path, part: u32, loader: &str) -> Result<Vec<String>>;
}
