//! Word of what changes on this node alone, and not in the record: events of it have no id, and whoever was away reads
//! anew.

use maekin_api::access::Role;
use maekin_api::watch::{DISCOVERED, PAIRINGS, RECORD};
use tokio::sync::broadcast;

/// Changes that a slow listener may be behind.
const BEHIND: usize = 64;
/// Longest name that is told, bytes.
const LONGEST: usize = 64;

/// What can be watched, and who may.
pub(super) const KINDS: [(&str, Role); 3] =
    [(DISCOVERED, Role::Viewer), (PAIRINGS, Role::Admin), (RECORD, Role::Viewer)];

/// Something changed on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct News {
    /// Which kind of thing.
    pub(crate) kind: &'static str,
    /// Which of them; empty: any.
    pub(crate) name: String,
    /// Whether it is gone.
    pub(crate) deleted: bool,
}

/// Where that is told.
#[derive(Debug)]
pub(crate) struct Board(broadcast::Sender<News>);

impl Default for Board {
    fn default() -> Self {
        Self(broadcast::Sender::new(BEHIND))
    }
}

impl Board {
    /// Tells it to whoever listens.
    pub(crate) fn tell(&self, kind: &'static str, name: &str, deleted: bool) {
        let name = name.chars().take(LONGEST).collect();
        let _ = self.0.send(News { kind, name, deleted }); // fails when nobody listens
    }

    /// From now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<News> {
        self.0.subscribe()
    }
}
