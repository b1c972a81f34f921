//! The side of the member: the pairings that it began. Pure: time and random numbers are arguments.

use maekin_api::trust::PairingOffer;

use super::code::{NONCE, Parties, check_offer, code, commitment};
use super::{LIFE, PairingError};

/// Most pairings that are remembered.
const MOST: usize = 32;

/// A node that has committed itself: its number is not known yet, and ours was not told yet.
#[derive(Debug)]
pub(crate) struct Committed {
    parties: Parties,
    commitment: String,
    nonce: [u8; NONCE],
}

/// Keeps a node's commitment; only then may our number be told.
///
/// # Errors
/// [`PairingError::Malformed`].
pub(crate) fn committed(
    offer: PairingOffer,
    key_sha256: &str,
    commitment: &str,
    nonce: [u8; NONCE],
) -> Result<Committed, PairingError> {
    check_offer(&offer)?;
    if !maekin_rootfs::validate::is_hex(commitment, 64) {
        return Err(PairingError::Malformed("the commitment"));
    }
    let parties = Parties { offer, key_sha256: key_sha256.to_owned() };
    Ok(Committed { parties, commitment: commitment.to_owned(), nonce })
}

impl Committed {
    /// Our number, to be told to the node.
    pub(crate) fn nonce(&self) -> &[u8; NONCE] {
        &self.nonce
    }

    /// The node shows its number: the code, where that is the one that it committed to.
    ///
    /// # Errors
    /// [`PairingError::Commitment`].
    pub(crate) fn finish(self, waiting: &[u8; NONCE]) -> Result<String, PairingError> {
        if commitment(waiting, &self.parties) != self.commitment {
            return Err(PairingError::Commitment);
        }
        Ok(code(waiting, &self.nonce, &self.parties))
    }
}

/// A pairing whose code is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) code: String,
    /// What the node calls itself.
    pub(crate) name: String,
    /// `address:port`.
    pub(crate) address: String,
    /// SHA-256 of its public key.
    pub(crate) key_sha256: String,
    pub(crate) at: u64,
}

/// Those that wait for a person's word.
#[derive(Debug, Default)]
pub(crate) struct Inviting {
    open: Vec<Open>,
}

impl Inviting {
    /// One more; of one node, and of one code, there is one only.
    pub(crate) fn add(&mut self, new: Open, now: u64) {
        self.forget_old(now);
        self.open.retain(|open| open.key_sha256 != new.key_sha256 && open.code != new.code);
        if self.open.len() >= MOST {
            self.open.remove(0);
        }
        self.open.push(new);
    }

    /// All of them.
    pub(crate) fn list(&mut self, now: u64) -> Vec<Open> {
        self.forget_old(now);
        self.open.clone()
    }

    /// The one with this code, which is over thereby.
    ///
    /// # Errors
    /// [`PairingError::NoCode`].
    pub(crate) fn take(&mut self, code: &str, now: u64) -> Result<Open, PairingError> {
        self.forget_old(now);
        let at = self.open.iter().position(|open| open.code == code);
        at.map(|at| self.open.remove(at)).ok_or_else(|| PairingError::NoCode(code.chars().take(6).collect()))
    }

    fn forget_old(&mut self, now: u64) {
        self.open.retain(|open| now < open.at.saturating_add(LIFE));
    }
}
