//! A node's network as it is, and the trial of another one.

use maekin_rootfs::node::Network;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Over the node's own socket alone. `GET` [`NodeNetwork`]: this node's; `PUT` [`SetNetwork`]: try another one on it, also
/// while it reaches no quorum.
pub const OWN: &str = "/v1/node/network";

/// Answer of [`crate::NODE_NETWORK`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeNetwork {
    /// The member's name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// The address that peers are told; empty while there is none.
    pub address: String,
    /// What is applied.
    pub network: Network,
    /// The last trial; absent: there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
}

/// The trial of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "NetworkTrial")]
pub struct Trial {
    /// Which generation of the settings is tried: their `network_generation`.
    pub generation: u64,
    /// Whether it was begun at the node itself, and not by its settings.
    pub at_node: bool,
    /// How far it is.
    pub state: TrialState,
    /// What it changes, in words.
    pub changes: Vec<String>,
    /// When it began.
    pub began: u64,
    /// While it is under way: how long it can be confirmed. The network before is put back at the end of that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
    /// When it came to where it is.
    pub at: u64,
    /// Why it is over, in words; empty while it is not.
    pub why: String,
}

/// How far the trial of a network is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "NetworkTrialState")]
#[serde(rename_all = "kebab-case")]
pub enum TrialState {
    /// It is under way: the network is applied, and goes back unless somebody confirms it.
    #[default]
    Trying,
    /// It is the node's network.
    Confirmed,
    /// The one before is the node's network again.
    Reverted,
}

/// Body of `POST` [`crate::NODE_NETWORK_CONFIRM`] and [`crate::NODE_NETWORK_REVERT`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DecideNetwork")]
#[serde(deny_unknown_fields, default)]
pub struct Decide {
    /// Which generation is meant; absent: whichever is tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
}

/// Body of `PUT` [`OWN`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetNetwork {
    /// The network to try.
    pub network: Network,
}
