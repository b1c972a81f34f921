//! Commitment and code. Pure.

use maekin_api::trust::PairingOffer;
use maekin_image::manifest::hex;
use sha2::{Digest, Sha256};

use super::PairingError;

/// Bytes of a random number.
pub(crate) const NONCE: usize = 32;
const COMMIT: &[u8] = b"maekin pairing commitment v1\0";
const CODE: &[u8] = b"maekin pairing code v1\0";

/// What both sides know of each other before there is a code; whatever differs between them makes the codes differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parties {
    /// The cluster, as the member says it.
    pub(crate) offer: PairingOffer,
    /// SHA-256 of the waiting node's public key.
    pub(crate) key_sha256: String,
}

/// SHA-256 over parts, each with its length before it.
fn digest(domain: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new().chain_update(domain);
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// What the waiting node says before it hears the member's number.
pub(crate) fn commitment(nonce: &[u8; NONCE], parties: &Parties) -> String {
    hex(&digest(COMMIT, &[nonce, &parties_bytes(parties)]))
}

fn parties_bytes(parties: &Parties) -> Vec<u8> {
    let offer = &parties.offer;
    let texts = [&offer.cluster, &offer.ca_sha256, &offer.member_sha256, &parties.key_sha256];
    let mut bytes = Vec::new();
    for text in texts {
        bytes.extend((text.len() as u64).to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// The code: six digits.
pub(crate) fn code(waiting: &[u8; NONCE], inviting: &[u8; NONCE], parties: &Parties) -> String {
    let digest = digest(CODE, &[waiting, inviting, &parties_bytes(parties)]);
    // 64 of its bits: no digit is noticeably more likely than another.
    let number = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{:06}", number % 1_000_000)
}

/// A random number as it is sent.
///
/// # Errors
/// [`PairingError::Malformed`].
pub(crate) fn parse_nonce(text: &str) -> Result<[u8; NONCE], PairingError> {
    let wrong = PairingError::Malformed("the random number");
    if !maekin_rootfs::validate::is_hex(text, 2 * NONCE) {
        return Err(wrong);
    }
    let mut nonce = [0; NONCE];
    for (i, byte) in nonce.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| wrong.clone())?;
    }
    Ok(nonce)
}

/// Whether an offer can be one.
///
/// # Errors
/// [`PairingError::Malformed`].
pub(crate) fn check_offer(offer: &PairingOffer) -> Result<(), PairingError> {
    if !maekin_rootfs::validate::is_label(&offer.cluster) {
        return Err(PairingError::Malformed("the cluster's name"));
    }
    let digests = [&offer.ca_sha256, &offer.member_sha256];
    if digests.iter().any(|digest| !maekin_rootfs::validate::is_hex(digest, 64)) {
        return Err(PairingError::Malformed("a digest"));
    }
    Ok(())
}
