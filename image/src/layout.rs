//! The disk layout of a node: which partitions, how large, where. Pure arithmetic; nothing here opens a device.

use uuid::{Uuid, uuid};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Partitions start and end on multiples of this many bytes.
pub const ALIGNMENT: u64 = MIB;
/// The smallest disk that takes the layout, in bytes.
pub const MIN_DISK: u64 = 8 * GIB;
/// Size of the ESP: two slots of kernel and initrd, and boot loaders.
pub const ESP_SIZE: u64 = 512 * MIB;
/// Size of one system slot: the root image, its hash tree, and room for it to grow.
pub const SYSTEM_SIZE: u64 = 1024 * MIB;

/// A partition of a boot disk, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// GRUB's core for BIOS.
    BiosBoot,
    /// EFI system partition, FAT32; also where BIOS GRUB reads its files.
    Esp,
    /// Root image, slot A.
    SystemA,
    /// Root image, slot B.
    SystemB,
    /// `/var`.
    State,
    /// Local volumes.
    Data,
}

impl Part {
    /// All of them, in order on the disk.
    pub const ALL: [Self; 6] =
        [Self::BiosBoot, Self::Esp, Self::SystemA, Self::SystemB, Self::State, Self::Data];

    /// Partition number, from 1.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::BiosBoot => 1,
            Self::Esp => 2,
            Self::SystemA => 3,
            Self::SystemB => 4,
            Self::State => 5,
            Self::Data => 6,
        }
    }

    /// GPT partition name.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::BiosBoot => "maekin-bios",
            Self::Esp => "maekin-esp",
            Self::SystemA => "maekin-a",
            Self::SystemB => "maekin-b",
            Self::State => "maekin-state",
            Self::Data => "maekin-data",
        }
    }

    /// GPT partition type GUID (UEFI specification section 5.3.3; GRUB manual for BIOS boot; Linux RAID).
    #[must_use]
    pub fn type_guid(self) -> Uuid {
        match self {
            Self::BiosBoot => uuid!("21686148-6449-6e6f-744e-656564454649"),
            Self::Esp => uuid!("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"),
            Self::SystemA | Self::SystemB | Self::State | Self::Data => {
                uuid!("a19d880f-05fc-4d3b-a006-743f0f84911e")
            }
        }
    }
}

/// Where one partition lies, in bytes from the start of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Which partition.
    pub part: Part,
    /// First byte; a multiple of [`ALIGNMENT`].
    pub start: u64,
    /// Length in bytes; a multiple of [`ALIGNMENT`].
    pub size: u64,
}

/// The disk cannot take the layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it has {:.1} GiB, and a boot drive needs at least {:.0} GiB", *have as f64 / GIB as f64, *need as f64 / GIB as f64)]
pub struct TooSmall {
    /// Bytes the disk has.
    pub have: u64,
    /// Bytes it needs.
    pub need: u64,
}

/// Lays out a pair of boot disks; `size` is that of the smaller one in bytes, and both get the same extents.
///
/// State takes a quarter of the disk, between 4 and 64 GiB; data takes the rest. The last [`ALIGNMENT`] bytes stay
/// free for the backup GPT.
///
/// # Errors
/// [`TooSmall`] below [`MIN_DISK`].
pub fn plan_layout(size: u64) -> Result<[Extent; 6], TooSmall> {
    if size < MIN_DISK {
        return Err(TooSmall { have: size, need: MIN_DISK });
    }
    let state = (size / 4).clamp(4 * GIB, 64 * GIB) / ALIGNMENT * ALIGNMENT;
    let mut start = ALIGNMENT;
    let mut take = |part, size| {
        let extent = Extent { part, start, size };
        start += size;
        extent
    };
    let bios = take(Part::BiosBoot, MIB);
    let esp = take(Part::Esp, ESP_SIZE);
    let a = take(Part::SystemA, SYSTEM_SIZE);
    let b = take(Part::SystemB, SYSTEM_SIZE);
    let state = take(Part::State, state);
    let data_end = (size / ALIGNMENT - 1) * ALIGNMENT;
    let data = Extent { part: Part::Data, start, size: data_end - start };
    Ok([bios, esp, a, b, state, data])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_follow_each_other_and_leave_room_for_the_backup_table() {
        for size in [MIN_DISK, MIN_DISK + 4096, 12 * GIB + 512, 480_103_981_056, 30_000_000_000_000] {
            let extents = plan_layout(size).unwrap();
            let mut at = ALIGNMENT;
            for (extent, part) in extents.iter().zip(Part::ALL) {
                assert_eq!(extent.part, part);
                assert_eq!(extent.start, at, "{part:?} at {size}");
                assert!(extent.size > 0 && extent.size.is_multiple_of(ALIGNMENT), "{part:?} at {size}");
                at += extent.size;
            }
            assert!(at + ALIGNMENT <= size && at + 2 * ALIGNMENT > size, "{size}");
        }
    }

    #[test]
    fn a_small_disk_is_refused_with_both_figures() {
        let err = plan_layout(4 * GIB).unwrap_err();
        assert_eq!(err.to_string(), "it has 4.0 GiB, and a boot drive needs at least 8 GiB");
    }
}
