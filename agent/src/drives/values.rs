//! What lies in the record. Times are seconds since 1970; 0 is never. Fields may be added with a default.

use std::collections::BTreeMap;

use maekin_api::drives::{Drive, DrivePolicy};
use serde::{Deserialize, Serialize};

/// The drives of a node, written by that node alone, under its id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct DrivesValue {
    pub(crate) drives: Vec<Drive>,
    /// The start of the machine that it was told in, as the kernel names it: a consent counts until the next.
    pub(crate) boot: String,
}

/// What people want of a drive, under its id. Written by whichever node was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct WishValue {
    /// Which drive.
    pub(crate) drive: String,
    /// Id of the node that it was in when that was said: in another one it means nothing.
    pub(crate) node: String,
    /// What on it may be lost.
    pub(crate) consent: Option<ConsentValue>,
    /// It shall be emptied.
    pub(crate) retire: Option<RetireValue>,
}

/// Somebody consented to the loss of what a token stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ConsentValue {
    pub(crate) token: String,
    pub(crate) by: String,
    pub(crate) at: u64,
    /// The start of the machine that it counts in; empty where the member that was asked did not know it.
    pub(crate) boot: String,
}

/// Somebody wants a drive emptied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RetireValue {
    pub(crate) by: String,
    pub(crate) at: u64,
    pub(crate) reason: String,
    /// When it was.
    pub(crate) done: u64,
}

/// What nodes do by themselves about drives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PolicyValue {
    pub(crate) drives: DrivePolicy,
    /// Other than that, by the id of the node.
    pub(crate) nodes: BTreeMap<String, DrivePolicy>,
}

impl PolicyValue {
    /// That of a node.
    pub(crate) fn of(&self, node: &str) -> DrivePolicy {
        self.nodes.get(node).copied().unwrap_or(self.drives)
    }
}
