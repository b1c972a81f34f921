//! systemd-networkd units (systemd.network(5)), one an interface, in the order of the node file: networkd takes the
//! first that matches, so a wildcard further down never takes an interface that is named above it.

use std::fmt::Write;
use std::net::IpAddr;

use super::RenderedFile;
use crate::node::{Interface, NodeConfig};

/// Route metrics begin here and grow by interface, so that the first one's default router wins.
const METRIC: usize = 100;

pub(super) fn render(config: &NodeConfig) -> Vec<RenderedFile> {
    let network = &config.network;
    let mut files: Vec<_> = network
        .interfaces
        .iter()
        .enumerate()
        .map(|(i, interface)| {
            let dns: &[IpAddr] = if i == 0 { &network.dns } else { &[] };
            RenderedFile::new(
                format!("/etc/systemd/network/{:02}-maekin.network", 10 + i),
                unit(i, interface, dns),
            )
        })
        .collect();
    if network.interfaces.is_empty() {
        let any = Interface { name: Some("*".into()), dhcp: true, ..Interface::default() };
        files.push(RenderedFile::new(
            "/etc/systemd/network/90-maekin-any.network",
            unit(0, &any, &network.dns),
        ));
    }
    if !network.dns.is_empty() {
        // Also for programs that ask no resolver daemon; the static /etc/resolv.conf points at systemd-resolved.
        let text: String = network.dns.iter().map(|ip| format!("nameserver {ip}\n")).collect();
        files.push(RenderedFile::new("/etc/resolv.conf", text));
    }
    files
}

fn unit(i: usize, interface: &Interface, dns: &[IpAddr]) -> String {
    let mut text = String::from("[Match]\n");
    match (&interface.mac, &interface.name) {
        (Some(mac), _) => drop(writeln!(text, "MACAddress={mac}")),
        (None, Some(name)) => drop(writeln!(text, "Name={name}")),
        (None, None) => {}
    }
    // Bridges, bonds and taps bear their member's address or a matching name: only hardware is meant.
    text.push_str("Type=ether\nKind=!*\n\n[Link]\n");
    let _ = writeln!(text, "RequiredForOnline={}", if i == 0 { "yes" } else { "no" });
    if let Some(mtu) = interface.mtu {
        let _ = writeln!(text, "MTUBytes={mtu}");
    }
    let _ = writeln!(text, "\n[Network]\nDHCP={}", if interface.dhcp { "yes" } else { "no" });
    let _ = writeln!(text, "IPv6AcceptRA={}", if interface.dhcp { "yes" } else { "no" });
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
