//! What is kept for a start without the record: who the members were, and how often this node started.

use std::path::Path;

use maekin_host::file::{FileError, read_text, write_atomic};
use serde::{Deserialize, Serialize};

use crate::record::values::NodeValue;

/// Largest file, bytes.
const LIMIT: u64 = 8 << 20;
/// How much greater than the last one a generation is at least: more than a node could be taken for dead and come back
/// in one life.
const STEP: u64 = 1 << 20;

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Memory {
    /// The generation of the last start.
    pub(super) generation: u64,
    /// The members.
    pub(super) nodes: Vec<NodeValue>,
}

impl Memory {
    /// Reads it. One that cannot be used is as none: the record has the members, and the clock a generation.
    pub(super) fn load(path: &Path) -> Self {
        if !path.exists() {
            return Self::default();
        }
        let text = match read_text(path, LIMIT) {
            Ok(text) => text,
            Err(e) => {
                tracing::warn!(error = %crate::errors::chain(&e), "the members of the last time");
                return Self::default();
            }
        };
        let damaged = |e: &serde_json::Error| tracing::warn!(error = %e, "the members of the last time");
        serde_json::from_str(&text).inspect_err(damaged).unwrap_or_default()
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`FileError`].
    pub(super) fn store(&self, path: &Path) -> Result<(), FileError> {
        // Numbers and texts always serialize.
        write_atomic(path, &serde_json::to_vec(self).unwrap_or_default(), 0o600)
    }

    /// The generation of a start at `now_ms`, also where the clock went back since the last one. Pure.
    pub(super) fn next_generation(&self, now_ms: u64) -> u64 {
        now_ms.max(self.generation.saturating_add(STEP)).min(maekin_gossip::peer::MAX_GENERATION - STEP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gossip_each_start_has_a_greater_generation_whatever_the_clock_says() {
        let rows = [
            ("first", 0, 1_700_000_000_000),
            ("later", 1_700_000_000_000, 1_700_000_100_000),
            ("clock back", 1_700_000_000_000, 5),
        ];
        for (name, generation, now_ms) in rows {
            let memory = Memory { generation, ..Memory::default() };
            assert!(memory.next_generation(now_ms) >= generation + STEP, "{name}");
        }
        assert_eq!(Memory::default().next_generation(1_700_000_000_000), 1_700_000_000_000);
        assert!(Memory::default().next_generation(u64::MAX) < maekin_gossip::peer::MAX_GENERATION);
    }

    #[test]
    fn gossip_what_was_kept_is_read_and_a_damaged_file_is_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("peers.json");
        assert_eq!(Memory::load(&path), Memory::default());
        let node = NodeValue { id: "a".into(), address: "10.0.0.1".into(), ..NodeValue::default() };
        let memory = Memory { generation: 7, nodes: vec![node] };
        memory.store(&path).unwrap();
        assert_eq!(Memory::load(&path), memory);
        std::fs::write(&path, "{\"generation\":").unwrap();
        assert_eq!(Memory::load(&path), Memory::default());
    }
}
