//! Who a node is: its id, where it is reached, and which of its lives this is.

use std::fmt;
use std::net::SocketAddr;

/// A node's id: the bytes of its UUID.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub [u8; 16]);

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Largest generation: it has 6 bytes in packets.
pub const MAX_GENERATION: u64 = (1 << 48) - 1;

/// One life of a node. A later one has a greater generation and takes the place of every earlier one.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// The node.
    pub id: NodeId,
    /// Which of its lives.
    pub generation: u64,
    /// Where it is reached in this life.
    pub address: SocketAddr,
}

// A life has one address; where it is not known (a packet does not say where it was sent to), it is the life that counts.
impl PartialEq for Peer {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.generation == other.generation
    }
}

impl Eq for Peer {}

impl foca::Identity for Peer {
    type Addr = NodeId;

    fn renew(&self) -> Option<Self> {
        (self.generation < MAX_GENERATION).then(|| Self { generation: self.generation + 1, ..*self })
    }

    fn addr(&self) -> NodeId {
        self.id
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.generation > adversary.generation
    }
}
