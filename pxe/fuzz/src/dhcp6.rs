//! A DHCPv6 message from the wire, through relay agents or not: read, answered by a small server twice, and the answer
//! taken apart again.

use std::net::Ipv6Addr;

use maekin_pxe::dhcp6::address::Addresses;
use maekin_pxe::dhcp6::client;
use maekin_pxe::dhcp6::options::{are_whole, each};
use maekin_pxe::dhcp6::packet::{MAX_LEN, Packet};
use maekin_pxe::dhcp6::server::{Settings, handle};

const SERVER: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 1, 0, 0, 0, 1);

/// See the module.
pub fn run(bytes: &[u8]) {
    let Ok(packet) = Packet::parse(bytes) else { return };
    assert!(packet.hops.len() <= 8);
    let addresses: usize = packet.associations().map(|ia| ia.addresses().count()).sum();
    assert!(addresses * 20 <= bytes.len(), "addresses beyond the message");
    let _ = (client::client(&packet), client::hardware(&packet));
    let settings = Settings {
        server: SERVER,
        duid: vec![0, 3, 0, 1, 2, 0, 0, 0, 0, 0xff],
        dns: vec![SERVER],
        lease: 3600,
        http_port: 8480,
    };
    let mut network = Addresses::new(SERVER);
    for unicast in [false, true] {
        let Ok(reply) = handle(&mut network, &settings, &packet, unicast) else { continue };
        assert!(reply.bytes.len() <= MAX_LEN, "an answer of {} bytes", reply.bytes.len());
        // Behind the headers of 34 bytes that relay agents have, or of 4.
        let header = if packet.hops.is_empty() { 4 } else { 34 };
        assert!(are_whole(&reply.bytes[header..]) && each(&reply.bytes[header..]).count() > 0);
        assert!(reply.address.is_none_or(|ip| ip != SERVER), "our own address given away");
    }
}
