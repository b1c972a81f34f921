//! Settings of a node: how it shall be (desired state), and how far that is so.
//!
//! A field that is absent is as installed: what the answers of the installation said holds. Whoever changes settings
//! makes another generation of them; the node takes it up, and says in its status which generation it has seen and what
//! became of every part, in conditions as Kubernetes has them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use maekin_rootfs::node::Network;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Names of the conditions; `docs/settings.md` lists their reasons.
pub mod condition {
    /// Every part is as it shall be.
    pub const READY: &str = "Ready";
    /// The host name.
    pub const HOSTNAME: &str = "Hostname";
    /// Interfaces, addresses and name servers.
    pub const NETWORK: &str = "Network";
    /// NTP servers.
    pub const TIME: &str = "Time";
    /// Who may log in by ssh.
    pub const SSH_KEYS: &str = "SshKeys";
    /// Where the journal is sent.
    pub const SYSLOG: &str = "Syslog";
    /// Labels that voters are spread by.
    pub const ROLES: &str = "Roles";
    /// The shell of the console menu.
    pub const CONSOLE_SHELL: &str = "ConsoleShell";
    /// Whether the node is kept free of work.
    pub const MAINTENANCE: &str = "Maintenance";
}

/// How a node shall be; body of `PUT` [`crate::NODE_SETTINGS`]. A field that is left out is as installed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NodeSettings {
    /// Host name, one DNS label in lower case. The member's name follows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Interfaces, bonds, VLANs, addresses. One that cuts the node off goes back by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Name servers, in place of those of `network`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<Vec<IpAddr>>,
    /// NTP servers; an empty list: Debian's pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ntp: Option<Vec<String>>,
    /// Public keys that may log in as root by ssh, a line of authorized_keys(5) each; an empty list: sshd is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_keys: Option<Vec<String>>,
    /// Where the journal is sent; absent: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub syslog: Option<Syslog>,
    /// Labels that say what the node is for; voters are spread by those that name a failure domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    /// Further labels, for people and programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Set while the node shall be free of work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Maintenance>,
    /// Whether the console menu gives a shell, to whoever knows the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console_shell: Option<bool>,
}

impl NodeSettings {
    /// Every field.
    pub const FIELDS: [&'static str; 10] = [
        "hostname",
        "network",
        "dns",
        "ntp",
        "ssh_keys",
        "syslog",
        "roles",
        "labels",
        "maintenance",
        "console_shell",
    ];
}

/// Where the journal is sent, as syslog (RFC 5424).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Syslog {
    /// Host name or address of the server.
    pub server: String,
    /// Its port; absent: 514, with TLS 6514.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How it is sent.
    #[serde(default)]
    pub transport: Transport,
    /// The server's CA as PEM, with `tls`; absent: the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Least urgent priority that is sent, 0 (emergency) to 7 (debug); absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 7))]
    pub priority: Option<u8>,
}

/// How syslog messages are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SyslogTransport")]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// A datagram each (RFC 5426).
    #[default]
    Udp,
    /// A stream, with octet counting (RFC 6587).
    Tcp,
    /// The same under TLS (RFC 5425).
    Tls,
}

impl Syslog {
    /// Its port, or the usual one.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.transport == Transport::Tls { 6514 } else { 514 })
    }
}

/// Why a node shall be free of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    /// Why, for whoever wonders; may be empty.
    #[serde(default)]
    pub reason: String,
}

/// Whether a condition holds. Words as Kubernetes has them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It does.
    True,
    /// It does not; see why.
    False,
    /// Not known, or under way.
    #[default]
    Unknown,
}

/// What became of one part of the settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Condition {
    /// Which part; see [`condition`].
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it is as it shall be.
    pub status: ConditionStatus,
    /// Why, in one word for programs.
    pub reason: String,
    /// Why, for people.
    pub message: String,
    /// Since when the status is so.
    pub since: u64,
    /// Which generation this is about.
    pub observed_generation: u64,
}

/// How far a node is with its settings, as it says itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SettingsStatus {
    /// The generation that the node has taken up; 0: none.
    pub observed_generation: u64,
    /// What became of it, in the order of their names; `Ready` first.
    pub conditions: Vec<Condition>,
}

impl SettingsStatus {
    /// The condition of that name.
    #[must_use]
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }
}

/// A node's settings and how far it is with them. Answer of [`crate::NODE_SETTINGS`], entry of [`crate::SETTINGS`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeSettingsObject {
    /// The member's name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// How many times the settings were changed; 0: never, and all is as installed.
    pub generation: u64,
    /// Which of these changes was the last one of network or name servers; 0: none was. A trial of the network is of that
    /// generation.
    #[serde(default)]
    pub network_generation: u64,
    /// When they were changed last; 0: never.
    pub changed_at: u64,
    /// Who changed them last.
    pub changed_by: String,
    /// How the node shall be.
    pub spec: NodeSettings,
    /// How far that is so.
    pub status: SettingsStatus,
}
