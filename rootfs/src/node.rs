//! The node file: the one typed description of how an installed node is configured.
//!
//! The installer writes it to the state partition ([`NODE_FILE`]); the initrd and the agent render every
//! configuration file of the running system from it (see [`crate::render`]). Nothing else is configured by hand.

mod network;

use std::net::Ipv4Addr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use network::{Bond, BondMode, Bridge, Interface, LacpRate, Network, Vlan};

/// Where the node file lives on the state partition, relative to its mount point `/var`.
pub const NODE_FILE: &str = "lib/maekin/node.toml";

/// Everything that makes this node different from another one with the same release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// Format of this file; 1.
    pub version: u32,
    /// Made anew by each installation; partition and array UUIDs are derived from it.
    pub install_id: Uuid,
    /// systemd's machine id, 32 lower-case hex digits (machine-id(5)).
    pub machine_id: String,
    /// Host name, one DNS label (RFC 1123 section 2.1).
    pub hostname: String,
    /// Who may administer the node.
    #[serde(default)]
    pub admin: Admin,
    /// Interfaces and addresses.
    #[serde(default)]
    pub network: Network,
    /// Where the time comes from.
    #[serde(default)]
    pub time: Time,
    /// What to do about a cluster on first boot.
    pub cluster: ClusterIntent,
    /// Set where this node installs further machines by network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provision: Option<Provision>,
    /// The boot drives chosen at install, in order: index 0, then 1.
    #[serde(default)]
    pub disks: Vec<BootDisk>,
}

/// Who may administer the node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Argon2id hash in PHC string format of the password of user `admin` on API and console.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    /// Public keys in authorized_keys(5) format that may log in as root by ssh; none: sshd is off.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh_keys: Vec<String>,
}

/// Where the time comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Time {
    /// NTP servers; none: Debian's pool.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ntp: Vec<String>,
}

/// What to do about a cluster on first boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ClusterIntent {
    /// Be the first node of a new cluster.
    Create {
        /// The cluster's name, one DNS label.
        name: String,
    },
    /// Join an existing cluster.
    Join {
        /// `https://address:port` of nodes to ask, tried in order.
        masters: Vec<String>,
        /// SHA-256 of the cluster CA certificate (DER), 64 lower-case hex digits: who the master must prove to be.
        ca_sha256: String,
        /// What proves that this node was invited: a one-time secret, or a whole join token. Empty once it was used.
        secret: String,
    },
    /// Wait until a person gives it a join token.
    Wait,
}

/// How this node installs further machines by network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provision {
    /// First address handed out by DHCP; must lie in the subnet of the first interface's first address.
    pub pool_start: Ipv4Addr,
    /// Last address handed out.
    pub pool_end: Ipv4Addr,
    /// Default router told to machines; none is told where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router: Option<Ipv4Addr>,
}

/// A boot drive as it was chosen at install.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootDisk {
    /// Serial number as the drive reports it; empty when it reports none.
    pub serial: String,
    /// Model as the drive reports it.
    pub model: String,
    /// Size in bytes.
    pub size: u64,
}
