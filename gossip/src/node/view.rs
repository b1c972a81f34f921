//! What a node is told, and what it tells.

use std::net::SocketAddr;
use std::time::Duration;

use crate::peer::NodeId;
use crate::status::Status;

/// Who a node is when it starts.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    /// The cluster's id.
    pub cluster: [u8; 16],
    /// The node's.
    pub id: NodeId,
    /// Greater than at every start before, by 2^20 at least; below 2^48. Milliseconds since 1970 serve.
    pub generation: u64,
    /// Where the others reach it.
    pub address: SocketAddr,
}

/// Whether a node is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It answers.
    Alive,
    /// It did not answer somebody, and has not objected yet.
    Suspect,
    /// It did not object in time.
    Dead,
}

/// Another node, as it is seen from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerView {
    /// Who.
    pub id: NodeId,
    /// Where it said that it is reached.
    pub address: SocketAddr,
    /// Which of its lives.
    pub generation: u64,
    /// Whether it is there.
    pub liveness: Liveness,
    /// Since when, on the caller's clock.
    pub since: Duration,
    /// What it said of itself last, and when that got here.
    pub status: Option<(Status, Duration)>,
}

/// Something happened to another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It is there.
    Up(NodeId),
    /// It is not.
    Down(NodeId),
}

/// What was counted since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets sent, and their bytes without the headers of UDP and IP.
    pub sent: u64,
    /// Bytes of them.
    pub sent_bytes: u64,
    /// Packets taken.
    pub received: u64,
    /// Bytes of them.
    pub received_bytes: u64,
    /// Refused: no packets of ours.
    pub malformed: u64,
    /// Refused: not sealed by a member of this cluster for this node.
    pub strangers: u64,
    /// Refused: sent before.
    pub replayed: u64,
    /// Refused: from a member that was removed.
    pub removed: u64,
    /// Refused: sealed well, and yet not to be understood.
    pub misunderstood: u64,
    /// How often we were taken for dead and came back.
    pub buried: u64,
}
