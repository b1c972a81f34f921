//! Pairing: a node that waits is let in by a person who compares a code of six digits on its console and on a member's.
//!
//! The waiting node commits to a random number before it hears the member's, and shows its own only afterwards; the code
//! is made of both, of the node's key and of the cluster's CA. Whoever sits in between has a key or a CA of his own in it,
//! and has to choose his numbers before he knows the other side's: he cannot make the two codes the same, but by guessing,
//! once in a million tries, and each try is a new pairing that a person has to fall for. After a yes on both sides the
//! member sends a join token for one use, over TLS to exactly the node's key; the rest is [`super::tokens`].
//!
//! | module | job |
//! | --- | --- |
//! | [`code`] | commitment and code |
//! | [`waiting`] | the side of the node that waits |
//! | [`inviting`] | the side of the member |
//! | [`talk`] | who says what to whom |

pub(crate) mod code;
pub(crate) mod inviting;
pub(crate) mod talk;
pub(crate) mod waiting;

use maekin_rootfs::node::ClusterIntent;

use crate::app::App;
use crate::membership;

/// How long a pairing may take, seconds: then it is forgotten.
pub(crate) const LIFE: u64 = 300;
/// Least time between the beginnings of two pairings of a node, seconds: what bounds guessing.
pub(crate) const PAUSE: u64 = 10;

/// Whether this node waits to be let into a cluster by a person: it never was a member since it was installed, it was not
/// told to make a cluster of its own, and where it was told which one to join, that did not work yet.
pub(crate) fn waits(app: &App) -> bool {
    let never = || membership::cluster_id(app).is_ok_and(|id| id.is_none());
    let told = match &app.config.cluster {
        ClusterIntent::Wait => true,
        ClusterIntent::Join { .. } => app.joining_failed(),
        ClusterIntent::Create { .. } => false,
    };
    told && app.member().is_err() && never()
}

/// A pairing does not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PairingError {
    /// Another one is under way, or was a moment ago.
    #[error("another pairing of this node is under way; deny it at its console, or try again in {0} s")]
    Busy(u64),
    /// There is none with which that would fit.
    #[error("there is no pairing that waits for this; begin again")]
    OutOfTurn,
    /// What was shown is not what was committed to.
    #[error(
        "the node shows another number than it committed to: somebody may be in between; nothing was let in"
    )]
    Commitment,
    /// Something is no random number, digest or name.
    #[error("{0} is not what it should be")]
    Malformed(&'static str),
    /// There is no such code.
    #[error(
        "there is no pairing with the code {0}; do the codes on both consoles differ, somebody is in between: deny it"
    )]
    NoCode(String),
    /// No person has said yes on this side.
    #[error("the code was not approved at this node's console yet")]
    NotApproved,
    /// The token is for another cluster than the code.
    #[error("the token that came is for another cluster than the one that was approved; nothing was joined")]
    OtherCluster,
}

#[cfg(test)]
mod agents;
#[cfg(test)]
mod tests;
