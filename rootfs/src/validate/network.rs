//! What makes a network usable: each entry by itself, and what entries say about each other.

use std::collections::BTreeSet;

use super::{Found, is_interface_name, is_mac};
use crate::cidr::Cidr;
use crate::node::{Bond, BondMode, Bridge, Interface, Network, Vlan};

/// Most entries of a kind.
const MOST: usize = 64;

pub(super) fn check(network: &Network, found: &mut Found) {
    let counts = [
        ("interface", network.interfaces.len()),
        ("bond", network.bonds.len()),
        ("vlan", network.vlans.len()),
        ("bridge", network.bridges.len()),
    ];
    for (kind, count) in counts.iter().filter(|(_, count)| *count > MOST) {
        found.add(format!("network.{kind}"), format!("has {count} entries; at most {MOST} are allowed"));
    }
    for (i, interface) in network.interfaces.iter().enumerate() {
        check_interface(i, interface, found);
        check_place(i, interface, network, found);
    }
    let mut names = BTreeSet::new();
    let mut members = BTreeSet::new();
    for (i, bond) in network.bonds.iter().enumerate() {
        check_made_name(&format!("network.bond[{i}].name"), &bond.name, &mut names, network, found);
        check_bond(i, bond, network, &mut members, found);
    }
    let mut tags = BTreeSet::new();
    for (i, vlan) in network.vlans.iter().enumerate() {
        check_made_name(&format!("network.vlan[{i}].name"), &vlan.name, &mut names, network, found);
        check_vlan(i, vlan, network, &mut tags, found);
    }
    let mut plugged = BTreeSet::new();
    for (i, bridge) in network.bridges.iter().enumerate() {
        check_made_name(&format!("network.bridge[{i}].name"), &bridge.name, &mut names, network, found);
        check_bridge(i, bridge, network, &mut plugged, found);
    }
}

fn check_interface(i: usize, interface: &Interface, found: &mut Found) {
    let field = |name: &str| format!("network.interface[{i}]{name}");
    match (&interface.mac, &interface.name) {
        (None, None) => found.add(field(""), "needs `mac` or `name` to say which interface it is"),
        (Some(mac), _) if !is_mac(mac) => {
            found.add(
                field(".mac"),
                format!("`{}` is not written like aa:bb:cc:dd:ee:ff", mac.escape_debug()),
            );
        }
        (_, Some(name)) if !is_interface_name(name) => {
            found.add(field(".name"), format!("`{}` cannot be an interface's name", name.escape_debug()));
        }
        _ => {}
    }
    let mut networks = Vec::new();
    for text in &interface.addresses {
        match text.parse::<Cidr>() {
            Ok(cidr) => networks.push(cidr),
            Err(e) => found.add(field(".addresses"), e.to_string()),
        }
    }
    if let Some(gateway) = interface.gateway
        && !interface.dhcp
        && !networks.iter().any(|net| net.contains(gateway))
    {
        found.add(field(".gateway"), format!("{gateway} lies in no network of this interface's addresses"));
    }
    if interface.mtu.is_some_and(|mtu| !(576..=65_535).contains(&mtu)) {
        found.add(field(".mtu"), "must be between 576 and 65535 bytes");
    }
    if i == 0 && !interface.dhcp && interface.addresses.is_empty() {
        found.add(field(""), "carries the cluster and so needs `dhcp = true` or an address");
    }
}

/// What an interface entry says beside those of bonds, VLANs and bridges.
fn check_place(i: usize, interface: &Interface, network: &Network, found: &mut Found) {
    let field = |name: &str| format!("network.interface[{i}]{name}");
    let name = interface.name.as_deref().unwrap_or_default();
    if network.makes(name) && interface.mac.is_some() {
        found.add(field(".mac"), format!("does not belong here: {name} is found by its name alone"));
    }
    if let Some(bond) = network.bonds.iter().find(|bond| bond.members.iter().any(|m| interface.is(m))) {
        found.add(
            field(""),
            format!(
                "is a port of {0}: leave this entry out, and give addresses to the one of {0}",
                bond.name
            ),
        );
    }
    if let Some(bridge) = network.bridges.iter().find(|bridge| bridge.members.iter().any(|m| interface.is(m)))
    {
        found.add(
            field(""),
            format!(
                "is plugged into {0}: leave this entry out, and give addresses to the one of {0}",
                bridge.name
            ),
        );
    }
    if let (Some(vlan), Some(mtu)) = (network.vlan(name), interface.mtu)
        && let Some(below) = network.interface(&vlan.on).and_then(|below| below.mtu)
        && mtu > below
    {
        found.add(field(".mtu"), format!("is greater than the {below} of {}, on which {name} lies", vlan.on));
    }
}

/// The name of something that we make: a bond, a VLAN or a bridge.
fn check_made_name<'a>(
    field: &str,
    name: &'a str,
    names: &mut BTreeSet<&'a str>,
    network: &Network,
    found: &mut Found,
) {
    if !is_interface_name(name) || name.contains('*') || name.starts_with('.') || name == "lo" {
        let text = name.escape_debug();
        found.add(field, format!("`{text}` cannot be an interface's name: at most 15 of a-z, 0-9, - _ ."));
    } else if !names.insert(name) {
        found.add(
            field,
            format!("`{name}` is given twice: each bond, VLAN and bridge needs a name of its own"),
        );
    } else if network.interface(name).is_none()
        && network.vlans_on(name).next().is_none()
        && network.bridge(name).is_none()
        && network.bridge_of(name).is_none()
    {
        found.add(
            field,
            format!(
                "`{name}` is used by nothing: give it addresses by [[network.interface]] name = \"{name}\""
            ),
        );
    }
}

fn check_bond<'a>(
    i: usize,
    bond: &'a Bond,
    network: &Network,
    members: &mut BTreeSet<&'a str>,
    found: &mut Found,
) {
    let field = |name: &str| format!("network.bond[{i}].{name}");
    if bond.members.is_empty() {
        found.add(field("members"), "name at least one port, by hardware address or kernel name");
    }
    if bond.lacp_rate.is_some() && bond.mode != BondMode::Lacp {
        found.add(field("lacp_rate"), "belongs to mode = \"802.3ad\" only");
    }
    for (m, member) in bond.members.iter().enumerate() {
        let place = field(&format!("members[{m}]"));
        let text = member.escape_debug();
        if !is_port(member) {
            found.add(place, format!("`{text}` is neither a hardware address nor an interface's name"));
        } else if network.makes(member) {
            found.add(place, format!("{member} is no port: a bond consists of ports of the machine"));
        } else if !members.insert(member) {
            found.add(place, format!("{member} is named twice: a port belongs to one bond"));
        } else if network.vlans.iter().any(|vlan| vlan.on == *member) {
            found.add(place, format!("{member} carries a VLAN itself: let the VLAN lie on {}", bond.name));
        }
    }
}

fn check_vlan<'a>(
    i: usize,
    vlan: &'a Vlan,
    network: &Network,
    tags: &mut BTreeSet<(&'a str, u16)>,
    found: &mut Found,
) {
    let field = |name: &str| format!("network.vlan[{i}].{name}");
    if !(1..=4094).contains(&vlan.id) {
        found.add(field("id"), format!("{} is no VLAN: allowed are 1 to 4094", vlan.id));
    }
    if !is_port(&vlan.on) {
        let text = vlan.on.escape_debug();
        found.add(
            field("on"),
            format!("`{text}` is neither a bond, nor a bridge, nor a hardware address, nor a name"),
        );
    } else if network.vlan(&vlan.on).is_some() {
        found.add(
            field("on"),
            format!("{} is a VLAN itself: a VLAN lies on a port, a bond or a bridge", vlan.on),
        );
    } else if !tags.insert((&vlan.on, vlan.id)) {
        found.add(field("id"), format!("{} is given twice on {}", vlan.id, vlan.on));
    }
}

fn check_bridge<'a>(
    i: usize,
    bridge: &'a Bridge,
    network: &Network,
    plugged: &mut BTreeSet<&'a str>,
    found: &mut Found,
) {
    let field = |name: &str| format!("network.bridge[{i}].{name}");
    if bridge.members.len() > MOST {
        found.add(
            field("members"),
            format!("has {} entries; at most {MOST} are allowed", bridge.members.len()),
        );
    }
    for (m, member) in bridge.members.iter().take(MOST).enumerate() {
        let place = field(&format!("members[{m}]"));
        let text = member.escape_debug();
        let bond = network.bonds.iter().find(|bond| bond.members.contains(member));
        if !is_port(member) {
            let what = "is neither a bond, nor a VLAN, nor a hardware address, nor a name";
            found.add(place, format!("`{text}` {what}"));
        } else if network.bridge(member).is_some() {
            found.add(place, format!("{member} is a bridge itself: a bridge has ports, bonds and VLANs"));
        } else if !plugged.insert(member) {
            found.add(place, format!("{member} is named twice: it can be plugged into one bridge only"));
        } else if let Some(bond) = bond {
            found.add(place, format!("{member} is a port of {0}: name {0} here", bond.name));
        } else if network.vlan(member).is_none() && network.vlans_on(member).next().is_some() {
            found.add(place, format!("{member} carries a VLAN itself: let the VLAN lie on {}", bridge.name));
        } else if lies_on(network, member, &bridge.name) {
            found
                .add(place, format!("{member} lies on {} itself, by way of what it is made of", bridge.name));
        }
    }
}

/// Whether `key` is made of `bridge`, at whatever depth.
fn lies_on(network: &Network, key: &str, bridge: &str) -> bool {
    let (mut seen, mut left) = (BTreeSet::new(), vec![key]);
    while let Some(key) = left.pop() {
        if key == bridge {
            return true;
        }
        if seen.insert(key) {
            left.extend(network.vlan(key).map(|vlan| vlan.on.as_str()));
            left.extend(network.bridge(key).into_iter().flat_map(|b| &b.members).map(String::as_str));
        }
    }
    false
}

/// A hardware address, or the name of one interface.
fn is_port(text: &str) -> bool {
    is_mac(text) || (is_interface_name(text) && !text.contains('*'))
}
