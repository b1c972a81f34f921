//! The cluster and its members.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::install::WindowState;
use crate::nodes::InMaintenance;

/// Answer of [`crate::CLUSTER`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cluster {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// SHA-256 of its CA certificate (DER), 64 lower-case hex digits.
    pub ca_sha256: String,
    /// When it was made.
    pub created_at: u64,
    /// Its members, by name.
    pub nodes: Vec<Member>,
    /// Whether machines are let in.
    pub install_window: WindowState,
    /// Id of the member that leads: it gives addresses and decides what machines boot. Absent while none does.
    #[serde(default)]
    pub leader: Option<String>,
    /// A change of its CA that is under way, or due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_change: Option<CaChange>,
}

/// A change of the cluster's CA, as after every removal of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaChange {
    /// How far it is.
    pub phase: CaChangePhase,
    /// Since when.
    pub since: u64,
    /// SHA-256 of the CA that comes, or while the change is due, of the one that there is.
    pub new_sha256: String,
    /// Names of the members that have not followed yet. Those that are away are waited for ten minutes.
    pub waits_for: Vec<String>,
}

/// How far a change of the CA is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CaChangePhase {
    /// It has not begun: the sealing key is changed first, or a member runs a release that does not follow.
    Due,
    /// Members trust both CAs.
    Trust,
    /// Members get certificates of the new one.
    Issue,
    /// The old one is trusted no longer.
    Drop,
}

/// A member of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// Host name.
    pub name: String,
    /// Its address on the cluster's network.
    pub address: String,
    /// Where its API is reached.
    pub url: String,
    /// Whether it is there.
    pub state: MemberState,
    /// Version of the release it runs.
    pub version: String,
    /// Whether it votes in the record.
    pub voter: bool,
    /// When it joined.
    pub joined_at: u64,
    /// SHA-256 of its public key (SubjectPublicKeyInfo, DER), 64 lower-case hex digits.
    pub key_sha256: String,
    /// Labels that it was let in with.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Set while it is in maintenance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<InMaintenance>,
}

/// Whether a member is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MemberState {
    /// It renews its sign of life.
    Ready,
    /// Its sign of life has run out.
    Unreachable,
}
