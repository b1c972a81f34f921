//! systemd-networkd units: bonds, VLANs and bridges (systemd.netdev(5)), and the addresses of every interface
//! (systemd.network(5)). networkd takes the first `.network` that matches, and the files are named in this order: ports
//! that have a part of their own (of a bond or a bridge, below a VLAN), then the interfaces of the node file, so that a wildcard
//! further down never takes a port that is named above it.

use std::fmt::Write;
use std::net::IpAddr;

use super::RenderedFile;
use crate::node::{Bond, BondMode, Bridge, Interface, Network, Vlan};
use crate::validate::is_mac;

/// Route metrics begin here and grow by interface, so that the first one's default router wins.
const METRIC: usize = 100;
/// Where the files lie.
const DIR: &str = "/etc/systemd/network";
/// Only hardware: bonds, bridges and taps bear their member's address or a matching name.
const HARDWARE: &str = "Type=ether\nKind=!*\n";

pub(super) fn render(network: &Network) -> Vec<RenderedFile> {
    let mut files = Vec::new();
    let mut add = |name: String, text: String| files.push(RenderedFile::new(format!("{DIR}/{name}"), text));
    for bond in &network.bonds {
        add(format!("05-maekin-{}.netdev", bond.name), bond_device(bond, network));
        for (i, member) in bond.members.iter().enumerate() {
            add(format!("06-maekin-{}-{i:02}.network", bond.name), member_unit(bond, member));
        }
    }
    for vlan in &network.vlans {
        add(format!("05-maekin-{}.netdev", vlan.name), vlan_device(vlan, network));
    }
    for bridge in &network.bridges {
        add(format!("05-maekin-{}.netdev", bridge.name), bridge_device(bridge, network));
        for (i, member) in bridge.members.iter().enumerate() {
            add(format!("06-maekin-{}-{i:02}.network", bridge.name), plugged_unit(bridge, member, network));
        }
    }
    for (i, below) in bare_carriers(network).into_iter().enumerate() {
        add(format!("07-maekin-{i:02}.network"), carrier_unit(below, network));
    }
    for (i, interface) in network.interfaces.iter().enumerate() {
        let dns: &[IpAddr] = if i == 0 { &network.dns } else { &[] };
        add(format!("{:02}-maekin.network", 10 + i), unit(i, interface, network, dns));
    }
    if network.interfaces.is_empty() {
        let any = Interface { name: Some("*".into()), dhcp: true, ..Interface::default() };
        add("90-maekin-any.network".to_owned(), unit(0, &any, network, &network.dns));
    }
    if !network.dns.is_empty() {
        // Also for programs that ask no resolver daemon; the static /etc/resolv.conf points at systemd-resolved.
        let text: String = network.dns.iter().map(|ip| format!("nameserver {ip}\n")).collect();
        files.push(RenderedFile::new("/etc/resolv.conf", text));
    }
    files
}

fn bond_device(bond: &Bond, network: &Network) -> String {
    let mut text = format!("[NetDev]\nName={}\nKind=bond\n", bond.name);
    if let Some(mac) = bond.members.first().filter(|member| is_mac(member)) {
        let _ = writeln!(text, "MACAddress={mac}");
    }
    if let Some(mtu) = network.mtu_of(&bond.name) {
        let _ = writeln!(text, "MTUBytes={mtu}");
    }
    let _ = writeln!(text, "\n[Bond]\nMode={}\nMIIMonitorSec=100ms", bond.mode.name());
    match bond.mode {
        BondMode::Lacp => {
            let rate = bond.lacp_rate.unwrap_or_default().name();
            let _ = writeln!(text, "LACPTransmitRate={rate}\nTransmitHashPolicy=layer3+4\nMinLinks=1");
        }
        BondMode::BalanceXor => text.push_str("TransmitHashPolicy=layer3+4\n"),
        _ => {}
    }
    text
}

/// A port of a bond. In most modes it gives up its own hardware address for the bond's: only the permanent one, which
/// the hardware keeps, finds it again.
fn member_unit(bond: &Bond, member: &str) -> String {
    let key = if is_mac(member) { "PermanentMACAddress" } else { "Name" };
    format!(
        "[Match]\n{key}={member}\n{HARDWARE}\n[Link]\nRequiredForOnline=no\n\n\
         [Network]\nBond={}\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n",
        bond.name
    )
}

fn vlan_device(vlan: &Vlan, network: &Network) -> String {
    let mut text = format!("[NetDev]\nName={}\nKind=vlan\n", vlan.name);
    if let Some(mtu) = network.mtu_of(&vlan.name) {
        let _ = writeln!(text, "MTUBytes={mtu}");
    }
    let _ = writeln!(text, "\n[VLAN]\nId={}", vlan.id);
    text
}

fn bridge_device(bridge: &Bridge, network: &Network) -> String {
    let mut text = format!("[NetDev]\nName={}\nKind=bridge\n", bridge.name);
    // As a bond: it gets the same DHCP lease as the port alone.
    let first = bridge.members.first().and_then(|member| network.ports_of(member).first().copied());
    if let Some(mac) = first.filter(|port| is_mac(port)) {
        let _ = writeln!(text, "MACAddress={mac}");
    }
    if let Some(mtu) = network.mtu_of(&bridge.name) {
        let _ = writeln!(text, "MTUBytes={mtu}");
    }
    let yes = |on: bool| if on { "yes" } else { "no" };
    let _ =
        writeln!(text, "\n[Bridge]\nSTP={}\nVLANFiltering={}", yes(bridge.stp), yes(bridge.vlan_filtering));
    text
}

/// Something that is plugged into a bridge. It may carry VLANs of its own name where it is a VLAN's bond, but no address.
fn plugged_unit(bridge: &Bridge, member: &str, network: &Network) -> String {
    let mut text = format!("[Match]\n{}\n[Link]\nRequiredForOnline=no\n", matching(member, network));
    if let Some(mtu) = network.mtu_of(member) {
        let _ = writeln!(text, "MTUBytes={mtu}");
    }
    let _ = writeln!(text, "\n[Network]\nBridge={}\nLinkLocalAddressing=no\nIPv6AcceptRA=no", bridge.name);
    if bridge.vlan_filtering {
        // Untagged is network 1, as the kernel has it.
        text.push_str("\n[BridgeVLAN]\nVLAN=2-4094\n");
    }
    text
}

/// The lines that find `key`, an interface that is made or a port of the machine.
fn matching(key: &str, network: &Network) -> String {
    match (network.bond(key), network.vlan(key), network.bridge(key)) {
        (Some(_), ..) => format!("Name={key}\nKind=bond\n"),
        (None, Some(_), _) => format!("Name={key}\nKind=vlan\n"),
        (None, None, Some(_)) => format!("Name={key}\nKind=bridge\n"),
        (None, None, None) if is_mac(key) => format!("MACAddress={key}\n{HARDWARE}"),
        (None, None, None) => format!("Name={key}\n{HARDWARE}"),
    }
}

/// On a bridge that keeps tagged networks apart, those of the VLANs on it reach the node itself.
fn own_tags(key: &str, network: &Network) -> String {
    let filtering = network.bridge(key).is_some_and(|bridge| bridge.vlan_filtering);
    network.vlans_on(key).filter(|_| filtering).fold(String::new(), |mut text, vlan| {
        let _ = write!(text, "\n[BridgeVLAN]\nVLAN={}\n", vlan.id);
        text
    })
}

/// What carries VLANs, or is a bridge, and has no entry of its own, once each.
fn bare_carriers(network: &Network) -> Vec<&str> {
    let mut found: Vec<&str> = Vec::new();
    let below = network.vlans.iter().map(|vlan| vlan.on.as_str());
    let bridges = network.bridges.iter().map(|bridge| bridge.name.as_str());
    for key in below.chain(bridges).filter(|key| network.interface(key).is_none()) {
        if !found.contains(&key) {
            found.push(key);
        }
    }
    found
}

/// A port, a bond or a bridge that does nothing but carry VLANs or virtual machines.
fn carrier_unit(below: &str, network: &Network) -> String {
    let mut text = format!("[Match]\n{}\n[Link]\nRequiredForOnline=no\n", matching(below, network));
    if let Some(mtu) = network.mtu_of(below) {
        let _ = writeln!(text, "MTUBytes={mtu}");
    }
    text.push_str("\n[Network]\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n");
    if network.bridge(below).is_some() {
        // It is there for virtual machines also while nothing is plugged in.
        text.push_str("ConfigureWithoutCarrier=yes\n");
    }
    for vlan in network.vlans_on(below) {
        let _ = writeln!(text, "VLAN={}", vlan.name);
    }
    text.push_str(&own_tags(below, network));
    text
}

fn unit(i: usize, interface: &Interface, network: &Network, dns: &[IpAddr]) -> String {
    let key = interface.mac.as_deref().or(interface.name.as_deref()).unwrap_or_default();
    let mut text = format!("[Match]\n{}", matching(key, network));
    let _ = writeln!(text, "\n[Link]\nRequiredForOnline={}", if i == 0 { "yes" } else { "no" });
    if let Some(mtu) = network.mtu_of(key) {
        let _ = writeln!(text, "MTUBytes={mtu}");
    }
    let _ = writeln!(text, "\n[Network]\nDHCP={}", if interface.dhcp { "yes" } else { "no" });
    let _ = writeln!(text, "IPv6AcceptRA={}", if interface.dhcp { "yes" } else { "no" });
    for vlan in network.vlans_on(key) {
        let _ = writeln!(text, "VLAN={}", vlan.name);
    }
    if !interface.dhcp && !interface.addresses.is_empty() {
        // A switch that restarts must not take the address away from those who listen on it.
        text.push_str("ConfigureWithoutCarrier=yes\n");
    }
    for ip in dns {
        let _ = writeln!(text, "DNS={ip}");
    }
    text.push_str(&own_tags(key, network));
    for address in &interface.addresses {
        let _ = writeln!(text, "\n[Address]\nAddress={address}");
    }
    let metric = METRIC * (i + 1);
    if let Some(gateway) = interface.gateway {
        let _ = writeln!(text, "\n[Route]\nGateway={gateway}\nMetric={metric}");
    }
    if interface.dhcp {
        // The hardware address as client id: firmware, installer and system get the same lease.
        let _ = writeln!(text, "\n[DHCPv4]\nClientIdentifier=mac\nUseHostname=no\nRouteMetric={metric}");
        let _ = writeln!(text, "\n[IPv6AcceptRA]\nRouteMetric={metric}");
    }
    text
}

#[cfg(test)]
mod tests;
