//! What a machine is, as far as others than its installer look into it: read from the installer's facts, cut to a
//! bounded size and cleaned, because a stranger wrote it. Pure.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::identity::Identity;

/// Most drives and network ports that are kept.
const MOST: usize = 256;
/// Longest text that is kept of anything.
const LONGEST: usize = 64;
/// Drivers of network ports that are no ports: management controllers show them over USB, some with another address at
/// each start.
const NO_PORTS: [&str; 5] = ["cdc_ether", "cdc_eem", "cdc_ncm", "cdc_subset", "rndis_host"];

/// A machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inventory {
    /// `bios` or `uefi`.
    pub firmware: String,
    /// Whether Secure Boot is on, where the firmware says so.
    pub secure_boot: Option<bool>,
    /// Bytes of memory.
    pub memory: u64,
    /// The processor.
    pub cpu: Cpu,
    /// Maker, model, serial number.
    pub dmi: Dmi,
    /// Drives, by kernel name.
    pub disks: Vec<Drive>,
    /// Network ports, by kernel name.
    pub nics: Vec<Port>,
}

/// A processor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "MachineCpu")]
#[serde(default)]
pub struct Cpu {
    /// Model, as it names itself.
    pub model: String,
    /// Threads that run at once, of all sockets.
    pub threads: u32,
}

/// What the firmware says about the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "MachineDmi")]
#[serde(default)]
pub struct Dmi {
    /// Maker.
    pub vendor: String,
    /// Model.
    pub product: String,
    /// Serial number.
    pub serial: String,
    /// SMBIOS UUID.
    pub uuid: String,
    /// Firmware version.
    pub bios: String,
}

/// A drive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "MachineDrive")]
#[serde(default)]
pub struct Drive {
    /// Kernel name.
    pub name: String,
    /// Model.
    pub model: String,
    /// Serial number; empty when it reports none.
    pub serial: String,
    /// World-wide name; empty when it reports none.
    pub wwn: String,
    /// Bytes.
    pub size: u64,
    /// `sata`, `nvme`, `usb`, ...
    pub transport: String,
    /// It has spinning platters.
    pub rotational: bool,
    /// It is a stick or a card.
    pub removable: bool,
    /// What shows it, where it is no drive but a picture of one.
    pub virtual_media: Option<String>,
}

/// A network port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "MachinePort")]
#[serde(default)]
pub struct Port {
    /// Kernel name.
    pub name: String,
    /// Hardware address, lower case.
    pub mac: String,
    /// Driver.
    pub driver: String,
    /// Whether a cable with a live other end is plugged in, where that is known.
    pub link: Option<bool>,
    /// Mbit/s, where known.
    pub speed: Option<u32>,
}

impl Inventory {
    /// Reads the facts that a machine told.
    ///
    /// # Errors
    /// What cannot be understood.
    pub fn parse(facts: &serde_json::Value) -> Result<Self, String> {
        let read = Self::deserialize(facts).map_err(|e| format!("these are no facts of a machine: {e}"))?;
        if read.nics.is_empty() {
            return Err("these are no facts of a machine: it has no network port".to_owned());
        }
        Ok(read.bounded())
    }

    fn bounded(mut self) -> Self {
        self.disks.truncate(MOST);
        self.nics.truncate(MOST);
        let dmi = &mut self.dmi;
        let mut texts = vec![&mut self.firmware, &mut self.cpu.model];
        texts.extend([&mut dmi.vendor, &mut dmi.product, &mut dmi.serial, &mut dmi.uuid, &mut dmi.bios]);
        for disk in &mut self.disks {
            texts.extend([&mut disk.name, &mut disk.model, &mut disk.serial, &mut disk.wwn]);
            texts.push(&mut disk.transport);
            texts.extend(&mut disk.virtual_media);
        }
        for nic in &mut self.nics {
            texts.extend([&mut nic.name, &mut nic.mac, &mut nic.driver]);
        }
        for text in texts {
            *text = text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        }
        self
    }

    /// What a ticket is bound to.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let port = |nic: &&Port| !nic.mac.is_empty() && !NO_PORTS.contains(&nic.driver.as_str());
        let fixed = |disk: &&Drive| !disk.removable && disk.virtual_media.is_none();
        let name = |disk: &Drive| {
            let name = if disk.serial.is_empty() { &disk.wwn } else { &disk.serial };
            (!name.is_empty()).then(|| name.clone())
        };
        Identity {
            uuid: super::canonical_uuid(&self.dmi.uuid).map(|_| self.dmi.uuid.clone()).unwrap_or_default(),
            macs: self.nics.iter().filter(port).map(|nic| nic.mac.to_ascii_lowercase()).collect(),
            serials: self.disks.iter().filter(fixed).filter_map(name).collect::<BTreeSet<_>>(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn facts() -> serde_json::Value {
        json!({
            "firmware": "uefi", "memory": 8_u64 << 30, "added_later": [1],
            "dmi": {"vendor": "QEMU", "serial": "M1", "uuid": "1b4e28ba-2fa1-11d2-883f-0016d3cca427"},
            "disks": [
                {"name": "sda", "serial": "S1", "size": 1, "contents": {"signatures": []}},
                {"name": "sdb", "serial": "", "wwn": "0x5000", "size": 1},
                {"name": "sdc", "serial": "STICK", "size": 1, "removable": true},
                {"name": "sdd", "serial": "BMC", "size": 1, "virtual_media": "a management controller"},
                {"name": "sde", "serial": "", "size": 1},
            ],
            "nics": [
                {"name": "eth0", "mac": "52:54:00:00:00:01", "driver": "ixgbe", "link": true},
                {"name": "usb0", "mac": "52:54:00:00:00:99", "driver": "cdc_ether"},
            ],
        })
    }

    #[test]
    fn tickets_bind_ports_and_drives_that_stay_in_the_machine() {
        let got = Inventory::parse(&facts()).unwrap().identity();
        assert_eq!(got.uuid, "1b4e28ba-2fa1-11d2-883f-0016d3cca427");
        assert_eq!(got.macs.into_iter().collect::<Vec<_>>(), ["52:54:00:00:00:01"]);
        assert_eq!(got.serials.into_iter().collect::<Vec<_>>(), ["0x5000", "S1"]);
    }

    #[test]
    fn tickets_hostile_facts_are_refused_or_cut() {
        for (name, hostile) in [
            ("no object", json!("x")),
            ("nothing in it", json!({})),
            ("no ports", json!({"nics": [], "disks": []})),
            ("a number for a name", json!({"nics": [{"name": 7}]})),
            ("more memory than there is", json!({"nics": [{"mac": "a"}], "memory": 1e300})),
        ] {
            assert!(Inventory::parse(&hostile).is_err(), "{name}");
        }
        let mut many = facts();
        many["disks"] = (0..100_000).map(|i| json!({"serial": format!("S{i}")})).collect();
        many["dmi"]["vendor"] = json!("\u{1b}[2Jx".repeat(10_000));
        let got = Inventory::parse(&many).unwrap();
        assert_eq!(got.disks.len(), MOST);
        assert!(got.dmi.vendor.chars().count() <= LONGEST && !got.dmi.vendor.contains('\u{1b}'));
    }
}
