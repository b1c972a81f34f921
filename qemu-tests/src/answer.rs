//! The answer file of a rack's first node, or of one that joins by a stick. Pure.

use std::fmt::Write;

use crate::node::{Nic, NodeSpec};

/// The first node's address on the rack's network, with prefix.
pub const FIRST_ADDRESS: &str = "10.77.0.1/24";
/// Addresses it leases to others.
pub const POOL: (&str, &str) = ("10.77.0.100", "10.77.0.199");

/// What a node is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Password of user `admin`.
    pub password: String,
    /// Public keys that may log in.
    pub ssh_keys: Vec<String>,
    /// `auto`, or disks by name, e.g. `serial:X`.
    pub mirror: Vec<String>,
    /// Consent tokens for disks that are not blank.
    pub consent: Vec<String>,
    /// `reboot` or `poweroff`.
    pub after: String,
    /// The join token of the cluster that the node becomes a member of; none: it makes one, and installs others.
    pub token: Option<String>,
    /// It waits to be let into a cluster by a person.
    pub waits: bool,
    /// TOML put behind everything else, for what is meant to be refused.
    pub extra: String,
}

impl Answer {
    /// What a rack's first node is told unless a test wants otherwise.
    #[must_use]
    pub fn new(password: &str, ssh_keys: Vec<String>) -> Self {
        Self {
            password: password.to_owned(),
            ssh_keys,
            mirror: vec!["auto".to_owned()],
            consent: Vec::new(),
            after: "reboot".to_owned(),
            token: None,
            waits: false,
            extra: String::new(),
        }
    }

    /// The answer file for `spec`.
    #[must_use]
    pub fn toml(&self, spec: &NodeSpec) -> String {
        let mirror = match self.mirror.as_slice() {
            [auto] if auto == "auto" => quote(auto),
            disks => list(disks),
        };
        let mut text = format!(
            "version = 1\n\n[node]\nhostname = {}\n\n[admin]\npassword = {}\nssh_keys = {}\n\n[disks]\n\
             mirror = {mirror}\nconsent = {}\n\n",
            quote(&spec.name),
            quote(&self.password),
            list(&self.ssh_keys),
            list(&self.consent),
        );
        for nic in &spec.nics {
            let network = match nic {
                Nic::Rack { .. } if self.token.is_none() && !self.waits => {
                    format!("addresses = {}", list(&[FIRST_ADDRESS.to_owned()]))
                }
                Nic::Rack { .. } | Nic::Tap { .. } | Nic::Host { .. } => "dhcp = true".to_owned(),
            };
            // Writing to a string cannot fail.
            let _ = write!(text, "[[network.interface]]\nmac = {}\n{network}\n\n", quote(nic.mac()));
        }
        let _ = match &self.token {
            Some(token) => write!(text, "[cluster]\nmode = \"join\"\ntoken = {}\n\n", quote(token)),
            None if self.waits => write!(text, "[cluster]\nmode = \"wait\"\n\n"),
            None => write!(
                text,
                "[cluster]\nmode = \"create\"\nname = \"rack\"\n\n[provision]\npool_start = {}\npool_end = {}\n\n",
                quote(POOL.0),
                quote(POOL.1),
            ),
        };
        let _ = write!(text, "[install]\nafter = {}\n{}", quote(&self.after), self.extra);
        text
    }
}

/// A TOML basic string (TOML 1.0, String).
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c)); // writing to a string cannot fail
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn list(items: &[String]) -> String {
    format!("[{}]", items.iter().map(|i| quote(i)).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped() {
        let rows = [
            ("plain", "a b", r#""a b""#),
            ("quotes", r#"a"b\c"#, r#""a\"b\\c""#),
            ("control", "a\nb", r#""a\u000Ab""#),
        ];
        for (name, text, want) in rows {
            assert_eq!(quote(text), want, "{name}");
        }
    }
}
