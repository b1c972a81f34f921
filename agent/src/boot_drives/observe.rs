//! What the machine says about the boot drives at this moment. Reads only; nothing here decides.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use maekin_host::block::{self, BlockDevice};
use maekin_host::md_sysfs::{self, Running};
use maekin_host::{cmd::CmdError, md};
use maekin_image::ids::{self, Array};
use maekin_image::layout::Part;
use uuid::Uuid;

/// Where udev names drives by where they are plugged in.
const BY_PATH: &str = "/dev/disk/by-path";

/// What kernel names of block devices begin with that are made of others, or of memory.
const MADE: [&str; 8] = ["dm-", "drbd", "loop", "md", "nbd", "ram", "rbd", "zram"];

/// A drive that is in a place of a boot drive: one with partitions of this installation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Disk {
    /// Device node.
    pub(crate) device: PathBuf,
    pub(crate) serial: String,
    pub(crate) model: String,
    /// Bytes.
    pub(crate) size: u64,
    /// Bytes of a logical sector.
    pub(crate) sector: u64,
    /// Where it is plugged in, by udev's name; empty where it has none.
    pub(crate) path: String,
    /// Kernel names of the partitions of this installation on it.
    pub(crate) parts: BTreeMap<Part, String>,
}

/// Everything that is looked at often.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The drives in the two places.
    pub(crate) places: [Option<Disk>; 2],
    /// The mirrors that run, by name.
    pub(crate) arrays: BTreeMap<String, Running>,
    /// Kernel names of all block devices there are.
    pub(crate) names: Vec<String>,
}

/// The drives of `install`. Costs a process; see [`arrays`] for what is cheap.
///
/// # Errors
/// [`CmdError`].
pub(crate) fn drives(install: Uuid) -> Result<[Option<Disk>; 2], CmdError> {
    Ok(places(install, &block::list()?, &by_path(Path::new(BY_PATH))))
}

/// The mirrors that run.
pub(crate) fn arrays() -> BTreeMap<String, Running> {
    let read = |array: &Array| {
        let dir = md_sysfs::directory(&md::device(array.name()))?;
        Some((array.name().to_owned(), md_sysfs::read(&dir)))
    };
    Array::ALL.iter().filter_map(read).collect()
}

/// Kernel names of all block devices.
pub(crate) fn names() -> Vec<String> {
    let entries = fs::read_dir("/sys/class/block").into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Whether other drives or partitions are there than before. Volumes and what is made of drives come and go all the time,
/// and at every start once. Pure.
pub(crate) fn other_drives(now: &[String], before: &[String]) -> bool {
    let made = |name: &&String| MADE.iter().any(|prefix| name.starts_with(prefix));
    let drives = |names: &[String]| names.iter().filter(|n| !made(n)).cloned().collect::<BTreeSet<_>>();
    drives(now) != drives(before)
}

/// Which of `devices` is in which place, by the GUIDs of its partitions. Pure.
fn places(install: Uuid, devices: &[BlockDevice], by_path: &BTreeMap<PathBuf, String>) -> [Option<Disk>; 2] {
    [0, 1].map(|place| {
        let found = |device: &BlockDevice| {
            let parts: BTreeMap<Part, String> = Part::ALL
                .iter()
                .filter_map(|part| {
                    let guid = ids::part_guid(install, place, *part).to_string();
                    let of = |child: &&BlockDevice| child.partuuid.as_deref() == Some(guid.as_str());
                    device.children.iter().find(of).map(|child| (*part, child.name.clone()))
                })
                .collect();
            (!parts.is_empty()).then(|| Disk {
                device: device.path.clone(),
                serial: device.serial.clone().unwrap_or_default().trim().to_owned(),
                model: device.model.clone().unwrap_or_default().trim().to_owned(),
                size: device.size,
                sector: device.log_sec,
                path: by_path.get(&device.path).cloned().unwrap_or_default(),
                parts,
            })
        };
        // Where a copy of a drive is in as well, the one with more of the installation is it.
        devices.iter().filter_map(found).max_by_key(|disk| disk.parts.len())
    })
}

fn by_path(dir: &Path) -> BTreeMap<PathBuf, String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let target = fs::canonicalize(entry.path()).ok()?;
            Some((target, entry.file_name().to_string_lossy().into_owned()))
        })
        .collect()
}

impl Disk {
    /// Kernel name of the drive, e.g. `vda`.
    pub(crate) fn name(&self) -> String {
        self.device.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Whether the partition with this kernel name is one of this installation on it.
    pub(crate) fn has_part(&self, name: &str) -> bool {
        self.parts.values().any(|part| part == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, guid: Option<Uuid>) -> BlockDevice {
        BlockDevice { name: name.into(), partuuid: guid.map(|g| g.to_string()), ..BlockDevice::default() }
    }

    fn disk(name: &str, children: Vec<BlockDevice>) -> BlockDevice {
        BlockDevice {
            name: name.into(),
            path: Path::new("/dev").join(name),
            serial: Some(format!(" S-{name} ")),
            size: 10 << 30,
            log_sec: 512,
            children,
            ..BlockDevice::default()
        }
    }

    #[test]
    fn only_drives_that_come_or_go_are_news() {
        let rows = [
            ("the first look", &["vda", "vda1"][..], &[][..], true),
            ("nothing", &["vda", "vda1"], &["vda1", "vda"], false),
            ("a volume was made", &["vda", "dm-0", "dm-1"], &["vda"], false),
            ("a mirror was stopped", &["vda"], &["vda", "md127"], false),
            ("a volume of the cluster was mapped", &["vda", "rbd0", "drbd1000", "nbd3"], &["vda"], false),
            ("a drive came", &["vda", "vdb"], &["vda"], true),
            ("a partition went", &["vda"], &["vda", "vda5"], true),
            ("a drive took a volume's turn", &["vda", "nvme0n1"], &["vda", "dm-0"], true),
        ];
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        for (name, now, before, want) in rows {
            assert_eq!(other_drives(&names(now), &names(before)), want, "{name}");
        }
    }

    #[test]
    fn drives_are_known_by_their_partitions_whatever_they_are_called() {
        let install = Uuid::from_u128(7);
        let guid = |place, part| Some(ids::part_guid(install, place, part));
        let other = Some(ids::part_guid(Uuid::from_u128(8), 0, Part::Esp));
        let devices = [
            disk("sda", vec![part("sda2", other), part("sda3", None)]),
            disk("sdb", vec![part("sdb2", guid(1, Part::Esp)), part("sdb5", guid(1, Part::State))]),
            disk("sdc", vec![part("sdc2", guid(1, Part::Esp))]),
        ];
        let paths = BTreeMap::from([(PathBuf::from("/dev/sdb"), "pci-0000:00:02.0".to_owned())]);
        let [first, second] = places(install, &devices, &paths);
        assert_eq!(first, None);
        let second = second.unwrap();
        assert_eq!((second.name(), second.serial.as_str()), ("sdb".to_owned(), "S-sdb"));
        assert_eq!(second.path, "pci-0000:00:02.0");
        assert_eq!(second.parts[&Part::State], "sdb5");
    }
}
