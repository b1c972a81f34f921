//! A DHCP client.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use maekin_host::net::{self, UdpOptions};
use maekin_host::wait;
use maekin_pxe::dhcp::options::MessageType;
use maekin_pxe::dhcp::packet::{Packet, Writer};
use maekin_pxe::hw::HwAddr;

const XID: u32 = 0x1234;
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_millis(1500);

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
        socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
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

/// An answer with everything in it.
pub(crate) struct Heard {
    pub(crate) from: Ipv4Addr,
    pub(crate) port: u16,
    pub(crate) kind: MessageType,
    pub(crate) ip: Ipv4Addr,
    pub(crate) siaddr: Ipv4Addr,
    bytes: Vec<u8>,
}

impl Heard {
    pub(crate) fn option(&self, code: u8) -> Option<&[u8]> {
        Packet::parse(&self.bytes).expect("a DHCP message").option(code)
    }
}

impl Client {
    /// Broadcasts a message and takes the answers of all servers: until there are as many as expected, or 1.5 s pass
    /// without one.
    pub(crate) fn gather(
        &self,
        mac: [u8; 6],
        kind: MessageType,
        options: &[(u8, &[u8])],
        most: usize,
    ) -> Vec<Heard> {
        self.send(mac, kind, options, None);
        let mut heard = Vec::new();
        while heard.len() < most
            && let Some(next) = self.hear(mac)
        {
            heard.push(next);
        }
        heard
    }

    /// Broadcasts DISCOVERs until the answers to one of them are as expected.
    pub(crate) fn gather_until(
        &self,
        mac: [u8; 6],
        options: &[(u8, &[u8])],
        enough: impl Fn(&[Heard]) -> bool,
    ) -> Vec<Heard> {
        let ask = || Some(self.gather(mac, MessageType::Discover, options, 1)).filter(|heard| enough(heard));
        wait::until("an offer", Duration::from_secs(20), Duration::from_millis(10), ask).expect("in time")
    }

    /// Asks port 4011 of a server, as firmware does that has the address `own` by now.
    pub(crate) fn ask_boot_server(
        &self,
        server: Ipv4Addr,
        mac: [u8; 6],
        kind: MessageType,
        options: &[(u8, &[u8])],
        own: Ipv4Addr,
    ) -> Option<Heard> {
        let mut writer = Writer::request(kind, XID, HwAddr::ethernet(mac), false);
        writer.set_ciaddr(own);
        for (code, value) in options {
            writer.option(*code, value);
        }
        let message = writer.finish().expect("it fits");
        self.0.send_to(message.as_bytes(), (server, 4011)).expect("sent");
        self.hear(mac)
    }

    /// A DISCOVER (REQUEST on port 4011) of PXE firmware to one address.
    pub(crate) fn unicast(&self, server: Ipv4Addr, port: u16, mac: [u8; 6]) -> Option<Heard> {
        let kind = if port == 67 { MessageType::Discover } else { MessageType::Request };
        let mut writer = Writer::request(kind, XID, HwAddr::ethernet(mac), true);
        writer.option(60, b"PXEClient");
        let message = writer.finish().expect("it fits");
        // Refused when nobody listens there, which is silence too.
        self.0.send_to(message.as_bytes(), (server, port)).ok()?;
        self.hear(mac)
    }

    /// The next answer to this machine, if one comes within 1.5 s.
    pub(crate) fn hear(&self, mac: [u8; 6]) -> Option<Heard> {
        let mut buf = [0; 1500];
        let deadline = Instant::now() + PATIENCE;
        // What others are answered does not prolong it.
        while Instant::now() < deadline {
            let (len, from) = self.0.recv_from(&mut buf).ok()?;
            let packet = Packet::parse(&buf[..len]).expect("a DHCP message");
            if (packet.op, packet.xid, packet.hw) != (2, XID, HwAddr::ethernet(mac)) {
                continue; // another's, such as a master's that asks whether there are others
            }
            let IpAddr::V4(ip) = from.ip() else { continue };
            return Some(Heard {
                from: ip,
                port: from.port(),
                kind: packet.kind,
                ip: packet.yiaddr,
                siaddr: packet.siaddr,
                bytes: buf[..len].to_vec(),
            });
        }
        None
    }
}
