//! Which devices a bundle may be written to (pure), and writing to one: mounted for that alone, and taken out again.
//!
//! A stick is a removable or USB drive with a file system on it that nobody uses. A drive that has a part in anything
//! (a mirror, a volume group, an OSD, an encrypted volume) is none, whatever else is on it.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use maekin_host::block::{self, BlockDevice};
use maekin_host::mount::{self, Access};

/// Where it is mounted meanwhile.
const MOUNT: &str = "/run/maekin/support-stick";
/// The label of the partition for answers on our own medium.
const OURS: &str = "MAEKIN";
/// File systems that are written to.
const FILE_SYSTEMS: [&str; 3] = ["vfat", "exfat", "ext4"];
/// The type of an EFI system partition, in a GPT and in an MBR.
const ESP: [&str; 2] = ["c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "0xef"];
/// What belongs to a file system of a drive that is part of something else (blkid(8)).
const MEMBERS: [&str; 9] = [
    "linux_raid_member",
    "isw_raid_member",
    "ddf_raid_member",
    "lvm2_member",
    "crypto_luks",
    "drbd",
    "ceph_bluestore",
    "zfs_member",
    "bcache",
];

/// A stick that can be written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stick {
    pub(crate) device: PathBuf,
    pub(crate) fstype: String,
    /// Its file system's label; may be empty.
    pub(crate) label: String,
    pub(crate) model: String,
    /// Bytes.
    pub(crate) size: u64,
}

impl Stick {
    /// As a person knows it.
    pub(crate) fn title(&self) -> String {
        let label = if self.label.is_empty() { "no label" } else { &self.label };
        #[allow(clippy::cast_precision_loss)] // a size for people
        let size = self.size as f64 / 1e9;
        format!("{} ({label}, {}, {size:.1} GB)", self.device.display(), self.model)
    }
}

/// A removable drive, or a part of it, that is not written to, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) device: PathBuf,
    pub(crate) reason: String,
}

/// Sticks, ours first, and what is none though it is removable.
pub(crate) fn sticks(devices: &[BlockDevice]) -> (Vec<Stick>, Vec<Refused>) {
    let (mut sticks, mut refused) = (Vec::new(), Vec::new());
    for disk in devices.iter().filter(|disk| disk.r#type == "disk" && is_removable(disk)) {
        if let Some(reason) = part_of(disk) {
            refused.push(Refused { device: disk.path.clone(), reason });
            continue;
        }
        for part in std::iter::once(disk).chain(&disk.children) {
            match judge(disk, part) {
                Some(Ok(stick)) => sticks.push(stick),
                Some(Err(reason)) => refused.push(Refused { device: part.path.clone(), reason }),
                None => {}
            }
        }
    }
    sticks.sort_by_key(|stick| stick.label != OURS); // stable: otherwise in the order of the drives
    (sticks, refused)
}

fn is_removable(disk: &BlockDevice) -> bool {
    disk.rm || disk.tran.as_deref() == Some("usb")
}

/// What the drive, or anything on it, has a part in.
fn part_of(device: &BlockDevice) -> Option<String> {
    let kind = device.fstype.as_deref().unwrap_or_default().to_ascii_lowercase();
    if MEMBERS.contains(&kind.as_str()) || kind.ends_with("_raid_member") {
        return Some(format!("{} has a part in something else ({kind})", device.name));
    }
    if !matches!(device.r#type.as_str(), "disk" | "part") {
        return Some(format!("{} is stacked on it ({})", device.name, device.r#type));
    }
    if device.partlabel.as_deref().is_some_and(|label| label.starts_with("maekin")) {
        return Some(format!("{} is a boot drive's", device.name));
    }
    device.children.iter().find_map(part_of)
}

/// Whether this part of a removable drive is a stick; nothing is said of what has no file system at all.
fn judge(disk: &BlockDevice, part: &BlockDevice) -> Option<Result<Stick, String>> {
    let fstype = part.fstype.clone()?;
    let label = part.label.clone().unwrap_or_default();
    if fstype == "swap" || !part.children.is_empty() {
        return None;
    }
    let kind = part.parttype.as_deref().unwrap_or_default().to_ascii_lowercase();
    let mounted = part.mountpoints.iter().flatten().next();
    Some(if !FILE_SYSTEMS.contains(&fstype.as_str()) {
        Err(format!("has {fstype}; FAT, exFAT or ext4 can be written"))
    } else if part.ro || disk.ro {
        Err("is write-protected".to_owned())
    } else if ESP.contains(&kind.as_str()) && label != OURS {
        Err("is what firmware boots from".to_owned())
    } else if let Some(place) = mounted {
        Err(format!("is in use at {place}"))
    } else {
        let model = disk.model.as_deref().unwrap_or("stick").replace('_', " ").trim().to_owned();
        Ok(Stick { device: part.path.clone(), fstype, label, model, size: part.size })
    })
}

/// The stick that a person means: `wanted`, or the first one.
///
/// # Errors
/// Why there is none, and what to do.
pub(crate) fn choose(devices: &[BlockDevice], wanted: Option<&Path>) -> anyhow::Result<Stick> {
    let (sticks, refused) = sticks(devices);
    let advice = "put in a stick with a FAT file system, or name a directory";
    let Some(wanted) = wanted else {
        let Some(stick) = sticks.into_iter().next() else {
            let seen: Vec<String> =
                refused.iter().map(|r| format!("; {} {}", r.device.display(), r.reason)).collect();
            bail!("there is no stick to write to{}; {advice}", seen.concat());
        };
        return Ok(stick);
    };
    if let Some(stick) = sticks.into_iter().find(|stick| stick.device == wanted) {
        return Ok(stick);
    }
    match refused
        .into_iter()
        .find(|refused| wanted.starts_with(&refused.device) || part(wanted, &refused.device))
    {
        Some(refused) => bail!("{} is not written to: it {}; {advice}", wanted.display(), refused.reason),
        None => bail!("{} is no stick that is written to; {advice}", wanted.display()),
    }
}

/// Whether `part` is a partition of `disk`, by its name.
fn part(part: &Path, disk: &Path) -> bool {
    let (part, disk) = (part.to_string_lossy(), disk.to_string_lossy());
    part.strip_prefix(&*disk)
        .is_some_and(|rest| rest.trim_start_matches('p').bytes().all(|b| b.is_ascii_digit()))
}

/// Works in a stick's file system, mounted for that alone.
///
/// # Errors
/// As the work, or why the stick cannot be used.
pub(super) fn with<T>(stick: &Stick, work: impl FnOnce(&Path) -> anyhow::Result<T>) -> anyhow::Result<T> {
    if block::is_claimed(&stick.device) {
        bail!("{} is in use; take it out and put it in again", stick.device.display());
    }
    let dir = Path::new(MOUNT);
    mount::attach(
        &stick.device.display().to_string(),
        &stick.fstype,
        dir,
        Access::ReadWrite,
        "nosuid,nodev,noexec",
    )?;
    let outcome = work(dir);
    // What was written is on the stick only now.
    let detached = mount::detach(dir).with_context(|| format!("{} may not be whole", stick.device.display()));
    let value = outcome?;
    detached?;
    Ok(value)
}

#[cfg(test)]
mod tests;
