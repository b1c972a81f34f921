//! Word of what changes in the cluster, as server-sent events (the HTML standard, section 9.2).
//!
//! Whoever wants to know of something first opens the watch, and reads it once [`READY`] has come: so nothing falls in
//! between. What was changed is named, not told: read it again. The id of an event, sent back as `Last-Event-ID`, goes
//! on behind it; where that is too long ago, [`RESET`] comes, and everything is to be read anew.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Name of the first event: from here on, every change is told. Its data is a [`Mark`].
pub const READY: &str = "ready";
/// Name of the event of a change; its data is a [`Change`].
pub const CHANGE: &str = "change";
/// Name of the event after changes that are not known any more; its data is a [`Mark`].
pub const RESET: &str = "reset";
/// Name of the event after which the node ends the stream, since it does not hear of changes any more; its data is a
/// [`crate::problem::Problem`].
pub const LOST: &str = "lost";

/// Kind of the nodes that were heard on the wires of the asked node. Events of this kind and the next two are of this
/// node alone: they have no id, and are not told again.
pub const DISCOVERED: &str = "discovered";
/// Kind of the pairings of the asked node.
pub const PAIRINGS: &str = "pairings";
/// Kind of the record as a store. Names say what of it: `voters` (also when a learner gets its vote), `leader`, `quorum`,
/// `restored`, `backups`, `alarms`.
pub const RECORD: &str = "record";

/// Something was made, changed or deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "WatchChange")]
pub struct Change {
    /// Which kind of thing, e.g. `nodes`.
    pub kind: String,
    /// Which of them; empty where there is only one.
    pub name: String,
    /// Whether it is gone.
    pub deleted: bool,
    /// Revision of the record.
    pub revision: i64,
}

/// A place in the order of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "WatchMark")]
pub struct Mark {
    /// Revision of the record.
    pub revision: i64,
}
