//! What a virtual node is made of. Plain data, kept in the rack's state file; [`crate::args`] turns it into QEMU's
//! argument vector.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How a node starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// SeaBIOS.
    Bios,
    /// OVMF, with variables in a file of the node's own.
    Uefi,
    /// The same with Secure Boot on and the keys that servers are sold with (Microsoft's).
    SecureBoot,
}

impl Firmware {
    /// Whether it is UEFI, with Secure Boot or without.
    #[must_use]
    pub fn is_uefi(self) -> bool {
        self != Self::Bios
    }

    /// What a node's API calls it.
    #[must_use]
    pub fn api_name(self) -> &'static str {
        if self.is_uefi() { "uefi" } else { "bios" }
    }
}

impl std::fmt::Display for Firmware {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bios => "BIOS",
            Self::Uefi => "UEFI",
            Self::SecureBoot => "SecureBoot",
        })
    }
}

/// What a drive hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bus {
    /// virtio-blk, each drive behind a PCIe root port of its own, so that it can be pulled.
    Virtio,
    /// NVMe, likewise.
    Nvme,
    /// A disk on one virtio-scsi adapter.
    Scsi,
}

/// A drive: a file, or a socket that serves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drive {
    /// The file: qcow2, or raw where that is its extension.
    pub file: PathBuf,
    /// The NBD socket of whoever serves it ([`crate::recorder`]); QEMU then leaves the file alone.
    #[serde(default)]
    pub socket: Option<PathBuf>,
    /// Size in bytes.
    pub size: u64,
    /// Logical and physical sector in bytes: 512 or 4096.
    pub sector: u32,
    /// Serial number, at most 20 characters (virtio-blk's limit).
    pub serial: String,
    /// What it hangs on.
    pub bus: Bus,
    /// False while it is pulled out: the guest started next does not have it.
    pub plugged: bool,
}

/// An ISO given to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Medium {
    /// Flashed to a USB stick, writable.
    Usb(PathBuf),
    /// In an optical drive (or a BMC's virtual one), read-only.
    Cdrom(PathBuf),
}

/// A port of the host that leads to a port of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// TCP port on 127.0.0.1.
    pub host: u16,
    /// TCP port of the node.
    pub guest: u16,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum Nic {
    /// A cable to the rack's switch.
    Rack {
        /// Hardware address.
        mac: String,
        /// The switch port's unix socket.
        socket: PathBuf,
    },
    /// A cable to a network namespace of this host, in which QEMU itself then runs.
    Tap {
        /// Hardware address.
        mac: String,
        /// The namespace's name, as ip-netns(8) has it.
        namespace: String,
        /// The tap interface in it.
        interface: String,
    },
    /// QEMU's user network: DHCP, a router that leads nowhere, and forwarded ports.
    Host {
        /// Hardware address.
        mac: String,
        /// Forwarded ports.
        forwards: Vec<Forward>,
    },
}

impl Nic {
    /// Its hardware address.
    #[must_use]
    pub fn mac(&self) -> &str {
        match self {
            Self::Rack { mac, .. } | Self::Tap { mac, .. } | Self::Host { mac, .. } => mac,
        }
    }
}

/// A thing to boot from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BootFrom {
    /// The stick or disc.
    Medium,
    /// Drive number, from 0.
    Drive(usize),
    /// Interface number, from 0.
    Nic(usize),
}

/// A virtual node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSpec {
    /// Name within the rack, e.g. `node-1`.
    pub name: String,
    /// SMBIOS UUID.
    pub uuid: Uuid,
    /// BIOS, UEFI, or UEFI with Secure Boot.
    pub firmware: Firmware,
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Drives, in order.
    pub drives: Vec<Drive>,
    /// The stick or disc that is in.
    pub medium: Option<Medium>,
    /// Interfaces, in order.
    pub nics: Vec<Nic>,
    /// Boot order; what is not in it is not booted from.
    pub boot: Vec<BootFrom>,
    /// OEM strings in its SMBIOS tables (type 11).
    #[serde(default)]
    pub oem_strings: Vec<String>,
    /// Files that it finds in fw_cfg: name, file on the host.
    #[serde(default)]
    pub fw_cfg: Vec<(String, PathBuf)>,
}

impl NodeSpec {
    /// The host's port that leads to the node's TCP port `guest`.
    #[must_use]
    pub fn forwarded(&self, guest: u16) -> Option<u16> {
        self.nics.iter().find_map(|nic| match nic {
            Nic::Host { forwards, .. } => forwards.iter().find(|f| f.guest == guest).map(|f| f.host),
            Nic::Rack { .. } | Nic::Tap { .. } => None,
        })
    }

    /// The first hardware address on the rack's network, which is the one it boots from.
    #[must_use]
    pub fn rack_mac(&self) -> Option<&str> {
        self.nics.iter().find_map(|nic| match nic {
            Nic::Rack { mac, .. } => Some(mac.as_str()),
            Nic::Tap { .. } | Nic::Host { .. } => None,
        })
    }

    /// The namespace of this host that it has a cable to.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.nics.iter().find_map(|nic| match nic {
            Nic::Tap { namespace, .. } => Some(namespace.as_str()),
            Nic::Rack { .. } | Nic::Host { .. } => None,
        })
    }
}
