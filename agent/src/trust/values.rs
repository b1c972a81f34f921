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

/// A certificate of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CertValue {
    /// Serial number, hex digits without leading zero bytes.
    pub(crate) serial: String,
    pub(crate) not_after: u64,
}

/// The certificates of a node that hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CertsValue {
    pub(crate) certs: Vec<CertValue>,
}

/// A node that was a member. Kept for ever: its key is never let in again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemovedValue {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) key_sha256: String,
    pub(crate) by: String,
    pub(crate) at: u64,
    /// Those of its certificates that held then.
    pub(crate) certs: Vec<CertValue>,
}

/// The CA's list of certificates that hold no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CrlValue {
    /// Grows.
    pub(crate) number: u64,
    /// PEM.
    pub(crate) pem: String,
    /// Voters that run take their time to restart with it.
    #[serde(default)]
    pub(crate) gentle: bool,
}

/// Whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TurnValue {
    pub(crate) id: String,
}
