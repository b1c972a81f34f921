//! Looking at the machine. Reads only; what it finds is judged elsewhere.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result};
use maekin_host::efivars::{self, EFIVARS};
use maekin_host::{block, dmi, efi, smart};
use maekin_image::bootcode;
use maekin_image::manifest::sha256_hex;

use super::contents::STATE_LABEL;
use super::devices::probe_devices;
use super::ondisk::bytes::DeviceRange;
use super::ondisk::{self, previous};
use super::{Contents, Cpu, Disk, Facts, Firmware, Health, Nic, health};

/// How much of both ends of a drive is looked at.
const END: u64 = 1 << 20;
/// How many drives are looked at at once: a machine may have dozens, and one that is ill takes its time.
const AT_ONCE: usize = 8;

/// Probes the whole machine.
///
/// # Errors
/// When a tool is missing or fails. A single drive that cannot be read is not an error: it is reported as such.
pub fn probe_facts() -> Result<Facts> {
    let disks = probe_disks(&Which::All)?;
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    Ok(Facts {
        firmware: if efi::booted_by_uefi() { Firmware::Uefi } else { Firmware::Bios },
        secure_boot: efi::secure_boot(),
        boot: efivars::read(Path::new(EFIVARS)),
        cpu: Cpu::parse(&text("/proc/cpuinfo")),
        kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
        memory: parse_meminfo(&text("/proc/meminfo")),
        receipt: None,
        dmi: dmi::read(Path::new("/sys/class/dmi/id")),
        disks,
        nics: probe_nics(Path::new("/sys/class/net")),
    })
}

/// Which drives are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All of them, and how well they are.
    All,
    /// Those of these nodes, and not how well they are.
    These(Vec<PathBuf>),
}

/// Looks at drives; by kernel name.
///
/// # Errors
/// When they cannot be listed. A single drive that cannot be read is not an error: it is reported as such.
pub fn probe_disks(which: &Which) -> Result<Vec<Disk>> {
    let links = read_links(Path::new("/dev/disk"));
    let devices = block::list().context("cannot list the drives")?;
    let wanted = |disk: &Disk| match which {
        Which::All => true,
        Which::These(paths) => paths.contains(&disk.path),
    };
    let drives = devices.iter().filter(|device| device.is_drive());
    let mut disks: Vec<Disk> = drives.map(Disk::from_lsblk).filter(wanted).collect();
    disks.sort_by(|a, b| a.name.cmp(&b.name));
    for at_once in disks.chunks_mut(AT_ONCE) {
        thread::scope(|scope| {
            for disk in at_once {
                scope.spawn(|| {
                    if *which == Which::All {
                        disk.health = probe_health(&disk.path);
                    }
                    probe_disk(disk, &links);
                });
            }
        });
    }
    Ok(disks)
}

fn probe_disk(disk: &mut Disk, links: &BTreeMap<String, Vec<PathBuf>>) {
    disk.links = links.get(&disk.name).cloned().unwrap_or_default();
    disk.devices = probe_devices(Path::new("/sys"), &disk.name);
    disk.write_zeroes = block::offers_write_zeroes(&disk.name);
    if disk.transport.is_empty() && disk.name.starts_with("vd") {
        disk.transport = "virtio".to_owned();
    }
    if disk.name.starts_with("nvme") {
        let nsid = fs::read_to_string(format!("/sys/class/block/{}/nsid", disk.name));
        disk.namespace = nsid.ok().and_then(|text| text.trim().parse().ok());
    }
    // A look at hostile bytes may fail, and even break: of this drive then nothing is known, of the others all.
    let looked = catch_unwind(AssertUnwindSafe(|| probe_contents(disk)));
    let failed = match looked {
        Ok(Ok(())) => return,
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => "what is on it cannot be understood".to_owned(),
    };
    disk.contents.unreadable = Some(failed);
}

/// What a drive says of its health.
fn probe_health(path: &Path) -> Option<Health> {
    let said = smart::ask(path, smart::Ask::Brief);
    said.inspect_err(|e| tracing::debug!("no word on the health of {}: {e}", path.display()))
        .ok()
        .flatten()
        .and_then(|smart| health::of(&smart))
}

/// What is on a drive, or on an image of one, of `size` bytes, as far as its own signatures and its ends tell.
///
/// # Errors
/// When it cannot be read.
pub fn probe_whole(path: &Path, size: u64) -> Result<Contents> {
    let cannot = |what: &str| format!("cannot read {what}{}", path.display());
    let head = block::read_at(path, 0, END).with_context(|| cannot(""))?;
    let tail = block::read_at(path, size.saturating_sub(END), END).with_context(|| cannot("the end of "))?;
    Ok(Contents {
        signatures: block::signatures(path)?,
        unfinished: bootcode::unfinished_install(&head),
        ends: digest_ends(&head, &tail),
        ..Contents::default()
    })
}

fn probe_contents(disk: &mut Disk) -> Result<()> {
    let cannot = |what: &str| format!("cannot read {what}");
    let whole = probe_whole(&disk.path, disk.size)?;
    disk.contents = Contents { partitions: std::mem::take(&mut disk.contents.partitions), ..whole };
    let contents = &mut disk.contents;
    let whole = DeviceRange::open(&disk.path, 0, disk.size).with_context(|| cannot(&disk.name))?;
    contents.details =
        ondisk::look(&whole, disk.sector, &contents.signatures).with_context(|| cannot(&disk.name))?;
    for partition in &mut contents.partitions {
        let path = block::partition_path(&disk.path, partition.number);
        // An extended partition of an MBR table is too short to hold anything.
        if partition.size <= 4096 {
            continue;
        }
        partition.signatures = block::signatures(&path)?;
        let name = path.display().to_string();
        // Through its own node: the kernel caches a drive and its partitions apart.
        let range = DeviceRange::open(&path, 0, partition.size).with_context(|| cannot(&name))?;
        partition.details =
            ondisk::look(&range, disk.sector, &partition.signatures).with_context(|| cannot(&name))?;
        if partition.label == STATE_LABEL {
            contents.previous = previous::read(Box::new(range)).with_context(|| cannot(&name))?;
        }
    }
    Ok(())
}

/// One digest over both ends of a drive; empty when they are all zeros.
fn digest_ends(head: &[u8], tail: &[u8]) -> String {
    if head.iter().chain(tail).all(|b| *b == 0) {
        return String::new();
    }
    let mut both = sha256_hex(head);
    both.push_str(&sha256_hex(tail));
    sha256_hex(both.as_bytes())
}

/// Total memory in bytes from the text of `/proc/meminfo`.
fn parse_meminfo(text: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Other names of block devices: kernel name to links under `/dev/disk/by-*`.
fn read_links(dir: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let mut links: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for kind in ["by-id", "by-path"] {
        for entry in fs::read_dir(dir.join(kind)).into_iter().flatten().flatten() {
            let target = fs::read_link(entry.path()).unwrap_or_default();
            if let Some(name) = target.file_name() {
                links.entry(name.to_string_lossy().into_owned()).or_default().push(entry.path());
            }
        }
    }
    for list in links.values_mut() {
        list.sort();
    }
    links
}

/// Ethernet interfaces with hardware behind them.
pub(crate) fn probe_nics(dir: &Path) -> Vec<Nic> {
    let text = |path: PathBuf| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let mut nics: Vec<Nic> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("device").exists() && text(path.join("type")) == "1")
        .map(|path| Nic {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            mac: text(path.join("address")).to_lowercase(),
            driver: fs::read_link(path.join("device/driver"))
                .ok()
                .and_then(|link| Some(link.file_name()?.to_string_lossy().into_owned()))
                .unwrap_or_default(),
            link: match text(path.join("carrier")).as_str() {
                "1" => Some(true),
                "0" => Some(false),
                _ => None,
            },
            speed: text(path.join("speed")).parse().ok(),
            lldp: None,
        })
        .collect();
    nics.sort_by(|a, b| a.name.cmp(&b.name));
    nics
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_or_unknown() {
        assert_eq!(parse_meminfo("MemTotal:        2048 kB\nMemFree: 1 kB\n"), 2 << 20);
        assert_eq!(parse_meminfo("MemTotal: lots"), 0);
    }

    #[test]
    fn ends_tell_zeros_from_anything_else() {
        assert_eq!(digest_ends(&[0; 9], &[0; 9]), "");
        assert_ne!(digest_ends(&[0, 1], &[0]), digest_ends(&[0], &[1, 0]));
    }

    #[test]
    fn only_ethernet_with_hardware_is_an_interface() {
        let dir = tempfile::tempdir().unwrap();
        for (name, kind, device) in [("lo", "772", false), ("enp1s0", "1", true), ("br0", "1", false)] {
            let path = dir.path().join(name);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("type"), kind).unwrap();
            fs::write(path.join("address"), "52:54:00:AA:00:01\n").unwrap();
            if device {
                fs::create_dir(path.join("device")).unwrap();
            }
        }
        let nics = probe_nics(dir.path());
        assert_eq!((nics.len(), nics[0].mac.as_str()), (1, "52:54:00:aa:00:01"));
    }
}
