//! What is done about the boot drives. Pure; one thing at a time, the most urgent first: a drive that is here gets its
//! halves back, then its boot files; a place without a drive gets a new one. Planning again on the result plans nothing.
//!
//! | module | job |
//! | --- | --- |
//! | [`mend`] | a boot drive that is here |
//! | [`renew`] | another drive for a place that has none |

pub mod mend;
pub mod renew;

use std::path::PathBuf;

use maekin_image::ids::Array;
use maekin_image::layout::Part;
use maekin_image::manifest::ROOT;
use maekin_rootfs::heal::{Action, Half, Plan};
use maekin_rootfs::node::BootDisk;

use super::esp::{Copy, Known, Wanted, wanted};
use super::observed::{Here, Observed};
use super::steps::{EspCopies, HealStep};
use crate::plan::Step;
use crate::plan::build::{BOOT_IMG, CORE_IMG};
use maekin_image::esp;

/// What a person, or the agent for one, says.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// This drive.
    pub disk: Option<PathBuf>,
    /// Consent to what dies on it.
    pub consent: Vec<String>,
}

/// A plan, in words and in steps.
#[derive(Debug, Clone)]
pub struct Planned {
    /// In words.
    pub summary: Plan,
    /// What is done; empty where nothing is, or nothing may be.
    pub steps: Vec<HealStep>,
    /// The drive that is written to, for the receipt.
    pub identity: Option<BootDisk>,
}

/// What all parts of the planner look at.
pub struct Context<'a> {
    /// What is so.
    pub seen: &'a Observed,
    /// The place that others are made whole from.
    pub source: u8,
    /// What should be on each ESP.
    pub wanted: Wanted,
}

impl Planned {
    /// A plan that does nothing.
    #[must_use]
    pub fn nothing(action: Action, reason: &str, remedy: &str) -> Self {
        let summary = Plan {
            action,
            disk: None,
            place: None,
            reason: reason.to_owned(),
            remedy: remedy.to_owned(),
            dies: Vec::new(),
            token: None,
            steps: Vec::new(),
        };
        Self { summary, steps: Vec::new(), identity: None }
    }

    fn doing(
        action: Action,
        place: u8,
        here: &crate::facts::Disk,
        reason: &str,
        steps: Vec<HealStep>,
    ) -> Self {
        let mut planned = Self::nothing(action, reason, "");
        planned.summary.disk = Some(here.path.clone());
        planned.summary.place = Some(place);
        planned.summary.steps = steps.iter().map(HealStep::label).collect();
        planned.identity =
            Some(BootDisk { serial: here.serial.clone(), model: here.model.clone(), size: here.size });
        planned.steps = steps;
        planned
    }
}

/// Plans.
#[must_use]
pub fn plan(seen: &Observed, choice: &Choice) -> Planned {
    let refuse = |reason: &str, remedy: &str| Planned::nothing(Action::Refuse, reason, remedy);
    if let Some(place) = seen.claimed_twice {
        return refuse(
            &format!("more than one drive says that it is boot drive {place}"),
            "take out the one that is a copy",
        );
    }
    let Some(source) = seen.source() else {
        return refuse(
            "no boot drive has all of the node's settings up to date",
            "wait for the resync that goes on",
        );
    };
    let context = Context { seen, source, wanted: wanted_of(seen, source) };
    let other = 1 - source;
    if let Some(planned) = mend::arrays(&context, other, choice) {
        return planned;
    }
    let files: Vec<Planned> =
        [source, other].into_iter().filter_map(|place| mend::files(&context, place)).collect();
    let (refused, possible): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|p| p.summary.action == Action::Refuse);
    if let Some(planned) = possible.into_iter().next() {
        return planned;
    }
    if let Some(planned) = refused.into_iter().next() {
        return planned;
    }
    if seen.places[usize::from(other)].is_none() {
        return renew::missing(&context, other, choice);
    }
    Planned::nothing(Action::None, "both boot drives are whole", "")
}

/// What should be on each ESP of the node.
#[must_use]
pub fn wanted_of(seen: &Observed, source: u8) -> Wanted {
    let esp = |place: u8| seen.places[usize::from(place)].as_ref().map(|here| &here.esp);
    wanted(&known(seen, seen.wanted_drives()), esp(source), esp(1 - source))
}

/// What the node knows without looking at an ESP.
#[must_use]
pub fn known(seen: &Observed, drives: usize) -> Known<'_> {
    Known {
        install: seen.install,
        hostname: &seen.hostname,
        drives,
        slot: &seen.slot,
        releases: &seen.releases,
    }
}

impl<'a> Context<'a> {
    fn here(&self, place: u8) -> Option<&'a Here> {
        self.seen.places[usize::from(place)].as_ref()
    }

    /// Copies to the ESP `to`, of files that are right somewhere.
    fn copies(&self, to: PathBuf, paths: &[String]) -> Result<EspCopies, Vec<String>> {
        let seen: Vec<_> = [self.source, 1 - self.source]
            .into_iter()
            .filter_map(|p| Some((p, &self.here(p)?.esp)))
            .collect();
        let files = self.wanted.copies(paths, &seen)?;
        let from = [0, 1].map(|place| {
            let used =
                files.iter().any(|file| matches!(&file.from, super::esp::From::Esp(p, _) if *p == place));
            self.here(place).filter(|_| used).map(|here| here.partition(Part::Esp))
        });
        Ok(EspCopies { to, from, files })
    }

    /// Every file of an ESP that is made anew, but for those that make it bootable.
    fn all_files(&self) -> Vec<String> {
        let mut paths: Vec<String> =
            self.wanted.files.keys().filter(|path| !makes_bootable(path)).cloned().collect();
        paths.extend([esp::INVENTORY, esp::GRUB_ENV].map(str::to_owned));
        paths
    }

    /// Members of any array that are gone for good.
    fn take_out_gone(&self) -> Vec<HealStep> {
        let mut steps = Vec::new();
        for (array, running) in &self.seen.arrays {
            for member in running.members.iter().filter(|member| member.gone) {
                steps.push(HealStep::TakeOut { array: *array, member: member.name.clone() });
            }
        }
        steps
    }

    /// Reads back those members that hold a system image.
    fn compare(&self, partition: impl Fn(Part) -> PathBuf, arrays: &[Array]) -> Vec<HealStep> {
        let mut steps = Vec::new();
        for (slot, array) in [("a", Array::SystemA), ("b", Array::SystemB)] {
            let entry = self.seen.releases.get(slot).and_then(|(manifest, ..)| manifest.file(ROOT));
            if let (Some(entry), true) = (entry, arrays.contains(&array)) {
                let (members, entry) = (vec![partition(array.part())], entry.clone());
                steps.push(HealStep::Install(Step::Compare { members, entry }));
            }
        }
        steps
    }

    /// GRUB's core for a BIOS, where the drive has sectors that one can boot from.
    fn bios_core(&self, disk: &crate::facts::Disk, core: &maekin_image::layout::Extent) -> Option<HealStep> {
        let entry = self.manifest()?.file(CORE_IMG)?.clone();
        (disk.sector == 512).then(|| {
            HealStep::Install(Step::BiosCore {
                partition: maekin_host::block::partition_path(&disk.path, Part::BiosBoot.number()),
                lba: core.start / disk.sector,
                room: core.size,
                source: CORE_IMG.to_owned(),
                entry,
            })
        })
    }

    /// The boot sector.
    fn commit_mbr(&self, disk: &crate::facts::Disk, core: &maekin_image::layout::Extent) -> Option<HealStep> {
        let entry = self.manifest()?.file(BOOT_IMG)?.clone();
        Some(HealStep::Install(Step::CommitMbr {
            disk: disk.path.clone(),
            size: disk.size,
            sector: disk.sector,
            core_lba: (disk.sector == 512).then(|| core.start / disk.sector),
            source: BOOT_IMG.to_owned(),
            entry,
        }))
    }

    /// Whether a BIOS could boot the drive, but what it needs for that is nowhere.
    fn lacks_bios_images(&self, disk: &crate::facts::Disk) -> bool {
        disk.sector == 512 && self.seen.bios.is_none()
    }

    fn manifest(&self) -> Option<&'a maekin_image::manifest::Manifest> {
        self.seen.releases.get(&self.seen.slot).map(|(manifest, ..)| manifest)
    }

    /// Boot entries of both drives, that of the first one made last, so that it comes first.
    fn boot_entries(&self, place: u8, disk: &std::path::Path) -> Vec<HealStep> {
        if self.seen.facts.firmware != crate::facts::Firmware::Uefi {
            return Vec::new();
        }
        let of = |p: u8| {
            if p == place { Some(disk.to_owned()) } else { self.here(p).map(|here| here.disk.path.clone()) }
        };
        let entry = |p: u8| {
            Some(HealStep::Install(Step::BootEntry {
                disk: of(p)?,
                part: Part::Esp.number(),
                label: format!("Maekin disk {}", p + 1),
                loader: esp::ENTRY_LOADER.to_owned(),
            }))
        };
        [1, 0].into_iter().filter_map(entry).collect()
    }
}

/// Whether something starts an ESP because of this file.
#[must_use]
pub fn makes_bootable(path: &str) -> bool {
    path == esp::FALLBACK_LOADER || path == esp::INSTALLED
}

/// The digests that files must have after `copies`.
fn expected(copies: &EspCopies) -> Vec<(String, String)> {
    copies.files.iter().map(|Copy { path, sha256, .. }| (path.clone(), sha256.clone())).collect()
}

/// The refusal of a plan that would need files which are right nowhere.
fn lost(place: u8, lost: &[String]) -> Box<Planned> {
    let reason = format!(
        "boot files of drive {place} are damaged, and no boot drive has them whole: {}",
        lost.join(", ")
    );
    Box::new(Planned::nothing(
        Action::Refuse,
        &reason,
        "the node runs on, but may not start again: install it anew while it still runs; its data drives are kept",
    ))
}

/// Bytes of each half of `arrays`.
fn work(here: &[maekin_image::layout::Extent; 6], arrays: &[Array]) -> u64 {
    arrays.iter().map(|array| here[array.part().number() as usize - 1].size).sum()
}

/// Arrays whose half on `place` is one of `halves`.
fn arrays_with(seen: &Observed, place: u8, halves: &[Half]) -> Vec<Array> {
    seen.arrays.keys().copied().filter(|array| halves.contains(&seen.half(place, *array))).collect()
}
