//! systemd-networkd units: bonds and VLANs (systemd.netdev(5)), and the addresses of every interface
//! (systemd.network(5)). networkd takes the first `.network` that matches, and the files are named in this order: ports
//! that have a part of their own (of a bond, below a VLAN), then the interfaces of the node file, so that a wildcard
//! further down never takes a port that is named above it.

use std::fmt::Write;
use std::net::IpAddr;

use super::RenderedFile;
use crate::node::{Bond, BondMode, Interface, Network, Vlan};
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

/// What carries VLANs and has no entry of its own, once each.
fn bare_carriers(network: &Network) -> Vec<&str> {
    let mut found: Vec<&str> = Vec::new();
    for vlan in network.vlans.iter().filter(|vlan| network.interface(&vlan.on).is_none()) {
        if !found.contains(&vlan.on.as_str()) {
            found.push(&vlan.on);
        }
    }
    found
}

/// A port or a bond that does nothing but carry VLANs.
fn carrier_unit(below: &str, network: &Network) -> String {
    let mut text = String::from("[Match]\n");
    match (network.bond(below), is_mac(below)) {
        (Some(_), _) => drop(writeln!(text, "Name={below}\nKind=bond")),
        (None, true) => drop(write!(text, "MACAddress={below}\n{HARDWARE}")),
        (None, false) => drop(write!(text, "Name={below}\n{HARDWARE}")),
    }
    text.push_str("\n[Link]\nRequiredForOnline=no\n");
    if let Some(mtu) = network.mtu_of(below) {
        let _ = writeln!(text, "MTUBytes={mtu}");
    }
    text.push_str("\n[Network]\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n");
    for vlan in network.vlans_on(below) {
        let _ = writeln!(text, "VLAN={}", vlan.name);
    }
    text
}

fn unit(i: usize, interface: &Interface, network: &Network, dns: &[IpAddr]) -> String {
    let key = interface.mac.as_deref().or(interface.name.as_deref()).unwrap_or_default();
    let mut text = String::from("[Match]\n");
    if network.bond(key).is_some() {
        let _ = writeln!(text, "Name={key}\nKind=bond");
    } else if network.vlan(key).is_some() {
        let _ = writeln!(text, "Name={key}\nKind=vlan");
    } else {
        let by = if interface.mac.is_some() { "MACAddress" } else { "Name" };
        let _ = write!(text, "{by}={key}\n{HARDWARE}");
    }
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
