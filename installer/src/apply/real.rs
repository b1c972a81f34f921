//! The machine itself.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use maekin_host::block;
use maekin_host::cmd::Cmd;
use maekin_host::direct::{CHUNK, Direct};
use maekin_host::md::{self, Create};
use maekin_host::mount::{self, Access};
use maekin_host::{efi, file};
use maekin_image::gpt::{TablePart, write_at, write_table};
use maekin_image::manifest::hex;
use maekin_swarm::store::Store;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::pieces::Pieces;
use super::target::{FileSystem, Target};
use crate::digest;
use crate::source::Stream;

/// Where file systems are mounted while they are written.
const MOUNTS: &str = "/run/maekin/install";
/// Files larger than this are not read whole.
const SMALL: u64 = 4 << 20;

/// See the module.
#[derive(Debug, Default)]
pub struct RealTarget;

pub(crate) fn mount_point(device: &Path) -> PathBuf {
    Path::new(MOUNTS).join(device.file_name().unwrap_or_default())
}

fn open_write(device: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(device)
        .with_context(|| format!("cannot open {} for writing", device.display()))
}

impl Target for RealTarget {
    fn release(&mut self, disk: &Path) -> Result<()> {
        let name = disk.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for point in mount::mounts_of(|device| is_or_is_part_of(device, disk)) {
            mount::detach(&point)?;
        }
        for holder in holders(Path::new("/sys/block"), &name) {
            let node = Path::new("/dev").join(&holder);
            if !holder.starts_with("md") {
                bail!("{} is in use by {holder}, which the installer does not know", disk.display());
            }
            for point in mount::mounts_of(|device| same_node(Path::new(device), &node)) {
                mount::detach(&point)?;
            }
            md::stop(&node)?;
        }
        Ok(())
    }

    fn write(&mut self, device: &Path, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut file = open_write(device)?;
        write_at(&mut file, offset, bytes).and_then(|()| file.sync_all()).with_context(|| {
            format!("cannot write {} bytes at {offset} of {}", bytes.len(), device.display())
        })
    }

    fn zero(&mut self, device: &Path, ranges: &[(u64, u64)]) -> Result<()> {
        let file = open_write(device)?;
        for (offset, len) in ranges {
            block::zero(&file, *offset, *len)
                .with_context(|| format!("cannot zero {len} bytes at {offset} of {}", device.display()))?;
        }
        file.sync_all().with_context(|| format!("cannot flush {}", device.display()))
    }

    fn zero_rest(&mut self, device: &Path, from: u64) -> Result<()> {
        let mut file = open_write(device)?;
        let end =
            file.seek(SeekFrom::End(0)).with_context(|| format!("cannot measure {}", device.display()))?;
        self.zero(device, &[(from, end.saturating_sub(from))])
    }

    fn write_table(&mut self, disk: &Path, sector: u64, guid: Uuid, parts: &[TablePart]) -> Result<()> {
        let written = write_table(open_write(disk)?, sector, guid, parts)
            .with_context(|| format!("cannot partition {}", disk.display()))?;
        written.sync_all().with_context(|| format!("cannot flush {}", disk.display()))?;
        drop(written);
        let count = parts.iter().map(|part| part.number).max().unwrap_or(0);
        block::reread_table(disk, count)?;
        Ok(())
    }

    fn create_array(&mut self, array: &Create) -> Result<()> {
        md::create(array)?;
        Ok(())
    }

    fn write_stream(&mut self, device: &Path, stream: Stream, moved: &mut dyn FnMut(u64)) -> Result<u64> {
        let chunks = read_ahead(stream);
        let mut out =
            Direct::open(device, true).with_context(|| format!("cannot open {}", device.display()))?;
        let mut written = 0;
        for chunk in chunks {
            let chunk = chunk.context("cannot read the system image")?;
            out.buffer()[..chunk.len()].copy_from_slice(&chunk);
            out.write(chunk.len()).with_context(|| format!("cannot write to {}", device.display()))?;
            written += chunk.len() as u64;
            moved(chunk.len() as u64);
        }
        out.sync().with_context(|| format!("cannot flush {}", device.display()))?;
        Ok(written)
    }

    fn write_pieces(
        &mut self,
        device: &Path,
        fetch: &mut dyn FnMut(Box<dyn Store>) -> Result<()>,
    ) -> Result<()> {
        let pieces = Arc::new(Pieces::open(device)?);
        let fetched = fetch(Box::new(pieces.clone()));
        // Also where it failed: what follows writes to the same device, and a late piece must not come between.
        pieces.close().with_context(|| format!("cannot flush {}", device.display())).and(fetched)
    }

    fn read_back(
        &mut self,
        devices: &[PathBuf],
        len: u64,
        moved: &mut dyn FnMut(u64),
    ) -> Result<Vec<String>> {
        let (sender, receiver) = mpsc::channel();
        thread::scope(|scope| {
            let readers: Vec<_> = devices
                .iter()
                .map(|device| {
                    let sender = sender.clone();
                    scope.spawn(move || {
                        digest_device(device, len, &|n| {
                            let _ = sender.send(n); // whoever counts may have given up
                        })
                    })
                })
                .collect();
            drop(sender);
            for n in receiver {
                moved(n);
            }
            let join = |r: thread::ScopedJoinHandle<'_, Result<String>>| {
                r.join().unwrap_or_else(|_| Err(anyhow!("the reader of a drive ended unexpectedly")))
            };
            readers.into_iter().map(join).collect()
        })
    }

    fn make_vfat(&mut self, device: &Path, serial: u32, label: &str) -> Result<()> {
        Cmd::new("mkfs.vfat")
            .args(["-F", "32", "-i", &format!("{serial:08x}"), "-n", label])
            .arg(device)
            .run()?;
        Ok(())
    }

    fn make_ext4(&mut self, device: &Path, uuid: Uuid, label: &str) -> Result<()> {
        // Lazy initialisation goes on in the background of the installed system; a large drive would take minutes here.
        Cmd::new("mkfs.ext4")
            .args(["-q", "-F", "-U", &uuid.to_string(), "-L", label, "-m", "1", "-E", "lazy_itable_init=1"])
            .arg(device)
            .run()?;
        Ok(())
    }

    fn mount(&mut self, device: &Path, kind: FileSystem) -> Result<()> {
        let fstype = match kind {
            FileSystem::Vfat => "vfat",
            FileSystem::Ext4 => "ext4",
        };
        let point = mount_point(device);
        let source = device.display().to_string();
        mount::attach(&source, fstype, &point, Access::ReadWrite, "nosuid,nodev,noexec")?;
        Ok(())
    }

    fn unmount(&mut self, device: &Path) -> Result<()> {
        mount::detach(&mount_point(device))?;
        block::drop_cache(device)?;
        Ok(())
    }

    fn write_file(
        &mut self,
        devices: &[PathBuf],
        path: &str,
        mode: u32,
        content: &mut dyn Read,
    ) -> Result<()> {
        let mut files = Vec::new();
        for device in devices {
            let path = mount_point(device).join(path);
            if let Some(dir) = path.parent() {
                fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
            }
            let mut options = OpenOptions::new();
            let file = options.write(true).create(true).truncate(true).mode(mode).open(&path);
            files.push((file.with_context(|| format!("cannot create {}", path.display()))?, path));
        }
        let mut chunk = vec![0; 1 << 20];
        loop {
            let n = content.read(&mut chunk)?;
            for (file, path) in &mut files {
                if n == 0 {
                    file.sync_all().with_context(|| format!("cannot flush {}", path.display()))?;
                } else {
                    file.write_all(&chunk[..n])
                        .with_context(|| format!("cannot write {}", path.display()))?;
                }
            }
            if n == 0 {
                return Ok(());
            }
        }
    }

    fn rename_file(&mut self, device: &Path, from: &str, to: &str) -> Result<()> {
        let point = mount_point(device);
        let (from, to) = (point.join(from), point.join(to));
        let dir = to.parent().unwrap_or(&point);
        // vfat enters a renamed file without its content, and adds where that is when the file itself is flushed: to
        // flush the directory first would leave an empty file for a moment (Linux fs/fat/namei_vfat.c, vfat_rename).
        fs::rename(&from, &to)
            .and_then(|()| File::open(&to)?.sync_all())
            .and_then(|()| File::open(dir)?.sync_all())
            .with_context(|| format!("cannot rename {} to {}", from.display(), to.display()))
    }

    fn read_file(&mut self, device: &Path, path: &str) -> Result<Vec<u8>> {
        Ok(file::read_bytes(&mount_point(device).join(path), SMALL)?)
    }

    fn digest_file(&mut self, device: &Path, path: &str) -> Result<String> {
        digest::of_file(&mount_point(device).join(path))
    }

    fn boot_entry(&mut self, label: &str, disk: &Path, part: u32, loader: &str) -> Result<Vec<String>> {
        Ok(efi::set_entry(label, disk, part, loader)?)
    }
}

/// Reads (and with it, checks) the stream in a thread of its own, two chunks ahead of the writer.
fn read_ahead(mut stream: Stream) -> Receiver<std::io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::sync_channel(2);
    thread::spawn(move || {
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            let read = stream.by_ref().take(CHUNK as u64).read_to_end(&mut chunk);
            let end = read.as_ref().map_or(true, |n| *n == 0);
            if matches!(read, Ok(0)) || sender.send(read.map(|_| chunk)).is_err() || end {
                return; // the end of the stream, its failure, or a writer that has given up
            }
        }
    });
    receiver
}

fn digest_device(device: &Path, len: u64, moved: &dyn Fn(u64)) -> Result<String> {
    let context = || format!("cannot read {} back", device.display());
    let mut input = Direct::open(device, false).with_context(context)?;
    let mut digest = Sha256::new();
    let mut left = len;
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let chunk = input.read(want).with_context(context)?;
        if chunk.len() < want {
            bail!("{} ends after {} bytes", device.display(), len - left + chunk.len() as u64);
        }
        digest.update(chunk);
        left -= chunk.len() as u64;
        moved(chunk.len() as u64);
    }
    Ok(hex(&digest.finalize()))
}

/// What is stacked on `disk` or its partitions, from a directory like `/sys/block`.
pub(crate) fn holders(sys: &Path, disk: &str) -> Vec<String> {
    let list = |dir: PathBuf| -> Vec<String> {
        let names = fs::read_dir(dir).into_iter().flatten().flatten();
        names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let dir = sys.join(disk);
    let mut found = list(dir.join("holders"));
    for part in list(dir.clone()).iter().filter(|name| name.starts_with(disk)) {
        found.extend(list(dir.join(part).join("holders")));
    }
    found.sort();
    found.dedup();
    found
}

/// Whether `device` is `disk` or a partition of it: `/dev/sda1` is of `/dev/sda`, `/dev/sdaa1` is not.
fn is_or_is_part_of(device: &str, disk: &Path) -> bool {
    let disk = disk.display().to_string();
    let Some(rest) = device.strip_prefix(&disk) else { return false };
    let digits =
        if disk.ends_with(|c: char| c.is_ascii_digit()) { rest.strip_prefix('p') } else { Some(rest) };
    rest.is_empty() || digits.is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))
}

fn same_node(a: &Path, b: &Path) -> bool {
    a == b || fs::canonicalize(a).is_ok_and(|a| a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_of_partitions_are_found_once() {
        let dir = tempfile::tempdir().unwrap();
        for path in
            ["vda/holders", "vda/vda3/holders/md127", "vda/vda4/holders/md126", "vda/vda5/holders/md126"]
        {
            fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        assert_eq!(holders(dir.path(), "vda"), ["md126", "md127"]);
        assert!(holders(dir.path(), "vdb").is_empty());
    }

    #[test]
    fn partitions_are_told_from_other_disks() {
        let rows = [
            ("/dev/sda", "/dev/sda", true),
            ("/dev/sda12", "/dev/sda", true),
            ("/dev/sdaa", "/dev/sda", false),
            ("/dev/sdaa1", "/dev/sda", false),
            ("/dev/nvme0n1p2", "/dev/nvme0n1", true),
            ("/dev/nvme0n12", "/dev/nvme0n1", false),
            ("/dev/nvme0n12p1", "/dev/nvme0n1", false),
            ("tmpfs", "/dev/sda", false),
        ];
        for (device, disk, want) in rows {
            assert_eq!(is_or_is_part_of(device, Path::new(disk)), want, "{device} of {disk}");
        }
    }

    #[test]
    fn reading_ahead_ends_with_the_stream_and_passes_its_failure_on() {
        let whole: Vec<_> =
            read_ahead(Box::new(std::io::repeat(1).take(CHUNK as u64 + 5))).into_iter().collect();
        let lengths: Vec<usize> = whole.into_iter().map(|chunk| chunk.unwrap().len()).collect();
        assert_eq!(lengths, [CHUNK, 5]);
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("cable"))
            }
        }
        let broken: Vec<_> = read_ahead(Box::new(Broken)).into_iter().collect();
        assert!(broken.len() == 1 && broken[0].is_err());
    }
}
