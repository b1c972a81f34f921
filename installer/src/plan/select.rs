//! Which drives become the boot mirror: the named ones, or the ones that leave no doubt. Every reason against a drive
//! is found at once, with what a person can do about it.

use std::collections::BTreeMap;

use maekin_image::layout::plan_layout;

use super::{Refusal, consent};
use crate::answers::{Answers, Mirror, Selector};
use crate::facts::{Disk, Facts, Firmware, size_text};

/// The drives to install on, in order.
pub(super) fn choose<'a>(facts: &'a Facts, answers: &Answers) -> Result<Vec<&'a Disk>, Vec<Refusal>> {
    match &answers.mirror {
        Mirror::Auto => choose_auto(facts, answers),
        Mirror::Named(selectors) => choose_named(facts, answers, selectors),
    }
}

/// What stands against installing on `disk`; whether its content may be destroyed is the last question.
#[must_use]
pub fn objections(facts: &Facts, disk: &Disk) -> Vec<Refusal> {
    let mut found = Vec::new();
    let mut add = |reason: &str, remedy: &str| {
        found.push(Refusal {
            disk: Some(disk.title()),
            reason: reason.to_owned(),
            remedy: remedy.to_owned(),
        });
    };
    if disk.holds_medium {
        add("the installer was started from it", "choose another drive");
    }
    if disk.read_only {
        add("it cannot be written", "remove its write protection, or choose another drive");
    }
    if disk.contents.unreadable.is_some() {
        add(&disk.contents.brief(), "replace it, or choose another drive");
    }
    if !disk.mounted.is_empty() {
        add(
            &format!("it is in use (mounted on {})", disk.mounted.join(", ")),
            "unmount it, or choose another drive",
        );
    }
    if ![512, 4096].contains(&disk.sector) {
        add(
            &format!("it has sectors of {} bytes", disk.sector),
            "format it with sectors of 512 or 4096 bytes, or choose another drive",
        );
    }
    if disk.sector == 4096 && facts.firmware == Firmware::Bios {
        add(
            "it has sectors of 4096 bytes, and a BIOS can boot only from sectors of 512",
            "switch the firmware to UEFI, or choose another drive",
        );
    }
    if let Err(small) = plan_layout(disk.size) {
        add(&small.to_string(), "choose a larger drive");
    }
    found
}

/// The refusal of a drive that holds something nobody consented to lose.
#[must_use]
pub fn unconsented(disk: &Disk, answers: &Answers) -> Option<Refusal> {
    let token = consent::token(disk);
    let known = disk.contents.unreadable.is_none(); // what cannot be read is objected to already
    // The medium may have been forgotten in a machine that is installed already.
    let start = if disk.contents.is_ours() { "to start it, boot from this drive; " } else { "" };
    (known && !disk.contents.is_free() && !answers.consent.contains(&token)).then(|| Refusal {
        disk: Some(disk.title()),
        reason: format!("it is not blank: {}", disk.contents.brief()),
        remedy: format!("{start}to destroy exactly this, add \"{token}\" to disks.consent"),
    })
}

fn choose_named<'a>(
    facts: &'a Facts,
    answers: &Answers,
    selectors: &[Selector],
) -> Result<Vec<&'a Disk>, Vec<Refusal>> {
    let mut chosen: Vec<&Disk> = Vec::new();
    let mut refusals = Vec::new();
    for selector in selectors {
        let found: Vec<&Disk> = facts.disks.iter().filter(|disk| matches(disk, selector)).collect();
        match found.as_slice() {
            [] => refusals.push(Refusal {
                disk: Some(selector.to_string()),
                reason: "there is no such drive".to_owned(),
                remedy: format!("the drives are: {}", candidates(&facts.disks.iter().collect::<Vec<_>>())),
            }),
            [disk] if chosen.iter().any(|c| c.is_same_drive(disk)) => refusals.push(Refusal {
                disk: Some(selector.to_string()),
                reason: format!("it is {} again", disk.name),
                remedy: "a mirror needs two different drives: name another one".to_owned(),
            }),
            [disk] => {
                refusals.extend(objections(facts, disk));
                refusals.extend(unconsented(disk, answers));
                chosen.push(disk);
            }
            several => refusals.push(Refusal {
                disk: Some(selector.to_string()),
                reason: format!("it fits several drives: {}", candidates(several)),
                remedy: "name it by something that only one drive has".to_owned(),
            }),
        }
    }
    if refusals.is_empty() { Ok(chosen) } else { Err(refusals) }
}

fn choose_auto<'a>(facts: &'a Facts, answers: &Answers) -> Result<Vec<&'a Disk>, Vec<Refusal>> {
    let mut suitable: Vec<&Disk> = Vec::new();
    let mut refusals = Vec::new();
    // Fixed drives that would do but for what is on them: one of them may be meant as the other half.
    let mut used = 0;
    for disk in &facts.disks {
        let mut against = objections(facts, disk);
        let fixed = !(disk.removable || disk.transport == "usb");
        let unconsented = unconsented(disk, answers);
        used += usize::from(fixed && against.is_empty() && unconsented.is_some());
        against.extend(unconsented);
        if !fixed {
            against.push(Refusal {
                disk: Some(disk.title()),
                reason: "it is a removable or USB drive".to_owned(),
                remedy: "name it in disks.mirror to use it all the same".to_owned(),
            });
        }
        if against.is_empty() && !suitable.iter().any(|other| other.is_same_drive(disk)) {
            suitable.push(disk);
        }
        refusals.extend(against);
    }
    let mut by_size: BTreeMap<u64, Vec<&Disk>> = BTreeMap::new();
    for disk in &suitable {
        by_size.entry(disk.size).or_default().push(disk);
    }
    match (suitable.len(), by_size.into_values().next()) {
        (0, _) => {
            refusals.push(Refusal {
                disk: None,
                reason: "no drive is suitable".to_owned(),
                remedy: "see above for each of them, or put in a blank drive".to_owned(),
            });
            Err(refusals)
        }
        (1, Some(one)) if used == 0 => Ok(one),
        (1, Some(one)) => {
            refusals.push(Refusal {
                disk: None,
                reason: format!("only {} is free, and whether it shall be alone is not clear", one[0].name),
                remedy: "name it alone in disks.mirror for a node without a mirror, or see above for the other half"
                    .to_owned(),
            });
            Err(refusals)
        }
        (_, Some(pair)) if pair.len() == 2 => Ok(pair),
        _ => Err(vec![Refusal {
            disk: None,
            reason: format!("which drives become the mirror is not clear: {}", candidates(&suitable)),
            remedy: "name two of them in disks.mirror, like [\"serial:...\", \"serial:...\"]".to_owned(),
        }]),
    }
}

fn matches(disk: &Disk, selector: &Selector) -> bool {
    match selector {
        Selector::Serial(serial) => disk.serial == *serial,
        Selector::Wwn(wwn) => !disk.wwn.is_empty() && disk.wwn.eq_ignore_ascii_case(wwn),
        Selector::Path(path) => {
            disk.path.as_os_str() == path.as_str()
                || disk.links.iter().any(|link| link.as_os_str() == path.as_str())
        }
    }
}

fn candidates(disks: &[&Disk]) -> String {
    if disks.is_empty() {
        return "none".to_owned();
    }
    let title = |d: &&Disk| {
        let serial = if d.serial.is_empty() { String::new() } else { format!(" serial:{}", d.serial) };
        format!("{}{serial} {}", d.name, size_text(d.size))
    };
    disks.iter().map(title).collect::<Vec<_>>().join(", ")
}
