//! The members of the cluster and how they are, as the node that is asked sees them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A member, or one that was. An entry of [`crate::NODES`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeInfo {
    /// Its id.
    pub id: String,
    /// Host name.
    pub name: String,
    /// Its address on the cluster's network.
    pub address: String,
    /// Where its API is reached.
    pub url: String,
    /// Whether it is there.
    pub state: NodeState,
    /// Since when; where that was before the asked node started, when that started.
    pub since: u64,
    /// Why it is said to be so, in words for a person.
    pub why: String,
    /// Version of the release it runs.
    pub version: String,
    /// Tasks that run or wait to, averaged over a minute (the kernel's load); absent where it has not said.
    #[serde(default)]
    pub load: Option<f64>,
    /// Memory in use, percent; absent where it has not said.
    #[serde(default)]
    pub memory: Option<u8>,
    /// Its boot drives; absent where it has not said.
    #[serde(default)]
    pub boot: Option<BootHealth>,
    /// Whether it reaches a quorum of the record; absent where it has not said.
    #[serde(default)]
    pub quorum: Option<bool>,
    /// When it was last heard saying these; absent where it was not.
    #[serde(default)]
    pub heard: Option<u64>,
    /// Whether it votes in the record.
    pub voter: bool,
    /// Whether it leads.
    pub leader: bool,
    /// Labels.
    pub roles: Vec<String>,
    /// Whether it is the node that was asked.
    pub own: bool,
    /// Set while it is in maintenance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<InMaintenance>,
}

/// That a member is in maintenance: it leaves to others what they can do as well, and may be away without notice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InMaintenance {
    /// Why, as who set it said; may be empty.
    pub reason: String,
    /// Since when.
    pub since: u64,
    /// Who set it.
    pub by: String,
}

/// Whether a member is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// It answers.
    Ready,
    /// Something speaks against it: see why.
    Suspect,
    /// It does not answer anybody.
    Unreachable,
    /// It is a member no longer.
    Removed,
}

/// Whether each boot drive of a node alone would start it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BootHealth {
    /// It would, or the node was made for one drive and that one is whole.
    Whole,
    /// One fault more, and the node may not start.
    Degraded,
}
