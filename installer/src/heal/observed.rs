//! What is so: the running arrays, the boot drives and what is on them, and all other drives. Plain data; the reader is
//! [`super::observe`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use maekin_host::md::superblock::Superblock;
use maekin_image::ids::Array;
use maekin_image::layout::{Extent, Part};
use maekin_image::manifest::Manifest;
use maekin_rootfs::heal::Half;
use maekin_rootfs::node::BootDisk;
use uuid::Uuid;

use super::esp::EspSeen;
use crate::facts::{Disk, Facts};

/// Everything that a healing depends on.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The installation that runs.
    pub install: Uuid,
    /// The node's name.
    pub hostname: String,
    /// On how many drives the kernel command line says that the node is.
    pub drives: usize,
    /// The slot that runs.
    pub slot: String,
    /// The machine and every drive of it.
    pub facts: Facts,
    /// What else uses a drive or a partition of it, by the drive's node: arrays, LVM, ...
    pub busy: BTreeMap<PathBuf, Vec<String>>,
    /// The boot drives as the node file has them.
    pub known: Vec<BootDisk>,
    /// The running arrays.
    pub arrays: BTreeMap<Array, Running>,
    /// The boot drives that are here, by place.
    pub places: [Option<Here>; 2],
    /// A place that more than one drive claims.
    pub claimed_twice: Option<u8>,
    /// Drives that a person has decided against at the start.
    pub left_out: Vec<u8>,
    /// The drive that was believed at the start.
    pub believed: u8,
    /// Verified manifests, with their bytes and signatures, by slot.
    pub releases: BTreeMap<String, (Manifest, Vec<u8>, String)>,
    /// `boot.img` and `core.img` of the running slot, where an ESP has them whole.
    pub bios: Option<BiosImages>,
}

/// What a BIOS needs on a drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BiosImages {
    /// GRUB's boot sector.
    pub boot: Vec<u8>,
    /// GRUB's core.
    pub core: Vec<u8>,
}

/// A running array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its members.
    pub members: Vec<Member>,
    /// What an up-to-date member says.
    pub block: Option<Superblock>,
}

/// A member of a running array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Kernel name, e.g. `vda3`.
    pub name: String,
    /// How it is: in sync, being resynced, or faulty.
    pub half: Half,
    /// Its device is not there any more.
    pub gone: bool,
}

/// A boot drive that is here: its partitions carry the GUIDs of its place.
#[derive(Debug, Clone)]
pub struct Here {
    /// The drive.
    pub disk: Disk,
    /// Where its partitions lie.
    pub extents: [Extent; 6],
    /// The superblocks of its halves, or why there is none.
    pub blocks: BTreeMap<Array, Result<Superblock, String>>,
    /// Its ESP.
    pub esp: EspSeen,
    /// Whether its boot sector says that an installation or a healing was interrupted.
    pub unfinished: bool,
    /// Whether its boot sector is what it should be.
    pub boot_sector: bool,
    /// Whether GRUB's core is what it should be; also where a BIOS cannot use it.
    pub core: bool,
}

impl Here {
    /// The node of a partition.
    #[must_use]
    pub fn partition(&self, part: Part) -> PathBuf {
        maekin_host::block::partition_path(&self.disk.path, part.number())
    }
}

impl Observed {
    /// How the half of `array` on the drive of `place` is.
    #[must_use]
    pub fn half(&self, place: u8, array: Array) -> Half {
        let Some(here) = &self.places[usize::from(place)] else { return Half::Missing };
        let path = here.partition(array.part());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let members = self.arrays.get(&array).map(|running| running.members.as_slice()).unwrap_or_default();
        members.iter().find(|m| m.name == name && !m.gone).map_or(Half::Out, |m| m.half)
    }

    /// Whether every half of a place is in use and up to date.
    #[must_use]
    pub fn in_sync(&self, place: u8) -> bool {
        Array::ALL.iter().all(|array| self.half(place, *array) == Half::InSync)
    }

    /// The place that others are made whole from: it has every running array up to date; the believed one first.
    #[must_use]
    pub fn source(&self) -> Option<u8> {
        let order = if self.believed == 1 { [1, 0] } else { [0, 1] };
        order
            .into_iter()
            .find(|place| self.half(*place, Array::State) == Half::InSync && self.in_sync(*place))
            .or_else(|| order.into_iter().find(|place| self.half(*place, Array::State) == Half::InSync))
    }

    /// On how many drives the node is to be: on two as soon as it once was.
    #[must_use]
    pub fn wanted_drives(&self) -> usize {
        if self.in_sync(0) && self.in_sync(1) { 2 } else { self.drives }
    }
}
