//! What lies in the record. Times are seconds since 1970. Fields may be added with a default, never change meaning.

use std::collections::BTreeMap;

use maekin_api::settings::Condition;
use maekin_api::volumes::{Class, Limits};
use serde::{Deserialize, Serialize};

/// How a volume shall be. Lies under its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VolumeValue {
    /// 32 hex digits; engines know it by this.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) class: Class,
    /// Bytes.
    pub(crate) size: u64,
    /// Ids of the nodes that shall have it.
    pub(crate) nodes: Vec<String>,
    /// Ids of the nodes that may have something of it. The value is removed with the last of them.
    pub(crate) holders: Vec<String>,
    #[serde(default)]
    pub(crate) limits: Limits,
    #[serde(default)]
    pub(crate) origin: Option<OriginValue>,
    /// The oldest first.
    #[serde(default)]
    pub(crate) snapshots: Vec<SnapshotValue>,
    #[serde(default)]
    pub(crate) attachment: Option<AttachmentValue>,
    /// The token of the last attachment there was.
    #[serde(default)]
    pub(crate) fence: u64,
    /// One more with everything that is asked of it.
    pub(crate) generation: u64,
    pub(crate) created_at: u64,
    pub(crate) by: String,
    #[serde(default)]
    pub(crate) deleting: Option<DeletingValue>,
}

/// What a volume begins with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OriginValue {
    /// Id of the volume.
    pub(crate) id: String,
    /// Its name then.
    pub(crate) name: String,
    /// Id of its snapshot; absent: the volume as it was.
    #[serde(default)]
    pub(crate) snapshot: Option<String>,
    /// The snapshot's name then.
    #[serde(default)]
    pub(crate) snapshot_name: String,
}

/// A snapshot that shall be there, or go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SnapshotValue {
    /// 32 hex digits.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created_at: u64,
    pub(crate) by: String,
    #[serde(default)]
    pub(crate) deleting: bool,
}

/// Who may use a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AttachmentValue {
    /// Id of the node.
    pub(crate) node: String,
    pub(crate) token: u64,
    pub(crate) since: u64,
    pub(crate) by: String,
    #[serde(default)]
    pub(crate) purpose: String,
    /// The node is to give it up.
    #[serde(default)]
    pub(crate) releasing: bool,
}

/// That a volume shall go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeletingValue {
    pub(crate) at: u64,
    pub(crate) by: String,
}

/// A node's part of a volume's status, written by that node. Lies under the volume's name and the node's id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartValue {
    /// Id of the volume.
    pub(crate) volume: String,
    /// Its name.
    pub(crate) name: String,
    /// Id of the node.
    pub(crate) node: String,
    pub(crate) observed_generation: u64,
    /// The node has had it. Never taken back: what is made once is not made anew.
    pub(crate) made: bool,
    /// Bytes that it has.
    #[serde(default)]
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) used: Option<u64>,
    #[serde(default)]
    pub(crate) attached: Option<AttachedValue>,
    /// Snapshots that were made, by id.
    #[serde(default)]
    pub(crate) snapshots: BTreeMap<String, SnapshotPart>,
    pub(crate) conditions: Vec<Condition>,
}

/// The attachment that a node carried out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AttachedValue {
    pub(crate) token: u64,
    pub(crate) device: String,
}

/// A snapshot as its node has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SnapshotPart {
    pub(crate) taken_at: u64,
    #[serde(default)]
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) used: Option<u64>,
    /// It was there, and is not any more.
    #[serde(default)]
    pub(crate) lost: bool,
}

impl VolumeValue {
    /// The attachment of that node.
    pub(crate) fn attached_to(&self, node: &str) -> Option<&AttachmentValue> {
        self.attachment.as_ref().filter(|attachment| attachment.node == node)
    }
}
