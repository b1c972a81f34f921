//! What changes from one network to another, in words, and what stands against it. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use maekin_host::links::Link;
use maekin_rootfs::cidr::Cidr;
use maekin_rootfs::glob::name_matches;
use maekin_rootfs::node::{Interface, Network};
use maekin_rootfs::validate::{is_mac, validate_network};

/// What a change of the network does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// In words, a line each; none: nothing changes.
    pub(crate) changes: Vec<String>,
    /// Interfaces that are made by us and go, in this order: those that are wanted no longer, and those that have to be
    /// made anew.
    pub(crate) gone: Vec<String>,
    /// The address that carries the cluster from then on; `None`: the one that DHCP gives.
    pub(crate) address: Option<IpAddr>,
}

/// A network cannot be tried on this node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It contradicts itself.
    #[error("the network cannot be used: {0}")]
    Invalid(String),
    /// Nothing of it is there.
    #[error(
        "the node would have no network interface: {wanted} is not in this machine; its interfaces are {found}"
    )]
    NoInterface {
        /// What carries the cluster.
        wanted: String,
        /// What there is.
        found: String,
    },
    /// One address, two places.
    #[error("{address} is given to two interfaces; give it to one")]
    Twice {
        /// Which.
        address: String,
    },
    /// An address that nobody can be reached at.
    #[error(
        "{address} cannot carry the cluster: the first interface's first address is the one that peers are told; give \
         one of this network"
    )]
    NoPeerAddress {
        /// Which.
        address: IpAddr,
    },
}

/// Plans the change from `applied` to `wanted` on a machine with these interfaces.
///
/// # Errors
/// [`Refusal`]: nothing is to be tried then.
pub(crate) fn plan(applied: &Network, wanted: &Network, links: &[Link]) -> Result<Plan, Refusal> {
    let wrong: Vec<String> = validate_network(wanted).iter().map(ToString::to_string).collect();
    if !wrong.is_empty() {
        return Err(Refusal::Invalid(wrong.join("; ")));
    }
    check_addresses(wanted)?;
    check_ports(applied, wanted, links)?;
    Ok(Plan {
        changes: changes(applied, wanted, links),
        gone: gone(applied, wanted),
        address: first_address(wanted),
    })
}

/// The address that carries the cluster, where it is given.
pub(crate) fn first_address(network: &Network) -> Option<IpAddr> {
    let first = network.interfaces.first()?.addresses.first()?;
    first.parse::<Cidr>().ok().map(|cidr| cidr.address)
}

fn check_addresses(wanted: &Network) -> Result<(), Refusal> {
    let mut seen = BTreeSet::new();
    for address in wanted.interfaces.iter().flat_map(|i| &i.addresses) {
        // They parse: they were checked.
        let host = address.parse::<Cidr>().map(|cidr| cidr.address);
        if let Ok(host) = host
            && !seen.insert(host)
        {
            return Err(Refusal::Twice { address: host.to_string() });
        }
    }
    match first_address(wanted) {
        Some(address) if nobody_is_there(address) => Err(Refusal::NoPeerAddress { address }),
        _ => Ok(()),
    }
}

fn nobody_is_there(address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    address.is_unspecified() || address.is_multicast() || link_local
}

/// The interface that carries the cluster needs at least one port that is there.
fn check_ports(applied: &Network, wanted: &Network, links: &[Link]) -> Result<(), Refusal> {
    let ports: Vec<&Link> = links.iter().filter(|link| is_port(link, applied)).collect();
    let found = |ports: &[&Link]| {
        let all: Vec<String> = ports.iter().map(|link| format!("{} ({})", link.name, link.mac)).collect();
        if all.is_empty() { "none".to_owned() } else { all.join(", ") }
    };
    let Some(first) = wanted.interfaces.first() else {
        let wanted = "an Ethernet interface".to_owned();
        return if ports.is_empty() {
            Err(Refusal::NoInterface { wanted, found: found(&ports) })
        } else {
            Ok(())
        };
    };
    let below = wanted.ports_of(key(first));
    if below.iter().any(|port| ports.iter().any(|link| is(link, port))) {
        return Ok(());
    }
    let wanted = if below.is_empty() { format!("a port of {}", key(first)) } else { below.join(", ") };
    Err(Refusal::NoInterface { wanted, found: found(&ports) })
}

/// What is not made by us can carry a network: real hardware, and what somebody else made (veth, loopback).
fn is_port(link: &Link, applied: &Network) -> bool {
    link.physical || !applied.makes(&link.name)
}

fn is(link: &Link, port: &str) -> bool {
    if is_mac(port) { link.mac == port } else { name_matches(port, &link.name) }
}

fn key(interface: &Interface) -> &str {
    interface.mac.as_deref().or(interface.name.as_deref()).unwrap_or_default()
}

/// Interfaces of `applied` that are not in `wanted`, or not as what they are: networkd changes neither the kind of an
/// interface that is there, nor what it lies on.
pub(super) fn gone(applied: &Network, wanted: &Network) -> Vec<String> {
    let stays = |name: &str| {
        let bond = |network: &Network| {
            network.bond(name).map(|bond| (bond.mode, bond.lacp_rate, bond.members.first().cloned()))
        };
        let vlan = |network: &Network| network.vlan(name).map(|vlan| (vlan.id, vlan.on.clone()));
        let bridge = |network: &Network| {
            let bridge = network.bridge(name)?;
            Some((bridge.vlan_filtering, bridge.stp, bridge.members.first().cloned()))
        };
        bond(applied) == bond(wanted) && vlan(applied) == vlan(wanted) && bridge(applied) == bridge(wanted)
    };
    let gone: Vec<&str> = applied.made().into_iter().filter(|name| !stays(name)).collect();
    // A VLAN goes with what it lies on.
    let with = |name: &&str| {
        gone.contains(name) || applied.vlan(name).is_some_and(|vlan| gone.contains(&vlan.on.as_str()))
    };
    applied.made().into_iter().filter(with).map(str::to_owned).collect()
}

/// What changes, in words.
fn changes(applied: &Network, wanted: &Network, links: &[Link]) -> Vec<String> {
    let mut said = Vec::new();
    let (old, new) = (applied.interfaces.first(), wanted.interfaces.first());
    if old.map(place) != new.map(place) {
        let of = |interface: Option<&Interface>| {
            interface.map_or_else(|| "DHCP on every Ethernet interface".to_owned(), place)
        };
        said.push(format!("the cluster's network: {} -> {}", of(old), of(new)));
    }
    for interface in wanted.interfaces.iter().skip(1) {
        match applied.interfaces.iter().skip(1).find(|old| key(old) == key(interface)) {
            None => said.push(format!("new: {}", place(interface))),
            Some(old) if old == interface => {}
            Some(old) => said.push(format!("{} -> {}", place(old), place(interface))),
        }
    }
    for old in applied.interfaces.iter().skip(1) {
        if wanted.interfaces.iter().skip(1).all(|interface| key(interface) != key(old)) {
            said.push(format!("gone: {}", place(old)));
        }
    }
    made(applied, wanted, &mut said);
    if applied.dns != wanted.dns {
        said.push(format!("name servers: {} -> {}", list(&applied.dns), list(&wanted.dns)));
    }
    if said.is_empty() && applied != wanted {
        said.push("the same interfaces, written in another way".to_owned());
    }
    if !said.is_empty() {
        missing(wanted, applied, links, &mut said);
    }
    said
}

/// Bonds, VLANs and bridges.
fn made(applied: &Network, wanted: &Network, said: &mut Vec<String>) {
    let bonds = |network: &Network| -> Vec<(String, String)> {
        let words = |members: &[String]| members.join(", ");
        let bond = network.bonds.iter().map(|bond| {
            let text = format!("bond {}: {} of {}", bond.name, bond.mode.name(), words(&bond.members));
            (bond.name.clone(), text)
        });
        let vlan = network.vlans.iter().map(|vlan| {
            (vlan.name.clone(), format!("VLAN {}: number {} on {}", vlan.name, vlan.id, vlan.on))
        });
        let bridge = network.bridges.iter().map(|bridge| {
            let of = if bridge.members.is_empty() { "nothing".to_owned() } else { words(&bridge.members) };
            let tagged = if bridge.vlan_filtering { ", VLANs kept apart" } else { "" };
            let stp = if bridge.stp { ", spanning tree" } else { "" };
            (bridge.name.clone(), format!("bridge {}: of {of}{tagged}{stp}", bridge.name))
        });
        bond.chain(vlan).chain(bridge).collect()
    };
    let (old, new) = (bonds(applied), bonds(wanted));
    for (name, text) in &new {
        match old.iter().find(|(known, _)| known == name) {
            None => said.push(format!("new: {text}")),
            Some((_, before)) if before == text => {}
            Some((_, before)) => said.push(format!("{before} -> {text}")),
        }
    }
    let lost = old.iter().filter(|(name, _)| new.iter().all(|(known, _)| known != name));
    said.extend(lost.map(|(_, text)| format!("gone: {text}")));
}

/// Ports that are named and are not there.
fn missing(wanted: &Network, applied: &Network, links: &[Link], said: &mut Vec<String>) {
    let keys = wanted.interfaces.iter().map(key).chain(wanted.made());
    let mut ports: Vec<&str> = keys.flat_map(|key| wanted.ports_of(key)).collect();
    ports.sort_unstable();
    ports.dedup();
    let there = |port: &str| links.iter().any(|link| is_port(link, applied) && is(link, port));
    said.extend(
        ports
            .into_iter()
            .filter(|port| !there(port) && !port.contains('*'))
            .map(|port| format!("{port} is not in this machine now, and is waited for")),
    );
}

/// An interface and its addresses, in words.
fn place(interface: &Interface) -> String {
    let mut parts: Vec<String> = interface.addresses.clone();
    if interface.dhcp {
        parts.push("DHCP".to_owned());
    }
    if parts.is_empty() {
        parts.push("no address".to_owned());
    }
    let gateway = interface.gateway.map(|ip| format!(", router {ip}")).unwrap_or_default();
    let mtu = interface.mtu.map(|mtu| format!(", MTU {mtu}")).unwrap_or_default();
    format!("{} on {}{gateway}{mtu}", parts.join(", "), key(interface))
}

fn list(all: &[IpAddr]) -> String {
    if all.is_empty() {
        return "none".to_owned();
    }
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
