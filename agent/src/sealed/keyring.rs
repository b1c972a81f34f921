//! The sealing keys that this node holds: the one in use, and while the cluster changes its key another one. Both are on
//! disk before they are used, and the record says which one is in use.
//!
//! `seal.key` is the one that was in use last, as every release reads it; `seal.ring` has all of them, one a line, while
//! there are several. Whatever is written first, a power cut leaves all that is needed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maekin_host::file::{FileError, read_text, write_atomic};

use super::{FILE, SealError, SealKey, sealed_under};

/// Most keys that are held: one in use, one that is to be, one of a change that was begun and given up.
const MOST: usize = 4;

/// The keys of a node.
#[derive(Default)]
pub(crate) struct Ring {
    held: RwLock<Held>,
}

#[derive(Default)]
struct Held {
    /// The one in use first.
    keys: Vec<SealKey>,
    /// The record's revision of what says so; 0 before it did.
    revision: i64,
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ring({:?})", self.ids())
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("seal.ring")
}

impl Ring {
    /// Reads the keys from `dir`.
    ///
    /// # Errors
    /// [`SealError`].
    pub(crate) fn load(dir: &Path) -> Result<Self, SealError> {
        let ring = Self::default();
        ring.reload(dir)?;
        Ok(ring)
    }

    /// Reads them again.
    ///
    /// # Errors
    /// [`SealError`].
    pub(crate) fn reload(&self, dir: &Path) -> Result<(), SealError> {
        let mut keys: Vec<SealKey> = SealKey::load(dir)?.into_iter().collect();
        if path(dir).exists() {
            let text = read_text(&path(dir), FILE)?;
            let damaged = |_| SealError::Damaged(path(dir));
            for line in text.lines() {
                let key = SealKey::parse(line).map_err(damaged)?;
                if keys.iter().all(|have| have.id != key.id) {
                    keys.push(key);
                }
            }
        }
        self.write().keys = keys;
        Ok(())
    }

    /// The key in use.
    pub(crate) fn current(&self) -> Option<SealKey> {
        self.read(|held| held.keys.first().cloned())
    }

    /// All keys, the one in use first.
    pub(crate) fn all(&self) -> Vec<SealKey> {
        self.read(|held| held.keys.clone())
    }

    /// Their ids, the one in use first.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.read(|held| held.keys.iter().map(|key| key.id.clone()).collect())
    }

    /// The key with this digest.
    pub(crate) fn find(&self, digest: &str) -> Option<SealKey> {
        self.read(|held| held.keys.iter().find(|key| key.digest() == digest).cloned())
    }

    /// The revision of [`keys::SEAL`](crate::record::keys::SEAL) that this follows. What is sealed is written only while
    /// that is the newest: nobody seals under a key that the others have given up.
    pub(crate) fn revision(&self) -> i64 {
        self.read(|held| held.revision)
    }

    /// Seals `plain` for `context` with the key in use.
    ///
    /// # Errors
    /// [`SealError`].
    pub(crate) fn seal(&self, context: &str, plain: &[u8]) -> Result<String, SealError> {
        self.current().ok_or(SealError::None)?.seal(context, plain)
    }

    /// Opens what was sealed for `context` with any of the keys.
    ///
    /// # Errors
    /// [`SealError`] naming the context.
    pub(crate) fn open(&self, context: &str, sealed: &str) -> Result<Vec<u8>, SealError> {
        let keys = self.all();
        let fits = keys.iter().find(|key| sealed_under(sealed) == Some(key.id.as_str()));
        fits.or(keys.first()).ok_or(SealError::None)?.open(context, sealed)
    }

    /// Holds `key` too from now on.
    ///
    /// # Errors
    /// [`SealError`]; it is not held then.
    pub(crate) fn add(&self, dir: &Path, key: SealKey) -> Result<(), SealError> {
        let mut held = self.write();
        if held.keys.iter().any(|have| have.id == key.id) {
            return Ok(());
        }
        let mut keys = held.keys.clone();
        keys.push(key);
        if keys.len() > MOST {
            return Err(SealError::Many);
        }
        if keys.len() == 1 {
            keys[0].store(dir)?;
        } else {
            store(dir, &keys)?;
        }
        held.keys = keys;
        Ok(())
    }

    /// Follows what the record says at `revision`: `current` is in use, and of the others only `also` are kept. Without
    /// the current one nothing changes.
    ///
    /// # Errors
    /// [`SealError`]; what was held is held still.
    pub(crate) fn follow(
        &self,
        dir: &Path,
        revision: i64,
        current: &str,
        also: &[&str],
    ) -> Result<(), SealError> {
        let mut held = self.write();
        let Some(first) = held.keys.iter().find(|key| key.digest() == current).cloned() else {
            return Ok(());
        };
        let kept = held.keys.iter().filter(|key| also.contains(&key.digest().as_str()) && key.id != first.id);
        let keys: Vec<_> = std::iter::once(first.clone()).chain(kept.cloned()).collect();
        if held.keys.first().is_none_or(|was| was.id != first.id) {
            first.store(dir)?;
        }
        let ids = |keys: &[SealKey]| keys.iter().map(|key| key.id.clone()).collect::<Vec<_>>();
        if keys.len() > 1 && ids(&keys) != ids(&held.keys) {
            store(dir, &keys)?;
        } else if keys.len() == 1 {
            forget(dir)?;
        }
        *held = Held { keys, revision };
        Ok(())
    }

    fn read<T>(&self, work: impl FnOnce(&Held) -> T) -> T {
        work(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Held> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn store(dir: &Path, keys: &[SealKey]) -> Result<(), SealError> {
    let text: String = keys.iter().map(|key| STANDARD.encode(key.bytes) + "\n").collect();
    Ok(write_atomic(&path(dir), text.as_bytes(), 0o600)?)
}

fn forget(dir: &Path) -> Result<(), SealError> {
    let path = path(dir);
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(FileError { action: "cannot remove", path, source }.into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_a_ring_holds_what_the_record_names_after_a_power_cut_too() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let old = SealKey::ensure(dir).unwrap();
        let ring = Ring::load(dir).unwrap();
        let secret = ring.seal("here", b"hunter2").unwrap();
        let new = SealKey::make().unwrap();
        ring.add(dir, new.clone()).unwrap();
        ring.add(dir, new.clone()).unwrap();
        let ids = |dir: &Path| Ring::load(dir).unwrap().ids();
        assert_eq!(ids(dir), [old.id.clone(), new.id.clone()], "both, and the old one is in use");

        // The power goes between the two files of the change.
        new.store(dir).unwrap();
        assert_eq!(ids(dir), [new.id.clone(), old.id.clone()]);
        ring.follow(dir, 7, &new.digest(), &[&old.digest()]).unwrap();
        assert_eq!((ring.ids(), ring.revision()), (vec![new.id.clone(), old.id], 7));
        assert_eq!(ring.open("here", &secret).unwrap(), b"hunter2", "what is not sealed anew yet opens");
        let again = ring.seal("here", b"hunter3").unwrap();
        assert_eq!(sealed_under(&again), Some(new.id.as_str()));

        ring.follow(dir, 8, &"0".repeat(64), &[]).unwrap();
        assert_eq!(ring.revision(), 7, "one that is not held is not followed");
        ring.follow(dir, 9, &new.digest(), &[]).unwrap();
        assert_eq!((ids(dir), ring.ids()), (vec![new.id.clone()], vec![new.id]));
        assert!(matches!(ring.open("here", &secret), Err(SealError::OtherKey { .. })), "it is forgotten");
        assert_eq!(ring.open("here", &again).unwrap(), b"hunter3");
        std::fs::write(path(dir), "x").unwrap();
        assert!(matches!(Ring::load(dir), Err(SealError::Damaged(_))));
    }
}
