//! nftables rules (nft(8)): everything that comes in is dropped, but for what this node serves.

use std::fmt::Write;
use std::net::IpAddr;

use crate::cidr::Cidr;
use crate::node::NodeConfig;

/// The API.
const API: u16 = 8443;
/// etcd for clients and for its peers.
const RECORD: &str = "{ 2379, 2380 }";
/// Members tell each other that they are there.
const GOSSIP: u16 = 8946;

pub(super) fn render(config: &NodeConfig) -> String {
    let mut text = String::from(concat!(
        "#!/usr/sbin/nft -f\n",
        "flush ruleset\n",
        "table inet maekin {\n",
        "\tchain input {\n",
        "\t\ttype filter hook input priority filter; policy drop;\n",
        "\t\tct state { established, related } accept\n",
        "\t\tct state invalid drop\n",
        "\t\tiif lo accept\n",
        "\t\tmeta l4proto { icmp, ipv6-icmp } accept\n",
        "\t\tudp dport 546 ip6 saddr fe80::/10 accept comment \"DHCPv6 answers\"\n",
    ));
    // Nodes that wait to be let in are found by it (`_maekin._tcp`), whatever addresses they have.
    text.push_str(concat!(
        "\t\tip daddr 224.0.0.251 udp dport 5353 accept comment \"multicast DNS\"\n",
        "\t\tip6 daddr ff02::fb udp dport 5353 accept comment \"multicast DNS\"\n",
    ));
    if !config.admin.ssh_keys.is_empty() {
        text.push_str("\t\ttcp dport 22 accept comment \"ssh\"\n");
    }
    let _ = writeln!(text, "\t\ttcp dport {API} accept comment \"API\"");
    let own = own_network(config);
    let _ = match own.map(|own| own.network()) {
        Some(net) => {
            let family = if net.address.is_ipv4() { "ip" } else { "ip6" };
            writeln!(
                text,
                "\t\t{family} saddr {net} tcp dport {RECORD} accept comment \"record, cluster network\"\n\
                 \t\t{family} saddr {net} udp dport {GOSSIP} accept comment \"gossip, cluster network\""
            )
        }
        None => writeln!(
            text,
            "\t\ttcp dport {RECORD} accept comment \"record, mutual TLS\"\n\
             \t\tudp dport {GOSSIP} accept comment \"gossip, sealed\""
        ),
    };
    // Every node is an install master, or is when the one that leads has died: `maekin-pxe` listens, or nobody does.
    // 67: from 0.0.0.0 to broadcast; 4011: PXE boot server (RFC 4578, PXE 2.1 section 2.2.5).
    text.push_str("\t\tudp dport { 67, 4011 } accept comment \"DHCP, ProxyDHCP\"\n");
    let to_us = match own.map(|own| own.address) {
        Some(ip @ IpAddr::V4(_)) => format!("ip daddr {ip} "),
        _ => String::new(),
    };
    let _ = writeln!(text, "\t\t{to_us}udp dport 69 accept comment \"TFTP\"");
    let _ = writeln!(text, "\t\t{to_us}tcp dport 8480 accept comment \"network installation\"");
    text.push_str(concat!(
        "\t}\n",
        "\tchain forward {\n",
        "\t\ttype filter hook forward priority filter; policy drop;\n",
        "\t}\n",
        "}\n",
    ));
    text
}

/// The fixed address that carries the cluster, where there is one.
fn own_network(config: &NodeConfig) -> Option<Cidr> {
    config.network.interfaces.first()?.addresses.first()?.parse().ok()
}
