//! UEFI: whether the machine booted by it, Secure Boot, and boot entries (through efibootmgr(8)).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use uuid::Uuid;

use crate::block;
use crate::cmd::{Cmd, CmdError};
use crate::efivars::{self, BootList, BootOption, EFIVARS};

/// Where udev links partitions by their GUIDs.
const BY_PARTUUID: &str = "/dev/disk/by-partuuid";

/// Whether the running system was booted by UEFI.
#[must_use]
pub fn booted_by_uefi() -> bool {
    Path::new("/sys/firmware/efi").is_dir()
}

/// Whether Secure Boot is on; `None` where the firmware does not say.
#[must_use]
pub fn secure_boot() -> Option<bool> {
    let path = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    // Four bytes of attributes, then the value (Linux Documentation/filesystems/efivarfs.rst).
    fs::read(path).ok()?.get(4).map(|value| *value == 1)
}

/// The entries of `list` that a new one called `label` on `partition` replaces: those that start the same partition
/// under this label, and those whose label begins with `family` and whose partition is not among `present`. Everybody
/// else's stay, and so do those that lead somewhere.
#[must_use]
pub fn replaced<'a>(
    list: &'a BootList,
    label: &str,
    family: &str,
    partition: Uuid,
    present: &BTreeSet<Uuid>,
) -> Vec<&'a BootOption> {
    let same = |option: &BootOption| option.label == label && option.partition == Some(partition);
    let vanished = |option: &BootOption| {
        option.label.starts_with(family) && option.partition.is_some_and(|part| !present.contains(&part))
    };
    list.entries.iter().filter(|option| same(option) || vanished(option)).collect()
}

/// The GUIDs of the partitions that are here, from a directory like `/dev/disk/by-partuuid`.
fn partitions(dir: &Path) -> BTreeSet<Uuid> {
    let names = fs::read_dir(dir).into_iter().flatten().flatten();
    names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Makes `label` an entry that starts `loader` (with `\`) from partition `part` of `disk`, first in the boot order.
/// Entries that it replaces are removed before, so that a machine's variables do not fill up; those that led nowhere
/// are returned in words. Labels that differ only in the number at their end are of one family.
///
/// # Errors
/// [`CmdError`], also where the firmware keeps no variables.
pub fn set_entry(label: &str, disk: &Path, part: u32, loader: &str) -> Result<Vec<String>, CmdError> {
    let mut told = Vec::new();
    let partition = block::partition_path(disk, part);
    let guid =
        Cmd::new("blkid").args(["-p", "-o", "value", "-s", "PART_ENTRY_UUID"]).arg(partition).text()?;
    if let Ok(guid) = guid.trim().parse() {
        let present = partitions(Path::new(BY_PARTUUID));
        let list = efivars::read(Path::new(EFIVARS));
        let family = label.trim_end_matches(|c: char| c.is_ascii_digit());
        for old in replaced(&list, label, family, guid, &present) {
            let number = format!("{:04X}", old.number);
            Cmd::new("efibootmgr").args(["--quiet", "--bootnum", &number, "--delete-bootnum"]).run()?;
            if old.partition != Some(guid) {
                told.push(format!("Boot{number} \"{}\"", old.label));
            }
        }
    }
    Cmd::new("efibootmgr")
        .args(["--quiet", "--create", "--disk"])
        .arg(disk)
        .args(["--part", &part.to_string(), "--label", label, "--loader", loader])
        .run()?;
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_entries_that_lead_nowhere_or_here_are_replaced() {
        let [here, other, gone] = [1, 2, 3].map(Uuid::from_u128);
        let option = |number, label: &str, partition| BootOption {
            number,
            label: label.to_owned(),
            partition,
            ..BootOption::default()
        };
        let list = BootList {
            entries: vec![
                option(0, "Maekin disk 1", Some(here)),
                option(1, "Maekin disk 1", Some(other)),
                option(2, "Maekin disk 1", Some(gone)),
                option(3, "Maekin disk 2", Some(gone)),
                option(4, "debian", Some(gone)),
                option(5, "Maekin disk 1", None),
                option(6, "UEFI PXEv4", None),
                option(7, "Maekin disk 2", Some(here)),
            ],
            ..BootList::default()
        };
        let present = BTreeSet::from([here, other]);
        let numbers = |label| -> Vec<u16> {
            replaced(&list, label, "Maekin disk ", here, &present).iter().map(|o| o.number).collect()
        };
        assert_eq!(numbers("Maekin disk 1"), [0, 2, 3]);
        assert_eq!(numbers("Maekin disk 2"), [2, 3, 7]);
    }
}
