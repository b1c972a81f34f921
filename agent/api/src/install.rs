//! Letting machines in: the install window, and the installations that came of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::machine::{Identity, Inventory};

/// Body of `POST` [`crate::INSTALL_WINDOW`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenWindow {
    /// For how long, 1 to 1440.
    pub minutes: u32,
    /// For how many machines, 1 to 1000.
    pub count: u32,
}

/// Whether machines that boot from the network are installed without asking further.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WindowState {
    /// Whether it is open now.
    pub open: bool,
    /// Until when; 0 when closed.
    pub until: u64,
    /// How many machines are still let in; 0 when closed.
    pub left: u32,
}

/// One installation of a machine over the network: its ticket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Install {
    /// Names it; also what the machine proves itself with while it is installed.
    pub ticket: String,
    /// The name the node gets.
    pub hostname: String,
    /// Hardware address the machine booted from.
    pub mac: String,
    /// SMBIOS UUID, where the firmware told it.
    pub uuid: Option<String>,
    /// How far it is.
    pub progress: Progress,
    /// When it was let in.
    pub created_at: u64,
    /// When it was last heard of.
    pub updated_at: u64,
    /// Until when the machine may begin; 0: for ever.
    pub expires: u64,
    /// Who let it in, in words.
    pub by: String,
    /// All that it is bound to; absent while the machine has not told what it is.
    pub identity: Option<Identity>,
    /// Labels that the node is to carry.
    pub roles: Vec<String>,
    /// What happened, in order.
    pub story: Vec<Event>,
    /// How many events were left out of the story, behind the first ones, because there were too many.
    pub left_out: u32,
    /// What a person has to do before the machine can join; absent: nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

/// Something that happened to a machine or its ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "InstallEvent")]
pub struct Event {
    /// When.
    pub at: u64,
    /// What kind.
    pub what: What,
    /// More about it, in words; may be empty.
    #[serde(default)]
    pub text: String,
}

/// Kinds of [`Event`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "InstallWhat")]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// It asked to boot for the first time.
    Seen,
    /// It told what it is.
    Waiting,
    /// It was let in; the text says by whom.
    Approved,
    /// It boots the installer.
    Booting,
    /// It told what it is, and the ticket is bound to that.
    Bound,
    /// It was not the machine that the ticket was cut for; the text says what differs.
    Refused,
    /// A step of the installation began.
    Step,
    /// It failed.
    Failed,
    /// It reported success.
    Reported,
    /// It boots from its disk from now on.
    Retired,
    /// It became a member.
    Joined,
    /// A person said no, or its secret was taken back because the cluster's CA was changed.
    Denied,
    /// Its time was over.
    Expired,
}

/// On what terms a machine is let in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Terms {
    /// Host name. `{n}` becomes the lowest number that is free (`{n:02}` with at least two digits), `{mac}` the hardware
    /// address without colons, `{serial}` the machine's serial number in lower case. Empty: `node-{n}`.
    pub hostname: String,
    /// Labels that the node is to carry.
    pub roles: Vec<String>,
    /// Which drives, and what may be lost on them.
    pub disks: Disks,
    /// How long the machine may take to begin, minutes; 0: a day.
    pub minutes: u32,
}

/// Which drives become the boot mirror, and what may be lost on them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "InstallDisks")]
#[serde(default, deny_unknown_fields)]
pub struct Disks {
    /// Drives like `serial:XYZ`, `wwn:0x5000` or `path:/dev/...`, at most two; none: the installer chooses.
    pub mirror: Vec<String>,
    /// Tokens of `maekin-installer plan`, one for each content that may be destroyed.
    pub consent: Vec<String>,
}

/// A machine, or several, that are let in without asking further. All that is given must fit; the first rule that fits
/// counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// Hardware address of any of its ports; empty: any.
    pub mac: String,
    /// SMBIOS UUID; empty: any.
    pub uuid: String,
    /// The machine's serial number, `*` stands for any characters; empty: any.
    pub serial: String,
    /// As [`Terms::hostname`].
    pub hostname: String,
    /// As [`Terms::roles`].
    pub roles: Vec<String>,
    /// As [`Terms::disks`].
    pub disks: Disks,
}

/// Body of `POST` [`crate::MACHINE_DENY`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Deny {
    /// Why, for whoever stands in front of it.
    pub reason: String,
    /// For how long, minutes; 0: until it is approved.
    pub minutes: u32,
}

/// How far an installation is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "InstallProgress")]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub enum Progress {
    /// It was let in; the installer has not been heard of yet.
    #[default]
    Booting,
    /// The installer works.
    Installing {
        /// On what.
        step: String,
        /// 0 to 100.
        percent: u8,
    },
    /// It failed.
    Failed {
        /// Why, as shown on the machine's screen.
        reason: String,
    },
    /// It is installed, and boots from its disk from now on.
    Installed,
    /// It has joined the cluster.
    Joined,
    /// The ticket was taken back: by a person, or because the cluster's CA was changed meanwhile.
    Denied,
}

/// A member that shall be installed anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reinstall {
    /// Its host name, which it keeps.
    pub name: String,
    /// Its id, which it does not.
    pub id: String,
    /// Until when that is wished.
    pub until: u64,
}

/// A machine that asked to boot from the network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SeenMachine {
    /// Hardware address it booted from.
    pub mac: String,
    /// SMBIOS UUID, where the firmware told it.
    pub uuid: Option<String>,
    /// RFC 4578 section 2.1.
    pub arch: u16,
    /// The code its screen shows.
    pub code: String,
    /// When it asked first.
    pub first_seen: u64,
    /// When it asked last, to half a minute.
    pub last_seen: u64,
    /// Where it stands.
    pub standing: Standing,
    /// What it is, once it has told.
    pub inventory: Option<Inventory>,
}

/// Where a machine that asked to boot stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "InstallStanding")]
#[serde(tag = "standing", rename_all = "kebab-case")]
pub enum Standing {
    /// Nobody has decided about it.
    Waiting {
        /// Why it was not let in.
        reason: String,
    },
    /// It has a ticket.
    Approved {
        /// Which.
        ticket: String,
    },
    /// It is installed, and boots from its disk.
    Installed {
        /// Its host name.
        hostname: String,
    },
    /// A person said no.
    Denied {
        /// By whom and why.
        reason: String,
    },
    /// Its ticket is too old to begin with.
    Expired {
        /// Since when.
        reason: String,
    },
}

impl Default for Standing {
    fn default() -> Self {
        Self::Waiting { reason: String::new() }
    }
}

/// Answer of [`crate::MACHINE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineDetail {
    /// The machine.
    pub machine: SeenMachine,
    /// Its facts as it told them; null while it has not, or where they were too long to be kept.
    pub facts: serde_json::Value,
}
