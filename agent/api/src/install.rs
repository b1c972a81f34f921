//! Letting machines in: the install window, and the installations that came of it.

use serde::{Deserialize, Serialize};

/// Body of `POST` [`crate::INSTALL_WINDOW`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenWindow {
    /// For how long, 1 to 1440.
    pub minutes: u32,
    /// For how many machines, 1 to 1000.
    pub count: u32,
}

/// Whether machines that boot from the network are installed without asking further.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowState {
    /// Whether it is open now.
    pub open: bool,
    /// Until when; 0 when closed.
    pub until: u64,
    /// How many machines are still let in; 0 when closed.
    pub left: u32,
}

/// One installation of a machine over the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// How far an installation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub enum Progress {
    /// It was let in; the installer has not been heard of yet.
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
}

/// A member that shall be installed anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reinstall {
    /// Its host name, which it keeps.
    pub name: String,
    /// Its id, which it does not.
    pub id: String,
    /// Until when that is wished.
    pub until: u64,
}

/// A machine that asked to boot from the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// When it asked last.
    pub last_seen: u64,
}
