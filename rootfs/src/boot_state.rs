//! What the initrd found while it started the installed system, told to the agent in [`BOOT_STATE`] (JSON).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Where the initrd leaves it; `/run` survives the switch to the real root.
pub const BOOT_STATE: &str = "/run/maekin/boot.json";

/// How this boot went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootState {
    /// From the kernel command line; every identifier of the disks follows from it.
    pub install_id: Uuid,
    /// System slot in use: `a` or `b`.
    pub slot: String,
    /// Device nodes of the EFI system partitions found, boot disk 0 first.
    pub esp: Vec<String>,
    /// Arrays that were assembled, by name (`maekin-a` and so on).
    pub arrays: BTreeMap<String, ArrayState>,
    /// What the machine was started by.
    pub firmware: Firmware,
    /// Whether Secure Boot was on; absent where the firmware does not say, as under BIOS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secure_boot: Option<bool>,
    /// Version from the verified manifest.
    pub version: String,
    /// Which kind of key signed the manifest: `release` or `throw-away`.
    pub key: String,
    /// The boot drive (0 or 1) whose EFI system partition was believed: the newer one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub believed: Option<u8>,
    /// Halves that were here and were left out, because the other one is newer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stale: Vec<StaleHalf>,
    /// What else a person should know about how the halves were chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Boot files and words of the command line that are not what the installer wrote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suspicions: Vec<String>,
}

/// A half that was left out of its array.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaleHalf {
    /// The array.
    pub array: String,
    /// The boot drive that it is on, 0 or 1.
    pub drive: u8,
    /// Device node of the half.
    pub member: String,
    /// Why it was left out.
    pub reason: String,
    /// When it was last in use, seconds since 1970.
    pub last_used: u64,
}

/// One array as it was assembled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrayState {
    /// Device nodes of its members.
    pub members: Vec<String>,
    /// Whether it was started without one of its halves.
    pub degraded: bool,
}

/// What a machine was started by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    /// BIOS.
    Bios,
    /// UEFI.
    Uefi,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_json_is_understood() {
        let json = r#"{"install_id":"00000000-0000-0000-0000-000000000007","slot":"a","esp":["/dev/vda2"],
            "arrays":{"maekin-a":{"members":["/dev/vda3"],"degraded":true}},
            "firmware":"uefi","version":"0.1.0","key":"throw-away"}"#;
        let mut state: BootState = serde_json::from_str(json).unwrap();
        assert!(state.arrays["maekin-a"].degraded);
        assert_eq!(state.firmware, Firmware::Uefi);
        assert!(state.believed.is_none() && state.stale.is_empty());
        state.stale.push(StaleHalf {
            array: "maekin-state".to_owned(),
            drive: 1,
            member: "/dev/vdb5".to_owned(),
            reason: "drive 0 was used without it".to_owned(),
            last_used: 1_700_000_000,
        });
        let again: BootState = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
        assert_eq!(again, state);
    }
}
