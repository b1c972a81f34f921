//! A boot drive that is here: its halves go back into their arrays, and its boot files are made right.

use maekin_host::md::superblock::Role;
use maekin_image::ids::{self, Array};
use maekin_image::manifest::sha256_hex;
use maekin_image::{esp, layout};
use maekin_rootfs::heal::{Action, Half};

use super::super::observed::{Here, Observed};
use super::super::steps::HealStep;
use super::{Choice, Context, Planned, arrays_with, expected, lost, makes_bootable, work};
use crate::boot::halves::{self, Relation};
use crate::plan::Step;
use crate::plan::build::CORE_IMG;

/// Files that differ between versions or drives without any harm to what boots meanwhile.
const SMALL: [&str; 4] = [esp::INVENTORY, esp::GRUB_ENV, esp::GRUB_MENU, esp::INSTALLED];

/// Halves of `place` that are not in use go back; `None`: there are none.
pub fn arrays(context: &Context<'_>, place: u8, choice: &Choice) -> Option<Planned> {
    let here = context.here(place)?;
    let out = arrays_with(context.seen, place, &[Half::Out, Half::Faulty]);
    if out.is_empty() {
        return None;
    }
    let in_use = arrays_with(context.seen, place, &[Half::InSync, Half::Resyncing]);
    if here.unfinished && in_use.is_empty() {
        return Some(super::renew::again(context, place, here));
    }
    let named = choice.disk.as_ref() == Some(&here.disk.path);
    let failed = arrays_with(context.seen, place, &[Half::Faulty]);
    if !failed.is_empty() && !named {
        let mut refused = Planned::nothing(
            Action::Refuse,
            &format!("{} failed while it was in use", here.disk.title()),
            "replace it; or to try it once more, name it: maekin-installer heal --apply --disk",
        );
        refused.summary.place = Some(place);
        refused.summary.disk = Some(here.disk.path.clone());
        return Some(refused);
    }
    let mut steps = context.take_out_gone();
    for array in &failed {
        let path = here.partition(array.part());
        let member = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        steps.push(HealStep::TakeOut { array: *array, member });
    }
    let mut joins = Vec::new();
    for array in &out {
        match join(context.seen, place, here, *array, choice) {
            Ok(step) => joins.push(step),
            Err(refused) => return Some(*refused),
        }
    }
    let boot = match boot_files(context, place, here, true) {
        Ok(boot) => boot,
        Err(refused) => return Some(*refused),
    };
    steps.extend(boot.before);
    steps.extend(joins);
    // Those that an interrupted healing has put back already are not whole either.
    let halves = arrays_with(context.seen, place, &[Half::Out, Half::Faulty, Half::Resyncing]);
    steps.push(HealStep::AwaitSync { work: work(&here.extents, &halves), arrays: halves.clone() });
    steps.extend(context.compare(|part| here.partition(part), &halves));
    steps.extend(boot.commit);
    let reason = format!("{} was away, and is brought up to date from the other drive", here.disk.title());
    Some(Planned::doing(Action::ReAdd, place, &here.disk, &reason, steps))
}

/// Boot files of `place` that are wrong are made right; `None`: all are right.
pub fn files(context: &Context<'_>, place: u8) -> Option<Planned> {
    let here = context.here(place)?;
    let boot = match boot_files(context, place, here, false) {
        Ok(boot) => boot,
        Err(refused) => return Some(*refused),
    };
    if boot.before.is_empty() && boot.commit.is_empty() {
        return None;
    }
    let resyncing = arrays_with(context.seen, place, &[Half::Resyncing]);
    let mut steps = boot.before;
    if here.unfinished && !resyncing.is_empty() {
        steps.push(HealStep::AwaitSync { work: work(&here.extents, &resyncing), arrays: resyncing.clone() });
        steps.extend(context.compare(|part| here.partition(part), &resyncing));
    }
    steps.extend(boot.commit);
    let reason =
        format!("boot files of {} are not what they should be: {}", here.disk.title(), boot.wrong.join(", "));
    Some(Planned::doing(Action::ResyncEsp, place, &here.disk, &reason, steps))
}

/// What is done about boot files, before and after the halves.
struct Boot {
    wrong: Vec<String>,
    before: Vec<HealStep>,
    commit: Vec<HealStep>,
}

/// `stale`: the drive was away, nothing runs from it. Then an ESP with other boot files than the node's is made anew, and
/// does not boot meanwhile; else single files are replaced.
fn boot_files(context: &Context<'_>, place: u8, here: &Here, stale: bool) -> Result<Boot, Box<Planned>> {
    let mut wrong = context.wanted.wrong(&here.esp);
    let partition = here.partition(layout::Part::Esp);
    let core = &here.extents[0];
    let anew =
        here.esp.unreadable.is_some() || (stale && wrong.iter().any(|path| !SMALL.contains(&path.as_str())));
    let mut boot = Boot { wrong: Vec::new(), before: Vec::new(), commit: Vec::new() };
    if context.lacks_bios_images(&here.disk) && (anew || !here.core || !here.boot_sector) {
        return Err(lost(place, &[CORE_IMG.to_owned()]));
    }
    if anew && stale {
        let install = context.seen.install;
        let (disk, size, sector) = (here.disk.path.clone(), here.disk.size, here.disk.sector);
        boot.before.push(HealStep::Install(Step::Mark { disk, size, sector, install }));
    }
    if !here.core {
        boot.before.extend(context.bios_core(&here.disk, core));
    }
    if anew {
        wrong = context.wanted.files.keys().cloned().collect();
        boot.before.push(HealStep::Install(Step::MakeEsp {
            partition: partition.clone(),
            serial: ids::esp_serial(context.seen.install, place),
            label: esp::LABEL.to_owned(),
        }));
    }
    let paths = if anew {
        context.all_files()
    } else {
        wrong.iter().filter(|path| !makes_bootable(path)).cloned().collect()
    };
    if !paths.is_empty() {
        let copies = context.copies(partition.clone(), &paths).map_err(|paths| lost(place, &paths))?;
        let files = expected(&copies);
        boot.before.push(if anew { HealStep::FillEsp(copies) } else { HealStep::MendEsp(copies) });
        boot.before.push(HealStep::VerifyEsp { partition: partition.clone(), files });
    }
    for (path, step) in [
        (esp::FALLBACK_LOADER, HealStep::CommitEsp as fn(_) -> _),
        (esp::INSTALLED, HealStep::MendEsp as fn(_) -> _),
    ] {
        if path == esp::INSTALLED && (anew && stale || !here.boot_sector) {
            boot.commit.extend(context.commit_mbr(&here.disk, core));
        }
        let path = path.to_owned();
        if wrong.contains(&path) {
            let copies = context.copies(partition.clone(), &[path]).map_err(|paths| lost(place, &paths))?;
            boot.commit.push(step(copies));
        }
    }
    if anew || wrong.iter().any(|path| path == esp::FALLBACK_LOADER) {
        boot.commit.extend(context.boot_entries(place, &here.disk.path));
    }
    boot.wrong = if anew { vec!["all of the ESP".to_owned()] } else { wrong };
    if !here.boot_sector {
        boot.wrong.push("the boot sector".to_owned());
    }
    if !here.core {
        boot.wrong.push("the boot loader for BIOS".to_owned());
    }
    Ok(boot)
}

/// How a half goes back into its running array, if it may.
fn join(
    seen: &Observed,
    place: u8,
    here: &Here,
    array: Array,
    choice: &Choice,
) -> Result<HealStep, Box<Planned>> {
    let member = here.partition(array.part());
    let refuse = |reason: &str, remedy: &str| {
        let mut refused =
            Planned::nothing(Action::Refuse, &format!("{}: {reason}", member.display()), remedy);
        refused.summary.place = Some(place);
        refused.summary.disk = Some(here.disk.path.clone());
        Box::new(refused)
    };
    let as_new = HealStep::Join { array, member: member.clone(), by_bitmap: false };
    let running = seen.arrays.get(&array).and_then(|running| running.block.as_ref());
    let running = running.ok_or_else(|| refuse("its running array cannot be looked at", "try again"))?;
    let Some(Ok(block)) = here.blocks.get(&array) else { return Ok(as_new) };
    if block.set_uuid != ids::md_uuid(seen.install, array) {
        let remedy = "take the drive out, or clear the partition with mdadm --zero-superblock if nothing of it is needed";
        return Err(refuse("it is a member of an array that is not this node's", remedy));
    }
    let by_bitmap = running.bitmap_offset.is_some() && block.bitmap_offset.is_some();
    let again = HealStep::Join { array, member: member.clone(), by_bitmap };
    let (Role::Active(role), Role::Active(own)) = (block.role(), running.role()) else { return Ok(as_new) };
    match halves::relation(running, own, block, role) {
        Relation::Both | Relation::First(_) => Ok(again),
        Relation::Second(why) => Err(refuse(
            &format!("it is newer than what the node runs from ({why})"),
            "switch the node off and on with both drives in place: the newer one is taken then",
        )),
        Relation::Open(_) if seen.left_out.contains(&place) => Ok(again),
        Relation::Open(why) => {
            let token = token(place, here);
            if choice.consent.contains(&token) {
                return Ok(again);
            }
            let mut refused = refuse(
                &format!("{why}; bringing it up to date loses what was written to it alone"),
                &format!("take it out; or consent to that loss with --consent {token}"),
            );
            let until = halves::moment(block.utime);
            refused.summary.dies =
                vec![format!("what was written to {} alone, until {until}", here.disk.title())];
            refused.summary.token = Some(token);
            Err(refused)
        }
    }
}

/// Stands for consent to lose exactly what this drive has alone.
fn token(place: u8, here: &Here) -> String {
    let mut text = format!("maekin heal consent 1\n{place}\n");
    for block in here.blocks.values().flatten() {
        text += &format!("{} {} {}\n", block.device_uuid, block.events, block.utime);
    }
    let hex = sha256_hex(text.as_bytes());
    [&hex[..4], &hex[4..8], &hex[8..12], &hex[12..16]].join("-")
}
