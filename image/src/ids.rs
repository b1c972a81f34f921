//! Every identifier of an installed node, derived from one install id.
//!
//! The installer makes one random UUID per installation. Partition, disk and array UUIDs and FAT volume serials are
//! name-based UUIDs (RFC 9562 section 5.5) under it, so the initrd finds its disks knowing nothing but the
//! `maekin.id=` on its command line, a plan is reproducible from its seed, and a drive put into either slot later
//! gets the identifiers that belong to that slot.

use uuid::Uuid;

use crate::layout::Part;

/// An md array of the layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Array {
    /// Root image, slot A.
    SystemA,
    /// Root image, slot B.
    SystemB,
    /// `/var`.
    State,
    /// LVM for local volumes.
    Data,
}

impl Array {
    /// All of them, in order on the disk.
    pub const ALL: [Self; 4] = [Self::SystemA, Self::SystemB, Self::State, Self::Data];

    /// Its name: the array is `/dev/md/<name>`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SystemA => "maekin-a",
            Self::SystemB => "maekin-b",
            Self::State => "maekin-state",
            Self::Data => "maekin-data",
        }
    }

    /// The partition that is its member on each disk.
    #[must_use]
    pub fn part(self) -> Part {
        match self {
            Self::SystemA => Part::SystemA,
            Self::SystemB => Part::SystemB,
            Self::State => Part::State,
            Self::Data => Part::Data,
        }
    }
}

/// GUID of the GPT of boot disk `disk` (0 or 1).
#[must_use]
pub fn disk_guid(install: Uuid, disk: u8) -> Uuid {
    derive(install, &format!("disk/{disk}"))
}

/// Unique partition GUID (PARTUUID) of `part` on boot disk `disk` (0 or 1).
#[must_use]
pub fn part_guid(install: Uuid, disk: u8, part: Part) -> Uuid {
    derive(install, &format!("disk/{disk}/part/{}", part.label()))
}

/// UUID of an md array; [`md_uuid_text`] writes it as mdadm(8) does.
#[must_use]
pub fn md_uuid(install: Uuid, array: Array) -> Uuid {
    derive(install, &format!("array/{}", array.name()))
}

/// UUID of the ext4 file system on the state array.
#[must_use]
pub fn state_fs_uuid(install: Uuid) -> Uuid {
    derive(install, "fs/state")
}

/// FAT volume serial number of the ESP on boot disk `disk`.
#[must_use]
pub fn esp_serial(install: Uuid, disk: u8) -> u32 {
    let bytes = derive(install, &format!("disk/{disk}/esp-serial")).into_bytes();
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// A UUID as mdadm(8) writes array UUIDs: four groups of eight hex digits.
#[must_use]
pub fn md_uuid_text(uuid: Uuid) -> String {
    let hex = uuid.simple().to_string();
    format!("{}:{}:{}:{}", &hex[..8], &hex[8..16], &hex[16..24], &hex[24..])
}

fn derive(install: Uuid, name: &str) -> Uuid {
    Uuid::new_v5(&install, name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn all_identifiers_of_one_install_differ_and_are_stable() {
        let install = Uuid::from_u128(0x1234);
        let mut seen = BTreeSet::new();
        for disk in 0..2 {
            assert!(seen.insert(disk_guid(install, disk)));
            for part in Part::ALL {
                assert!(seen.insert(part_guid(install, disk, part)), "{part:?} on {disk}");
            }
        }
        for array in Array::ALL {
            assert!(seen.insert(md_uuid(install, array)), "{array:?}");
        }
        assert_eq!(part_guid(install, 1, Part::Esp), part_guid(install, 1, Part::Esp));
        assert_ne!(esp_serial(install, 0), esp_serial(install, 1));
    }

    #[test]
    fn md_writes_uuids_in_four_groups() {
        let uuid = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        assert_eq!(md_uuid_text(uuid), "01234567:89abcdef:01234567:89abcdef");
    }
}
