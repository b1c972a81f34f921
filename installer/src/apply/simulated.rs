//! A machine in memory: drives that take writes, mirrors that pass them on to their members, file systems as maps. It
//! records every call, fails at the call it is told to, and answers what firmware would make of its drives.

mod heal;

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use maekin_host::block::partition_path;
use maekin_host::md::{self, Create};
use maekin_image::bootcode::unfinished_install;
use maekin_image::esp::FALLBACK_LOADER;
use maekin_image::gpt::{BOOT_CODE, TablePart, write_table};
use maekin_image::manifest::sha256_hex;
use maekin_swarm::store::Store;
use uuid::Uuid;

use super::target::{FileSystem, Target};
use crate::source::Stream;

const BLOCK: u64 = 4096;

/// Bytes of a drive, of which only those written take memory.
#[derive(Debug, Clone, Default)]
pub struct SparseDisk {
    size: u64,
    at: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl SparseDisk {
    /// A drive of zeros.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self { size, ..Self::default() }
    }

    fn zero(&mut self, offset: u64, len: u64) -> io::Result<()> {
        let end = offset + len;
        let inner: Vec<u64> =
            self.blocks.range(offset.div_ceil(BLOCK)..end / BLOCK).map(|(index, _)| *index).collect();
        for index in inner {
            self.blocks.remove(&index);
        }
        // What is left are the partly covered blocks at both ends, and nothing where no block is held.
        for edge in [offset / BLOCK, end / BLOCK] {
            if let Some(block) = self.blocks.get_mut(&edge) {
                let base = edge * BLOCK;
                let from = usize::try_from(offset.saturating_sub(base)).unwrap_or(0).min(block.len());
                let to = usize::try_from(end.saturating_sub(base)).unwrap_or(0).min(block.len());
                block[from..to.max(from)].fill(0);
            }
        }
        if end > self.size { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    fn step(&self, len: usize) -> (u64, usize, usize) {
        let within = self.at % BLOCK;
        let n = (len as u64).min(BLOCK - within).min(self.size.saturating_sub(self.at));
        // Both are at most one block.
        (self.at / BLOCK, usize::try_from(within).unwrap_or(0), usize::try_from(n).unwrap_or(0))
    }
}

impl Read for SparseDisk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (index, within, n) = self.step(buffer.len());
        match self.blocks.get(&index) {
            Some(block) => buffer[..n].copy_from_slice(&block[within..within + n]),
            None => buffer[..n].fill(0),
        }
        self.at += n as u64;
        Ok(n)
    }
}

impl Write for SparseDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (index, within, n) = self.step(bytes.len());
        if n > 0 {
            let block = self.blocks.entry(index).or_insert_with(|| vec![0; 4096]);
            block[within..within + n].copy_from_slice(&bytes[..n]);
        }
        self.at += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for SparseDisk {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        }
        .ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// A file system: path to content.
type Files = BTreeMap<String, Vec<u8>>;

/// Pieces of an image, by offset.
#[derive(Debug, Default)]
struct Pieces(Mutex<BTreeMap<u64, Vec<u8>>>);

impl Store for Pieces {
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(offset, bytes.to_vec());
        Ok(())
    }

    fn read(&self, offset: u64, _: usize) -> io::Result<Vec<u8>> {
        let pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.get(&offset).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// What firmware would make of a drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootable {
    /// A BIOS would run boot code that is not the mark.
    pub bios: bool,
    /// UEFI firmware would find a loader.
    pub uefi: bool,
    /// The installation whose mark it carries.
    pub unfinished: Option<Uuid>,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct SimulatedTarget {
    /// Every call, in words.
    pub log: Vec<String>,
    /// Fail at this call, counted from 0.
    pub fail_at: Option<usize>,
    /// UEFI variables cannot be written.
    pub no_nvram: bool,
    disks: BTreeMap<PathBuf, SparseDisk>,
    parts: BTreeMap<PathBuf, (PathBuf, u64, u64)>,
    arrays: BTreeMap<PathBuf, Vec<PathBuf>>,
    /// Members that are being brought up to date, by the array's node.
    syncing: BTreeMap<PathBuf, Vec<PathBuf>>,
    files: BTreeMap<PathBuf, Files>,
    mounted: Vec<PathBuf>,
}

impl SimulatedTarget {
    /// A machine with blank drives: node and bytes.
    #[must_use]
    pub fn new(disks: &[(&str, u64)]) -> Self {
        let disk = |(path, size): &(&str, u64)| (PathBuf::from(*path), SparseDisk::new(*size));
        Self { disks: disks.iter().map(disk).collect(), ..Self::default() }
    }

    /// What firmware would make of `disk`.
    ///
    /// # Errors
    /// When there is no such drive.
    pub fn bootable(&mut self, disk: &Path) -> Result<Bootable> {
        let mut head = [0; BOOT_CODE];
        let drive = self.disks.get_mut(disk).context("no such drive")?;
        drive.seek(SeekFrom::Start(0))?;
        drive.read_exact(&mut head)?;
        let unfinished = unfinished_install(&head);
        let bios = unfinished.is_none() && head.iter().any(|b| *b != 0);
        let uefi = self.files.get(&partition_path(disk, 2)).is_some_and(|f| f.contains_key(FALLBACK_LOADER));
        Ok(Bootable { bios, uefi, unfinished })
    }

    /// A file on a device, as it is now.
    #[must_use]
    pub fn file(&self, device: &str, path: &str) -> Option<&[u8]> {
        self.files.get(Path::new(device))?.get(path).map(Vec::as_slice)
    }

    fn call(&mut self, what: String) -> Result<()> {
        let number = self.log.len();
        self.log.push(what);
        if self.fail_at == Some(number) {
            bail!("a fault was injected into call {number}");
        }
        Ok(())
    }

    /// The drives and offsets behind a device, and its size.
    fn places(&self, device: &Path) -> Result<(Vec<(PathBuf, u64)>, u64)> {
        if let Some(disk) = self.disks.get(device) {
            return Ok((vec![(device.to_owned(), 0)], disk.size));
        }
        if let Some((disk, start, size)) = self.parts.get(device) {
            return Ok((vec![(disk.clone(), *start)], *size));
        }
        let members =
            self.arrays.get(device).with_context(|| format!("{} is not there", device.display()))?;
        let mut places = Vec::new();
        let mut size = u64::MAX;
        for member in members {
            let (place, bytes) = self.places(member)?;
            places.extend(place);
            size = size.min(bytes - (1 << 20)); // room for a superblock at the end
        }
        Ok((places, size))
    }

    fn mounted_files(&mut self, device: &Path) -> Result<&mut Files> {
        if !self.mounted.iter().any(|m| m == device) {
            bail!("{} is not mounted", device.display());
        }
        self.files.get_mut(device).with_context(|| format!("{} holds no file system", device.display()))
    }
}

impl Target for SimulatedTarget {
    fn release(&mut self, disk: &Path) -> Result<()> {
        self.call(format!("release {}", disk.display()))?;
        let gone = |path: &Path, parts: &BTreeMap<PathBuf, (PathBuf, u64, u64)>| {
            parts.get(path).is_some_and(|(on, _, _)| on == disk)
        };
        self.mounted.clear();
        self.arrays.retain(|_, members| !members.iter().any(|m| gone(m, &self.parts)));
        Ok(())
    }

    fn write(&mut self, device: &Path, offset: u64, bytes: &[u8]) -> Result<()> {
        self.call(format!("write {} bytes at {offset} of {}", bytes.len(), device.display()))?;
        let (places, size) = self.places(device)?;
        if offset + bytes.len() as u64 > size {
            bail!("{} ends before byte {}", device.display(), offset + bytes.len() as u64);
        }
        for (disk, base) in places {
            let drive = self.disks.get_mut(&disk).context("no such drive")?;
            drive.seek(SeekFrom::Start(base + offset))?;
            drive.write_all(bytes)?;
        }
        Ok(())
    }

    fn zero(&mut self, device: &Path, ranges: &[(u64, u64)]) -> Result<()> {
        self.call(format!("zero {} ranges of {}", ranges.len(), device.display()))?;
        let (places, _) = self.places(device)?;
        for (disk, base) in places {
            let drive = self.disks.get_mut(&disk).context("no such drive")?;
            for (offset, len) in ranges {
                drive.zero(base + offset, *len)?;
            }
        }
        Ok(())
    }

    fn zero_rest(&mut self, device: &Path, from: u64) -> Result<()> {
        let (_, size) = self.places(device)?;
        self.zero(device, &[(from, size.saturating_sub(from))])
    }

    fn write_table(&mut self, disk: &Path, sector: u64, guid: Uuid, parts: &[TablePart]) -> Result<()> {
        self.call(format!("partition {}", disk.display()))?;
        let drive = self.disks.get_mut(disk).context("no such drive")?;
        write_table(drive, sector, guid, parts)?;
        for part in parts {
            let node = partition_path(disk, part.number);
            self.files.remove(&node);
            self.parts.insert(node, (disk.to_owned(), part.start, part.size));
        }
        Ok(())
    }

    fn create_array(&mut self, array: &Create) -> Result<()> {
        self.call(format!("create {}", array.name))?;
        let members = array.members.iter().flatten().cloned().collect();
        self.arrays.insert(md::device(&array.name), members);
        Ok(())
    }

    fn write_stream(&mut self, device: &Path, mut stream: Stream, moved: &mut dyn FnMut(u64)) -> Result<u64> {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).context("cannot read the system image")?;
        self.write(device, 0, &bytes)?;
        moved(bytes.len() as u64);
        Ok(bytes.len() as u64)
    }

    fn write_pieces(
        &mut self,
        device: &Path,
        fetch: &mut dyn FnMut(Box<dyn Store>) -> Result<()>,
    ) -> Result<()> {
        self.call(format!("write pieces to {}", device.display()))?;
        let pieces = Arc::new(Pieces::default());
        fetch(Box::new(pieces.clone()))?;
        let written = std::mem::take(&mut *pieces.0.lock().unwrap_or_else(PoisonError::into_inner));
        written.iter().try_for_each(|(offset, bytes)| self.write(device, *offset, bytes))
    }

    fn read_back(
        &mut self,
        devices: &[PathBuf],
        len: u64,
        moved: &mut dyn FnMut(u64),
    ) -> Result<Vec<String>> {
        let mut digests = Vec::new();
        for device in devices {
            self.call(format!("read {} back", device.display()))?;
            let (places, _) = self.places(device)?;
            let (disk, base) = places.first().context("no drive behind it")?;
            let drive = self.disks.get_mut(disk).context("no such drive")?;
            drive.seek(SeekFrom::Start(*base))?;
            let mut bytes = Vec::new();
            drive.take(len).read_to_end(&mut bytes)?;
            moved(len);
            digests.push(sha256_hex(&bytes));
        }
        Ok(digests)
    }

    fn make_vfat(&mut self, device: &Path, serial: u32, label: &str) -> Result<()> {
        self.call(format!("mkfs.vfat {} {serial:08x} {label}", device.display()))?;
        self.files.insert(device.to_owned(), Files::new());
        Ok(())
    }

    fn make_ext4(&mut self, device: &Path, uuid: Uuid, label: &str) -> Result<()> {
        self.call(format!("mkfs.ext4 {} {uuid} {label}", device.display()))?;
        self.files.insert(device.to_owned(), Files::new());
        Ok(())
    }

    fn mount(&mut self, device: &Path, kind: FileSystem) -> Result<()> {
        self.call(format!("mount {} as {kind:?}", device.display()))?;
        self.mounted.push(device.to_owned());
        self.mounted_files(device).map(drop)
    }

    fn unmount(&mut self, device: &Path) -> Result<()> {
        self.call(format!("unmount {}", device.display()))?;
        self.mounted.retain(|m| m != device);
        Ok(())
    }

    fn write_file(
        &mut self,
        devices: &[PathBuf],
        path: &str,
        _mode: u32,
        content: &mut dyn Read,
    ) -> Result<()> {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        for device in devices {
            self.call(format!("write {path} to {}", device.display()))?;
            self.mounted_files(device)?.insert(path.to_owned(), bytes.clone());
        }
        Ok(())
    }

    fn rename_file(&mut self, device: &Path, from: &str, to: &str) -> Result<()> {
        self.call(format!("rename {from} to {to} on {}", device.display()))?;
        let files = self.mounted_files(device)?;
        let content = files.remove(from).with_context(|| format!("there is no {from}"))?;
        files.insert(to.to_owned(), content);
        Ok(())
    }

    fn read_file(&mut self, device: &Path, path: &str) -> Result<Vec<u8>> {
        self.call(format!("read {path} from {}", device.display()))?;
        self.mounted_files(device)?.get(path).cloned().with_context(|| format!("there is no {path}"))
    }

    fn digest_file(&mut self, device: &Path, path: &str) -> Result<String> {
        self.read_file(device, path).map(|bytes| sha256_hex(&bytes))
    }

    fn boot_entry(&mut self, label: &str, disk: &Path, _part: u32, _loader: &str) -> Result<Vec<String>> {
        self.call(format!("boot entry {label} for {}", disk.display()))?;
        if self.no_nvram {
            bail!("the firmware keeps no variables");
        }
        Ok(Vec::new())
    }
}
