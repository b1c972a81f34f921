//! The machine in memory while it runs: halves leave its mirrors and come back, drives are pulled and put in.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use maekin_host::md;
use maekin_image::gpt::{TablePart, read_table};
use maekin_image::ids::Array;
use maekin_rootfs::node::NODE_FILE;

use super::{SimulatedTarget, SparseDisk};
use crate::apply::target::{FileSystem, Target};
use crate::heal::target::HealTarget;

impl SimulatedTarget {
    /// Puts a blank drive in, in place of what had that node.
    pub fn put_in_blank(&mut self, disk: &str, size: u64) {
        let disk = PathBuf::from(disk);
        let of_disk: Vec<PathBuf> =
            self.parts.iter().filter(|(_, (on, ..))| *on == disk).map(|(part, _)| part.clone()).collect();
        for part in of_disk {
            self.parts.remove(&part);
            self.files.remove(&part);
            self.leave(&part);
        }
        self.disks.insert(disk, SparseDisk::new(size));
    }

    /// A half leaves its mirror, and stays as it is.
    pub fn leave(&mut self, member: &Path) {
        for members in self.arrays.values_mut().chain(self.syncing.values_mut()) {
            members.retain(|m| m != member);
        }
    }

    /// The power fails and comes back: nothing is mounted any more, and mirrors go on with what they have.
    pub fn restart(&mut self) {
        self.mounted.clear();
    }

    /// The members of a mirror that are up to date, and those that are being brought so.
    #[must_use]
    pub fn members(&self, array: Array) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let of = |map: &BTreeMap<PathBuf, Vec<PathBuf>>| {
            map.get(&md::device(array.name())).cloned().unwrap_or_default()
        };
        (of(&self.arrays), of(&self.syncing))
    }

    /// All files of a device; `None` where it holds no file system.
    #[must_use]
    pub fn files(&self, device: &Path) -> Option<&BTreeMap<String, Vec<u8>>> {
        self.files.get(device)
    }

    /// The same, to be damaged.
    pub fn files_mut(&mut self, device: &Path) -> Option<&mut BTreeMap<String, Vec<u8>>> {
        self.files.get_mut(device)
    }

    /// Bytes of a device; fewer at its end.
    pub fn bytes(&mut self, device: &Path, offset: u64, len: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let place = self.places(device).ok().and_then(|(places, _)| places.into_iter().next());
        if let Some((disk, base)) = place
            && let Some(drive) = self.disks.get_mut(&disk)
            && drive.seek(SeekFrom::Start(base + offset)).is_ok()
        {
            let _ = drive.take(len).read_to_end(&mut bytes); // a drive in memory does not fail
        }
        bytes
    }

    /// The partitions of a drive; none where it has no table.
    pub fn table(&mut self, disk: &Path) -> Vec<TablePart> {
        let Some(drive) = self.disks.get_mut(disk) else { return Vec::new() };
        read_table(drive, 512).map(|(_, parts)| parts).unwrap_or_default()
    }
}

impl HealTarget for SimulatedTarget {
    fn take_out(&mut self, array: Array, member: &str) -> Result<()> {
        self.call(format!("take {member} out of {}", array.name()))?;
        self.leave(&Path::new("/dev").join(member));
        Ok(())
    }

    fn join(&mut self, array: Array, member: &Path, by_bitmap: bool) -> Result<()> {
        let how = if by_bitmap { "by bitmap" } else { "as new" };
        self.call(format!("join {} to {} {how}", member.display(), array.name()))?;
        self.places(member)?;
        self.syncing.entry(md::device(array.name())).or_default().push(member.to_owned());
        Ok(())
    }

    fn await_sync(&mut self, arrays: &[Array], moved: &mut dyn FnMut(u64)) -> Result<()> {
        for array in arrays {
            // Each array is a call of its own: the power may fail between them.
            self.call(format!("sync {}", array.name()))?;
            let node = md::device(array.name());
            for member in self.syncing.remove(&node).unwrap_or_default() {
                let members = self.arrays.get_mut(&node).context("the mirror does not run")?;
                let from = members.first().context("the mirror has no half")?.clone();
                members.push(member.clone());
                self.copy(&from, &member)?;
            }
            moved(1);
        }
        Ok(())
    }

    fn mount_to_read(&mut self, device: &Path) -> Result<()> {
        self.mount(device, FileSystem::Vfat)
    }

    fn open_file(&mut self, device: &Path, path: &str) -> Result<Box<dyn Read>> {
        self.call(format!("read {path} from {}", device.display()))?;
        let files = self.mounted_files(device)?;
        let bytes = files.get(path).cloned().with_context(|| format!("there is no {path}"))?;
        Ok(Box::new(Cursor::new(bytes)))
    }

    fn change_node(&mut self, change: &mut dyn FnMut(&str) -> Result<String>) -> Result<()> {
        self.call("change the node file".to_owned())?;
        let state = md::device(Array::State.name());
        let files = self.files.get_mut(&state).context("the state holds no file system")?;
        let old = files.get(NODE_FILE).context("there is no node file")?;
        let new = change(&String::from_utf8(old.clone())?)?;
        files.insert(NODE_FILE.to_owned(), new.into_bytes());
        Ok(())
    }
}

impl SimulatedTarget {
    /// Copies the first MiB of one member to another: as much as the images of tests have.
    fn copy(&mut self, from: &Path, to: &Path) -> Result<()> {
        let bytes = self.bytes(from, 0, 1 << 20);
        let (places, _) = self.places(to)?;
        for (disk, base) in places {
            let drive = self.disks.get_mut(&disk).context("no such drive")?;
            drive.seek(SeekFrom::Start(base))?;
            drive.write_all(&bytes)?;
        }
        Ok(())
    }
}
