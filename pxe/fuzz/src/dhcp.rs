//! A DHCP message from the wire: read, answered by a small server, and the answer read again.

use maekin_pxe::config::{Config, parse_config};
use maekin_pxe::dhcp::leases::Leases;
use maekin_pxe::dhcp::packet::{BOOTREPLY, MAX, MIN, Packet};
use maekin_pxe::dhcp::server::handle;

/// A server with ten addresses.
pub fn server() -> (Config, Leases) {
    let text = "interface = \"eth0\"\naddress = \"10.77.0.1/24\"\npool_start = \"10.77.0.100\"\npool_end = \"10.77.0.109\"\n\
                release_dir = \"/r\"\nroot_path = \"/r/root\"\nagent_socket = \"/a\"\nlease_file = \"/l\"\n";
    let config = parse_config(text).expect("a configuration");
    let leases = Leases::new(config.plan.clone());
    (config, leases)
}

/// See the module.
pub fn run(bytes: &[u8]) {
    let Ok(packet) = Packet::parse(bytes) else { return };
    let options: usize = packet.options().map(|(_, value)| value.len() + 2).sum();
    assert!(options <= bytes.len(), "options reach beyond the message");
    assert!(packet.file().len() <= 128);
    let (config, mut leases) = server();
    // Twice: what the first left behind meets the second.
    for now in [1000, 1001] {
        let Ok(reply) = handle(&mut leases, &config.settings, now, &packet) else { continue };
        let answer = reply.message.as_bytes();
        assert!((MIN..=MAX).contains(&answer.len()), "an answer of {} bytes", answer.len());
        let read = Packet::parse(answer).expect("our own answer is a DHCP message");
        assert_eq!((read.op, read.xid, read.hw, read.kind), (BOOTREPLY, packet.xid, packet.hw, reply.kind));
        assert!(reply.ip == read.yiaddr || read.yiaddr.is_unspecified());
    }
    let (held, free) = leases.usage();
    assert!(held <= 10 && free <= 10, "{held} held, {free} free of ten");
}
