//! Which drive this boot was started from. GRUB tells the serial number of the EFI system partition that it took the kernel
//! from (`maekin.esp=` on the kernel command line); the serial number follows from installation and place.

use std::time::Duration;

use maekin_api::boot_drives::Proof;
use maekin_image::ids;
use uuid::Uuid;

use super::memory::{Memory, proof_key};
use super::observe::Disk;

/// The word on the kernel command line.
const WORD: &str = "maekin.esp=";

/// The place whose EFI system partition the kernel came from, from the text of `/proc/cmdline`. Pure.
pub(crate) fn started_from(cmdline: &str, install: Uuid) -> Option<u8> {
    let text = cmdline.split_whitespace().rev().find_map(|word| word.strip_prefix(WORD))?;
    let serial = u32::from_str_radix(&text.replace('-', ""), 16).ok()?;
    (0..2).find(|place| ids::esp_serial(install, *place) == serial)
}

/// How long after the agent's start the drive may take to be seen: udev may still be at work.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is known of the drive that this boot was started from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the one in its place.
    Proved,
    /// It may still be seen.
    Wait,
    /// It was not seen: what comes into its place later has proved nothing.
    Unknown,
}

/// Judges by what is in the place now, the devices that the initrd made the mirrors of, and the agent's age. Pure.
pub(crate) fn judge(disk: Option<&Disk>, members: &[String], age: Duration) -> Verdict {
    let in_use = |disk: &Disk| disk.parts.values().any(|name| members.contains(&format!("/dev/{name}")));
    match disk {
        _ if age > PATIENCE => Verdict::Unknown,
        Some(disk) if in_use(disk) => Verdict::Proved,
        _ => Verdict::Wait,
    }
}

/// Notes that the drive with `serial` in `place` started this boot, once a boot: a drive that is put into the place
/// later has proved nothing. Pure.
pub(crate) fn note(memory: &mut Memory, boot_id: &str, place: u8, serial: &str, proof: Proof) {
    if memory.proved_boot != boot_id {
        boot_id.clone_into(&mut memory.proved_boot);
        memory.proofs.retain(|key, _| !key.starts_with(&proof_key(place, "")));
        memory.proofs.insert(proof_key(place, serial), proof);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drive_is_known_by_the_serial_number_of_its_partition() {
        let install = Uuid::from_u128(7);
        let word = |place| {
            let serial = ids::esp_serial(install, place);
            format!("quiet maekin.esp={:04X}-{:04x} console=tty0", serial >> 16, serial & 0xffff)
        };
        let rows = [
            ("first", word(0), Some(0)),
            ("second", word(1), Some(1)),
            ("another installation's", "maekin.esp=0000-0001".to_owned(), None),
            ("not told", "maekin.slot=a".to_owned(), None),
            ("rubbish", "maekin.esp=zz maekin.esp=".to_owned(), None),
            ("the last word counts", format!("{} {}", word(0), word(1)), Some(1)),
        ];
        for (name, cmdline, want) in rows {
            assert_eq!(started_from(&cmdline, install), want, "{name}");
        }
    }

    #[test]
    fn the_drive_in_the_place_has_started_the_node_when_the_initrd_used_it() {
        let disk = |name: &str| Disk {
            parts: std::collections::BTreeMap::from([(maekin_image::layout::Part::State, name.to_owned())]),
            ..Disk::default()
        };
        let members = ["/dev/nvme0n1p5".to_owned(), "/dev/nvme1n1p5".to_owned()];
        let s = Duration::from_secs;
        let rows = [
            ("there at once", Some(disk("nvme0n1p5")), s(1), Verdict::Proved),
            ("not listed yet", None, s(1), Verdict::Wait),
            ("listed after a while", Some(disk("nvme0n1p5")), s(60), Verdict::Proved),
            ("another one, put in meanwhile", Some(disk("nvme2n1p5")), s(60), Verdict::Wait),
            ("never seen", None, s(121), Verdict::Unknown),
            ("too late to tell", Some(disk("nvme0n1p5")), s(121), Verdict::Unknown),
        ];
        for (name, disk, age, want) in rows {
            assert_eq!(judge(disk.as_ref(), &members, age), want, "{name}");
        }
    }

    #[test]
    fn a_boot_proves_one_drive_once() {
        let mut memory = Memory::default();
        let proof = |at| Proof { at, version: "0.1.0".into() };
        note(&mut memory, "boot-1", 0, "OLD", proof(1));
        note(&mut memory, "boot-1", 0, "NEW", proof(2));
        assert_eq!(memory.proofs.keys().collect::<Vec<_>>(), ["0/OLD"], "put in while it ran");
        note(&mut memory, "boot-2", 0, "NEW", proof(3));
        note(&mut memory, "boot-3", 1, "S1", proof(4));
        assert_eq!(memory.proofs["0/NEW"].at, 3);
        assert_eq!(memory.proofs.len(), 2, "the old drive is forgotten: {:?}", memory.proofs);
    }
}
