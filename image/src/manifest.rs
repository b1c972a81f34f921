//! The manifest of a release: every file's name, size and digest, signed. Parsing and verifying are pure.

use std::collections::BTreeMap;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// File name of the manifest in a release bundle.
pub const MANIFEST: &str = "manifest.json";
/// File name of its signature, minisign format.
pub const SIGNATURE: &str = "manifest.json.minisig";
/// Names of the three large files of a bundle.
pub const VMLINUZ: &str = "vmlinuz";
/// The initrd.
pub const INITRD: &str = "initrd";
/// The root image: squashfs, then its dm-verity hash tree.
pub const ROOT: &str = "root";
/// Where the public key lies in the initrd and in the root image; minisign public key file format.
pub const PUBLIC_KEY_PATH: &str = "/usr/share/maekin/release.pub";
/// Largest manifest that is read, in bytes.
pub const MANIFEST_LIMIT: u64 = 1 << 20;

/// A release bundle's table of contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format of this file; 1.
    pub format: u32,
    /// Version of the product, e.g. `0.1.0`.
    pub version: String,
    /// Time of the sources, seconds since 1970 (SOURCE_DATE_EPOCH).
    pub epoch: u64,
    /// Kernel release, e.g. `6.12.117+deb13-amd64`.
    pub kernel: String,
    /// Which kind of key signed it.
    pub key: KeyKind,
    /// The root image.
    pub root: RootImage,
    /// Every file of the bundle but the manifest and what is made from it, by path with `/`.
    pub files: BTreeMap<String, FileEntry>,
}

/// Which kind of key signed a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyKind {
    /// A key given by the builder.
    Release,
    /// A key made by the build itself: proves only that all came from one build.
    ThrowAway,
}

/// One file of the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Bytes.
    pub size: u64,
    /// SHA-256, 64 lower-case hex digits.
    pub sha256: String,
}

/// How to open the root image with dm-verity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootImage {
    /// Bytes of squashfs, padded to 4096; the hash tree (with superblock) begins here.
    pub hash_offset: u64,
    /// Root hash of the tree, hex.
    pub root_hash: String,
}

/// Why a manifest was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The public key is not one.
    #[error("the release public key cannot be read")]
    Key(#[source] minisign_verify::Error),
    /// The signature is not one.
    #[error("the signature file of the manifest cannot be read")]
    Signature(#[source] minisign_verify::Error),
    /// The signature does not fit.
    #[error("the manifest was not signed by this release's key, or was changed since")]
    Forged(#[source] minisign_verify::Error),
    /// It is signed, but not understood.
    #[error("the manifest is signed but cannot be understood")]
    Json(#[source] serde_json::Error),
    /// It is signed, but of another format.
    #[error("the manifest has format {0}, and this program knows format 1")]
    Format(u32),
}

impl Manifest {
    /// Parses a manifest after verifying its signature; nothing of an unverified one is looked at.
    /// `public_key` and `signature` are minisign files' contents.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn verify(json: &[u8], signature: &str, public_key: &str) -> Result<Self, ManifestError> {
        let key = minisign_verify::PublicKey::decode(public_key).map_err(ManifestError::Key)?;
        let signature = minisign_verify::Signature::decode(signature).map_err(ManifestError::Signature)?;
        key.verify(json, &signature, false).map_err(ManifestError::Forged)?;
        let manifest: Self = serde_json::from_slice(json).map_err(ManifestError::Json)?;
        if manifest.format != 1 {
            return Err(ManifestError::Format(manifest.format));
        }
        Ok(manifest)
    }

    /// The entry of `path`, which a whole bundle has.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&FileEntry> {
        self.files.get(path)
    }
}

/// SHA-256 of `bytes` as 64 lower-case hex digits.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of everything that `from` gives, like [`sha256_hex`], without holding it in memory.
///
/// # Errors
/// Those of reading.
pub fn sha256_read(mut from: impl Read) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut chunk = vec![0; 1 << 20];
    loop {
        match from.read(&mut chunk)? {
            0 => return Ok(hex(&digest.finalize())),
            n => digest.update(&chunk[..n]),
        }
    }
}

/// Lower-case hex digits of `bytes`.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
