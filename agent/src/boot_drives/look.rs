//! What a thorough look at a drive says: its EFI system partition and its partition tables.

use maekin_api::boot_drives::{Esp, Tables};
use maekin_host::direct::read_block;
use maekin_image::{gpt_check, ids};
use maekin_rootfs::heal::Findings;
use uuid::Uuid;

use super::observe::Disk;

/// The EFI system partition of a place, as `maekin-installer heal --json` found it. Pure.
pub(crate) fn esp(findings: &Findings, place: u8, now: u64) -> Esp {
    let Some(found) = findings.places.iter().find(|p| p.index == place && p.disk.is_some()) else {
        return Esp::Unknown;
    };
    if found.esp.whole {
        return Esp::Whole { verified: now };
    }
    let wrong = &found.esp.wrong;
    let reason = found.esp.unreadable.clone().unwrap_or_else(|| match wrong.as_slice() {
        [] => "it is not what it should be".to_owned(),
        [one] => format!("{one} is missing or is another one"),
        [first, ..] => format!("{first} and {} more files are missing or are others", wrong.len() - 1),
    });
    Esp::Damaged { verified: now, reason }
}

/// The partition tables of a drive, read from the drive itself.
pub(crate) fn tables(disk: &Disk, install: Uuid, place: u8) -> Tables {
    let read = |at| read_block(&disk.device, at, gpt_check::EDGE);
    let Some(tail) = disk.size.checked_sub(gpt_check::EDGE as u64) else { return Tables::Unknown };
    match (read(0), read(tail)) {
        (Ok(head), Ok(tail)) => {
            let guid = ids::disk_guid(install, place);
            let problems = gpt_check::problems(&head, &tail, disk.size, disk.sector, guid);
            if problems.is_empty() { Tables::Whole } else { Tables::Damaged { reason: problems.join(", ") } }
        }
        (Err(e), _) | (_, Err(e)) => Tables::Damaged { reason: format!("its tables cannot be read: {e}") },
    }
}
