//! What the firmware says about the machine (SMBIOS, through sysfs).

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The machine's maker, model and serial numbers; empty where the firmware says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dmi {
    /// Maker, e.g. `QEMU`.
    pub vendor: String,
    /// Model.
    pub product: String,
    /// Serial number of the machine.
    pub serial: String,
    /// SMBIOS UUID, lower case; empty when all zeros.
    pub uuid: String,
    /// Firmware version.
    pub bios: String,
}

/// Reads it from a directory like `/sys/class/dmi/id`.
#[must_use]
pub fn read(dir: &Path) -> Dmi {
    let field = |name: &str| parse_field(&fs::read_to_string(dir.join(name)).unwrap_or_default());
    Dmi {
        vendor: field("sys_vendor"),
        product: field("product_name"),
        serial: field("product_serial"),
        uuid: Some(field("product_uuid").to_lowercase())
            .filter(|uuid| uuid.contains(|c| c != '0' && c != '-'))
            .unwrap_or_default(),
        bios: field("bios_version"),
    }
}

/// Firmware makers fill fields they do not know with rubbish; that is as good as nothing.
fn parse_field(text: &str) -> String {
    let text = text.trim();
    let rubbish =
        ["To Be Filled By O.E.M.", "Default string", "System Serial Number", "Not Specified", "None"];
    if rubbish.iter().any(|r| r.eq_ignore_ascii_case(text)) { String::new() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_there_and_leaves_out_rubbish() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        put("sys_vendor", "QEMU\n");
        put("product_serial", "Default string\n");
        put("product_uuid", "00000000-0000-0000-0000-000000000000\n");
        let dmi = read(dir.path());
        assert_eq!((dmi.vendor.as_str(), dmi.serial.as_str(), dmi.uuid.as_str()), ("QEMU", "", ""));
        put("product_uuid", "4C4C4544-0000-2010-8020-80C04F202020\n");
        assert_eq!(read(dir.path()).uuid, "4c4c4544-0000-2010-8020-80c04f202020");
    }
}
