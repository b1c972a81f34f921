//! The audit log: every change that was asked for, and what has to do with who may ask.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that was asked for, or refused. Empty fields are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AuditEvent {
    /// Names it; later events have greater ids, across nodes as far as their clocks agree.
    pub id: String,
    /// When, by the clock of the node that was asked.
    pub at: u64,
    /// Name of that node.
    pub node: String,
    /// `change` for a request that changes something; else what happened, e.g. `login-refused`, `token-refused`.
    pub kind: String,
    /// Who asked: as [`crate::access::WhoAmI::name`]; empty for a stranger.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub who: String,
    /// Id of the API token, where it was one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub token: String,
    /// From which address; empty over the node's own socket.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// HTTP method.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// Path that was asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The operation, by its id in the OpenAPI document.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub operation: String,
    /// HTTP status of the answer; 0 where there was none.
    #[serde(skip_serializing_if = "is_zero")]
    pub status: u16,
    /// What came of it.
    pub outcome: Outcome,
    /// Names the request.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// More about it, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// What came of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was not: the one who asked may not, or asked for something that cannot be.
    #[default]
    Refused,
    /// It failed, and may have been done in part.
    Failed,
    /// The one who asked went away before there was an answer; it may have been done.
    Abandoned,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde asks for it
fn is_zero(status: &u16) -> bool {
    *status == 0
}
