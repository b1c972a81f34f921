//! The answer file as it is written: TOML, unknown keys refused. Nothing here is trusted yet.

use maekin_rootfs::node::{Network, Provision, Time};
use serde::{Deserialize, Serialize};

/// The whole file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerFile {
    /// Format of the file; 1.
    pub version: u32,
    /// The node itself.
    pub node: Node,
    /// Who may administer it.
    #[serde(default)]
    pub admin: Admin,
    /// Which drives.
    #[serde(default)]
    pub disks: Disks,
    /// Interfaces and addresses, as in the node file.
    #[serde(default)]
    pub network: Network,
    /// Time servers, as in the node file.
    #[serde(default)]
    pub time: Time,
    /// New cluster, or which one to join.
    pub cluster: Cluster,
    /// Installing further machines, as in the node file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provision: Option<Provision>,
    /// The installation itself.
    #[serde(default)]
    pub install: Install,
}

/// `[node]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Host name, one DNS label.
    pub hostname: String,
}

/// `[admin]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Password in clear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Password as an Argon2id hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    /// Keys that may log in by ssh.
    pub ssh_keys: Vec<String>,
}

/// `[disks]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Disks {
    /// `"auto"`, or one or two names like `"serial:XYZ"`.
    pub mirror: toml::Value,
    /// Tokens that `maekin-installer plan` prints, one for each content that may be destroyed.
    pub consent: Vec<String>,
}

impl Default for Disks {
    fn default() -> Self {
        Self { mirror: toml::Value::String("auto".to_owned()), consent: Vec::new() }
    }
}

/// `[cluster]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// `create` or `join`.
    pub mode: Mode,
    /// With `create`: the cluster's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// With `join`: nodes to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masters: Option<Vec<String>>,
    /// With `join`: digest of the cluster's CA certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_sha256: Option<String>,
    /// With `join`: proof of being invited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// New cluster or existing one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A new one.
    Create,
    /// An existing one.
    Join,
}

/// `[install]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Install {
    /// What to do at the end.
    pub after: After,
}

/// What to do when the installation is finished.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum After {
    /// Start the installed system.
    #[default]
    Reboot,
    /// Switch the machine off.
    Poweroff,
}
