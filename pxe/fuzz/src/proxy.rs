//! A DHCP message from the wire beside another DHCP server: read for signs of that server, answered on ports 67 and
//! 4011, and shown to a person.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use maekin_pxe::dhcp::foreign::{Foreign, Mode, Role, Timing, sighting};
use maekin_pxe::dhcp::packet::{BOOTREPLY, MAX, MIN, Packet};
use maekin_pxe::dhcp::proxy::{beside, boot_server};
use maekin_pxe::simulate::describe;

/// See the module.
pub fn run(bytes: &[u8]) {
    let shown = describe(bytes);
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "a person's terminal obeys nobody else");
    let Ok(packet) = Packet::parse(bytes) else { return };
    let (config, mut leases) = super::dhcp::server();
    let from = SocketAddrV4::new(Ipv4Addr::new(10, 77, 0, 210), 68);
    let answers =
        [beside(&mut leases, &config.settings, 1000, &packet), boot_server(&config.settings, &packet, from)];
    for reply in answers.into_iter().flatten() {
        let answer = reply.message.as_bytes();
        assert!((MIN..=MAX).contains(&answer.len()), "an answer of {} bytes", answer.len());
        let read = Packet::parse(answer).expect("our own answer is a DHCP message");
        assert_eq!((read.op, read.xid, read.hw), (BOOTREPLY, packet.xid, packet.hw));
        assert!(read.yiaddr.is_unspecified(), "never an address");
        let to = *reply.to.ip();
        assert!(to.is_broadcast() || config.settings.serves(to), "{to} is not on a network of ours");
    }
    assert_eq!(leases.usage().0, 0, "nothing was leased");
    let mut foreign = Foreign::new(config.settings.server, Mode::Auto, Timing::default(), Duration::ZERO);
    if let Some(seen) = sighting(&packet) {
        let before = foreign.role();
        let change = foreign.seen(Duration::ZERO, seen);
        assert_eq!(change.is_some(), before != foreign.role(), "what changes is said");
    }
    foreign.tick(Timing::default().look, |_| None);
    assert!(matches!(foreign.role(), Role::Server | Role::Proxy), "it does not look for ever");
}
