//! Boot entries of UEFI firmware: whether there is one for each boot drive, and adding those that are missing. A board
//! that was replaced, or a battery that died, has none; the drives boot without, by their fallback loader, but a firmware
//! may try them last.

use maekin_api::boot_drives::Entries;
use maekin_host::cmd::Cmd;
use maekin_host::efi;
use maekin_image::esp::ENTRY_LOADER;
use maekin_image::ids;
use maekin_image::layout::Part;
use uuid::Uuid;

use super::observe::Disk;
use crate::errors::chain;

/// The firmware's boot variables, as far as they matter here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BootVars {
    /// Number of the entry that this boot came from.
    pub(crate) current: Option<String>,
    /// Entries that name a GPT partition: number and the partition's GUID.
    pub(crate) entries: Vec<(String, Uuid)>,
}

/// Parses what `efibootmgr --verbose` prints.
pub(crate) fn parse(text: &str) -> BootVars {
    let mut vars = BootVars::default();
    for line in text.lines() {
        if let Some(number) = line.strip_prefix("BootCurrent: ") {
            vars.current = Some(number.trim().to_owned());
        }
        let number = line.strip_prefix("Boot").and_then(|rest| rest.get(..4));
        let number = number.filter(|n| n.bytes().all(|b| b.is_ascii_hexdigit()));
        let guid = line.split("HD(").nth(1).and_then(|rest| rest.split(',').nth(2));
        if let (Some(number), Some(guid)) = (number, guid.and_then(|g| Uuid::parse_str(g).ok())) {
            vars.entries.push((number.to_owned(), guid));
        }
    }
    vars
}

/// Whether there is an entry for each place of `install`. Pure.
pub(crate) fn present(vars: &BootVars, install: Uuid) -> [bool; 2] {
    [0, 1].map(|place| number(vars, install, place).is_some())
}

/// Number of the entry for a place. Pure.
pub(crate) fn number(vars: &BootVars, install: Uuid, place: u8) -> Option<&str> {
    let guid = ids::part_guid(install, place, Part::Esp);
    vars.entries.iter().find(|(_, of)| *of == guid).map(|(number, _)| number.as_str())
}

/// What was found, and made of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) entries: Entries,
    pub(crate) entry: [Option<bool>; 2],
}

/// Looks, and where `mend` says so adds entries for drives that are there and have none.
pub(crate) fn check(install: Uuid, disks: &[Option<Disk>; 2], mend: bool) -> Checked {
    if !efi::booted_by_uefi() {
        return Checked { entries: Entries::None, entry: [None; 2] };
    }
    let Ok(mut vars) = read() else {
        return Checked { entries: Entries::NotKept, entry: [None; 2] };
    };
    let have = present(&vars, install);
    // The second drive first: each new entry becomes the first in the boot order.
    for place in [1, 0] {
        if let Some(disk) = disks[place].as_ref().filter(|_| mend && !have[place]) {
            let label = format!("Maekin disk {}", place + 1);
            match efi::set_entry(&label, &disk.device, Part::Esp.number(), ENTRY_LOADER) {
                Ok(()) => tracing::info!(drive = place + 1, "boot entry added"),
                Err(e) => tracing::warn!(drive = place + 1, error = %chain(&e), "boot entry not added"),
            }
            vars = read().unwrap_or(vars);
        }
    }
    let have = present(&vars, install);
    let here = |place: usize| disks[place].is_some();
    let kept = !mend || (0..2).any(|place| have[place]) || !(0..2).any(here);
    let entry = [0, 1].map(|place| here(place).then_some(have[place]));
    Checked { entries: if kept { Entries::Kept } else { Entries::NotKept }, entry }
}

/// The firmware's boot variables.
///
/// # Errors
/// [`maekin_host::cmd::CmdError`], where the firmware shows none.
pub(crate) fn read() -> Result<BootVars, maekin_host::cmd::CmdError> {
    Ok(parse(&Cmd::new("efibootmgr").arg("--verbose").text()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_known_by_the_partition_that_they_name() {
        let install = Uuid::from_u128(7);
        let guid = ids::part_guid(install, 1, Part::Esp);
        let text = format!(
            "BootCurrent: 0003\nTimeout: 0 seconds\nBootOrder: 0003,0000\n\
             Boot0000* UiApp\tFvVol(7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1)/FvFile(462caa21)\n\
             Boot0001* UEFI Misc Device\tPciRoot(0x0)/Pci(0x4,0x0)N.....YM....R,Y.\n\
             Boot0003* Maekin disk 2\tHD(2,GPT,{guid},0x1000,0x100000)/File(\\EFI\\debian\\shimx64.efi)\n      dp: 04 01\n"
        );
        let vars = parse(&text);
        assert_eq!(vars.current.as_deref(), Some("0003"));
        assert_eq!(present(&vars, install), [false, true]);
        assert_eq!(number(&vars, install, 1), Some("0003"));
        for hostile in ["", "Boot", "BootCurrent: ", "Boot0001* x\tHD(", "Boot0001* x\tHD(1,GPT,zz)"] {
            assert!(parse(hostile).entries.is_empty(), "{hostile}");
        }
    }
}
