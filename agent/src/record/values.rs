//! What lies in the record. Times are seconds since 1970. Fields may be added with a default, never change meaning.

use std::net::Ipv4Addr;

use maekin_api::install::Progress;
use serde::{Deserialize, Serialize};

/// The cluster itself. Written once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClusterValue {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) ca_sha256: String,
    pub(crate) created_at: u64,
}

/// A member, written by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeValue {
    pub(crate) id: String,
    pub(crate) name: String,
    /// On the cluster's network.
    pub(crate) address: String,
    pub(crate) url: String,
    pub(crate) version: String,
    pub(crate) key_sha256: String,
    pub(crate) joined_at: u64,
    /// Its hardware address on the cluster's network; empty where it is not known.
    pub(crate) mac: String,
    /// Where its voter of the record is reached; empty where it runs none.
    pub(crate) record_url: String,
    /// Holds the CA's key, and so can sign members in.
    pub(crate) signer: bool,
    /// SMBIOS UUID of its machine, lower case; empty where the firmware tells none.
    #[serde(default)]
    pub(crate) machine: String,
}

/// A person's wish that a member's machine be installed anew, as that member. Used once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AgainValue {
    /// The member.
    pub(crate) id: String,
    pub(crate) until: u64,
}

/// A member whose machine was installed anew: its key and certificate are nobody's any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReplacedValue {
    pub(crate) name: String,
    /// Id of the new member.
    pub(crate) by: String,
    pub(crate) at: u64,
}

/// A node's sign of life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AliveValue {
    /// Since when without a break.
    pub(crate) since: u64,
}

/// The install window. Absent: closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WindowValue {
    pub(crate) until: u64,
    pub(crate) left: u32,
}

/// One installation of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TicketValue {
    pub(crate) ticket: String,
    pub(crate) hostname: String,
    pub(crate) mac: String,
    pub(crate) uuid: Option<String>,
    /// The address that the machine keeps on the cluster's network.
    pub(crate) address: Option<Ipv4Addr>,
    /// The join secret, until it was used.
    pub(crate) secret: Option<String>,
    pub(crate) progress: Progress,
    pub(crate) created_at: u64,
    pub(crate) updated_at: u64,
    /// What the installer left, as it told it.
    #[serde(default)]
    pub(crate) receipt: serde_json::Value,
    /// Id of the member whose place the machine takes.
    #[serde(default)]
    pub(crate) replaces: Option<String>,
}

impl TicketValue {
    /// Whether the machine is installed, so that it boots from its disk.
    pub(crate) fn retired(&self) -> bool {
        matches!(self.progress, Progress::Installed | Progress::Joined)
    }
}

/// A join secret, under its SHA-256: the record cannot be read for secrets that were handed to persons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InviteValue {
    pub(crate) expires: u64,
    /// The installation it belongs to.
    pub(crate) ticket: Option<String>,
    /// Who used it.
    pub(crate) used: Option<UsedBy>,
}

/// Who used a join secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UsedBy {
    pub(crate) node_id: String,
    pub(crate) key_sha256: String,
}

/// A machine that asked to boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MachineValue {
    pub(crate) mac: String,
    pub(crate) uuid: Option<String>,
    pub(crate) arch: u16,
    pub(crate) first_seen: u64,
    pub(crate) last_seen: u64,
}
