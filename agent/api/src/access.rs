//! Who may do what: roles, and who one is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret::Secret;

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

/// A user of the cluster. His password is told to nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct User {
    /// Name that he logs in with.
    pub name: String,
    /// What he may do.
    pub role: Role,
    /// When he was made.
    pub created_at: u64,
    /// When role or password were last changed.
    pub changed_at: u64,
    /// Who made him.
    pub by: String,
}

/// Body of `POST` [`crate::USERS`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// Name: 1 to 32 of small letters, digits, `.`, `_` and `-`, a letter first. `admin` and `root` are taken.
    #[schemars(regex(pattern = "^[a-z][a-z0-9._-]{0,31}$"))]
    pub name: String,
    /// What he may do.
    #[serde(default)]
    pub role: Role,
    /// His password, 8 to 1024 bytes.
    pub password: Secret,
}

/// Body of `PUT` [`crate::USER`]. A user as it was read may be sent back: what cannot be changed is not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SetUser {
    /// The name, where it is given, must be the one of the path.
    pub name: Option<String>,
    /// What he may do from now on; absent: as before.
    pub role: Option<Role>,
    /// A new password; absent: as before.
    pub password: Option<Secret>,
    /// Not looked at.
    pub created_at: Option<u64>,
    /// Not looked at.
    pub changed_at: Option<u64>,
    /// Not looked at.
    pub by: Option<String>,
}

/// Body of `PUT` [`crate::OWN_PASSWORD`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The password as it is.
    pub old: Secret,
    /// As it shall be, 8 to 1024 bytes.
    pub new: Secret,
}

/// An API token, without what proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ApiToken")]
pub struct Token {
    /// Its id, the middle part of the token.
    pub id: String,
    /// What it is for, in words.
    pub name: String,
    /// Whose it is: it ends with him, and may never do more than he.
    pub user: String,
    /// What it may do.
    pub role: Role,
    /// Groups of operations that it is good for; empty: all.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: u64,
    /// Until when it is good.
    pub expires: u64,
}

/// Body of `POST` [`crate::TOKENS`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "NewApiToken")]
#[serde(default, deny_unknown_fields)]
pub struct NewToken {
    /// What it is for, in up to 64 characters.
    pub name: String,
    /// What it may do; absent: as much as its maker.
    pub role: Option<Role>,
    /// Groups of operations (the tags of the OpenAPI document) that it is good for; none: all.
    pub scopes: Vec<String>,
    /// For how many days, 1 to 3660; absent: 90.
    pub days: Option<u32>,
}

/// Answer of `POST` [`crate::TOKENS`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "MadeApiToken")]
pub struct MadeToken {
    /// The token itself, `mk_…`. Told once; the cluster keeps only its digest.
    pub token: Secret,
    /// What is known about it.
    #[serde(flatten)]
    pub about: Token,
}
