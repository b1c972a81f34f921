//! What is remembered about the boot drives across restarts, in one file of the state directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use maekin_api::boot_drives::{Proof, Settings, TrialResult};
use maekin_host::file::{FileError, read_text, write_atomic};
use maekin_rootfs::node::BootDisk;
use serde::{Deserialize, Serialize};

/// Largest file, bytes.
const LIMIT: u64 = 1 << 20;

/// What is remembered. Places count from 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Memory {
    /// What the node is told to do by itself.
    pub(crate) settings: Settings,
    /// The drive last seen in each place.
    pub(crate) seen: BTreeMap<u8, BootDisk>,
    /// Starts from a drive, by [`proof_key`].
    pub(crate) proofs: BTreeMap<String, Proof>,
    /// The boot that was noted last as a start from a drive.
    pub(crate) proved_boot: String,
    /// Both places were whole once: from then on the node is one of two drives.
    pub(crate) mirror: bool,
    /// Names (serial numbers, mostly) of other drives that were there while all was well.
    pub(crate) known: Vec<String>,
    /// When each alarm that is on was first seen.
    pub(crate) alarms: BTreeMap<String, u64>,
    /// When the halves were last compared, and in how many sectors each mirror's differed.
    pub(crate) compared: Option<u64>,
    /// Mirrors that differed then.
    pub(crate) differ: BTreeMap<String, u64>,
    /// Mirrors whose halves were made equal once: until then what was never written may differ.
    pub(crate) equalised: Vec<String>,
    /// When this was first written: what is due every month counts from here.
    pub(crate) begun: u64,
    /// The last healing.
    pub(crate) healed: Option<Healed>,
    /// The trial boot that is under way.
    pub(crate) trial: Option<TrialRun>,
    /// How the last trial boot went.
    pub(crate) tried: Option<TrialResult>,
}

/// How a healing ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Healed {
    /// When.
    pub(crate) at: u64,
    /// What was done.
    pub(crate) action: String,
    /// Why it failed; `None`: it did not.
    pub(crate) error: Option<String>,
    /// How many times in a row it failed.
    pub(crate) failures: u32,
}

/// A trial boot that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TrialRun {
    /// When.
    pub(crate) at: u64,
    /// Of which place.
    pub(crate) place: u8,
    /// The boot that it was begun in.
    pub(crate) boot_id: String,
}

/// Under what a proof is kept: it is worth something only for that very drive in that very place.
pub(crate) fn proof_key(place: u8, serial: &str) -> String {
    format!("{place}/{serial}")
}

impl Memory {
    /// The file in the state directory.
    pub(crate) fn path(state: &Path) -> PathBuf {
        state.join("boot-drives.json")
    }

    /// What was remembered; nothing where there is no such file, or it is damaged.
    pub(crate) fn load(state: &Path) -> Self {
        let path = Self::path(state);
        if !path.exists() {
            return Self::default();
        }
        let parse = |text: String| serde_json::from_str(&text).map_err(|e| e.to_string());
        match read_text(&path, LIMIT).map_err(|e| crate::errors::chain(&e)).and_then(parse) {
            Ok(memory) => memory,
            Err(error) => {
                tracing::warn!(path = %path.display(), error, "what was known of the boot drives is lost");
                Self::default()
            }
        }
    }

    /// Writes it down.
    ///
    /// # Errors
    /// [`FileError`].
    pub(crate) fn save(&self, state: &Path) -> Result<(), FileError> {
        let text = serde_json::to_vec_pretty(self).unwrap_or_default(); // plain fields always serialize
        write_atomic(&Self::path(state), &text, 0o600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_remembered_is_known_again_and_a_damaged_file_hurts_nobody() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Memory::load(dir.path()), Memory::default());
        let mut memory = Memory { begun: 7, ..Memory::default() };
        memory.proofs.insert(proof_key(1, "S1"), Proof { at: 9, version: "0.1.0".into() });
        memory.save(dir.path()).unwrap();
        assert_eq!(Memory::load(dir.path()), memory);
        std::fs::write(Memory::path(dir.path()), "{").unwrap();
        assert_eq!(Memory::load(dir.path()), Memory::default());
    }
}
