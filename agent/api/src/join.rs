//! How a node becomes a member: by a one-time secret, over TLS whose server proves to hold the cluster's CA.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret::Secret;
use crate::trust::TokenProof;

/// Body of `POST` [`crate::JOIN`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// The one-time secret.
    pub secret: String,
    /// Certificate signing request, PEM (RFC 2986). Only its key is taken; the names are the master's to give.
    pub csr: String,
    /// The node's id.
    pub node_id: String,
    /// Its host name.
    pub name: String,
    /// Its addresses, for the certificate.
    pub addresses: Vec<String>,
    /// SMBIOS UUID of its machine, lower case; empty where the firmware tells none. By it a machine that was installed
    /// anew gets its name back.
    #[serde(default)]
    pub machine: String,
    /// In place of the secret: that the node has a join token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenProof>,
}

/// What a node is told that may join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JoinReply {
    /// The cluster's CA certificate, PEM.
    pub ca: String,
    /// The node's certificate, PEM.
    pub cert: String,
    /// Id of the cluster.
    pub cluster_id: String,
    /// Its name.
    pub cluster: String,
    /// Where the record is, `https://address:port`.
    pub endpoints: Vec<String>,
    /// The cluster's sealing key, base64: opens the credentials that the record holds sealed. Empty from a member that
    /// does not have it.
    #[serde(default)]
    pub seal: Secret,
    /// The master's clock: that of a new machine may be anything. 0 from a master that does not tell.
    #[serde(default)]
    pub time: u64,
}

/// Body of `POST` [`crate::INVITES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInvite {
    /// How long the secret can be used, 1 to 1440.
    pub minutes: u32,
}

/// What a new node's answer file needs in `[cluster]` to join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Invite {
    /// `https://address:port` of nodes to ask.
    pub masters: Vec<String>,
    /// Who they must prove to be.
    pub ca_sha256: String,
    /// The one-time secret. Told once; the cluster keeps only its digest.
    pub secret: String,
    /// Until when it can be used.
    pub expires: u64,
}
