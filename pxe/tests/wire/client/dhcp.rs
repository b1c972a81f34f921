//! A DHCP client.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use maekin_host::net::{self, UdpOptions};
use maekin_pxe::dhcp::options::MessageType;
use maekin_pxe::dhcp::packet::{Packet, Writer};
use maekin_pxe::hw::HwAddr;

const XID: u32 = 0x1234;

/// A socket on port 68 of one interface.
pub(crate) struct Client(UdpSocket);

/// What came back.
pub(crate) struct Reply {
    pub(crate) kind: MessageType,
    pub(crate) ip: Ipv4Addr,
}

impl Client {
    pub(crate) fn open(interface: &str) -> Self {
        let local = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
        let socket =
            net::open_udp(UdpOptions { interface, local, receive_buffer: 4 << 20 }).expect("port 68");
        socket.set_read_timeout(Some(Duration::from_millis(1500))).expect("a limit");
        Self(socket)
    }

    fn send(&self, mac: [u8; 6], kind: MessageType, options: &[(u8, &[u8])], ciaddr: Option<Ipv4Addr>) {
        let mut writer = Writer::request(kind, XID, HwAddr::new(&mac).expect("six bytes"), true);
        for (code, value) in options {
            writer.option(*code, value);
        }
        if let Some(ip) = ciaddr {
            writer.set_ciaddr(ip);
        }
        let message = writer.finish().expect("it fits");
        self.0.send_to(message.as_bytes(), (Ipv4Addr::BROADCAST, 67)).expect("sent");
    }

    fn receive(&self) -> Option<(HwAddr, Reply)> {
        let mut buf = [0; 1500];
        let (len, from) = self.0.recv_from(&mut buf).ok()?;
        assert_eq!((from.port(), from.ip().to_string().as_str()), (67, "10.77.0.1"));
        let packet = Packet::parse(&buf[..len]).expect("a DHCP message");
        assert_eq!((packet.op, packet.xid), (2, XID));
        Some((packet.hw, Reply { kind: packet.kind, ip: packet.yiaddr }))
    }

    /// Sends a message and takes the answer, if one comes within 1.5 s.
    pub(crate) fn ask(&self, mac: [u8; 6], kind: MessageType, options: &[(u8, &[u8])]) -> Option<Reply> {
        self.send(mac, kind, options, None);
        let (hw, reply) = self.receive()?;
        assert_eq!(hw.as_bytes(), mac);
        Some(reply)
    }

    /// Gives an address back.
    pub(crate) fn release(&self, mac: [u8; 6], ip: Ipv4Addr) {
        self.send(mac, MessageType::Release, &[(54, &[10, 77, 0, 1])], Some(ip));
    }

    /// DISCOVERs of many machines at once; what each was offered.
    pub(crate) fn discover_all(&self, macs: &[[u8; 6]]) -> BTreeMap<HwAddr, Ipv4Addr> {
        for mac in macs {
            self.send(*mac, MessageType::Discover, &[], None);
        }
        macs.iter().map_while(|_| self.receive()).map(|(hw, reply)| (hw, reply.ip)).collect()
    }
}
