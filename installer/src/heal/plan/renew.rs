//! Another drive for a place that has none: made like the one that is there, from nothing.

use std::path::PathBuf;

use maekin_host::block::partition_path;
use maekin_image::esp;
use maekin_image::ids::{self, Array};
use maekin_image::layout::{ALIGNMENT, Part};
use maekin_rootfs::heal::{Action, Candidate};

use super::super::observed::{Here, Observed};
use super::super::steps::HealStep;
use super::{Choice, Context, Planned, expected, lost, work};
use crate::facts::{Disk, size_text};
use crate::plan::build::{self, CORE_IMG};
use crate::plan::{Step, consent, planned_drive, select};

/// The plan for a place without a drive.
pub fn missing(context: &Context<'_>, place: u8, choice: &Choice) -> Planned {
    let seen = context.seen;
    let all = candidates(seen, context.source);
    let named: Vec<&Candidate> = match &choice.disk {
        Some(path) => all.iter().filter(|c| c.disk == *path).collect(),
        None => Vec::new(),
    };
    if let Some(path) = choice.disk.as_ref().filter(|_| named.is_empty()) {
        let reason = format!("{} is not a drive that could become boot drive {place}", path.display());
        return Planned::nothing(
            Action::Refuse,
            &reason,
            "see the candidates in maekin-installer heal --json",
        );
    }
    let free: Vec<&Candidate> = all.iter().filter(|c| c.free && c.action != Action::Refuse).collect();
    let begun =
        |c: &&&Candidate| disk_of(seen, &c.disk).is_some_and(|d| d.contents.unfinished == Some(seen.install));
    let chosen = match (named.as_slice(), free.as_slice()) {
        ([one, ..], _) | ([], [one]) => *one,
        ([], several) if several.iter().filter(begun).count() == 1 => {
            several.iter().find(begun).copied().unwrap_or(several[0])
        }
        ([], []) => return nobody(context, place, &all),
        ([], several) => {
            let titles: Vec<&str> = several.iter().map(|c| c.title.as_str()).collect();
            return Planned::nothing(
                Action::Refuse,
                &format!("several drives could become boot drive {place}: {}", titles.join(", ")),
                "name one: maekin-installer heal --apply --disk",
            );
        }
    };
    take(context, place, chosen, choice)
}

/// Takes the drive of a candidate, if it may be taken.
fn take(context: &Context<'_>, place: u8, chosen: &Candidate, choice: &Choice) -> Planned {
    let consented = chosen.free || chosen.token.as_ref().is_some_and(|token| choice.consent.contains(token));
    let disk = disk_of(context.seen, &chosen.disk);
    let (true, Some(disk), true) = (chosen.action != Action::Refuse, disk, consented) else {
        let mut refused = Planned::nothing(Action::Refuse, &chosen.reason, &chosen.remedy);
        if chosen.action != Action::Refuse {
            refused.summary.reason = format!("{} is not blank", chosen.title);
            refused.summary.remedy = format!(
                "to destroy what is on it: maekin-installer heal --apply --disk {} --consent {}",
                chosen.disk.display(),
                chosen.token.as_deref().unwrap_or_default()
            );
        }
        refused.summary.disk = Some(chosen.disk.clone());
        refused.summary.place = Some(place);
        refused.summary.dies.clone_from(&chosen.dies);
        refused.summary.token.clone_from(&chosen.token);
        return refused;
    };
    let Some(like) = context.here(context.source) else {
        return Planned::nothing(
            Action::Refuse,
            "the drive that the node runs from has vanished",
            "look again",
        );
    };
    let reason = if chosen.action == Action::AddMirror {
        format!("the node has one boot drive; {} becomes the other", chosen.title)
    } else {
        format!("boot drive {place} is missing; {} takes its place", chosen.title)
    };
    let mut planned = match steps(context, place, disk, like) {
        Ok(steps) => Planned::doing(chosen.action, place, disk, &reason, steps),
        Err(refused) => return *refused,
    };
    planned.summary.dies.clone_from(&chosen.dies);
    planned
}

/// No drive can be taken without a person.
fn nobody(context: &Context<'_>, place: u8, all: &[Candidate]) -> Planned {
    let possible: Vec<&Candidate> = all.iter().filter(|c| c.action != Action::Refuse).collect();
    if context.seen.wanted_drives() == 1 {
        return Planned::nothing(Action::None, "the node has one boot drive, which is whole", "");
    }
    let smallest = context.here(context.source).map(needed).unwrap_or_default();
    let mut refused = Planned::nothing(
        Action::Refuse,
        &format!("boot drive {place} is missing, and no drive may be taken for it"),
        &format!("put in a blank drive of at least {}", size_text(smallest)),
    );
    refused.summary.place = Some(place);
    if let [one] = possible.as_slice() {
        refused.summary.disk = Some(one.disk.clone());
        refused.summary.dies.clone_from(&one.dies);
        refused.summary.token.clone_from(&one.token);
        refused.summary.remedy += &format!(", or give {} for it: {}", one.title, one.remedy);
    }
    refused
}

/// A drive on which a healing of this place was interrupted before anything ran from it: from the start.
pub fn again(context: &Context<'_>, place: u8, here: &Here) -> Planned {
    let Some(like) = context.here(context.source) else {
        return Planned::nothing(
            Action::Refuse,
            "the drive that the node runs from has vanished",
            "look again",
        );
    };
    let reason = format!("making {} a boot drive was interrupted, and begins anew", here.disk.title());
    let action = if context.seen.wanted_drives() == 1 { Action::AddMirror } else { Action::Rebuild };
    match steps(context, place, &here.disk, like) {
        Ok(steps) => Planned::doing(action, place, &here.disk, &reason, steps),
        Err(refused) => *refused,
    }
}

/// The steps that make `disk` boot drive `place`, like the one that is there.
fn steps(context: &Context<'_>, place: u8, disk: &Disk, like: &Here) -> Result<Vec<HealStep>, Box<Planned>> {
    let seen = context.seen;
    // From now on the node is on two drives. The menu here says so; that of the other drive follows as the next thing.
    let mut known = super::known(seen, 2);
    known.drives = 2;
    let wanted = super::wanted(&known, Some(&like.esp), None);
    let context = &Context { seen, source: context.source, wanted };
    if context.lacks_bios_images(disk) {
        return Err(lost(place, &[CORE_IMG.to_owned()]));
    }
    let drive = planned_drive(disk);
    let partition = |part: Part| partition_path(&disk.path, part.number());
    let esp_partition = partition(Part::Esp);
    let mut steps: Vec<HealStep> =
        build::stop_booting(seen.install, &drive).into_iter().map(HealStep::Install).collect();
    steps.extend(build::partition(seen.install, place, &drive, &like.extents).map(HealStep::Install));
    steps.extend(context.bios_core(disk, &like.extents[0]));
    steps.push(HealStep::Install(Step::MakeEsp {
        partition: esp_partition.clone(),
        serial: ids::esp_serial(seen.install, place),
        label: esp::LABEL.to_owned(),
    }));
    let copies =
        |paths: &[String]| context.copies(esp_partition.clone(), paths).map_err(|paths| lost(place, &paths));
    let filled = copies(&context.all_files())?;
    let files = expected(&filled);
    steps.push(HealStep::FillEsp(filled));
    steps.push(HealStep::VerifyEsp { partition: esp_partition.clone(), files });
    steps.extend(context.take_out_gone());
    let arrays: Vec<Array> = seen.arrays.keys().copied().collect();
    for array in &arrays {
        steps.push(HealStep::Join { array: *array, member: partition(array.part()), by_bitmap: false });
    }
    steps.push(HealStep::AwaitSync { work: work(&like.extents, &arrays), arrays: arrays.clone() });
    steps.extend(context.compare(partition, &arrays));
    steps.push(HealStep::CommitEsp(copies(&[esp::FALLBACK_LOADER.to_owned()])?));
    steps.extend(context.commit_mbr(disk, &like.extents[0]));
    steps.push(HealStep::MendEsp(copies(&[esp::INSTALLED.to_owned()])?));
    steps.extend(context.boot_entries(place, &disk.path));
    steps.push(HealStep::Remember { place, disk: drive.identity });
    Ok(steps)
}

/// The drives that could become boot drives, and what stands against each.
#[must_use]
pub fn candidates(seen: &Observed, source: u8) -> Vec<Candidate> {
    let Some(like) = &seen.places[usize::from(source)] else { return Vec::new() };
    let places: Vec<&Disk> = seen.places.iter().flatten().map(|here| &here.disk).collect();
    let others = seen.facts.disks.iter().filter(|disk| !places.iter().any(|place| place.is_same_drive(disk)));
    others.map(|disk| candidate(seen, like, disk)).collect()
}

fn candidate(seen: &Observed, like: &Here, disk: &Disk) -> Candidate {
    let begun = disk.contents.unfinished == Some(seen.install);
    let free = disk.contents.is_blank() || begun;
    let mut found = Candidate {
        disk: disk.path.clone(),
        title: disk.title(),
        serial: disk.serial.clone(),
        size: disk.size,
        free,
        action: if seen.wanted_drives() == 1 { Action::AddMirror } else { Action::Rebuild },
        reason: if begun { "a healing was interrupted on it".to_owned() } else { disk.contents.brief() },
        remedy: String::new(),
        dies: Vec::new(),
        token: None,
    };
    if let Some((reason, remedy)) = objection(seen, like, disk) {
        return Candidate { action: Action::Refuse, free: false, reason, remedy, ..found };
    }
    if !free {
        let token = consent::token(disk);
        found.dies = disk.contents.words();
        found.remedy = format!("consent with --disk {} --consent {token}", disk.path.display());
        found.token = Some(token);
    }
    found
}

/// Bytes that a drive must have to be like this one.
fn needed(like: &Here) -> u64 {
    let last = &like.extents[like.extents.len() - 1];
    last.start + last.size + ALIGNMENT
}

/// What stands against making `disk` a boot drive like `like`, and what to do about it.
fn objection(seen: &Observed, like: &Here, disk: &Disk) -> Option<(String, String)> {
    let other = "take another drive".to_owned();
    if let Some(whose) = &disk.virtual_media {
        return Some((format!("it is virtual media of {whose}, and no drive"), other));
    }
    if let Some(users) = seen.busy.get(&disk.path).filter(|users| !users.is_empty()) {
        return Some((
            format!("it is in use by {}", users.join(", ")),
            "free it, or take another drive".to_owned(),
        ));
    }
    if disk.removable || disk.transport == "usb" {
        return Some(("it is a removable or USB drive".to_owned(), other));
    }
    if let Some(refusal) = select::objections(&seen.facts, disk).into_iter().next() {
        return Some((refusal.reason, refusal.remedy));
    }
    let need = needed(like);
    if disk.size < need {
        let reason = format!("it has {}, and has to have {}", size_text(disk.size), size_text(need));
        let exact = if size_text(disk.size) == size_text(need) {
            format!(" ({} bytes are missing)", need - disk.size)
        } else {
            String::new()
        };
        return Some((reason + &exact, "take a larger drive".to_owned()));
    }
    if disk.sector > like.disk.sector {
        let reason = format!(
            "its sectors have {} bytes, those of this node's mirrors {}: a running mirror cannot take larger ones",
            disk.sector, like.disk.sector
        );
        let remedy = "format it with sectors of 512 bytes (nvme format, sg_format), or take another drive";
        return Some((reason, remedy.to_owned()));
    }
    None
}

fn disk_of<'a>(seen: &'a Observed, path: &PathBuf) -> Option<&'a Disk> {
    seen.facts.disks.iter().find(|disk| disk.path == *path)
}
