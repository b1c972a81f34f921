//! Secrets in the record: sealed (AES-256-GCM) under a key that every member holds and the record does not, so that a
//! copy of the record (a backup, a discarded drive of the data directory) gives nobody a password.
//!
//! The first node makes the key; a node that joins is handed it in the answer to its one-time secret. The *context* is
//! the record's key of the value: a sealed text that was moved to another place does not open there.
//!
//! Form: `v1.` + id of the key (8 hex digits of its SHA-256) + `.` + base64 of nonce (12 bytes), cipher text and tag (16
//! bytes). Nonces are random: up to 2^32 texts may be sealed under one key (NIST SP 800-38D section 8.3).
//!
//! After a member was removed the key is changed ([`rotation`]); a node holds two keys meanwhile ([`keyring`]).
//!
//! | module | job |
//! | --- | --- |
//! | [`keyring`] | the keys that a node holds, on disk and in memory |
//! | [`rotation`] | changing the key: planned, handed on, everything sealed anew |

pub(crate) mod keyring;
pub(crate) mod rotation;

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maekin_api::secret::Secret;
use maekin_host::file::{FileError, read_text, write_atomic};
use maekin_image::manifest::sha256_hex;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// Length of the key, bytes.
const KEY: usize = 32;
/// Largest text that is sealed or opened, bytes.
const LARGEST: usize = 64 << 10;
/// Largest key file, bytes.
const FILE: u64 = 4096;

/// Something could not be sealed or opened. No variant carries a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    /// The key file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The key file is damaged.
    #[error("{} holds no sealing key; restore it from another member", .0.display())]
    Damaged(PathBuf),
    /// What a master handed over is no key.
    #[error("the sealing key that was handed over is none")]
    NoKey,
    /// There is no key.
    #[error(
        "this node has no sealing key yet: it joined through a member that had none; it asks the others for it"
    )]
    None,
    /// More keys than a change of the key takes.
    #[error("this node holds more sealing keys than a change of the key takes; restart its agent")]
    Many,
    /// The random number generator failed.
    #[error("the kernel gave no random numbers: {0}")]
    Random(getrandom::Error),
    /// Too much to seal.
    #[error("{0} bytes are more than the {LARGEST} that can be sealed")]
    TooLarge(usize),
    /// Not a sealed text of a version that we know.
    #[error("{context} is not sealed in a form that this release knows; set it again, or upgrade this node")]
    Form {
        /// Where it was found.
        context: String,
    },
    /// Sealed under another key.
    #[error("{context} was sealed under another key ({found}; this node has {own}); set it again")]
    OtherKey {
        /// Where it was found.
        context: String,
        /// Id of the key it was sealed under.
        found: String,
        /// Id of ours.
        own: String,
    },
    /// It was changed, or belongs elsewhere.
    #[error("{context} was changed since it was sealed, or was sealed for another place; set it again")]
    Broken {
        /// Where it was found.
        context: String,
    },
}

/// The cluster's sealing key.
#[derive(Clone)]
pub(crate) struct SealKey {
    bytes: [u8; KEY],
    id: String,
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.id)
    }
}

impl SealKey {
    fn new(bytes: [u8; KEY]) -> Self {
        let id = sha256_hex(&bytes)[..8].to_owned();
        Self { bytes, id }
    }

    fn path(dir: &Path) -> PathBuf {
        dir.join("seal.key")
    }

    /// Reads the key from `dir`, or makes it where there is none: the node that makes a cluster alone does that.
    ///
    /// # Errors
    /// [`SealError`].
    pub(crate) fn ensure(dir: &Path) -> Result<Self, SealError> {
        if let Some(key) = Self::load(dir)? {
            return Ok(key);
        }
        let key = Self::make()?;
        key.store(dir)?;
        Ok(key)
    }

    /// A new one.
    ///
    /// # Errors
    /// [`SealError::Random`].
    pub(super) fn make() -> Result<Self, SealError> {
        let mut bytes = [0; KEY];
        getrandom::fill(&mut bytes).map_err(SealError::Random)?;
        Ok(Self::new(bytes))
    }

    /// What tells it from any other without telling it: SHA-256, 64 hex digits. Its id is how that begins.
    pub(crate) fn digest(&self) -> String {
        sha256_hex(&self.bytes)
    }

    /// Reads the key from `dir`; `None` where there is none.
    ///
    /// # Errors
    /// [`SealError`].
    pub(crate) fn load(dir: &Path) -> Result<Option<Self>, SealError> {
        let path = Self::path(dir);
        if !path.exists() {
            return Ok(None);
        }
        let text = read_text(&path, FILE)?;
        Self::parse(text.trim_end()).map(Some).map_err(|_| SealError::Damaged(path))
    }

    /// Writes the key to `dir`, for root alone.
    ///
    /// # Errors
    /// [`SealError::File`].
    pub(crate) fn store(&self, dir: &Path) -> Result<(), SealError> {
        Ok(write_atomic(&Self::path(dir), format!("{}\n", STANDARD.encode(self.bytes)).as_bytes(), 0o600)?)
    }

    /// A key as it was handed over: base64.
    ///
    /// # Errors
    /// [`SealError::NoKey`].
    pub(crate) fn parse(text: &str) -> Result<Self, SealError> {
        if text.len() > 2 * KEY {
            return Err(SealError::NoKey);
        }
        let bytes = STANDARD.decode(text).map_err(|_| SealError::NoKey)?;
        Ok(Self::new(bytes.try_into().map_err(|_| SealError::NoKey)?))
    }

    /// How its digest begins, as what is sealed under it names it.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Lets `derive` make another key from this one, which is all that it may do with it.
    pub(crate) fn derive<T>(&self, derive: impl FnOnce(&[u8]) -> T) -> T {
        derive(&self.bytes)
    }

    /// The key as it is handed to a node that joins.
    pub(crate) fn to_secret(&self) -> Secret {
        STANDARD.encode(self.bytes).into()
    }

    fn cipher(&self) -> Result<LessSafeKey, SealError> {
        // Fails for a wrong length only, which the type excludes.
        UnboundKey::new(&AES_256_GCM, &self.bytes).map(LessSafeKey::new).map_err(|_| SealError::NoKey)
    }

    /// Seals `plain` for `context`, the record's key of the value it goes into.
    ///
    /// # Errors
    /// [`SealError::TooLarge`], [`SealError::Random`].
    pub(crate) fn seal(&self, context: &str, plain: &[u8]) -> Result<String, SealError> {
        if plain.len() > LARGEST {
            return Err(SealError::TooLarge(plain.len()));
        }
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(SealError::Random)?;
        let mut bytes = plain.to_vec();
        let tag = self
            .cipher()?
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context.as_bytes()),
                &mut bytes,
            )
            .map_err(|_| SealError::TooLarge(plain.len()))?; // its only reason, and far above our limit
        let whole = [nonce.as_slice(), &bytes, tag.as_ref()].concat();
        Ok(format!("v1.{}.{}", self.id, STANDARD.encode(whole)))
    }

    /// Opens what was sealed for `context`.
    ///
    /// # Errors
    /// [`SealError`] naming the context.
    pub(crate) fn open(&self, context: &str, sealed: &str) -> Result<Vec<u8>, SealError> {
        let form = || SealError::Form { context: context.to_owned() };
        let (id, text) = sealed.strip_prefix("v1.").and_then(|rest| rest.split_once('.')).ok_or_else(form)?;
        if id.len() != self.id.len() || !id.bytes().all(|b| b.is_ascii_hexdigit()) || text.len() > 2 * LARGEST
        {
            return Err(form());
        }
        if id != self.id {
            let (found, own) = (id.to_owned(), self.id.clone());
            return Err(SealError::OtherKey { context: context.to_owned(), found, own });
        }
        let mut whole = STANDARD.decode(text).map_err(|_| form())?;
        let (nonce, bytes) = whole.split_first_chunk_mut::<NONCE_LEN>().ok_or_else(form)?;
        let plain = self
            .cipher()?
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(context.as_bytes()), bytes)
            .map_err(|_| SealError::Broken { context: context.to_owned() })?;
        Ok(plain.to_vec())
    }
}

/// Id of the key that a text was sealed under, where it is one of ours.
pub(crate) fn sealed_under(sealed: &str) -> Option<&str> {
    sealed.strip_prefix("v1.")?.split_once('.').map(|(id, _)| id)
}

/// Id of the key with that digest.
fn id_of(digest: &str) -> &str {
    digest.get(..8).unwrap_or(digest)
}

#[cfg(test)]
mod tests;
