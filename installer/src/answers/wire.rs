//! The answer file as it is written: TOML, unknown keys refused. Nothing here is trusted yet. The JSON Schema and the
//! reference page are made from these types and their comments (see [`super::schema`]).

use std::fmt;

use maekin_rootfs::node::{Network, Provision, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Answers for an unattended installation of Maekin.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerFile {
    /// Format of the file; 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// The node itself.
    #[serde(default)]
    pub node: Node,
    /// Who may administer it.
    #[serde(default)]
    pub admin: Admin,
    /// Which drives.
    #[serde(default)]
    pub disks: Disks,
    /// Interfaces and addresses.
    #[serde(default)]
    pub network: Network,
    /// Where the time comes from.
    #[serde(default)]
    pub time: Time,
    /// New cluster, or which one to join.
    pub cluster: Cluster,
    /// Set where this node installs further machines by network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provision: Option<Provision>,
    /// The installation itself.
    #[serde(default)]
    pub install: Install,
}

/// The node itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Host name, one DNS label: 1 to 63 of `a-z`, `0-9` and `-`. Left out only with `identity = "keep"` in `[install]`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(regex(pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"))]
    pub hostname: String,
}

/// Who may administer the node. With a new cluster at least one of the keys is needed.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Password of user `admin` in clear, at least 8 characters; not beside `password_hash`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8))]
    pub password: Option<String>,
    /// Password of user `admin` as an Argon2id hash in PHC format, as `maekin-agent hash-password` prints it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^\$argon2id\$[!-~]+$"))]
    pub password_hash: Option<String>,
    /// Keys that may log in as root by ssh, each one line like `ssh-ed25519 AAAA... name`; none: ssh is off.
    pub ssh_keys: Vec<String>,
}

/// Which drives become the boot mirror, and what may be lost on them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Disks {
    /// `"auto"`: the two smallest suitable drives of the same size where there is no doubt, or the only one. Or a list of
    /// one or two drives, each `"serial:..."`, `"wwn:..."`, `"path:/dev/..."` or a table of rules. Or one table of rules
    /// with `count` drives.
    #[schemars(with = "MirrorForm")]
    pub mirror: toml::Value,
    /// Tokens that `maekin-installer plan` prints, one for each content that may be destroyed. Blank drives need none.
    #[schemars(inner(regex(pattern = "^([0-9a-f]{4}-){3}[0-9a-f]{4}$")))]
    pub consent: Vec<String>,
}

impl Default for Disks {
    fn default() -> Self {
        Self { mirror: toml::Value::String("auto".to_owned()), consent: Vec::new() }
    }
}

/// The forms that `mirror` may have. Only the schema needs them in one type: the checker tells more than "no form fits".
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)] // a description, never a value
enum MirrorForm {
    /// Those that leave no doubt.
    Auto(AutoWord),
    /// One or two drives, one by one.
    List(#[schemars(length(min = 1, max = 2))] Vec<DriveForm>),
    /// All by rules.
    Rules(DriveRules),
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code)]
enum AutoWord {
    Auto,
}

#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum DriveForm {
    /// One drive by name.
    Name(#[schemars(regex(pattern = "^(serial:.+|wwn:.+|path:/dev/.+)$"))] String),
    /// One drive by rules.
    Rules(DriveRules),
}

/// Rules for drives: a drive fits that fits all of them, and exactly `count` drives must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DriveRules {
    /// Model; `*` stands for any characters, case does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Serial number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// World-wide name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wwn: Option<String>,
    /// Its node or a link to it under `/dev`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^/dev/.+$"))]
    pub path: Option<String>,
    /// How it is attached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// Least size, like `"200GB"` or `"186GiB"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9]+ ?(([kMGT]|[kKMGT]i)?B)$"))]
    pub min: Option<String>,
    /// Greatest size, like `"1TB"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9]+ ?(([kMGT]|[kKMGT]i)?B)$"))]
    pub max: Option<String>,
    /// How many drives: 1 or 2. In a list each table is for 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2))]
    pub count: Option<u8>,
}

/// How a drive is attached, as lsblk(8) calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the names say it
pub enum Transport {
    Nvme,
    Sata,
    Sas,
    Ata,
    Usb,
    Virtio,
    Fc,
    Iscsi,
    Spi,
    Mmc,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nvme => "nvme",
            Self::Sata => "sata",
            Self::Sas => "sas",
            Self::Ata => "ata",
            Self::Usb => "usb",
            Self::Virtio => "virtio",
            Self::Fc => "fc",
            Self::Iscsi => "iscsi",
            Self::Spi => "spi",
            Self::Mmc => "mmc",
        })
    }
}

/// New cluster, or which one to join.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// New cluster or existing one.
    pub mode: Mode,
    /// With `create`: the cluster's name, one DNS label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"))]
    pub name: Option<String>,
    /// With `join`: nodes to ask, each like `https://10.77.0.1:8443`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), inner(regex(pattern = r"^https://[A-Za-z0-9.:\[\]-]+$")))]
    pub masters: Option<Vec<String>>,
    /// With `join`: SHA-256 of the cluster's CA certificate, 64 lower-case hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    pub ca_sha256: Option<String>,
    /// With `join`: the one-time secret that proves that this node was invited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub secret: Option<String>,
    /// With `join`: a join token, which stands for `masters`, `ca_sha256` and `secret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^mjt1-[0-9a-hjkmnp-tv-z-]+$"))]
    pub token: Option<String>,
}

/// New cluster or existing one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A new one.
    Create,
    /// An existing one.
    Join,
    /// Neither yet: it waits until a person gives it a join token.
    Wait,
}

/// The installation itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Install {
    /// What to do when the installation is finished.
    pub after: After,
    /// Who the node becomes.
    pub identity: Identity,
}

/// What to do when the installation is finished.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum After {
    /// Start the installed system.
    #[default]
    Reboot,
    /// Switch the machine off.
    Poweroff,
}

/// Who a node becomes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Identity {
    /// Somebody new, named by `hostname` in `[node]`.
    #[default]
    New,
    /// Who this machine was: as an old boot drive says that is still in it, or the receipt on the install medium. Only its
    /// host name is kept; what it stored is on the drives that are not installed on.
    Keep,
}
