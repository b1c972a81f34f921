//! The cluster's record as a store: who votes, how large it is, what is kept of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::alarm::Alarm;

/// Answer of [`crate::RECORD`]. Given also where the record gives none: then with what is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// Whether a quorum of its voters answers the asked node now.
    pub quorum: bool,
    /// Why not; empty where one does.
    pub problem: String,
    /// Its revision: each change adds one. 0 where it is not known.
    pub revision: i64,
    /// Id of the node whose voter leads the others; absent while none does.
    pub leader: Option<String>,
    /// Its voters, and the one that is being made one.
    pub voters: Vec<Voter>,
    /// Most bytes that it may take before it refuses writes.
    pub quota: u64,
    /// What is wrong with it, and with the asked node's copies of it.
    pub alarms: Vec<Alarm>,
    /// The copies that the asked node keeps.
    pub backups: Backups,
    /// When it was last put back from a copy; absent where it never was.
    #[serde(default)]
    pub restored: Option<Restored>,
}

/// A voter of the record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Voter {
    /// Its id in the record, 16 hex digits.
    pub id: String,
    /// Id of its node; empty until it was started.
    pub node: String,
    /// Host name of its node, where it is known.
    pub name: String,
    /// Where the other voters reach it.
    pub url: String,
    /// It copies the record, and has no vote.
    pub learner: bool,
    /// How it is, as it says itself; absent where it gave no answer to the asked node.
    pub state: Option<VoterState>,
}

/// How a voter is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VoterState {
    /// Version of etcd.
    pub version: String,
    /// Bytes of its file.
    pub size: u64,
    /// Bytes of these that hold something.
    pub used: u64,
    /// How far its log was carried out.
    pub applied: u64,
    /// What it says is wrong with it.
    pub errors: Vec<String>,
}

/// Copies of the record that a node keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Backups {
    /// The newest first.
    pub kept: Vec<Backup>,
    /// When the record was last found to be as the newest of them, or the newest was made; absent: never.
    pub current_at: Option<u64>,
    /// Why the last try failed; empty where it did not.
    pub problem: String,
}

/// One copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Backup {
    /// Where it lies on the node.
    pub file: String,
    /// When it was made, by the node's clock.
    pub at: u64,
    /// The record's revision then, or a little later.
    pub revision: i64,
    /// Bytes.
    pub size: u64,
}

/// A record that was put back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Restored {
    /// How many times it was.
    pub count: u64,
    /// When the last time.
    pub at: u64,
    /// Id of the node.
    pub by: String,
    /// From what.
    pub source: String,
    /// Where that node's voter is asked for the record; empty where it has none any more.
    #[serde(default)]
    pub url: String,
}
