//! Which devices an initrd can serve: the bundle file [`DRIVERS`], made from the kernel package's own lists when the
//! initrd is, and held against the target machine before an installation is committed. A driver that could install and
//! cannot boot is told then, and not by a machine that does not come up.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Path of the list in a bundle.
pub const DRIVERS: &str = "drivers";

/// A device that a boot drive hangs on, as sysfs tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Its path below `/sys/devices`.
    pub path: String,
    /// What it is, in the words that drivers are chosen by.
    pub modalias: String,
    /// The driver that serves it now.
    pub driver: String,
    /// The module that the driver is in; `None`: it is built into the running kernel.
    #[serde(default)]
    pub module: Option<String>,
}

/// The drivers of an initrd and its kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drivers {
    names: BTreeSet<String>,
    aliases: BTreeMap<String, Vec<String>>,
}

impl Drivers {
    /// From the kernel package's lists: the modules that the initrd has (paths), `modules.alias`, `modules.builtin` and
    /// `modules.builtin.modinfo` (kmod's modprobe(8) and depmod(8)).
    #[must_use]
    pub fn collect<'a>(
        modules: impl IntoIterator<Item = &'a str>,
        alias: &str,
        builtin: &str,
        builtin_modinfo: &[u8],
    ) -> Self {
        let mut names: BTreeSet<String> = modules.into_iter().map(module_name).collect();
        let mut drivers = Self::default();
        for line in alias.lines() {
            if let Some((pattern, name)) = line.strip_prefix("alias ").and_then(|l| l.rsplit_once(' '))
                && names.contains(&module_name(name))
            {
                drivers.add(pattern, name);
            }
        }
        for record in builtin_modinfo.split(|b| *b == 0) {
            let record = String::from_utf8_lossy(record);
            if let Some((name, pattern)) = record.split_once(".alias=") {
                drivers.add(pattern, name);
            }
        }
        names.extend(builtin.lines().map(module_name));
        drivers.names.extend(names);
        drivers
    }

    fn add(&mut self, pattern: &str, name: &str) {
        // Aliases without a bus are other names of modules, and match no device.
        if pattern.contains(':') {
            self.aliases.entry(pattern.to_owned()).or_default().push(module_name(name));
        }
    }

    /// The list, as it is written.
    #[must_use]
    pub fn text(&self) -> String {
        let names = self.names.iter().map(|name| format!("driver {name}\n"));
        let aliases = self
            .aliases
            .iter()
            .flat_map(|(pattern, names)| names.iter().map(move |name| format!("alias {pattern} {name}\n")));
        names.chain(aliases).collect()
    }

    /// The list, as it is read.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut drivers = Self::default();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("driver ") {
                drivers.names.insert(name.to_owned());
            } else if let Some((pattern, name)) = line.strip_prefix("alias ").and_then(|l| l.rsplit_once(' '))
            {
                drivers.add(pattern, name);
            }
        }
        drivers
    }

    /// Whether `device` would be served, by a kernel that is the running one (`same_kernel`) or another.
    #[must_use]
    pub fn serves(&self, device: &Device, same_kernel: bool) -> bool {
        let by_name = match &device.module {
            Some(module) => self.names.contains(&module_name(module)),
            None => same_kernel,
        };
        by_name || self.aliases.keys().any(|pattern| matches(pattern.as_bytes(), device.modalias.as_bytes()))
    }
}

/// `kernel/drivers/nvme/host/nvme-core.ko.xz` is `nvme_core`.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

/// fnmatch(3) without flags, as kmod matches aliases: `*`, `?`, `[a-z]`.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // Where the last star was, and what of the text it has taken so far: only that one has to be tried again.
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        let one = match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            Some(b'?') => Some(1),
            Some(b'[') => class(&pattern[p..], text[t]),
            Some(c) if *c == text[t] => Some(1),
            _ => None,
        };
        match (one, star) {
            (Some(len), _) => (p, t) = (p + len, t + 1),
            (None, Some((at, from))) => {
                star = Some((at, from + 1));
                (p, t) = (at + 1, from + 1);
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// The length of the class that `pattern` begins with, where it holds `byte`.
fn class(pattern: &[u8], byte: u8) -> Option<usize> {
    let end = pattern.iter().position(|c| *c == b']')?;
    let inside = &pattern[1..end];
    let mut i = 0;
    while i < inside.len() {
        let range = inside.get(i + 1) == Some(&b'-') && i + 2 < inside.len();
        let (low, high) = if range { (inside[i], inside[i + 2]) } else { (inside[i], inside[i]) };
        if (low..=high).contains(&byte) {
            return Some(end + 1);
        }
        i += if range { 3 } else { 1 };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALIAS: &str = "# Aliases extracted from modules themselves.\n\
        alias nvme nvme\n\
        alias pci:v*d*sv*sd*bc01sc08i02* nvme\n\
        alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci\n\
        alias pci:v00001000d00000097sv*sd*bc*sc*i* mpt3sas\n\
        alias pci:v00009005d0000028[df]sv*sd*bc*sc*i* smartpqi\n\
        alias virtio:d00000002v* virtio_blk\n\
        alias scsi:t-0x00* sd_mod\n\
        alias pci:v0000144Dd0000A80Asv*sd*bc*sc*i* foreign\n";

    fn drivers(modules: &[&str]) -> Drivers {
        let modinfo =
            b"pcieport.alias=pci:v*d*sv*sd*bc06sc04i00*\0pcieport.license=GPL\0ext4.alias=fs-ext4\0";
        Drivers::collect(modules.iter().copied(), ALIAS, "kernel/drivers/pci/pcie/pcieportdrv.ko\n", modinfo)
    }

    /// Captured from machines and guests.
    #[test]
    fn devices_are_served_by_what_is_there() {
        let all = drivers(&[
            "kernel/drivers/nvme/host/nvme.ko.xz",
            "kernel/drivers/block/virtio_blk.ko",
            "kernel/drivers/scsi/smartpqi/smartpqi.ko",
            "kernel/drivers/scsi/sd_mod.ko.xz",
        ]);
        let rows = [
            (
                "NVMe, by class",
                "pci:v0000144Dd0000A80Asv0000144Dsd0000A801bc01sc08i02",
                "nvme",
                Some("nvme"),
                true,
            ),
            ("virtio disk", "virtio:d00000002v00001AF4", "virtio_blk", Some("virtio_blk"), true),
            (
                "SAS that is not in",
                "pci:v00001000d00000097sv00001028sd00001F45bc01sc07i00",
                "mpt3sas",
                Some("mpt3sas"),
                false,
            ),
            (
                "class of hex digits",
                "pci:v00009005d0000028Fsv0000103Csd00000600bc01sc04i00",
                "smartpqi",
                None,
                false,
            ),
            (
                "class, as written",
                "pci:v00009005d0000028fsv0000103Csd00000600bc01sc04i00",
                "smartpqi",
                Some("x"),
                true,
            ),
            ("SCSI disk", "scsi:t-0x00", "sd", Some("sd_mod"), true),
            (
                "bridge, built in",
                "pci:v00001B36d0000000Csv00000000sd00000000bc06sc04i00",
                "pcieport",
                None,
                true,
            ),
            (
                "AHCI that is not in",
                "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01",
                "ahci",
                Some("ahci"),
                false,
            ),
            ("by the driver's name alone", "acpi:LNXSYBUS:", "x", Some("virtio-blk"), true),
        ];
        for (name, modalias, driver, module, want) in rows {
            let device = Device {
                path: "pci0000:00".to_owned(),
                modalias: modalias.to_owned(),
                driver: driver.to_owned(),
                module: module.map(str::to_owned),
            };
            assert_eq!(all.serves(&device, false), want, "{name}");
            assert_eq!(Drivers::parse(&all.text()).serves(&device, false), want, "{name}, read back");
        }
        let built_in = Device { modalias: "acpi:X:".into(), driver: "x".into(), ..Device::default() };
        assert!(all.serves(&built_in, true) && !all.serves(&built_in, false));
    }

    #[test]
    fn patterns_match_as_shells_do() {
        let rows = [
            ("", "", true),
            ("*", "", true),
            ("a*c", "abbbc", true),
            ("a*c", "abbbd", false),
            ("a*b*c", "axbxbxc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[0-9a-f]x", "cx", true),
            ("[0-9]x", "cx", false),
            ("[", "[", false),
            ("[a", "a", false),
        ];
        for (pattern, text, want) in rows {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), want, "{pattern} {text}");
        }
    }
}
