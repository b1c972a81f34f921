//! What the kernel says about a bond: `/proc/net/bonding/NAME` (the kernel's `bonding.rst`).

use std::io;
use std::path::Path;

/// A bond as it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bonding {
    /// The mode in the kernel's words.
    pub mode: String,
    /// It is LACP.
    pub lacp: bool,
    /// With LACP: the switch's hardware address; `None`: no switch speaks LACP with us.
    pub partner: Option<String>,
    /// With LACP: the group in use.
    pub aggregator: Option<u32>,
    /// Its ports.
    pub members: Vec<Member>,
}

/// A port of a bond.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Member {
    /// Kernel name.
    pub name: String,
    /// It has a link.
    pub up: bool,
    /// With LACP: the group that the switch has put it into.
    pub aggregator: Option<u32>,
    /// With LACP: the switch's hardware address at this port.
    pub partner: Option<String>,
}

/// Reads the state of the bond `name`.
///
/// # Errors
/// When there is no such bond.
pub fn read(name: &str) -> io::Result<Bonding> {
    std::fs::read_to_string(Path::new("/proc/net/bonding").join(name)).map(|text| parse(&text))
}

/// Parses the text of `/proc/net/bonding/NAME`.
#[must_use]
pub fn parse(text: &str) -> Bonding {
    let mut bond = Bonding::default();
    for line in text.lines() {
        let Some((key, value)) = line.trim().split_once(": ") else { continue };
        let value = value.trim();
        let partner = || Some(value.to_lowercase()).filter(|mac| mac != "00:00:00:00:00:00");
        match (key, bond.members.last_mut()) {
            ("Bonding Mode", _) => {
                value.clone_into(&mut bond.mode);
                bond.lacp = value.contains("802.3ad");
            }
            ("Slave Interface", _) => {
                bond.members.push(Member { name: value.to_owned(), ..Member::default() });
            }
            ("MII Status", Some(member)) => member.up = value == "up",
            ("Aggregator ID", Some(member)) => member.aggregator = value.parse().ok(),
            ("Aggregator ID", None) => bond.aggregator = value.parse().ok(),
            ("Partner Mac Address", None) => bond.partner = partner(),
            ("system mac address", Some(member)) => member.partner = partner(), // the actor's, then the partner's
            _ => {}
        }
    }
    bond
}

#[cfg(test)]
mod tests {
    use super::*;

    const LACP: &str = include_str!("../fixtures/bonding-lacp.txt");

    #[test]
    fn a_bond_whose_second_port_the_switch_has_not_in_the_group() {
        let bond = parse(LACP);
        assert!(bond.lacp && bond.mode.starts_with("IEEE 802.3ad"));
        assert_eq!((bond.partner.as_deref(), bond.aggregator), (Some("00:1c:73:aa:bb:cc"), Some(1)));
        let members: Vec<_> = bond
            .members
            .iter()
            .map(|m| (m.name.as_str(), m.up, m.aggregator, m.partner.as_deref()))
            .collect();
        let want = [
            ("enp1s0", true, Some(1), Some("00:1c:73:aa:bb:cc")),
            ("enp2s0", true, Some(2), None),
            ("enp3s0", false, Some(3), None),
        ];
        assert_eq!(members, want);
    }

    #[test]
    fn nothing_is_known_of_another_text() {
        assert_eq!(parse("\nBonding\n: :\n"), Bonding::default());
    }
}
