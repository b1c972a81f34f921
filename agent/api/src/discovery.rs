//! Nodes that were heard by multicast DNS (`_maekin._tcp`, RFC 6762 and 6763) on the wires of the node that is asked.
//! Anybody on a wire can say all of this: what counts is the code that a person compares.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A node that was heard. The list of them is the answer of `GET` [`crate::DISCOVERED`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Discovered {
    /// The first 12 digits of its id.
    pub id: String,
    /// Host name.
    pub name: String,
    /// Whether it waits to be let in.
    pub state: DiscoveredState,
    /// Version of the release it runs.
    pub release: String,
    /// Where its API is, `address:port`: where it was heard from.
    pub addresses: Vec<String>,
    /// On which interface of the member.
    pub interface: String,
    /// Of a member, its cluster's name; else empty.
    pub cluster: String,
    /// Of a member, the first 16 digits of its cluster's CA; else empty.
    pub ca: String,
    /// When it was heard first.
    pub since: u64,
    /// When it was heard last.
    pub last: u64,
    /// Host name of the node that heard it.
    pub by: String,
}

/// What a node is that was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DiscoveredState {
    /// It waits to be let into a cluster.
    Waiting,
    /// It is a member of another cluster.
    Member,
}
