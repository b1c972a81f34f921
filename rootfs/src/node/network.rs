//! The network of a node: ports, bonds, VLANs, bridges, and the addresses on them.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What every Ethernet port can do, in bytes.
const ETHERNET_MTU: u32 = 1500;

/// Interfaces and addresses. The first interface carries the cluster: its first address is the one peers are told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// In order; the first one carries the cluster. None: DHCP on every Ethernet interface.
    #[serde(rename = "interface", skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<Interface>,
    /// Several ports used as one.
    #[serde(rename = "bond", skip_serializing_if = "Vec::is_empty")]
    pub bonds: Vec<Bond>,
    /// Tagged networks on a port, on a bond or on a bridge (IEEE 802.1Q).
    #[serde(rename = "vlan", skip_serializing_if = "Vec::is_empty")]
    pub vlans: Vec<Vlan>,
    /// Switches inside the node, to which virtual machines are attached.
    #[serde(rename = "bridge", skip_serializing_if = "Vec::is_empty")]
    pub bridges: Vec<Bridge>,
    /// Name servers, for addresses given by hand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<IpAddr>,
}

/// One network interface: a port of the machine, a bond, a VLAN or a bridge, and its addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Interface {
    /// Hardware address, `aa:bb:cc:dd:ee:ff`; matched before `name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^([0-9a-f]{2}:){5}[0-9a-f]{2}$"))]
    pub mac: Option<String>,
    /// Kernel name, e.g. `enp1s0`, where the hardware address is not given; of a bond, a VLAN or a bridge, its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[A-Za-z0-9_.*-]{1,15}$"))]
    pub name: Option<String>,
    /// Ask for an address by DHCP.
    pub dhcp: bool,
    /// Addresses with prefix length, e.g. `10.77.0.1/24`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Default router.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Largest frame payload in bytes; 1500 where it is not given and no VLAN on it needs more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 576, max = 65_535))]
    pub mtu: Option<u32>,
}

/// Several ports used as one. Its addresses are those of the interface of the same name; VLANs can lie on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bond {
    /// Kernel name that it gets, e.g. `bond0`.
    pub name: String,
    /// How the ports share the work.
    #[serde(default)]
    pub mode: BondMode,
    /// Its ports: hardware addresses or kernel names. The first one's hardware address becomes the bond's, so that it
    /// gets the same DHCP lease as the port alone.
    #[schemars(length(min = 1))]
    pub members: Vec<String>,
    /// With `802.3ad`: how often the switch is to say that it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacp_rate: Option<LacpRate>,
}

/// How the ports of a bond share the work (the kernel's `bonding.rst`, option `mode`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BondMode {
    /// One port works, another takes over; the switch needs not know.
    #[default]
    #[serde(rename = "active-backup")]
    ActiveBackup,
    /// LACP: all ports work, and the switch has them in one group (IEEE 802.1AX, formerly 802.3ad).
    #[serde(rename = "802.3ad")]
    Lacp,
    /// All ports in turn; the switch has them in one group without LACP.
    #[serde(rename = "balance-rr")]
    BalanceRr,
    /// A port by hash of the addresses; the switch has them in one group without LACP.
    #[serde(rename = "balance-xor")]
    BalanceXor,
    /// Sends on all ports, receives on one; the switch needs not know.
    #[serde(rename = "balance-tlb")]
    BalanceTlb,
    /// Sends and receives on all ports, by ARP; the switch needs not know.
    #[serde(rename = "balance-alb")]
    BalanceAlb,
}

impl BondMode {
    /// Every mode.
    pub const ALL: [Self; 6] = [
        Self::ActiveBackup,
        Self::Lacp,
        Self::BalanceRr,
        Self::BalanceXor,
        Self::BalanceTlb,
        Self::BalanceAlb,
    ];

    /// Its name, in our files, in networkd's and in the kernel's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ActiveBackup => "active-backup",
            Self::Lacp => "802.3ad",
            Self::BalanceRr => "balance-rr",
            Self::BalanceXor => "balance-xor",
            Self::BalanceTlb => "balance-tlb",
            Self::BalanceAlb => "balance-alb",
        }
    }
}

/// How often LACP asks the switch to say that it is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LacpRate {
    /// Every second: a dead port is out after three.
    #[default]
    Fast,
    /// Every 30 seconds.
    Slow,
}

impl LacpRate {
    /// Its name, in our files and in networkd's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Slow => "slow",
        }
    }
}

/// A tagged network. Its addresses are those of the interface of the same name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vlan {
    /// Kernel name that it gets, e.g. `vlan20`.
    pub name: String,
    /// Its number, 1 to 4094.
    #[schemars(range(min = 1, max = 4094))]
    pub id: u16,
    /// What it lies on: a bond's or a bridge's name, or a port's hardware address or kernel name, written as in its
    /// interface entry.
    pub on: String,
}

/// A switch inside the node (the kernel's bridge). Its addresses are those of the interface of the same name; VLANs can
/// lie on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bridge {
    /// Kernel name that it gets, e.g. `br0`.
    pub name: String,
    /// What is plugged into it: ports (by hardware address or kernel name), bonds, VLANs. The first one's hardware
    /// address becomes the bridge's, where it is known. None: only virtual machines of this node are on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// Keep tagged networks apart: a virtual machine sees only those that it is given. Its members carry all of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vlan_filtering: bool,
    /// Speak the spanning tree protocol (IEEE 802.1D), so that a loop in the cabling is cut; a port then stays silent
    /// for 30 seconds after its link came up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stp: bool,
}

impl Network {
    /// The bond called `name`.
    #[must_use]
    pub fn bond(&self, name: &str) -> Option<&Bond> {
        self.bonds.iter().find(|bond| bond.name == name)
    }

    /// The VLAN called `name`.
    #[must_use]
    pub fn vlan(&self, name: &str) -> Option<&Vlan> {
        self.vlans.iter().find(|vlan| vlan.name == name)
    }

    /// The bridge called `name`.
    #[must_use]
    pub fn bridge(&self, name: &str) -> Option<&Bridge> {
        self.bridges.iter().find(|bridge| bridge.name == name)
    }

    /// The bridge that `key` (hardware address or name) is plugged into.
    #[must_use]
    pub fn bridge_of(&self, key: &str) -> Option<&Bridge> {
        self.bridges.iter().find(|bridge| bridge.members.iter().any(|member| member == key))
    }

    /// Whether `name` is made by us, and no port of the machine: a bond, a VLAN or a bridge.
    #[must_use]
    pub fn makes(&self, name: &str) -> bool {
        self.bond(name).is_some() || self.vlan(name).is_some() || self.bridge(name).is_some()
    }

    /// Names of all that is made, in the order in which it can be taken away.
    #[must_use]
    pub fn made(&self) -> Vec<&str> {
        let vlans = self.vlans.iter().map(|vlan| vlan.name.as_str());
        let bridges = self.bridges.iter().map(|bridge| bridge.name.as_str());
        let bonds = self.bonds.iter().map(|bond| bond.name.as_str());
        vlans.chain(bridges).chain(bonds).collect()
    }

    /// The ports of the machine that `key` ends at, going down through what is made: hardware addresses and names.
    #[must_use]
    pub fn ports_of<'a>(&'a self, key: &'a str) -> Vec<&'a str> {
        let (mut ports, mut seen, mut left) = (Vec::new(), Vec::new(), vec![key]);
        while let Some(key) = left.pop() {
            if seen.contains(&key) {
                continue;
            }
            seen.push(key);
            match (self.bond(key), self.vlan(key), self.bridge(key)) {
                (Some(bond), ..) => left.extend(bond.members.iter().rev().map(String::as_str)),
                (None, Some(vlan), _) => left.push(&vlan.on),
                (None, None, Some(bridge)) => left.extend(bridge.members.iter().rev().map(String::as_str)),
                (None, None, None) => ports.push(key),
            }
        }
        ports
    }

    /// The entry of what is called `key` (hardware address or name), where it has one.
    #[must_use]
    pub fn interface(&self, key: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.is(key))
    }

    /// The MTU of `key`: the one given, or the greatest that a VLAN on it or its bridge needs; of a VLAN, at most that of
    /// what it lies on; `None`: the driver's own.
    #[must_use]
    pub fn mtu_of(&self, key: &str) -> Option<u32> {
        let own = self.given_mtu(key);
        if let (None, Some(vlan)) = (own, self.vlan(key)) {
            // Without a word the kernel gives it what its port has at that moment.
            let below = if self.vlan(&vlan.on).is_some() { None } else { self.mtu_of(&vlan.on) };
            return below.map(|mtu| mtu.min(ETHERNET_MTU));
        }
        let on = |key: &str| self.vlans_on(key).filter_map(|vlan| self.given_mtu(&vlan.name)).max();
        own.or_else(|| on(key)).or_else(|| on(&self.bridge_of(key)?.name))
    }

    /// What its entry says, or that of the bridge that it is plugged into.
    fn given_mtu(&self, key: &str) -> Option<u32> {
        let said = |key: &str| self.interface(key).and_then(|interface| interface.mtu);
        said(key).or_else(|| said(&self.bridge_of(key)?.name))
    }

    /// The VLANs on `key` (hardware address or name), by whichever of its two names they call it.
    pub fn vlans_on<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Vlan> {
        let entry = self.interface(key);
        self.vlans.iter().filter(move |vlan| vlan.on == key || entry.is_some_and(|entry| entry.is(&vlan.on)))
    }
}

impl Interface {
    /// Whether this entry is written for `key`, a hardware address or a name.
    #[must_use]
    pub fn is(&self, key: &str) -> bool {
        self.mac.as_deref() == Some(key) || self.name.as_deref() == Some(key)
    }
}
