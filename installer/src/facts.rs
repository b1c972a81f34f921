//! What the machine is: everything a plan depends on, as plain data. Nothing here looks at a machine but [`probe`];
//! tests read captures.
//!
//! | module | job |
//! | --- | --- |
//! | [`contents`] | what is on a drive, and how a person is told about it |
//! | [`detail`] | what a superblock says of itself: names, identifiers, last use |
//! | [`health`] | what a drive says of its health |
//! | [`machine`] | processor, network interfaces |
//! | [`ondisk`] | reading superblocks |
//! | [`probe`] | looking at the machine |
//! | [`table`] | the facts in words |
//! | [`virtual_media`] | media of management controllers, which look like drives |

pub mod contents;
pub mod detail;
pub mod devices;
pub mod health;
pub mod machine;
pub mod ondisk;
pub mod probe;
pub mod table;
pub mod virtual_media;

use std::fmt;
use std::path::PathBuf;

use maekin_api::machine::{Ask, Told};
use maekin_host::block::BlockDevice;
#[cfg(test)]
use maekin_host::block::Signature;
use maekin_host::dmi::Dmi;
use maekin_host::efivars::BootList;
use maekin_image::drivers::Device;
use serde::{Deserialize, Serialize};

pub use contents::{Contents, PreviousNode};
pub use detail::{Detail, Osd};
pub use machine::{Cpu, Nic};
pub use maekin_host::lldp::Neighbour;

/// Everything that was found out about a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// What started it.
    pub firmware: Firmware,
    /// Whether Secure Boot is on, where the firmware says so.
    #[serde(default)]
    pub secure_boot: Option<bool>,
    /// What the firmware boots, and in which order; empty under BIOS.
    #[serde(default)]
    pub boot: BootList,
    /// Release of the running kernel; empty where it is not known.
    #[serde(default)]
    pub kernel: String,
    /// Bytes of memory.
    pub memory: u64,
    /// The processor.
    #[serde(default)]
    pub cpu: Cpu,
    /// Maker, model, serial number.
    #[serde(default)]
    pub dmi: Dmi,
    /// Who this machine was, as a receipt on the install medium says that names this very machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<PreviousNode>,
    /// Drives, by kernel name.
    pub disks: Vec<Disk>,
    /// Ethernet interfaces, by kernel name.
    #[serde(default)]
    pub nics: Vec<Nic>,
}

impl Facts {
    /// Who this machine is to an install master, by the port that it booted from; another one's UUID is none.
    #[must_use]
    pub fn ask(&self, boot_mac: Option<&str>) -> Ask {
        let first = || self.nics.first().map(|nic| nic.mac.clone()).unwrap_or_default();
        Ask {
            mac: boot_mac.map_or_else(first, str::to_owned),
            uuid: Some(self.dmi.uuid.clone()).filter(|uuid| !uuid.is_empty()),
            arch: if self.firmware == Firmware::Bios { 0 } else { 7 },
            known: None,
        }
    }

    /// What the install master is told of this machine.
    ///
    /// # Errors
    /// Never for facts that were probed: all of them can be written as JSON.
    pub fn told(&self, boot_mac: Option<&str>) -> serde_json::Result<Told> {
        Ok(Told { who: self.ask(boot_mac), facts: serde_json::to_value(self)? })
    }
}

/// What a machine was started by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    /// BIOS.
    Bios,
    /// UEFI.
    Uefi,
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bios => "BIOS",
            Self::Uefi => "UEFI",
        })
    }
}

/// A drive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Disk {
    /// Kernel name, e.g. `nvme0n1`; changes from boot to boot.
    pub name: String,
    /// Device node.
    pub path: PathBuf,
    /// Other names of its node under `/dev/disk`.
    pub links: Vec<PathBuf>,
    /// Bytes.
    pub size: u64,
    /// Logical sector, bytes.
    pub sector: u64,
    /// Physical sector, bytes.
    pub physical_sector: u64,
    /// Serial number; empty when it reports none.
    pub serial: String,
    /// World-wide name; empty when it reports none.
    pub wwn: String,
    /// Model; empty when it reports none.
    pub model: String,
    /// `sata`, `nvme`, `virtio`, `usb`, ...
    pub transport: String,
    /// Of an NVMe drive: which of the controller's namespaces it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<u32>,
    /// It is no drive but an image or folder that a management controller shows to the machine: whose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtual_media: Option<String>,
    /// What it says of its own health; `None` where it was not asked or does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// Spins.
    pub rotational: bool,
    /// Its medium can be taken out.
    pub removable: bool,
    /// Cannot be written.
    pub read_only: bool,
    /// The installer was started from it.
    pub holds_medium: bool,
    /// Zeroes ranges by itself.
    pub write_zeroes: bool,
    /// Where it or a part of it is mounted.
    pub mounted: Vec<String>,
    /// What it hangs on, itself first: every device that has to have a driver for it to be reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    /// What is on it.
    pub contents: Contents,
}

/// What a drive says of its own health (SMART).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// It expects to go on working.
    pub passed: bool,
    /// What it complains about, in words; may be there though it passed.
    pub complaints: Vec<String>,
    /// Percent of its life used up, where it says so.
    pub worn: Option<u8>,
    /// Hours it has run.
    pub hours: Option<u64>,
}

impl Disk {
    /// The drive as a person tells it from others: `vda (QEMU HARDDISK, serial A1, 12.0 GiB)`.
    #[must_use]
    pub fn title(&self) -> String {
        let mut parts = Vec::new();
        if !self.model.is_empty() {
            parts.push(self.model.clone());
        }
        if !self.serial.is_empty() {
            parts.push(format!("serial {}", self.serial));
        }
        parts.push(size_text(self.size));
        format!("{} ({})", self.name, parts.join(", "))
    }

    /// The same node, or the same drive seen by two paths (multipath).
    #[must_use]
    pub fn is_same_drive(&self, other: &Self) -> bool {
        let same_name = !self.wwn.is_empty() && self.wwn == other.wwn;
        self.path == other.path || (same_name && self.serial == other.serial && self.size == other.size)
    }

    /// The drive that `device` describes, without what only further probing tells.
    #[must_use]
    pub fn from_lsblk(device: &BlockDevice) -> Self {
        let text = |field: &Option<String>| field.as_deref().unwrap_or_default().trim().to_owned();
        let mut disk = Self {
            name: device.name.clone(),
            path: device.path.clone(),
            size: device.size,
            sector: device.log_sec,
            physical_sector: device.phy_sec,
            serial: text(&device.serial),
            wwn: text(&device.wwn),
            model: text(&device.model).replace('_', " "),
            transport: text(&device.tran),
            rotational: device.rota,
            removable: device.rm,
            read_only: device.ro,
            holds_medium: holds_label(device, MEDIUM_LABEL),
            mounted: device.mounts(),
            contents: Contents { partitions: contents::partitions(device), ..Contents::default() },
            ..Self::default()
        };
        disk.virtual_media = virtual_media::shown_by(&text(&device.vendor), &disk);
        disk
    }
}

/// Volume label of the install medium.
pub const MEDIUM_LABEL: &str = "MAEKIN_ISO";

/// Whether the device or anything on it carries the file system label `label`.
#[must_use]
pub fn holds_label(device: &BlockDevice, label: &str) -> bool {
    device.label.as_deref() == Some(label) || device.children.iter().any(|child| holds_label(child, label))
}

/// Bytes in words: `12.0 GiB`.
#[must_use]
pub fn size_text(bytes: u64) -> String {
    let units = [("TiB", 1u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (unit, size) in units {
        if bytes >= size {
            let tenths = u128::from(bytes) * 10 / u128::from(size);
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
pub(crate) mod tests;
