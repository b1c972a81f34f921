//! The machine around the drives: processor and network interfaces.

use maekin_host::lldp::Neighbour;
use serde::{Deserialize, Serialize};

/// The processor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cpu {
    /// Model, as it names itself.
    pub model: String,
    /// Threads that run at once, of all sockets.
    pub threads: u32,
    /// Those of its features that machines depend on, by the kernel's names, e.g. `vmx`, `aes`.
    pub flags: Vec<String>,
}

/// Features that virtual machines, storage or the kernel depend on, by the kernel's names.
const FLAGS: [&str; 14] = [
    "vmx",
    "svm",
    "ept",
    "npt",
    "la57",
    "aes",
    "sha_ni",
    "avx2",
    "avx512f",
    "rdrand",
    "x2apic",
    "pdpe1gb",
    "sev_snp",
    "hypervisor",
];

impl Cpu {
    /// Parses the text of `/proc/cpuinfo`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let value = |line: &str, key: &str| {
            let (name, value) = line.split_once(':')?;
            (name.trim() == key).then(|| value.trim().to_owned())
        };
        let first = |key: &str| text.lines().find_map(|line| value(line, key)).unwrap_or_default();
        let has: Vec<String> = first("flags").split(' ').map(ToOwned::to_owned).collect();
        let threads = text.lines().filter(|line| value(line, "processor").is_some()).count();
        Self {
            model: first("model name"),
            threads: u32::try_from(threads).unwrap_or(u32::MAX),
            flags: FLAGS
                .iter()
                .filter(|flag| has.iter().any(|h| h == *flag))
                .map(|f| (*f).to_owned())
                .collect(),
        }
    }
}

/// A network interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Nic {
    /// Kernel name.
    pub name: String,
    /// Hardware address, lower case.
    pub mac: String,
    /// Driver.
    pub driver: String,
    /// Whether a cable with a live other end is plugged in; `None` while the interface is down.
    pub link: Option<bool>,
    /// Mbit/s, where known.
    pub speed: Option<u32>,
    /// What the other end of the cable says it is (IEEE 802.1AB), where it was heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lldp: Option<Neighbour>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_counted_and_what_matters_of_them_is_taken() {
        let one = "processor\t: 0\nmodel name\t: Some CPU: fast\nflags\t\t: fpu vmx aes la57x\n\n";
        let cpu = Cpu::parse(&format!("{one}{}", one.replace(": 0", ": 1")));
        let want =
            Cpu { model: "Some CPU: fast".into(), threads: 2, flags: vec!["vmx".into(), "aes".into()] };
        assert_eq!(cpu, want);
        assert_eq!(Cpu::parse("no colon"), Cpu::default());
    }
}
