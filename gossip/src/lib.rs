//! Who is there: membership and liveness of a cluster by gossip, at a cost per node that does not grow with the cluster.
//!
//! SWIM with suspicion (Das, Gupta, Motivala: SWIM, DSN 2002) as the crate `foca` has it: every node asks one other node
//! a period whether it is there; one that does not answer, neither directly nor through others, is suspected, and dead
//! when it does not object in time. Around it: packets that only members can make and that nobody can play again, what
//! each node says of itself, and ways back in after every kind of absence.
//!
//! Nothing here opens a socket, reads a clock, or draws randomness but from the seed it was given: time is a duration
//! since a moment of the caller's, packets come and go as bytes. It believes members (they hold the cluster's key) and
//! nobody else, and it never keeps more than a bounded table of them.
//!
//! | module | job |
//! | --- | --- |
//! | [`node`] | one node's part: packets in, packets out, who is there |
//! | [`peer`] | who a node is |
//! | [`status`] | what a node says of itself |
//! | [`codec`] | how `foca`'s messages are written |
//! | [`seal`] | what makes a packet a member's, and new |
//! | [`sim`] | a cluster on paper: loss, delay, partitions, deaths |
//! | `timers` | what is due when |
//! | `spread` | which news of others go along |

pub mod codec;
pub mod node;
pub mod peer;
pub mod seal;
pub mod sim;
mod spread;
pub mod status;
mod timers;

pub use node::{Counters, Event, Gossip, Identity, Liveness, PeerView};
pub use peer::NodeId;
pub use seal::MAX_PACKET;
pub use status::{BootHealth, Status};
