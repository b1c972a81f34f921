//! What `maekin-pxe` asks whoever approves machines, and what it is answered.
//!
//! On a node the agent is asked over its unix socket ([`AGENT_SOCKET`], HTTP/1.1, JSON); standalone, `maekin-pxe`
//! answers itself. The paths are constants here so that both sides agree by construction.

use std::net::Ipv4Addr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The agent's unix socket, mode 0600, owner root. It serves the whole API without authentication.
pub const AGENT_SOCKET: &str = "/run/maekin/agent.sock";

/// `POST`: [`Machine`] in, [`Decision`] out. Asked at every network boot of a machine.
pub const DECIDE: &str = "/internal/boot/decide";

/// `POST`: [`Machine`] in, [`crate::machine::Verdict`] out. Asked again and again for a machine that waits.
pub const VERDICT: &str = "/internal/machine/verdict";

/// `POST`: [`Inventory`] in, empty out: what a machine that asked found out about itself.
pub const INVENTORY: &str = "/internal/machine/inventory";

/// `POST`: [`Inventory`] in, the installer's answer file (TOML) out. Status 422 with the reason where the machine is not
/// the one that the ticket was cut for.
pub const ANSWER: &str = "/internal/install/{ticket}/answer";

/// `POST /internal/install/{ticket}/report`: [`Report`] in, empty out.
pub const REPORT: &str = "/internal/install/{ticket}/report";

/// A machine that asks to boot from the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// What a machine found out about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inventory {
    /// Which machine.
    pub machine: Machine,
    /// Its facts: the JSON of `maekin-installer probe --json`.
    pub facts: serde_json::Value,
}

/// What a machine that boots from the network shall do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The install master and the agent may be of different releases: what goes over the wire is written down here.
    #[test]
    fn decisions_and_reports_look_on_the_wire_as_agreed() {
        let wait = Decision::Wait { code: "123-456".into(), reason: "closed".into() };
        let decisions = [
            (Decision::Install { ticket: "t".into() }, r#"{"decision":"install","ticket":"t"}"#),
            (Decision::Local, r#"{"decision":"local"}"#),
            (wait, r#"{"decision":"wait","code":"123-456","reason":"closed"}"#),
        ];
        for (value, text) in decisions {
            assert_eq!(serde_json::to_string(&value).unwrap(), text);
            assert_eq!(serde_json::from_str::<Decision>(text).unwrap(), value, "{text}");
        }
        let progress = Report::Progress { step: "writing".into(), percent: 40 };
        let reports = [
            (progress, r#"{"stage":"progress","step":"writing","percent":40}"#),
            (Report::Done { receipt: serde_json::Value::Null }, r#"{"stage":"done","receipt":null}"#),
            (Report::Failed { reason: "disk".into() }, r#"{"stage":"failed","reason":"disk"}"#),
        ];
        for (value, text) in reports {
            assert_eq!(serde_json::to_string(&value).unwrap(), text);
            assert_eq!(serde_json::from_str::<Report>(text).unwrap(), value, "{text}");
        }
        for hostile in
            [r#"{"stage":"progress","step":"x","percent":300}"#, r#"{"stage":"other"}"#, "{}", "[]"]
        {
            assert!(serde_json::from_str::<Report>(hostile).is_err(), "{hostile}");
        }
    }
}
