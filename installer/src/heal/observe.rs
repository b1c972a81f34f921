//! Looking at the running machine. Reads only (ESPs are mounted read-only for it); what it finds is judged by the
//! planner.

mod esps;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use maekin_host::md::change;
use maekin_host::{block, file, md};
use maekin_image::bootcode::{self, unfinished_install};
use maekin_image::gpt::{BOOT_CODE, MBR, protective_mbr};
use maekin_image::ids::{self, Array};
use maekin_image::layout::{Extent, Part};
use maekin_rootfs::boot_state::{BOOT_STATE, BootState};
use maekin_rootfs::heal::Half;
use maekin_rootfs::node::{NODE_FILE, NodeConfig};
use uuid::Uuid;

use super::esp::EspSeen;
use super::observed::{Here, Member, Observed, Running};
use crate::apply::real::holders;
use crate::boot::halves;
use crate::cmdline;
use crate::facts::probe::probe_facts;
use crate::facts::{Disk, Facts};

/// Where ESPs are mounted to be looked at.
const MOUNTS: &str = "/run/maekin/heal";
const SMALL: u64 = 1 << 20;

/// Looks at everything that a healing depends on; `key`: the release's public key.
///
/// # Errors
/// When this is no running node, or it cannot be looked at.
pub fn observe(key: &str) -> Result<Observed> {
    let state: BootState = serde_json::from_str(&file::read_text(Path::new(BOOT_STATE), SMALL)?)
        .with_context(|| format!("{BOOT_STATE} cannot be understood"))?;
    let start = cmdline::parse(&file::read_text(Path::new("/proc/cmdline"), 64 << 10)?).start()?;
    if start.install != state.install_id {
        bail!("the kernel command line and {BOOT_STATE} name different installations: start the node again");
    }
    let node = file::read_text(&Path::new("/var").join(NODE_FILE), SMALL)?;
    let node: NodeConfig = toml::from_str(&node).context("the node file is damaged")?;
    let facts = probe_facts()?;
    let mut seen = Observed {
        install: start.install,
        hostname: node.hostname,
        drives: start.drives,
        slot: state.slot,
        busy: busy(&facts),
        facts,
        known: node.disks,
        arrays: BTreeMap::new(),
        places: [None, None],
        claimed_twice: None,
        left_out: state
            .stale
            .iter()
            .filter(|half| half.reason == halves::CHOSEN)
            .map(|half| half.drive)
            .collect(),
        believed: state.believed.unwrap_or(0),
        releases: BTreeMap::new(),
        bios: None,
    };
    for array in Array::ALL {
        if let Some(running) = running(array) {
            seen.arrays.insert(array, running);
        }
    }
    find_places(&mut seen)?;
    esps::look_at_esps(&mut seen, key)?;
    look_at_boot_code(&mut seen);
    Ok(seen)
}

/// What uses each drive, besides mounts.
fn busy(facts: &Facts) -> BTreeMap<PathBuf, Vec<String>> {
    let of = |disk: &Disk| {
        let mut users = holders(Path::new("/sys/block"), &disk.name);
        let partitions = disk.contents.partitions.iter();
        let mut parts = partitions.map(|p| block::partition_path(&disk.path, p.number));
        // What has no node of its own in sysfs: a storage daemon, DRBD.
        if users.is_empty() && (block::is_claimed(&disk.path) || parts.any(|part| block::is_claimed(&part))) {
            users.push("a program that has it for itself".to_owned());
        }
        (disk.path.clone(), users)
    };
    facts.disks.iter().map(of).collect()
}

fn running(array: Array) -> Option<Running> {
    let dir = change::sysfs(&md::device(array.name()))?;
    let found = change::members(&dir, Path::new("/sys/class/block"));
    let half = |m: &change::Member| match (m.faulty, m.in_sync) {
        (true, _) => Half::Faulty,
        (false, true) => Half::InSync,
        (false, false) => Half::Resyncing,
    };
    let sound = found.iter().find(|m| m.in_sync && !m.gone);
    let block = sound.and_then(|member| superblock(&Path::new("/dev").join(&member.name), array).ok());
    let members =
        found.iter().map(|m| Member { name: m.name.clone(), half: half(m), gone: m.gone }).collect();
    Some(Running { members, block })
}

/// md writes superblocks past the page cache, which may hold older ones.
fn superblock(path: &Path, array: Array) -> Result<md::superblock::Superblock, String> {
    block::drop_cache(path).map_err(|e| e.to_string())?;
    halves::probe(0, path, array).block
}

/// Which drives carry the GUIDs of this installation's partitions.
fn find_places(seen: &mut Observed) -> Result<()> {
    for place in 0..2u8 {
        let mine = |disk: &&Disk| extents(disk, seen.install, place).is_some();
        let found: Vec<&Disk> = seen.facts.disks.iter().filter(mine).collect();
        let mut different: Vec<&Disk> = Vec::new();
        for disk in found {
            if !different.iter().any(|other| other.is_same_drive(disk)) {
                different.push(disk);
            }
        }
        if different.len() > 1 {
            seen.claimed_twice = Some(place);
        }
        let Some(disk) = different.first() else { continue };
        let Some(extents) = extents(disk, seen.install, place) else { continue };
        let part = |part: Part| block::partition_path(&disk.path, part.number());
        let blocks = Array::ALL.map(|array| (array, superblock(&part(array.part()), array)));
        let here = Here {
            extents,
            blocks: blocks.into_iter().collect(),
            esp: EspSeen::default(),
            unfinished: false,
            boot_sector: false,
            core: false,
            disk: (*disk).clone(),
        };
        seen.places[usize::from(place)] = Some(here);
    }
    if seen.places.iter().all(Option::is_none) {
        bail!("no drive of installation {} is here", seen.install);
    }
    Ok(())
}

/// Where the partitions of boot drive `place` lie on `disk`, if all of them do.
#[must_use]
pub fn extents(disk: &Disk, install: Uuid, place: u8) -> Option<[Extent; 6]> {
    let mut found = Vec::new();
    for part in Part::ALL {
        let guid = ids::part_guid(install, place, part).to_string();
        let partition = disk.contents.partitions.iter().find(|p| p.guid.eq_ignore_ascii_case(&guid))?;
        found.push(Extent { part, start: partition.start, size: partition.size });
    }
    found.try_into().ok()
}

fn look_at_boot_code(seen: &mut Observed) {
    let bios = seen.bios.clone();
    for here in seen.places.iter_mut().flatten() {
        let core = here.extents[0];
        let head = block::read_at(&here.disk.path, 0, MBR as u64).unwrap_or_default();
        here.unfinished = unfinished_install(&head).is_some();
        // Without the images nothing can be compared; a mark is told all the same.
        let (code, image) = match (&bios, here.disk.sector) {
            (Some(bios), 512) => {
                let lba = core.start / here.disk.sector;
                (bootcode::mbr_code(&bios.boot, lba).ok(), bootcode::core(&bios.core, lba, core.size).ok())
            }
            (None, 512) => (None, None),
            _ => (Some([0; BOOT_CODE]), None),
        };
        here.boot_sector = match code {
            Some(code) => head == protective_mbr(here.disk.size, here.disk.sector, &code),
            None => !here.unfinished,
        };
        here.core = image.is_none_or(|image| {
            let there = block::read_at(&here.partition(Part::BiosBoot), 0, image.len() as u64);
            there.is_ok_and(|there| there == image)
        });
    }
    drop(fs::remove_dir(MOUNTS)); // only where nothing else is in it
}
