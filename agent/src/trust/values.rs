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

/// How far a change of the cluster's CA is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CaPhase {
    /// There is none.
    #[default]
    Rest,
    /// Members trust the new one, too.
    Trust,
    /// Members get certificates of it.
    Issue,
    /// Members trust the old one no longer.
    Drop,
}

/// The cluster's CA, by fingerprints (SHA-256, hex digits), and how far its change is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CaChangeValue {
    /// How often it was changed.
    pub(crate) epoch: u64,
    pub(crate) phase: CaPhase,
    /// The one that goes; empty where no change is under way.
    pub(crate) old: String,
    /// The one that comes, or is there.
    pub(crate) new: String,
    /// How many members that are none any more the last change was for.
    pub(crate) covered: u64,
    /// When it became so.
    pub(crate) since: u64,
    /// How often the record had been put back then.
    #[serde(default)]
    pub(crate) restored: u64,
    /// Those that were given up, the newest last, and no more than [`CaChangeValue::FORMER`]: none of them is used again.
    #[serde(default)]
    pub(crate) former: Vec<String>,
}

impl CaChangeValue {
    /// Most CAs that are remembered as given up.
    pub(crate) const FORMER: usize = 32;

    /// The one by which members are known.
    pub(crate) fn pin(&self) -> &str {
        if self.phase == CaPhase::Trust { &self.old } else { &self.new }
    }

    /// Those that are trusted.
    pub(crate) fn trusted(&self) -> Vec<&str> {
        match self.phase {
            CaPhase::Trust | CaPhase::Issue => vec![&self.old, &self.new],
            CaPhase::Rest | CaPhase::Drop => vec![&self.new],
        }
    }

    /// The same at rest, with the old one given up.
    pub(crate) fn given_up(mut self) -> Self {
        let old = std::mem::take(&mut self.old);
        if !old.is_empty() {
            self.former.push(old);
        }
        let surplus = self.former.len().saturating_sub(Self::FORMER);
        self.former.drain(..surplus);
        Self { phase: CaPhase::Rest, ..self }
    }
}

/// Whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TurnValue {
    pub(crate) id: String,
}
