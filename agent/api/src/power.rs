//! Power of machines: how one is switched, and what it is told to do. A password goes in and never comes out.

use std::fmt;
use std::net::Ipv4Addr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// By which means a machine is switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PowerMethod")]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// A magic packet wakes it; it cannot be switched off, asked, or told from what to boot.
    WakeOnLan,
    /// IPMI 2.0 over the network (RMCP+).
    Ipmi,
    /// Redfish (DMTF DSP0266).
    Redfish,
}

/// Which kind of start is set for the boot from the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PowerFirmware")]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// UEFI.
    Uefi,
    /// BIOS, or UEFI's compatibility mode.
    Bios,
}

/// How a machine is switched, without the password. Fields that do not belong to the method must be left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PowerSettings {
    /// By which means.
    pub method: Method,
    /// Of the management controller: a name or an IP address, with `:port` where that is not the usual one. IPMI, Redfish.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// User of the management controller. IPMI, Redfish.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Kind of start to ask for; absent: whatever the machine is set to. IPMI, Redfish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<Firmware>,
    /// RMCP+ cipher suite (IPMI 2.0 table 22-20), 1 to 17; absent: the best one that the controller offers. IPMI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cipher_suite: Option<u8>,
    /// Which system, by its `Id`, where the controller has several. Redfish.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub system: String,
    /// SHA-256 of the controller's certificate (DER), 64 hex digits; empty: the first one it shows is kept. Redfish.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub certificate_sha256: String,
    /// Plain HTTP: whoever is on the way reads the password. Redfish.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plain_http: bool,
    /// The node's interface that the packet leaves from; absent: that of the cluster's network. Wake-on-LAN.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub interface: String,
    /// Where the packet is sent to; absent: 255.255.255.255. Wake-on-LAN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<Ipv4Addr>,
}

impl PowerSettings {
    /// Settings of `method` with nothing in them.
    #[must_use]
    pub fn new(method: Method) -> Self {
        Self {
            method,
            address: String::new(),
            user: String::new(),
            firmware: None,
            cipher_suite: None,
            system: String::new(),
            certificate_sha256: String::new(),
            plain_http: false,
            interface: String::new(),
            broadcast: None,
        }
    }
}

/// Body of `PUT` [`crate::MACHINE_POWER`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPower {
    /// How the machine is switched.
    pub settings: PowerSettings,
    /// The controller's password; for Wake-on-LAN the SecureOn password, `aa:bb:cc:dd:ee:ff` or four numbers with dots,
    /// or nothing.
    #[serde(default)]
    pub password: Secret,
}

/// What is known about the power of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PowerInfo {
    /// Hardware address the machine boots from.
    pub mac: String,
    /// How it is switched.
    pub settings: PowerSettings,
    /// Whether there is a password.
    pub has_password: bool,
    /// What was done last, by whom, and what came of it.
    pub last: Option<LastAction>,
    /// When the machine last asked an install master what to boot; absent: never.
    #[serde(default)]
    pub asked_at: Option<u64>,
}

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastAction {
    /// What.
    pub action: Action,
    /// Who asked, e.g. `root on node-1`.
    pub by: String,
    /// When it ended.
    pub at: u64,
    /// Whether it was done.
    pub done: bool,
    /// What came of it, for a person.
    pub outcome: String,
}

/// What a machine is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PowerAction")]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Nothing: only say whether it is on.
    Status,
    /// Be on.
    On,
    /// Be off, at once.
    Off,
    /// Start anew, at once; be on if it was off.
    Cycle,
    /// Boot from the network once: set that, then start anew, or be on if it was off.
    Netboot,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Status => "status",
            Self::On => "on",
            Self::Off => "off",
            Self::Cycle => "cycle",
            Self::Netboot => "netboot",
        })
    }
}

/// Body of `POST` [`crate::MACHINE_POWER`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PowerAct")]
#[serde(deny_unknown_fields)]
pub struct Act {
    /// What to do.
    pub action: Action,
    /// Also to a machine that is a member of the cluster and alive.
    #[serde(default)]
    pub force: bool,
}

/// Whether a machine is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PowerState")]
#[serde(rename_all = "lowercase")]
pub enum Power {
    /// It is.
    On,
    /// It is not.
    Off,
    /// Nobody can tell.
    Unknown,
}

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PowerDone")]
pub struct Done {
    /// The machine's power afterwards, as its controller tells it.
    pub power: Power,
    /// What was done, for a person.
    pub outcome: String,
}
