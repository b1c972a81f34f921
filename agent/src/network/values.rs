//! What lies in the record.

use maekin_rootfs::node::Network;
use serde::{Deserialize, Serialize};

use super::trial::{Origin, Phase};

/// A node's network, as it says itself. Written by that node alone, under its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NetworkValue {
    /// What is applied.
    pub(crate) network: Network,
    /// The address that peers are told; empty while there is none.
    pub(crate) address: String,
    /// The last trial.
    pub(crate) trial: Option<TrialValue>,
}

/// A trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TrialValue {
    pub(crate) id: String,
    pub(crate) generation: u64,
    pub(crate) origin: Origin,
    /// What it changes, in words.
    pub(crate) changes: Vec<String>,
    pub(crate) began: u64,
    /// Until when it can be confirmed, by the node's wall clock as it was then; for people.
    pub(crate) until: u64,
    pub(crate) phase: Phase,
}

/// What a person says to a trial, from wherever. Written by the node that was asked, read by the one that tries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VerdictValue {
    /// Which trial.
    pub(crate) id: String,
    /// Whether the network is to stay.
    pub(crate) confirmed: bool,
    pub(crate) by: String,
    pub(crate) at: u64,
}
