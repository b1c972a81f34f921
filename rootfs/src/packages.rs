//! The definition of the OS, `packages.toml`: which packages, which modules, what is left out.

use serde::Deserialize;

use crate::modules::Rules;

/// What is inside the OS.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Suites of Debian's archive; those ending in `-security` come from the security archive.
    pub suites: Vec<String>,
    /// Whether firmware and microcode that is not free software is taken in.
    pub non_free_firmware: bool,
    /// The package sets.
    pub set: Sets,
    /// The kernel modules.
    pub modules: Modules,
}

/// The package sets of the build; each is resolved by itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sets {
    /// Installed: the root image.
    pub root: PackageSet,
    /// Installed: the initrd.
    pub initrd: PackageSet,
    /// Unpacked: the kernel.
    pub kernel: PackageSet,
    /// Unpacked: boot loaders.
    pub boot: PackageSet,
    /// Unpacked: firmware.
    pub firmware: PackageSet,
    /// Unpacked, and run by the build.
    pub tools: PackageSet,
}

/// One package set.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageSet {
    /// Packages asked for; their dependencies come along.
    pub packages: Vec<String>,
    /// Of what was resolved, only the packages that match one of these patterns are taken.
    pub only: Option<Vec<String>>,
    /// Units enabled; all others of Debian's are disabled.
    #[serde(default)]
    pub enable: Vec<String>,
    /// Paths left out, see [`crate::glob::covers`].
    #[serde(default)]
    pub remove: Vec<String>,
}

/// Which kernel modules are taken.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Modules {
    /// Into the root image.
    pub root: Rules,
    /// Into the initrd.
    pub initrd: Rules,
}

/// The name of a package set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SetName {
    /// See [`Sets::root`].
    Root,
    /// See [`Sets::initrd`].
    Initrd,
    /// See [`Sets::kernel`].
    Kernel,
    /// See [`Sets::boot`].
    Boot,
    /// See [`Sets::firmware`].
    Firmware,
    /// See [`Sets::tools`].
    Tools,
}

impl SetName {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Root, Self::Initrd, Self::Kernel, Self::Boot, Self::Firmware, Self::Tools];

    /// As written in `packages.toml` and `packages.lock`.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Initrd => "initrd",
            Self::Kernel => "kernel",
            Self::Boot => "boot",
            Self::Firmware => "firmware",
            Self::Tools => "tools",
        }
    }

    /// The set of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.text() == text)
    }

    /// Whether its packages are installed (and so need Debian's essential packages), not just unpacked.
    #[must_use]
    pub fn installed(self) -> bool {
        matches!(self, Self::Root | Self::Initrd)
    }
}

impl PackageSet {
    /// The units that are to be enabled and that do not exist: systemd passes over them without a word.
    pub fn missing_units(&self, exists: impl Fn(&str) -> bool) -> Vec<&str> {
        let units = self.enable.iter().map(String::as_str);
        units.filter(|unit| !exists(&format!("usr/lib/systemd/system/{unit}"))).collect()
    }
}

impl Definition {
    /// Parses `packages.toml`.
    ///
    /// # Errors
    /// What is wrong with it, with line and key.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// The set of this name; empty for firmware when that is switched off.
    #[must_use]
    pub fn set(&self, name: SetName) -> PackageSet {
        match name {
            SetName::Root => self.set.root.clone(),
            SetName::Initrd => self.set.initrd.clone(),
            SetName::Kernel => self.set.kernel.clone(),
            SetName::Boot => self.set.boot.clone(),
            SetName::Firmware if self.non_free_firmware => self.set.firmware.clone(),
            SetName::Firmware => PackageSet::default(),
            SetName::Tools => self.set.tools.clone(),
        }
    }

    /// Components of the archive.
    #[must_use]
    pub fn components(&self) -> &'static [&'static str] {
        if self.non_free_firmware { &["main", "non-free-firmware"] } else { &["main"] }
    }

    /// Everything of this definition that decides which packages a lock holds, as text to be compared.
    #[must_use]
    pub fn resolution_inputs(&self) -> String {
        let mut text = format!("suites {:?}\ncomponents {:?}\n", self.suites, self.components());
        for name in SetName::ALL {
            let set = self.set(name);
            let mut packages = set.packages;
            packages.sort();
            text += &format!("{} {packages:?} {:?}\n", name.text(), set.only);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> Definition {
        Definition::parse(include_str!("../packages.toml")).unwrap()
    }

    #[test]
    fn the_shipped_definition_parses_and_names_no_package_twice() {
        let definition = shipped();
        for name in SetName::ALL {
            let set = definition.set(name);
            let mut packages = set.packages.clone();
            packages.sort();
            packages.dedup();
            assert_eq!(packages.len(), set.packages.len(), "{}", name.text());
            assert_eq!(SetName::parse(name.text()), Some(name));
        }
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let text = format!("surprise = 1\n{}", include_str!("../packages.toml"));
        assert!(Definition::parse(&text).unwrap_err().to_string().contains("surprise"));
    }

    #[test]
    fn units_that_do_not_exist_are_found() {
        let set = PackageSet {
            enable: vec!["a.service".to_owned(), "b.socket".to_owned()],
            ..PackageSet::default()
        };
        let missing = set.missing_units(|path| path == "usr/lib/systemd/system/a.service");
        assert_eq!(missing, ["b.socket"]);
    }

    #[test]
    fn the_firmware_switch_empties_the_set_and_drops_the_component() {
        let mut definition = shipped();
        let with = definition.resolution_inputs();
        definition.non_free_firmware = false;
        assert!(definition.set(SetName::Firmware).packages.is_empty());
        assert_eq!(definition.components(), ["main"]);
        assert_ne!(definition.resolution_inputs(), with);
    }
}
