//! What `maekin-pxe` asks whoever approves machines, and what it is answered.
//!
//! On a node the agent is asked over its unix socket ([`AGENT_SOCKET`], HTTP/1.1, JSON); standalone, `maekin-pxe`
//! answers itself. The paths are constants here so that both sides agree by construction.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// The agent's unix socket, mode 0600, owner root. It serves the whole API without authentication.
pub const AGENT_SOCKET: &str = "/run/maekin/agent.sock";

/// `POST`: [`Machine`] in, [`Decision`] out. Asked at every network boot of a machine.
pub const DECIDE: &str = "/internal/boot/decide";

/// `GET /internal/install/{ticket}/answer`: the installer's answer file, TOML.
pub const ANSWER: &str = "/internal/install/{ticket}/answer";

/// `POST /internal/install/{ticket}/report`: [`Report`] in, empty out.
pub const REPORT: &str = "/internal/install/{ticket}/report";

/// A machine that asks to boot from the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Hardware address of the booting interface, `aa:bb:cc:dd:ee:ff`, lower case.
    pub mac: String,
    /// SMBIOS UUID as the firmware tells it; absent when it tells none or all zeros (RFC 4578 section 2.3).
    pub uuid: Option<String>,
    /// Client system architecture, RFC 4578 section 2.1 (0: BIOS, 7 and 9: x86-64 UEFI, 16: UEFI HTTP).
    pub arch: u16,
    /// The address the machine was leased, where we gave it one.
    pub address: Option<Ipv4Addr>,
    /// The address of ours that the machine reached.
    pub server: Ipv4Addr,
}

/// What a machine that boots from the network shall do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "kebab-case")]
pub enum Decision {
    /// Boot the installer, under this ticket.
    Install {
        /// Names the installation; 32 hex digits, unguessable.
        ticket: String,
    },
    /// Boot from the local disk: the machine is installed.
    Local,
    /// Nothing yet: show the code and why, ask again later.
    Wait {
        /// Short code to compare, shown on both screens.
        code: String,
        /// Why it waits, for the person in front of it.
        reason: String,
    },
}

/// How an installation goes, told by the installer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub enum Report {
    /// It is under way.
    Progress {
        /// What is being done, e.g. `writing system`.
        step: String,
        /// 0 to 100 of the whole installation.
        percent: u8,
    },
    /// It succeeded; the ticket is retired.
    Done {
        /// The installer's receipt, JSON.
        receipt: serde_json::Value,
    },
    /// It failed.
    Failed {
        /// Why, as shown on the machine's screen.
        reason: String,
    },
}
