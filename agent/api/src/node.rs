//! One node about itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::alarm::Alarm;
use crate::boot_drives::BootDrives;
use crate::nodes::InMaintenance;
use crate::storage::NodeStorage;
use crate::tasks::UnderWay;

/// Answer of [`crate::NODE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    /// Its id, the same for as long as it is installed.
    pub id: String,
    /// Host name.
    pub name: String,
    /// Version of the release it runs.
    pub version: String,
    /// Which kind of key signed that release: `release` or `throw-away`.
    pub key: String,
    /// System slot it booted from: `a` or `b`.
    pub slot: String,
    /// `bios` or `uefi`.
    pub firmware: String,
    /// Whether Secure Boot was on when it started; absent where the firmware does not say, as under BIOS.
    #[serde(default)]
    pub secure_boot: Option<bool>,
    /// Where its API is reached: `https://address:port`, the cluster's address first.
    pub urls: Vec<String>,
    /// Addresses with prefix length, by interface.
    pub interfaces: Vec<Interface>,
    /// What it boots from.
    pub boot: Boot,
    /// How its boot drives are; the same as [`crate::NODE_BOOT`].
    #[serde(default)]
    pub boot_drives: BootDrives,
    /// What is wrong with it.
    #[serde(default)]
    pub alarms: Vec<Alarm>,
    /// Local volumes.
    pub local_pool: LocalPool,
    /// The same in full; absent while it is not looked at yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<NodeStorage>,
    /// Membership.
    pub membership: Membership,
    /// Whether it reaches a quorum of the cluster's record.
    #[serde(default)]
    pub quorum: Quorum,
    /// What its install master does.
    #[serde(default)]
    pub install_master: InstallMaster,
    /// Set while it is in maintenance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<InMaintenance>,
    /// Tasks of the cluster that are under way, the oldest first; at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<UnderWay>,
    /// Seconds since the kernel started.
    pub uptime_s: u64,
    /// The node's clock.
    pub time: u64,
}

/// Whether a node reaches a quorum of its cluster's record. One that is cut off goes on with what runs on it alone, and
/// has stopped what must not run twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Quorum {
    /// Not known yet: it is no member, or has just started.
    #[default]
    Unknown,
    /// It does.
    Reached,
    /// It does not.
    CutOff {
        /// Since when, seconds since 1970.
        since: u64,
    },
}

/// The part of a node's install master.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InstallMaster {
    /// Another node's gives addresses; this one serves files.
    #[default]
    Standby,
    /// This node leads, and its install master does not answer machines yet.
    Starting,
    /// It answers machines that boot from the network.
    Serving,
}

/// A network interface as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "NodeInterface")]
pub struct Interface {
    /// Kernel name.
    pub name: String,
    /// Hardware address, lower case; empty where it has none.
    pub mac: String,
    /// Whether it has a carrier.
    pub up: bool,
    /// Addresses with prefix length; link-local ones are left out.
    pub addresses: Vec<String>,
}

/// What a node boots from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "NodeBoot")]
pub struct Boot {
    /// The boot drives chosen at install.
    pub disks: Vec<Disk>,
    /// The mirrors on them.
    pub arrays: Vec<Array>,
}

/// A boot drive as it was at install.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "NodeDisk")]
pub struct Disk {
    /// Serial number.
    pub serial: String,
    /// Model.
    pub model: String,
    /// Bytes.
    pub size: u64,
}

/// A mirror as the kernel has it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "NodeArray")]
pub struct Array {
    /// e.g. `maekin-state`.
    pub name: String,
    /// How many halves it should have.
    pub wanted: u32,
    /// How many of them it has, in sync.
    pub in_sync: u32,
    /// What it does, e.g. `idle`, `recover`.
    pub action: String,
}

impl Array {
    /// Whether a half is missing or not in sync.
    #[must_use]
    pub fn degraded(&self) -> bool {
        self.in_sync < self.wanted
    }
}

/// Storage for local volumes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum LocalPool {
    /// Not looked at yet.
    #[default]
    Pending,
    /// Ready for volumes.
    Ready {
        /// Bytes in all.
        size: u64,
    },
    /// Cannot be used.
    Failed {
        /// Why.
        reason: String,
    },
}

/// Where a node stands on its way into a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Membership {
    /// On the way.
    Working {
        /// What it does or waits for.
        step: String,
        /// Why the last try failed; empty at first.
        last_error: String,
    },
    /// A member.
    Member {
        /// Id of the cluster.
        cluster_id: String,
        /// Its name.
        cluster: String,
    },
}
