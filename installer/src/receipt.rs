//! The receipt of an installation: what was installed where, what died, how long each step took, and the whole log;
//! signed by a key that is made for it. Building, signing and verifying are pure but for the randomness of the key.
//!
//! The signature proves that a copy of the receipt is what the installer wrote, to whoever has the public key from
//! somewhere he trusts: the node itself, or the install master that was told at the time. It proves nothing about a
//! receipt whose key came along with it, nor that what an installer claims is true (`docs/security.md`).

use anyhow::{Context, Result};
use maekin_host::dmi::Dmi;
use maekin_image::manifest::{MANIFEST, ROOT, sha256_hex};
use maekin_image::sign::SigningKey;
use minisign_verify::{PublicKey, Signature};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::apply::Timing;
use crate::plan::{Plan, describe};
use crate::source::Release;

/// Where it lies on the state file system.
pub const RECEIPT: &str = "lib/maekin/receipt.json";
/// Its signature.
pub const SIGNATURE: &str = "lib/maekin/receipt.json.minisig";
/// The public half of the key.
pub const PUBLIC_KEY: &str = "lib/maekin/receipt.pub";
/// The private half; nobody but root reads it, and it is nowhere else.
pub const PRIVATE_KEY: &str = "lib/maekin/receipt.key";

/// A receipt as it travels: what was signed, to the byte, and what is needed to check it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The receipt, JSON.
    pub receipt: String,
    /// Its signature, minisign format.
    pub signature: String,
    /// The public key, minisign format.
    pub public_key: String,
}

/// What an installation did, beside its plan.
#[derive(Debug, Clone, Copy)]
pub struct Done<'a> {
    /// Each step.
    pub timings: &'a [Timing],
    /// What was worth a note.
    pub notes: &'a [String],
    /// All that was said, a line each.
    pub log: &'a str,
    /// How long all of it took.
    pub seconds: f64,
    /// The machine.
    pub machine: &'a Dmi,
}

/// The receipt.
#[must_use]
pub fn receipt(plan: &Plan, release: &Release, done: &Done<'_>) -> String {
    let manifest = &release.manifest;
    let value = json!({
        "format": 1,
        "install_id": plan.install,
        "hostname": plan.node.hostname,
        "version": plan.version,
        "kernel": manifest.kernel,
        "key": manifest.key,
        "root_sha256": manifest.file(ROOT).map(|f| f.sha256.clone()),
        "root_hash": manifest.root.root_hash,
        "manifest_sha256": sha256_hex(&release.json),
        "manifest": MANIFEST,
        "source": release.source.describe(),
        "firmware": plan.firmware,
        "machine": done.machine,
        "drives": plan.node.disks,
        "lost": describe::losses(plan),
        "kept": describe::kept(plan),
        "seconds": done.seconds,
        "steps": done.timings,
        "notes": done.notes,
        "log": done.log.lines().collect::<Vec<_>>(),
    });
    format!("{value:#}\n")
}

/// A key made for one receipt.
pub struct Key {
    key: SigningKey,
    seed: [u8; 32],
}

impl Key {
    /// Makes one.
    ///
    /// # Errors
    /// When the kernel gives no randomness.
    pub fn make() -> Result<Self> {
        let (mut seed, mut number) = ([0; 32], [0; 8]);
        for bytes in [seed.as_mut_slice(), number.as_mut_slice()] {
            getrandom::fill(bytes).map_err(|e| anyhow::anyhow!("the kernel gives no randomness: {e}"))?;
        }
        Ok(Self { key: SigningKey::from_seed(&seed, number)?, seed })
    }

    /// The private half, minisign format.
    #[must_use]
    pub fn private_text(&self) -> String {
        self.key.secret_text(&self.seed)
    }

    /// Signs a receipt.
    #[must_use]
    pub fn sign(&self, receipt: String, install: &str) -> Signed {
        let signature = self.key.sign(receipt.as_bytes(), &format!("maekin receipt {install}"));
        Signed { receipt, signature, public_key: self.key.public_text() }
    }
}

/// What a receipt says of itself, after its signature was verified by `public_key`: its trusted comment.
///
/// # Errors
/// When it is not what was signed by that key.
pub fn verify(receipt: &[u8], signature: &str, public_key: &str) -> Result<String> {
    let key = PublicKey::decode(public_key).context("the public key is none of minisign's")?;
    let signature = Signature::decode(signature).context("the signature is none of minisign's")?;
    key.verify(receipt, &signature, false)
        .context("the receipt was not signed by this key, or was changed since")?;
    Ok(signature.trusted_comment().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_verifies_by_its_own_key_and_only_unchanged() {
        let key = Key::make().unwrap();
        let signed = key.sign("{\"a\": 1}\n".to_owned(), "7");
        let check = |receipt: &str, key: &str| verify(receipt.as_bytes(), &signed.signature, key);
        assert_eq!(check(&signed.receipt, &signed.public_key).unwrap(), "maekin receipt 7");
        let err = check("{\"a\": 2}\n", &signed.public_key).unwrap_err().to_string();
        assert!(err.contains("changed since"), "{err}");
        let other = Key::make().unwrap().sign(String::new(), "8");
        assert!(check(&signed.receipt, &other.public_key).is_err());
        assert!(verify(b"x", "rubbish", &signed.public_key).is_err() && check("x", "rubbish").is_err());
        let again = SigningKey::parse(&key.private_text()).unwrap();
        assert_eq!(again.public_text(), signed.public_key);
    }
}
