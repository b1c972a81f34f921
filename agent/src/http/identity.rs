//! Who asks, once that is known, and what he may do.

use std::net::IpAddr;

use maekin_api::access::{Means, Role, WhoAmI};

use super::error::ApiError;
use crate::pki::peer::PeerNode;
use axum::http::StatusCode;

/// Who somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    /// This machine's root, over the unix socket.
    Root,
    /// A member of the cluster, by its certificate.
    Member(PeerNode),
    /// The user of the node file, by its password.
    Builtin,
    /// A user of the record, by the password.
    User(String),
    /// An API token of a user.
    Token {
        /// Its id.
        id: String,
        /// Whose it is.
        owner: String,
    },
}

/// Who asks. Handlers find it among the request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Who.
    pub(crate) who: Who,
    /// What he may do.
    pub(crate) role: Role,
    /// Groups of operations that he is confined to; empty: none.
    pub(crate) scopes: Vec<String>,
    /// From where, unless over the socket.
    pub(crate) from: Option<IpAddr>,
}

/// The user of the node file.
pub(crate) const BUILTIN: &str = "admin";

impl Identity {
    /// Somebody who may do everything: root, members, the user of the node file.
    pub(crate) fn trusted(who: Who, from: Option<IpAddr>) -> Self {
        Self { who, role: Role::Admin, scopes: Vec::new(), from }
    }

    /// The name, without where from: of a token, its owner's.
    pub(crate) fn name(&self) -> String {
        match &self.who {
            Who::Root => "root".to_owned(),
            Who::Member(node) => format!("node:{}", node.node_id),
            Who::Builtin => BUILTIN.to_owned(),
            Who::User(name) | Who::Token { owner: name, .. } => name.clone(),
        }
    }

    /// Id of the token, where it is one.
    pub(crate) fn token(&self) -> Option<&str> {
        match &self.who {
            Who::Token { id, .. } => Some(id),
            _ => None,
        }
    }

    /// Who asks, for a person; `host` is this node.
    pub(crate) fn words(&self, host: &str) -> String {
        let place = self.from.map(|ip| format!(" from {ip}")).unwrap_or_default();
        match &self.who {
            Who::Root => format!("root on {host}"),
            Who::Member(node) => format!("member {}", node.node_id),
            Who::Builtin => format!("{BUILTIN}{place}"),
            Who::User(name) => format!("{name}{place}"),
            Who::Token { id, owner } => format!("{owner}{place} (token {id})"),
        }
    }

    /// What `GET /v1/whoami` tells; `host` is this node.
    pub(crate) fn wire(&self, host: &str) -> WhoAmI {
        let means = match &self.who {
            Who::Root => Means::Root,
            Who::Member(_) => Means::Member,
            Who::Builtin => Means::NodeFile,
            Who::User(_) => Means::Password,
            Who::Token { .. } => Means::Token,
        };
        WhoAmI {
            name: self.name(),
            role: self.role,
            means,
            token: self.token().map(str::to_owned),
            scopes: self.scopes.clone(),
            node: host.to_owned(),
        }
    }

    /// Whether he may do what takes `least`, of the group `group`. Pure.
    ///
    /// # Errors
    /// The answer to give instead.
    pub(crate) fn may(&self, least: Role, group: &str) -> Result<(), ApiError> {
        let title = "Who asks may not do this";
        let refuse = |detail| Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", title, detail));
        if self.role < least {
            let (own, least) = (self.role.word(), least.word());
            return refuse(format!("it takes the role {least}, and {} has the role {own}", self.name()));
        }
        if !self.scopes.is_empty() && !self.scopes.iter().any(|scope| scope == group) {
            return refuse(format!("the token is for {} only, and this is {group}", self.scopes.join(", ")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_roles_include_the_ones_below_and_scopes_confine() {
        let with = |role, scopes: &[&str]| Identity {
            who: Who::User("eva".into()),
            role,
            scopes: scopes.iter().map(|s| (*s).to_owned()).collect(),
            from: None,
        };
        let (viewer, operator, admin) = (Role::Viewer, Role::Operator, Role::Admin);
        let rows = [
            ("viewer looks", with(viewer, &[]), viewer, true),
            ("viewer does not work", with(viewer, &[]), operator, false),
            ("viewer does not rule", with(viewer, &[]), admin, false),
            ("operator looks", with(operator, &[]), viewer, true),
            ("operator works", with(operator, &[]), operator, true),
            ("operator does not rule", with(operator, &[]), admin, false),
            ("admin rules", with(admin, &[]), admin, true),
            ("scope fits", with(admin, &["power", "machines"]), admin, true),
            ("scope does not fit", with(admin, &["power"]), viewer, false),
            ("a fitting scope lends no role", with(viewer, &["machines"]), operator, false),
        ];
        for (name, identity, least, want) in rows {
            assert_eq!(identity.may(least, "machines").is_ok(), want, "{name}");
        }
    }
}
