//! The side of the node that waits: one pairing at a time, each with a commitment of its own. Pure: time and random
//! numbers are arguments.

use maekin_api::trust::PairingOffer;

use super::code::{NONCE, Parties, check_offer, code, commitment};
use super::{LIFE, PAUSE, PairingError};

/// Where a waiting node stands.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    state: State,
    /// When the last pairing began.
    began: Option<u64>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    /// It has said its commitment.
    Committed { parties: Parties, nonce: [u8; NONCE] },
    /// It knows the code, and shows it.
    Shown { parties: Parties, code: String, approved: bool },
}

impl Waiting {
    /// A member offers its cluster; the commitment to answer with. `nonce` is random, and used for nothing else.
    ///
    /// # Errors
    /// [`PairingError`].
    pub(crate) fn begin(
        &mut self,
        offer: PairingOffer,
        key_sha256: &str,
        nonce: [u8; NONCE],
        now: u64,
    ) -> Result<String, PairingError> {
        check_offer(&offer)?;
        let free_at = match (&self.state, self.began) {
            (_, None) => 0,
            (State::Idle, Some(began)) => began.saturating_add(PAUSE),
            (_, Some(began)) => began.saturating_add(LIFE),
        };
        if now < free_at {
            return Err(PairingError::Busy(free_at - now));
        }
        let parties = Parties { offer, key_sha256: key_sha256.to_owned() };
        let commitment = commitment(&nonce, &parties);
        self.state = State::Committed { parties, nonce };
        self.began = Some(now);
        Ok(commitment)
    }

    /// The member shows its number; ours to answer with. Once for each commitment: whatever comes second fits no more.
    ///
    /// # Errors
    /// [`PairingError`].
    pub(crate) fn reveal(&mut self, inviting: &[u8; NONCE], now: u64) -> Result<[u8; NONCE], PairingError> {
        self.forget_old(now);
        match std::mem::take(&mut self.state) {
            State::Committed { parties, nonce } => {
                let code = code(&nonce, inviting, &parties);
                self.state = State::Shown { parties, code, approved: false };
                Ok(nonce)
            }
            other => {
                self.state = other;
                Err(PairingError::OutOfTurn)
            }
        }
    }

    /// What its console shows: code, cluster, and whether somebody said yes here.
    pub(crate) fn shown(&mut self, now: u64) -> Option<(String, PairingOffer, bool, u64)> {
        self.forget_old(now);
        match &self.state {
            State::Shown { parties, code, approved } => {
                Some((code.clone(), parties.offer.clone(), *approved, self.began.unwrap_or(0)))
            }
            _ => None,
        }
    }

    /// A person at this node says that the code is the same on the member's console, or that it is not.
    ///
    /// # Errors
    /// [`PairingError::NoCode`].
    pub(crate) fn decide(&mut self, said: &str, yes: bool, now: u64) -> Result<(), PairingError> {
        self.forget_old(now);
        match &mut self.state {
            State::Shown { code, approved, .. } if code == said => {
                *approved = yes;
                if !yes {
                    self.state = State::Idle;
                }
                Ok(())
            }
            _ => Err(PairingError::NoCode(said.chars().take(6).collect())),
        }
    }

    /// A token came, for the cluster of `ca_sha256`: whether it is used. The pairing is over then.
    ///
    /// # Errors
    /// [`PairingError`].
    pub(crate) fn invited(&mut self, ca_sha256: &str, now: u64) -> Result<(), PairingError> {
        self.forget_old(now);
        match &self.state {
            State::Shown { approved: false, .. } => Err(PairingError::NotApproved),
            State::Shown { parties, .. } if parties.offer.ca_sha256 != ca_sha256 => {
                self.state = State::Idle;
                Err(PairingError::OtherCluster)
            }
            State::Shown { .. } => {
                self.state = State::Idle;
                Ok(())
            }
            _ => Err(PairingError::OutOfTurn),
        }
    }

    /// As if nothing had begun before.
    #[cfg(test)]
    pub(crate) fn forgive(&mut self) {
        *self = Self::default();
    }

    fn forget_old(&mut self, now: u64) {
        if self.began.is_some_and(|began| now >= began.saturating_add(LIFE)) {
            self.state = State::Idle;
        }
    }
}
