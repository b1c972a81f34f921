//! The machine around the drives: processor and network interfaces.

use serde::{Deserialize, Serialize};

/// The processor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cpu {
    /// Model, as it names itself.
    pub model: String,
    /// Threads that run at once, of all sockets.
    pub threads: u32,
    /// Those of its features that machines depend on, by the kernel's names, e.g. `vmx`, `aes`.
    pub flags: Vec<String>,
}

/// A network interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Nic {
    /// Kernel name.
    pub name: String,
    /// Hardware address, lower case.
    pub mac: String,
    /// Driver.
    pub driver: String,
    /// Whether a cable with a live other end is plugged in; `None` while the interface is down.
    pub link: Option<bool>,
    /// Mbit/s, where known.
    pub speed: Option<u32>,
    /// What the other end of the cable says it is (IEEE 802.1AB), where it was heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lldp: Option<Neighbour>,
}

/// The other end of a cable, as it announces itself by LLDP. All of it is a stranger's word: shown, never trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Neighbour {
    /// Name of the system, mostly a switch; empty where it gives none.
    pub system: String,
    /// Its chassis identifier, mostly a hardware address.
    pub chassis: String,
    /// Its port's identifier.
    pub port: String,
    /// Its port in words; empty where it gives none.
    pub description: String,
    /// The port's own VLAN, where it tells (IEEE 802.1Q, annex D).
    pub vlan: Option<u16>,
}
