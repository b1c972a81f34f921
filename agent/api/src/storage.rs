//! Storage of the cluster: how much there is of each class, where, and what is wrong with it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::alarm::Alarm;
use crate::node::LocalPool;
use crate::volumes::{Class, HealthState};

/// Share of a pool, percent, from which on a person is warned.
pub const WARN_PERCENT: u8 = 80;
/// Share from which on no further volume is put there, and the alarm is critical.
pub const CRITICAL_PERCENT: u8 = 95;

/// Answer of [`crate::STORAGE`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Storage {
    /// Every class, also those that cannot be used yet.
    pub classes: Vec<ClassStorage>,
    /// What is wrong, the worst first.
    pub alarms: Vec<StorageAlarm>,
}

/// Storage of one class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClassStorage {
    /// Which.
    pub class: Class,
    /// Whether volumes of it can be made.
    pub available: bool,
    /// Why not; empty where they can.
    pub why: String,
    /// Bytes in all.
    pub capacity: u64,
    /// Bytes in use.
    pub used: u64,
    /// Bytes that its volumes may come to use: the sum of their sizes. More than there is may be promised.
    pub promised: u64,
    /// How many volumes there are.
    pub volumes: u64,
    /// How the worst of them is; absent where there are none.
    #[serde(default)]
    pub worst: Option<HealthState>,
    /// When it is called full.
    pub thresholds: Thresholds,
    /// What of it is where.
    pub nodes: Vec<NodeStorage>,
}

/// When storage is called full, percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "StorageThresholds")]
pub struct Thresholds {
    /// A person is warned.
    pub warn: u8,
    /// The alarm is critical, and no further volume is put there.
    pub critical: u8,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { warn: WARN_PERCENT, critical: CRITICAL_PERCENT }
    }
}

/// Storage for local volumes on one node, as it says itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NodeStorage {
    /// Its id.
    pub id: String,
    /// Its host name.
    pub name: String,
    /// When it said so last.
    pub told: u64,
    /// Whether the pool can be used.
    pub pool: LocalPool,
    /// Bytes in all.
    pub capacity: u64,
    /// Bytes in use.
    pub used: u64,
    /// Bytes by which the pool may still grow by itself.
    pub growable: u64,
    /// Bytes that its volumes may come to use.
    pub promised: u64,
    /// Volumes on it.
    pub volumes: u64,
    /// Snapshots on it.
    pub snapshots: u64,
    /// Most volumes and snapshots together that it can have; 0 where that is not known.
    pub most: u64,
    /// Share in use, hundredths of a percent.
    pub used_share: u16,
    /// Share of the pool's own tables in use, hundredths of a percent: a pool whose tables are full is full.
    pub metadata_share: u16,
    /// Whether it takes writes to new places.
    pub mode: PoolMode,
    /// Why it cannot be seen how pool and volumes are; empty: it can. Numbers are of before then.
    pub unseen: String,
    /// How often each byte is kept.
    pub copies: Copies,
    /// Volumes and snapshots on the node that the cluster knows nothing of: the first of them. They are left alone.
    pub unknown: Vec<String>,
    /// How many of them there are.
    pub unknown_count: u64,
}

impl NodeStorage {
    /// How many volumes and snapshots it has that the cluster knows nothing of; an earlier release gave their names alone.
    #[must_use]
    pub fn unknown_in_all(&self) -> u64 {
        self.unknown_count.max(u64::try_from(self.unknown.len()).unwrap_or(u64::MAX))
    }
}

/// What a pool takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PoolMode {
    /// Not known.
    #[default]
    Unknown,
    /// Reads and writes.
    Writable,
    /// Writes to places that were never written fail: there is no room.
    Full,
    /// No writes: its tables are full or damaged.
    ReadOnly,
    /// Nothing.
    Failed,
}

/// How often each byte of a pool is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Copies {
    /// How often it should be.
    pub wanted: u32,
    /// How often it is.
    pub have: u32,
    /// Whether what is missing is being copied.
    pub rebuilding: bool,
}

/// Something that is wrong with storage, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StorageAlarm {
    /// Host name of the node; empty: the cluster.
    pub node: String,
    /// What.
    #[serde(flatten)]
    pub alarm: Alarm,
}
