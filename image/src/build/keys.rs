//! The key that signs a release: given, or made at the first build and kept where git does not look.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use maekin_host::file;
use maekin_image::manifest::KeyKind;
use maekin_image::sign::SigningKey;

/// Largest key file that is read.
const KEY_LIMIT: u64 = 4096;

/// The key of a build.
pub(crate) struct Key {
    pub(crate) key: SigningKey,
    pub(crate) kind: KeyKind,
}

/// The builder's key at `given`; else the throw-away key in `dir`, made where there is none.
pub(crate) fn provide(given: Option<&Path>, dir: &Path) -> Result<Key> {
    let throw_away = dir.join("throw-away.key");
    let path: PathBuf = given.map_or(throw_away, Path::to_owned);
    let kind = if given.is_some() { KeyKind::Release } else { KeyKind::ThrowAway };
    if given.is_none() && !path.exists() {
        let (mut seed, mut number) = ([0; 32], [0; 8]);
        for bytes in [seed.as_mut_slice(), number.as_mut_slice()] {
            getrandom::fill(bytes)
                .map_err(|e| anyhow::anyhow!("the kernel gives no random numbers for a key: {e}"))?;
        }
        let key = SigningKey::from_seed(&seed, number)?;
        file::write_atomic(&path, key.secret_text(&seed).as_bytes(), 0o600)?;
        file::write_atomic(&path.with_extension("pub"), key.public_text().as_bytes(), 0o644)?;
    }
    let text = file::read_text(&path, KEY_LIMIT)?;
    let key = SigningKey::parse(&text).with_context(|| format!("cannot use the key {}", path.display()))?;
    Ok(Key { key, kind })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_made_once_and_is_nobody_elses_to_read() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        let first = provide(None, &keys).unwrap();
        let second = provide(None, &keys).unwrap();
        assert_eq!(first.key.public_text(), second.key.public_text());
        assert_eq!(first.kind, KeyKind::ThrowAway);
        let path = keys.join("throw-away.key");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(provide(Some(&path), &keys).unwrap().kind, KeyKind::Release);
        assert!(provide(Some(&dir.path().join("none")), &keys).is_err());
    }
}
