//! The install medium: a stick, a disc, or a BMC's virtual medium. The bundle is on its ISO file system; answers and
//! receipts are on its FAT partition labelled `MAEKIN`, which optical drives do not show as a partition and which is
//! then found by its place in the medium's partition table.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use maekin_host::block::{self, BlockDevice};
use maekin_host::cmd::Cmd;
use maekin_host::mount::{self, Access};
use maekin_host::{file, wait};

use super::DirSource;
use crate::answers;
use crate::facts::{MEDIUM_LABEL, holds_label};

/// Label of the FAT partition with the answer file.
pub const ANSWER_LABEL: &str = "MAEKIN";
/// Name of the answer file on it.
pub const ANSWER_FILE: &str = "answer.toml";
/// Directory of receipts on it.
pub(super) const RECEIPTS: &str = "receipts";
const MEDIUM: &str = "/run/maekin/medium";
pub(super) const ANSWERS: &str = "/run/maekin/answers";
/// How long the medium may take to appear: sticks behind hubs and virtual media are slow.
const LIMIT: Duration = Duration::from_secs(45);

/// Mounts the install medium and returns its bundle.
///
/// # Errors
/// When none appears in time, or it cannot be read.
pub fn find_release() -> Result<DirSource> {
    let release = Path::new(MEDIUM).join("release");
    if release.is_dir() {
        return Ok(DirSource(release)); // an earlier try mounted it
    }
    let path =
        wait::until("the install medium (label MAEKIN_ISO)", LIMIT, Duration::from_millis(500), || {
            // lsblk sees the label on the whole stick before the kernel has looked for partitions, and mounting the whole
            // would keep them busy. udev hears of a stick when its partitions are known, and makes this link then.
            Path::new("/dev/disk/by-label").join(MEDIUM_LABEL).exists().then_some(())?;
            block::settle().ok()?;
            find(&block::list().ok()?, MEDIUM_LABEL)
        })?;
    let device = path.display().to_string();
    mount::attach(&device, "iso9660", Path::new(MEDIUM), Access::ReadOnly, "nosuid,nodev,noexec")?;
    if !release.is_dir() {
        bail!("the medium in {device} has no directory `release`; flash the stick anew");
    }
    Ok(DirSource(release))
}

/// The smallest device that carries the file system `label`: a partition before the whole of its stick.
pub(super) fn find(devices: &[BlockDevice], label: &str) -> Option<PathBuf> {
    devices.iter().filter(|device| holds_label(device, label)).find_map(|device| {
        find(&device.children, label)
            .or_else(|| (device.label.as_deref() == Some(label)).then(|| device.path.clone()))
    })
}

/// An answer file on a partition labelled `MAEKIN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundAnswer {
    /// The partition, or the whole stick.
    pub device: PathBuf,
    /// The partition is one of the install medium itself.
    pub on_medium: bool,
    /// Its text, or why it cannot be read.
    pub text: Result<String, String>,
}

/// Every answer file on a partition labelled `MAEKIN`; partitions without one are passed by.
#[must_use]
pub fn find_answers() -> Vec<FoundAnswer> {
    let devices = block::list().unwrap_or_else(|e| {
        tracing::warn!("no answer files are looked for: {e}");
        Vec::new()
    });
    let places = labelled(&devices, ANSWER_LABEL);
    let shown = places.iter().any(|(_, _, on_medium)| *on_medium);
    let mut found: Vec<FoundAnswer> = places
        .into_iter()
        .filter_map(|(device, fstype, on_medium)| found_on(device, &fstype, on_medium))
        .collect();
    if !shown {
        match loop_on_disc(&devices) {
            Ok(Some(device)) => {
                found.extend(found_on(device.clone(), "vfat", true));
                // Left behind, it would be taken for another stick at the next try.
                if let Err(e) = Cmd::new("losetup").arg("--detach").arg(&device).run() {
                    tracing::warn!("{e}");
                }
            }
            Ok(None) => {}
            Err(e) => tracing::warn!("the disc is not looked at for answers: {e:#}"),
        }
    }
    found
}

fn found_on(device: PathBuf, fstype: &str, on_medium: bool) -> Option<FoundAnswer> {
    let text = read_answer(&device, fstype).map_err(|e| format!("{e:#}")).transpose()?;
    Some(FoundAnswer { device, on_medium, text })
}

/// Partitions, or sticks without any, with a file system `label` that the initrd can read: node, type, and whether it
/// is on the install medium.
fn labelled(devices: &[BlockDevice], label: &str) -> Vec<(PathBuf, String, bool)> {
    fn collect(device: &BlockDevice, label: &str, on_medium: bool, found: &mut Vec<(PathBuf, String, bool)>) {
        let readable = ["vfat", "ext2", "ext3", "ext4", "iso9660", "udf"];
        let fstype = device.fstype.as_deref().unwrap_or_default();
        if device.label.as_deref() == Some(label) && readable.contains(&fstype) {
            found.push((device.path.clone(), fstype.to_owned(), on_medium));
        }
        for child in &device.children {
            collect(child, label, on_medium, found);
        }
    }
    let mut found = Vec::new();
    for device in devices {
        collect(device, label, holds_label(device, MEDIUM_LABEL), &mut found);
    }
    found
}

/// The answer file on `device`; `None` where there is no such file.
fn read_answer(device: &Path, fstype: &str) -> Result<Option<String>> {
    let dir = Path::new(ANSWERS);
    let journal = if fstype.starts_with("ext") { ",noload" } else { "" }; // replaying it would write
    let options = format!("nosuid,nodev,noexec{journal}");
    mount::attach(&device.display().to_string(), fstype, dir, Access::ReadOnly, &options)?;
    let path = dir.join(ANSWER_FILE);
    let text = path.exists().then(|| file::read_text(&path, answers::LIMIT)).transpose();
    mount::detach(dir)?;
    Ok(text?)
}

/// Leaves files (name and content) on the partition labelled `MAEKIN`, in the directory of receipts.
///
/// # Errors
/// When there is none, or it cannot be written.
pub fn leave_receipt(files: &[(String, &String)]) -> Result<()> {
    let device = find(&block::list()?, ANSWER_LABEL).context("there is no partition labelled MAEKIN")?;
    let dir = PathBuf::from(ANSWERS);
    mount::attach(&device.display().to_string(), "vfat", &dir, Access::ReadWrite, "nosuid,nodev,noexec")?;
    let write = |(name, text): &(String, &String)| {
        file::write_atomic(&dir.join(RECEIPTS).join(name), text.as_bytes(), 0o644)
    };
    let written = files.iter().try_for_each(write);
    mount::detach(&dir)?;
    Ok(written?)
}

/// Makes a loop device over the partition labelled `MAEKIN` of a disc whose partitions the kernel does not show.
fn loop_on_disc(devices: &[BlockDevice]) -> Result<Option<PathBuf>> {
    let disc = devices.iter().find(|d| d.label.as_deref() == Some(MEDIUM_LABEL) && d.children.is_empty());
    let Some(disc) = disc else { return Ok(None) };
    for (start, size) in disc_partitions(&disc.path)? {
        let head = block::read_at(&disc.path, start, 512)?;
        if fat_label(&head).as_deref() != Some(ANSWER_LABEL) {
            continue;
        }
        let text = Cmd::new("losetup")
            .args(["--find", "--show", "--read-only"])
            .args([format!("--offset={start}"), format!("--sizelimit={size}")])
            .arg(&disc.path)
            .text()?;
        return Ok(Some(PathBuf::from(text.trim())));
    }
    Ok(None)
}

/// The partitions of a hybrid medium, in bytes; its tables count sectors of 512 bytes whatever the drive's are.
fn disc_partitions(disc: &Path) -> Result<Vec<(u64, u64)>> {
    let head = block::read_at(disc, 0, 64 << 10)?;
    let mut parts = parse_gpt(&head);
    parts.extend(parse_mbr(&head));
    Ok(parts)
}

/// Partitions of a GPT at the head of a medium, read without its checks: what they hold is checked instead.
fn parse_gpt(head: &[u8]) -> Vec<(u64, u64)> {
    let word = |at: usize| {
        head.get(at..at + 8).map(|b| u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
    };
    if head.get(512..520) != Some(b"EFI PART".as_slice()) {
        return Vec::new();
    }
    let Some(table) = word(512 + 72).and_then(|lba| usize::try_from(lba.checked_mul(512)?).ok()) else {
        return Vec::new();
    };
    (0..128usize)
        .filter_map(|i| {
            let at = table.checked_add(i * 128)?;
            let (first, last) = (word(at.checked_add(32)?)?, word(at.checked_add(40)?)?);
            (first > 0 && last >= first).then_some(())?;
            Some((first.checked_mul(512)?, (last - first + 1).checked_mul(512)?))
        })
        .collect()
}

/// The four primary partitions of an MBR.
fn parse_mbr(head: &[u8]) -> Vec<(u64, u64)> {
    let word =
        |at: usize| head.get(at..at + 4).map(|b| u64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]])));
    if head.get(510..512) != Some([0x55, 0xaa].as_slice()) {
        return Vec::new();
    }
    (0..4)
        .filter_map(|i| {
            let at = 446 + 16 * i;
            let (start, size) = (word(at + 8)?, word(at + 12)?);
            (start > 0 && size > 0).then_some((start * 512, size * 512))
        })
        .collect()
}

/// The volume label in a FAT boot sector (Microsoft FAT specification, section 3): FAT12/16 or FAT32.
fn fat_label(sector: &[u8]) -> Option<String> {
    let at = match (sector.get(38), sector.get(66)) {
        _ if sector.get(82..87) == Some(b"FAT32".as_slice()) => 71,
        (Some(0x29), _) if sector.get(54..57) == Some(b"FAT".as_slice()) => 43,
        _ => return None,
    };
    Some(String::from_utf8_lossy(sector.get(at..at + 11)?).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_preferred_to_the_whole_stick() {
        let text = include_str!("../../fixtures/lsblk-stick.json");
        let devices = block::parse_lsblk(text).unwrap();
        assert_eq!(find(&devices, MEDIUM_LABEL), Some("/dev/sda1".into()));
        assert_eq!(find(&devices, "nothing"), None);
    }

    #[test]
    fn answers_on_the_medium_are_told_from_those_on_other_sticks() {
        let device = |path: &str, label: &str, fstype: &str| BlockDevice {
            path: path.into(),
            label: Some(label.to_owned()),
            fstype: Some(fstype.to_owned()),
            ..BlockDevice::default()
        };
        let stick = BlockDevice {
            children: vec![
                device("/dev/sda1", MEDIUM_LABEL, "iso9660"),
                device("/dev/sda3", "MAEKIN", "vfat"),
            ],
            ..device("/dev/sda", MEDIUM_LABEL, "iso9660")
        };
        let others = [
            device("/dev/sdb", "MAEKIN", "ext4"),
            device("/dev/sdc", "MAEKIN", "ntfs"),
            device("/dev/sdd", "X", "vfat"),
        ];
        let devices = [vec![stick], others.to_vec()].concat();
        let found: Vec<(String, bool)> = labelled(&devices, ANSWER_LABEL)
            .into_iter()
            .map(|(path, _, on_medium)| (path.display().to_string(), on_medium))
            .collect();
        assert_eq!(found, [("/dev/sda3".to_owned(), true), ("/dev/sdb".to_owned(), false)]);
    }

    #[test]
    fn partitions_of_a_disc_are_found_in_its_tables() {
        let mut head = vec![0; 64 << 10];
        head[510..512].copy_from_slice(&[0x55, 0xaa]);
        head[446 + 8..446 + 12].copy_from_slice(&4u32.to_le_bytes());
        head[446 + 12..446 + 16].copy_from_slice(&8u32.to_le_bytes());
        assert_eq!(parse_mbr(&head), [(2048, 4096)]);
        head[512..520].copy_from_slice(b"EFI PART");
        head[512 + 72..512 + 80].copy_from_slice(&2u64.to_le_bytes());
        head[1024 + 32..1024 + 40].copy_from_slice(&100u64.to_le_bytes());
        head[1024 + 40..1024 + 48].copy_from_slice(&101u64.to_le_bytes());
        assert_eq!(parse_gpt(&head), [(51200, 1024)]);
    }

    #[test]
    fn hostile_tables_do_no_harm() {
        let mut head = vec![0xff; 64 << 10];
        head[512..520].copy_from_slice(b"EFI PART");
        assert!(parse_gpt(&head).is_empty());
        assert!(parse_gpt(&head[..600]).is_empty() && parse_mbr(&head[..100]).is_empty());
        assert_eq!(fat_label(&head), None);
    }

    #[test]
    fn fat_labels_of_both_kinds_are_read() {
        let mut fat16 = vec![0; 512];
        fat16[38] = 0x29;
        fat16[43..54].copy_from_slice(b"MAEKIN     ");
        fat16[54..62].copy_from_slice(b"FAT16   ");
        assert_eq!(fat_label(&fat16).as_deref(), Some("MAEKIN"));
        let mut fat32 = vec![0; 512];
        fat32[71..82].copy_from_slice(b"MAEKIN_ESP ");
        fat32[82..90].copy_from_slice(b"FAT32   ");
        assert_eq!(fat_label(&fat32).as_deref(), Some("MAEKIN_ESP"));
    }
}
