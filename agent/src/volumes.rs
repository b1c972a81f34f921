//! Volumes: what people ask for in the record, and the nodes that have them made to follow.
//!
//! A volume is one value in the record: how it shall be, which nodes have something of it, who may use it. Each of those
//! nodes observes its engine, plans (pure), applies, and observes again; what it found is its part of the volume's status.
//! Nothing is made twice and nothing is made anew in place of what was lost: a node that once said that it has a volume,
//! and does not find it, says that it is lost. A volume is gone when every node that had something of it says so; until
//! then its value stays, whoever asked for its end.
//!
//! One node at a time may use a volume: it has the attachment, given by compare-and-swap with a token that grows. It is
//! given up by the node itself, or without its word when its sign of life is gone from the record. A node that does not
//! reach a quorum attaches nothing; what is attached stays so.
//!
//! | module | job |
//! | --- | --- |
//! | [`values`] | what lies in the record |
//! | [`check`] | which names, sizes and limits can be used (pure) |
//! | [`edit`] | what a request makes of a volume (pure) |
//! | [`place`] | which node gets a new one (pure) |
//! | [`store`] | volumes in the record: read, changed by compare-and-swap |
//! | [`engine`] | the seam: what an engine sees and does |
//! | [`plan`] | what is to be done on this node, and what is to be said of it (pure) |
//! | [`reconcile`] | the loop |
//! | [`tell`] | a node's part of a volume's status, and what the record may forget |
//! | [`view`] | a volume as the API tells it; its health in words (pure) |
//! | [`routes`] | what can be asked |

pub(crate) mod check;
pub(crate) mod edit;
pub(crate) mod engine;
pub(crate) mod place;
pub(crate) mod plan;
pub(crate) mod reconcile;
pub(crate) mod routes;
pub(crate) mod store;
mod tell;
pub(crate) mod values;
pub(crate) mod view;

#[cfg(test)]
mod tests;

use crate::record::RecordError;

/// A volume could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VolumeError {
    /// The record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// It cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// There is none of that name.
    #[error("there is no volume {0}; `GET /v1/volumes` lists them")]
    NoVolume(String),
    /// There is no such snapshot.
    #[error("volume {volume} has no snapshot {snapshot}; `GET /v1/volumes/{volume}/snapshots` lists them")]
    NoSnapshot {
        /// The volume.
        volume: String,
        /// What was asked for.
        snapshot: String,
    },
    /// There is no such member.
    #[error("node: no member has the name or id {0}; `GET /v1/nodes` lists them")]
    NoNode(String),
    /// The name is taken.
    #[error("there is a {what} {name} already{}; choose another name", if *going { ", which is being deleted" } else { "" })]
    Exists {
        /// What has it.
        what: &'static str,
        /// The name.
        name: String,
        /// Whether that one is on its way out.
        going: bool,
    },
    /// This release has no engine for the class.
    #[error("class: this release cannot make volumes of class {0}; there is: local")]
    NoEngine(&'static str),
    /// Nothing would hold it to that.
    #[error(
        "limits: this release cannot hold volumes of any class to limits, so it takes none; leave them out"
    )]
    NoLimits,
    /// No node can take it.
    #[error("{0}")]
    NoRoom(String),
    /// It cannot be made smaller.
    #[error(
        "size: {name} has {now} bytes, and a volume never shrinks: {wanted} are fewer; make another one, and copy"
    )]
    Shrinks {
        /// The volume.
        name: String,
        /// Its size.
        now: u64,
        /// What was asked for.
        wanted: u64,
    },
    /// It is on its way out.
    #[error("volume {0} is being deleted; it takes no change any more")]
    Deleting(String),
    /// Somebody uses it.
    #[error("volume {name} is attached to {node} (token {token}); {remedy}")]
    Attached {
        /// The volume.
        name: String,
        /// The node.
        node: String,
        /// The attachment.
        token: u64,
        /// What to do.
        remedy: &'static str,
    },
    /// There is another attachment than the one that was meant.
    #[error("volume {name} is attached with token {now}, and {meant} was meant; read it again")]
    AnotherToken {
        /// The volume.
        name: String,
        /// Its attachment's token.
        now: u64,
        /// What was asked for.
        meant: u64,
    },
    /// The node does not have it.
    #[error("node: volume {name} is not on {node}; a volume of class {class} is attached where it is")]
    NotThere {
        /// The volume.
        name: String,
        /// The node.
        node: String,
        /// Its class.
        class: &'static str,
    },
    /// It has snapshots.
    #[error(
        "volume {name} has {count} snapshots; delete them first, or say `?snapshots=delete` to have all of it gone"
    )]
    HasSnapshots {
        /// The volume.
        name: String,
        /// How many.
        count: usize,
    },
    /// Its node still gives signs of life.
    #[error(
        "force: {0} gives signs of life, so it has to give the volume up itself: detach without force, and end what uses it there"
    )]
    Alive(String),
    /// There are as many as there may be.
    #[error("there are {count} {what}, and no more may be; delete some first")]
    Full {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
    },
    /// Others change it all the time.
    #[error("others change the record at the same time all the time; try again")]
    Contended,
}
