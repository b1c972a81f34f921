//! What of it lies in the record. Times are seconds since 1970.

use maekin_api::trust::TokenState;
use serde::{Deserialize, Serialize};

use crate::record::values::UsedBy;

/// A join token, under its public name. It holds a digest of what follows from the secret, so that reading the record
/// gives nobody a way in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenValue {
    pub(crate) id: String,
    /// SHA-256 of the public key that its bearer proves to have.
    pub(crate) proof_sha256: String,
    pub(crate) note: String,
    pub(crate) by: String,
    pub(crate) created_at: u64,
    pub(crate) expires: u64,
    pub(crate) uses: u32,
    pub(crate) used: Vec<UseValue>,
}

/// A node that a token let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UseValue {
    pub(crate) by: UsedBy,
    pub(crate) name: String,
    pub(crate) at: u64,
}

impl TokenValue {
    /// Whether it still lets a node in.
    pub(crate) fn state(&self, now: u64) -> TokenState {
        if self.used.len() >= self.uses as usize {
            TokenState::Used
        } else if now >= self.expires {
            TokenState::Expired
        } else {
            TokenState::Open
        }
    }
}
