//! The seam between volumes and what keeps their bytes on this node.
//!
//! An engine says what it has, and does one step at a time. It decides nothing: which steps are to be done is planned from
//! what it sees. Each step may be stopped at any moment, by the end of the agent or of the machine: what was done is seen
//! at the next look, and what was not is planned again. Steps name volumes and snapshots by their ids, 32 hex digits.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use maekin_api::storage::NodeStorage;
use maekin_api::volumes::Class;

/// An engine did not do what it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EngineError {
    /// It cannot do anything yet.
    #[error("{0}")]
    NotReady(String),
    /// It failed.
    #[error("{0}")]
    Failed(String),
}

/// What an engine does, under way.
pub(crate) type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, EngineError>> + Send + 'a>>;

/// A volume as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SeenVolume {
    /// Bytes.
    pub(crate) size: u64,
    /// Bytes in use on drives, where the engine knows.
    pub(crate) used: Option<u64>,
    /// Its device on this node, while it is attached here.
    pub(crate) device: Option<String>,
    /// Whether something on this node has that open.
    pub(crate) open: bool,
}

/// A snapshot as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SeenSnapshot {
    /// Bytes that it shows.
    pub(crate) size: u64,
    /// Bytes in use on drives.
    pub(crate) used: Option<u64>,
}

/// What an engine has on this node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Volumes, by id.
    pub(crate) volumes: BTreeMap<String, SeenVolume>,
    /// Snapshots, by id.
    pub(crate) snapshots: BTreeMap<String, SeenSnapshot>,
    /// How much room there is; what only the record knows (names, counts) is filled in later.
    pub(crate) storage: NodeStorage,
}

/// What a clone begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A volume as it is at that moment.
    Volume(String),
    /// A snapshot.
    Snapshot(String),
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Make an empty volume.
    Create {
        /// Its id.
        id: String,
        /// Bytes.
        size: u64,
    },
    /// Make a volume that begins with what another one has; it has the size of that.
    Clone {
        /// Its id.
        id: String,
        /// What it begins with.
        from: Source,
    },
    /// Make it larger.
    Grow {
        /// Its id.
        id: String,
        /// Bytes that it has then.
        size: u64,
    },
    /// Keep what it has at this moment.
    Snapshot {
        /// Id of the snapshot.
        id: String,
        /// Id of the volume.
        volume: String,
    },
    /// Make it usable on this node; it may be so already.
    Attach {
        /// Its id.
        id: String,
        /// The attachment's token: an engine that more than one node reaches fences earlier ones.
        token: u64,
    },
    /// Make it unusable on this node. Fails while something has it open.
    Detach {
        /// Its id.
        id: String,
    },
    /// Remove a snapshot.
    DeleteSnapshot {
        /// Its id.
        id: String,
    },
    /// Remove a volume.
    Delete {
        /// Its id.
        id: String,
    },
}

/// Whether a text is an id of a volume or a snapshot: 32 small hex digits.
pub(crate) fn is_id(text: &str) -> bool {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    text.len() == 32 && text.bytes().all(hex)
}

impl Step {
    /// The ids that it names.
    pub(crate) fn ids(&self) -> Vec<&str> {
        match self {
            Self::Create { id, .. }
            | Self::Grow { id, .. }
            | Self::Attach { id, .. }
            | Self::Detach { id }
            | Self::DeleteSnapshot { id }
            | Self::Delete { id } => vec![id],
            Self::Clone { id, from: Source::Volume(from) | Source::Snapshot(from) } => vec![id, from],
            Self::Snapshot { id, volume } => vec![id, volume],
        }
    }
}

/// What keeps volumes of a class on this node.
pub(crate) trait Engine: Send + Sync {
    /// The class.
    fn class(&self) -> Class;

    /// Looks at everything that it has here.
    fn observe(&self) -> Work<'_, Seen>;

    /// Looks at nothing but how much room there is, which has to be cheap; `None` where that is not known.
    fn glance(&self) -> Work<'_, Option<NodeStorage>>;

    /// Does what it needs for itself, as more room; whether it did something. Told what was seen a moment ago.
    fn tend<'a>(&'a self, seen: &'a Seen) -> Work<'a, bool>;

    /// Does one thing.
    fn apply<'a>(&'a self, step: &'a Step) -> Work<'a, ()>;
}
