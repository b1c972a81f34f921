//! Who may do what: roles, and who one is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What somebody may do. Each role may do all that the ones before it may.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Look at everything but secrets and the audit log.
    #[default]
    Viewer,
    /// Run the rack: let machines in, switch them, heal drives.
    Operator,
    /// Everything: users, tokens, what is trusted, what is handed out.
    Admin,
}

impl Role {
    /// The role in a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// How somebody proved who he is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Means {
    /// Over the node's own socket, as its root.
    Root,
    /// By a member's certificate.
    Member,
    /// By the password in the node file.
    NodeFile,
    /// By a password in the record.
    Password,
    /// By an API token.
    Token,
}

/// Answer of [`crate::WHOAMI`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhoAmI {
    /// Who asks: a user's name, `root`, or `node:` and a member's id.
    pub name: String,
    /// What he may do.
    pub role: Role,
    /// How that is known.
    pub means: Means,
    /// Id of the API token, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// What the token is good for, by groups of operations; empty: everything that the role may do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// The node that answered.
    pub node: String,
}
