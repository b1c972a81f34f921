//! Errors of the API: problem details, RFC 9457.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Media type of a [`Problem`], RFC 9457 section 6.1.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Stable name of the kind of problem, e.g. `urn:maekin:record-unreachable`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for a person, without particulars.
    pub title: String,
    /// HTTP status code.
    pub status: u16,
    /// What exactly went wrong here, and what to do about it.
    pub detail: String,
    /// Names the request, as in the `X-Request-Id` header, the logs and the audit log.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (HTTP {}): {}", self.title, self.status, self.detail)
    }
}

impl std::error::Error for Problem {}
