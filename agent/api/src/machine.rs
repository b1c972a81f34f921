//! Machines that boot from the network: what they tell of themselves, what they are told while they wait, and the code
//! by which a person tells one from another.
//!
//! A waiting machine asks the install master ([`WAIT`]), which asks whoever approves ([`crate::boot::VERDICT`]). What
//! a machine is goes the same way ([`TELL`], [`crate::boot::INVENTORY`]).
//!
//! | module | job |
//! | --- | --- |
//! | [`identity`] | by what a machine is known, and what differs between two |
//! | [`inventory`] | what a machine is, as far as others look into it |

pub mod identity;
pub mod inventory;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use identity::{Identity, canonical_uuid};
pub use inventory::Inventory;

/// `POST` on the install master's HTTP server: [`Ask`] in, [`Verdict`] out. The answer is held back for up to
/// [`HOLD`] seconds while nothing changes.
pub const WAIT: &str = "/machine/wait";
/// `POST` on the install master's HTTP server: [`Told`] in, empty out.
pub const TELL: &str = "/machine/tell";
/// `POST` on the install master's HTTP server: [`Ask`] in, empty out. The machine goes to its disk when it next boots
/// from the network, once, unless it was let in meanwhile.
pub const DISK: &str = "/machine/disk";
/// How long a waiting machine's question is held at most, seconds.
pub const HOLD: u64 = 20;
/// Largest facts that are taken from a machine, bytes.
pub const FACTS: usize = 1 << 20;

/// Who a machine is, as it says itself when it asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ask {
    /// Hardware address that it booted from, `aa:bb:cc:dd:ee:ff`, lower case.
    pub mac: String,
    /// SMBIOS UUID, as its kernel tells it.
    pub uuid: Option<String>,
    /// RFC 4578 section 2.1, as far as an operating system can tell: 0 BIOS, 7 UEFI.
    #[serde(default)]
    pub arch: u16,
    /// What it was told last: it wants to hear as soon as that changes.
    #[serde(default)]
    pub known: Option<Verdict>,
}

/// What a machine found out about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Told {
    /// Who.
    pub who: Ask,
    /// Its facts: the JSON of `maekin-installer probe --json`.
    pub facts: serde_json::Value,
}

/// What a machine that waits is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// It is let in: it installs itself under this ticket.
    Install {
        /// Names the installation; 32 hex digits, unguessable.
        ticket: String,
    },
    /// It is installed already: it boots from its disk.
    Local,
    /// Not yet.
    Wait {
        /// The code that whoever approves sees.
        code: String,
        /// Why, and what a person can do.
        reason: String,
        /// Whoever approves does not know its facts: it shall tell them.
        tell: bool,
        /// Nobody has said anything about it: what is installed on its drives may be started meanwhile.
        #[serde(default)]
        disk: bool,
    },
    /// A person said no.
    Denied {
        /// As for [`Verdict::Wait`].
        code: String,
        /// By whom and why, and what a person can do.
        reason: String,
    },
    /// It was let in, and did not come in time.
    Expired {
        /// As for [`Verdict::Wait`].
        code: String,
        /// Since when, and what a person can do.
        reason: String,
    },
}

/// Six digits by which a person tells machines apart, like `123-456`. Whoever approves computes them from what he was
/// told, and the machine from what it knows of itself: where both screens show the same, they speak of the same
/// machine. The byte order in which a firmware tells its UUID makes no difference.
#[must_use]
pub fn code(mac: &str, uuid: Option<&str>) -> String {
    let mut hash = Sha256::new();
    hash.update(b"maekin machine code 2\0");
    hash.update(mac.to_ascii_lowercase().as_bytes());
    hash.update(b"\0");
    hash.update(uuid.and_then(canonical_uuid).unwrap_or_default().as_bytes());
    let digest = hash.finalize();
    let number = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) % 1_000_000;
    format!("{:03}-{:03}", number / 1000, number % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const U1: &str = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";
    const U1_SWAPPED: &str = "ba284e1b-a12f-d211-883f-0016d3cca427";

    #[test]
    fn tickets_codes_are_the_same_on_both_screens_and_differ_between_machines() {
        let mac = "52:54:00:00:00:01";
        let one = code(mac, Some(U1));
        assert_eq!((one.len(), &one[3..4]), (7, "-"));
        let rows = [
            ("upper case", code("52:54:00:00:00:01", Some(&U1.to_uppercase())), true),
            ("UUID in the other byte order", code(mac, Some(U1_SWAPPED)), true),
            ("another port", code("52:54:00:00:00:02", Some(U1)), false),
            ("another board", code(mac, Some("2b4e28ba-2fa1-11d2-883f-0016d3cca427")), false),
            ("no UUID told", code(mac, None), false),
        ];
        for (name, got, same) in rows {
            assert_eq!(got == one, same, "{name}");
        }
        let zero = "00000000-0000-0000-0000-000000000000";
        assert_eq!(code(mac, Some(zero)), code(mac, None), "all zeros is no UUID");
    }

    /// Installer, install master and agent may be of different releases: what goes over the wire is written down here.
    #[test]
    fn tickets_verdicts_look_on_the_wire_as_agreed() {
        let (code, reason) = ("123-456".to_owned(), "closed".to_owned());
        let wait = Verdict::Wait { code: code.clone(), reason: reason.clone(), tell: true, disk: false };
        let rows = [
            (Verdict::Install { ticket: "t".into() }, r#"{"verdict":"install","ticket":"t"}"#),
            (Verdict::Local, r#"{"verdict":"local"}"#),
            (wait, r#"{"verdict":"wait","code":"123-456","reason":"closed","tell":true,"disk":false}"#),
            (
                Verdict::Denied { code: code.clone(), reason: reason.clone() },
                r#"{"verdict":"denied","code":"123-456","reason":"closed"}"#,
            ),
            (
                Verdict::Expired { code, reason },
                r#"{"verdict":"expired","code":"123-456","reason":"closed"}"#,
            ),
        ];
        for (value, text) in rows {
            assert_eq!(serde_json::to_string(&value).unwrap(), text);
            assert_eq!(serde_json::from_str::<Verdict>(text).unwrap(), value, "{text}");
        }
        let ask: Ask = serde_json::from_str(r#"{"mac":"a","uuid":null}"#).unwrap();
        assert_eq!(ask, Ask { mac: "a".into(), ..Ask::default() });
    }
}
