//! Who is let into a cluster, and who no longer: join tokens, certificates, removal, pairing.
//!
//! | module | job |
//! | --- | --- |
//! | [`token`] | the text of a join token |

pub mod token;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// Most nodes that one join token lets in.
pub const MOST_USES: u32 = 500;
/// Longest time that a join token can be used, minutes: a week.
pub const MOST_MINUTES: u32 = 7 * 24 * 60;
/// Longest note at a join token, characters.
pub const LONGEST_NOTE: usize = 120;

/// Body of `POST` [`crate::JOIN_TOKENS`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// How many nodes it lets in, 1 to [`MOST_USES`].
    #[serde(default = "one")]
    pub uses: u32,
    /// For how long, 1 to [`MOST_MINUTES`].
    pub minutes: u32,
    /// What it is for, in the words of whoever makes it.
    #[serde(default)]
    pub note: String,
}

fn one() -> u32 {
    1
}

/// Answer to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MadeToken {
    /// The token itself, told this once: the cluster keeps a digest only.
    pub token: Secret,
    /// What is known of it from now on.
    pub info: TokenInfo,
}

/// What is known of a join token. The list of them is the answer of `GET` [`crate::JOIN_TOKENS`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenInfo {
    /// Its public name, 10 hex digits.
    pub id: String,
    /// What it is for.
    pub note: String,
    /// Who made it.
    pub by: String,
    /// When.
    pub created_at: u64,
    /// Until when it can be used.
    pub expires: u64,
    /// How many nodes it lets in.
    pub uses: u32,
    /// Those that it let in.
    pub used: Vec<TokenUse>,
    /// Whether it still lets one in.
    pub state: TokenState,
}

/// A node that a token let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenUse {
    /// The node's id.
    pub node_id: String,
    /// Its host name then.
    pub name: String,
    /// When.
    pub at: u64,
}

/// Whether a token still lets a node in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TokenState {
    /// It does.
    Open,
    /// It let in as many as it could.
    Used,
    /// Its time is over.
    Expired,
}

/// What a joining node shows instead of the secret of a token: that it has it, for exactly this request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenProof {
    /// The token's public name.
    pub id: String,
    /// The public key that follows from its secret (Ed25519), base64.
    pub key: String,
    /// The request, signed with the private one, base64.
    pub signature: String,
}

/// Body of `POST` [`crate::NODE_JOIN`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinWith {
    /// A join token.
    pub token: Secret,
}

/// Body of `POST` [`crate::CERTIFICATE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {
    /// Certificate signing request, PEM (RFC 2986), for the key of the certificate that is shown.
    pub csr: String,
    /// The node's id.
    pub node_id: String,
    /// Its addresses, for the certificate.
    pub addresses: Vec<String>,
}

/// Answer to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RenewReply {
    /// The new certificate, PEM.
    pub cert: String,
    /// The clock of the member that made it.
    pub time: u64,
    /// The CAs that the member trusts, PEM after PEM: by these a node comes back that was away while the cluster's CA was
    /// changed. Empty from a member of an earlier release.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ca: String,
}

/// Body of `POST` [`crate::SEAL_KEY`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SealKeyRequest {
    /// SHA-256 of the key, 64 hex digits, as the record names it.
    pub sha256: String,
}

/// Answer of `POST` [`crate::SEAL_KEY`].
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SealKeyReply {
    /// The key, base64.
    pub key: Secret,
}

/// A node that was a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RemovedNode {
    /// Its id.
    pub id: String,
    /// Its host name.
    pub name: String,
    /// Who removed it.
    pub by: String,
    /// When.
    pub at: u64,
}

/// Body of `POST` [`crate::NODE_LEAVE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Leave {
    /// The word `leave`.
    pub confirm: String,
}

/// Body of `POST` [`crate::PAIRINGS`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPairing {
    /// Where the waiting node's API is, `address:port`; absent where it is named.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// Its host name, or the first digits of its id, at least four, as [`crate::DISCOVERED`] tells them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node: String,
}

/// What a member offers to a node that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PairingOffer {
    /// The cluster's name.
    pub cluster: String,
    /// SHA-256 of its CA certificate.
    pub ca_sha256: String,
    /// SHA-256 of the member's public key.
    pub member_sha256: String,
}

/// The node's answer: it commits to a random number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PairingBegun {
    /// The node's host name.
    pub name: String,
    /// SHA-256 of its public key.
    pub key_sha256: String,
    /// Digest of its number, of the offer and of its key.
    pub commitment: String,
}

/// A random number, 64 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PairingNonce {
    /// The number.
    pub nonce: String,
}

/// A pairing that waits for a person's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PairingInfo {
    /// Six digits, to be compared with the other console.
    pub code: String,
    /// Which side this node is.
    pub side: PairingSide,
    /// On a member, the node's host name; on the node, the cluster's.
    pub name: String,
    /// On a member, where the node is.
    pub address: String,
    /// On a member, SHA-256 of the node's key; on the node, of the cluster's CA.
    pub sha256: String,
    /// Whether somebody said yes at this node.
    pub approved: bool,
    /// When it began.
    pub at: u64,
}

/// A side of a pairing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PairingSide {
    /// The node that waits to be let in.
    Waiting,
    /// The member that lets it in.
    Member,
}
