//! Boot entries of UEFI firmware: whether there is one for each boot drive, and adding those that are missing. A board
//! that was replaced, or a battery that died, has none; the drives boot without, by their fallback loader, but a firmware
//! may try them last.

use std::path::Path;

use maekin_api::boot_drives::Entries;
use maekin_host::efi;
use maekin_host::efivars::{self, BootList, EFIVARS};
use maekin_image::esp::ENTRY_LOADER;
use maekin_image::ids;
use maekin_image::layout::Part;
use uuid::Uuid;

use super::observe::Disk;
use crate::errors::chain;

/// What was found, and made of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) entries: Entries,
    /// Whether there is one for each place; absent where no drive is there.
    pub(crate) entry: [Option<bool>; 2],
}

/// Number of the entry that starts the drive in a place without being asked to. Pure.
pub(crate) fn number(list: &BootList, install: Uuid, place: u8) -> Option<u16> {
    let guid = ids::part_guid(install, place, Part::Esp);
    let ours =
        |e: &&efivars::BootOption| e.partition == Some(guid) && e.active && list.order.contains(&e.number);
    list.entries.iter().find(ours).map(|entry| entry.number)
}

/// The firmware's entries as they are now.
pub(crate) fn read() -> BootList {
    efivars::read(Path::new(EFIVARS))
}

/// Looks, and adds entries for drives that are there and have none.
pub(crate) fn ensure(install: Uuid, disks: &[Option<Disk>; 2]) -> Checked {
    if !efi::booted_by_uefi() {
        return Checked { entries: Entries::None, entry: [None; 2] };
    }
    let list = read();
    // The second drive first: each new entry becomes the first in the boot order.
    for place in [1, 0] {
        let Some(disk) = &disks[usize::from(place)] else { continue };
        if number(&list, install, place).is_some() {
            continue;
        }
        let label = format!("Maekin disk {}", place + 1);
        match efi::set_entry(&label, &disk.device, Part::Esp.number(), ENTRY_LOADER) {
            Ok(removed) => tracing::info!(drive = place + 1, ?removed, "boot entry added"),
            Err(e) => tracing::warn!(drive = place + 1, error = %chain(&e), "boot entry not added"),
        }
    }
    judge(&read(), install, [0, 1].map(|place| disks[place].is_some()))
}

/// What is said of the entries after they were seen to. Pure.
fn judge(list: &BootList, install: Uuid, here: [bool; 2]) -> Checked {
    let have = [0, 1].map(|place| number(list, install, place).is_some());
    let none_taken = here.contains(&true) && !have.contains(&true);
    let entry = [0, 1].map(|place| here[place].then_some(have[place]));
    Checked { entries: if none_taken { Entries::NotKept } else { Entries::Kept }, entry }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_counts_when_it_starts_the_drive_unasked() {
        let install = Uuid::from_u128(7);
        let entry = |number, place, active| efivars::BootOption {
            number,
            active,
            partition: Some(ids::part_guid(install, place, Part::Esp)),
            ..Default::default()
        };
        let list = |order: &[u16], entries| BootList { current: None, order: order.to_vec(), entries };
        let both = || vec![entry(1, 0, true), entry(2, 1, true)];
        let rows = [
            ("both", list(&[2, 1], both()), [true, true], Entries::Kept, [Some(true), Some(true)]),
            ("not in the order", list(&[2], both()), [true, true], Entries::Kept, [Some(false), Some(true)]),
            (
                "switched off",
                list(&[1, 2], vec![entry(1, 0, false), entry(2, 1, true)]),
                [true, true],
                Entries::Kept,
                [Some(false), Some(true)],
            ),
            ("one drive is gone", list(&[1, 2], both()), [false, true], Entries::Kept, [None, Some(true)]),
            (
                "the firmware keeps none",
                list(&[], vec![]),
                [true, true],
                Entries::NotKept,
                [Some(false), Some(false)],
            ),
            ("no drive to have one", list(&[], vec![]), [false, false], Entries::Kept, [None, None]),
        ];
        for (name, list, here, entries, entry) in rows {
            assert_eq!(judge(&list, install, here), Checked { entries, entry }, "{name}");
        }
        assert_eq!(number(&list(&[2, 1], both()), install, 1), Some(2));
        assert_eq!(number(&list(&[2, 1], both()), Uuid::from_u128(8), 1), None, "another installation's");
    }
}
