//! Asking an Ethernet who has an IPv4 address (RFC 826), also before the address is ours (RFC 5227).

use std::io;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use nix::ifaddrs::getifaddrs;

use crate::packet::PacketSocket;

/// EtherType of ARP.
const ETHERTYPE: u16 = 0x0806;
/// How often the question is put again.
const AGAIN: Duration = Duration::from_millis(500);

/// A hardware address.
pub type Mac = [u8; 6];

/// Asks on `interface` who has `target`; `None` when nobody said so within `limit`.
///
/// `sender` is our own address there; unspecified while it is not known whether somebody else has it (an "ARP probe").
/// What our own hardware address says is no answer.
///
/// # Errors
/// When the interface is not there, or goes down.
pub fn who_has(
    interface: &str,
    own: Mac,
    sender: Ipv4Addr,
    target: Ipv4Addr,
    limit: Duration,
) -> io::Result<Option<Mac>> {
    let socket = Asker { socket: PacketSocket::open(interface, ETHERTYPE)?, own };
    let deadline = Instant::now() + limit;
    let mut next = Instant::now();
    loop {
        let now = Instant::now();
        if now >= deadline {
            return Ok(None);
        }
        if now >= next {
            socket.ask(sender, target)?;
            next = now + AGAIN;
        }
        let wait = next.min(deadline).saturating_duration_since(now).max(Duration::from_millis(1));
        if let Some((mac, ip)) = socket.hear(wait)?
            && ip == target
        {
            return Ok(Some(mac));
        }
    }
}

/// Asks about many addresses, and hears whatever is said of any.
#[derive(Debug)]
pub struct Asker {
    socket: PacketSocket,
    own: Mac,
}

impl Asker {
    /// Opens one on `interface`, which must be an Ethernet (CAP_NET_RAW).
    ///
    /// # Errors
    /// When there is no such interface, or it has no Ethernet address.
    pub fn open(interface: &str) -> io::Result<Self> {
        let macs = getifaddrs()?.filter(|entry| entry.interface_name == interface);
        let own = macs.filter_map(|entry| entry.address?.as_link_addr()?.addr()).next();
        let own = own.ok_or_else(|| io::Error::other(format!("{interface} has no Ethernet address")))?;
        Ok(Self { socket: PacketSocket::open(interface, ETHERTYPE)?, own })
    }

    /// Asks who has `target`, once. With an unspecified `sender` it is a probe (RFC 5227 section 2.1.1), from which
    /// nobody learns anything wrong.
    ///
    /// # Errors
    /// As write(2); `NetworkDown` while the interface is down.
    pub fn ask(&self, sender: Ipv4Addr, target: Ipv4Addr) -> io::Result<()> {
        self.socket.send(&request(self.own, sender, target))
    }

    /// What somebody else next says is its address, in a request or a reply; `None` when `limit` ran out or nothing of
    /// use was heard.
    ///
    /// # Errors
    /// As read(2); `NetworkDown` when the interface went down.
    pub fn hear(&self, limit: Duration) -> io::Result<Option<(Mac, Ipv4Addr)>> {
        let mut frame = [0; 128];
        let said = self.socket.receive(&mut frame, limit)?.and_then(|n| parse_sender(&frame[..n]));
        Ok(said.filter(|(mac, ip)| *mac != self.own && !ip.is_unspecified()))
    }
}

fn request(own: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::with_capacity(60);
    frame.extend_from_slice(&[0xff; 6]);
    frame.extend_from_slice(&own);
    frame.extend_from_slice(&ETHERTYPE.to_be_bytes());
    frame.extend_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]); // Ethernet, IPv4, lengths, request
    frame.extend_from_slice(&own);
    frame.extend_from_slice(&sender.octets());
    frame.extend_from_slice(&[0; 6]);
    frame.extend_from_slice(&target.octets());
    frame.resize(60, 0); // the least that an Ethernet carries
    frame
}

/// Who an ARP packet, request or reply, says that it is from; `None`: it is none for Ethernet and IPv4.
fn parse_sender(frame: &[u8]) -> Option<(Mac, Ipv4Addr)> {
    let packet = frame.get(14..42)?;
    let known = frame.get(12..14)? == ETHERTYPE.to_be_bytes() && packet[..6] == [0, 1, 8, 0, 6, 4];
    let mac: Mac = packet[8..14].try_into().ok()?;
    let ip: [u8; 4] = packet[14..18].try_into().ok()?;
    (known && matches!(packet[6..8], [0, 1 | 2])).then(|| (mac, ip.into()))
}

/// `aa:bb:cc:dd:ee:ff` as a hardware address.
#[must_use]
pub fn parse_mac(text: &str) -> Option<Mac> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        *byte = u8::from_str_radix(parts.next().filter(|part| part.len() == 2)?, 16).ok()?;
    }
    parts.next().is_none().then_some(mac)
}

/// A hardware address as `aa:bb:cc:dd:ee:ff`.
#[must_use]
pub fn mac_text([a, b, c, d, e, f]: Mac) -> String {
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Mac = [2, 0, 0, 0, 0, 1];

    #[test]
    fn a_question_is_as_rfc_826_has_it() {
        let frame = request(OWN, Ipv4Addr::UNSPECIFIED, Ipv4Addr::new(10, 77, 0, 1));
        let head = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1];
        assert_eq!((frame.len(), &frame[..22]), (60, head.as_slice()));
        assert_eq!(frame[38..42], [10, 77, 0, 1]);
        assert_eq!(parse_sender(&frame), Some((OWN, Ipv4Addr::UNSPECIFIED)));
    }

    #[test]
    fn what_is_no_arp_says_nothing() {
        let good = request(OWN, Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST);
        for (name, at, with) in
            [("EtherType", 13, 0), ("hardware", 15, 6), ("length", 18, 8), ("operation", 21, 3)]
        {
            let mut bad = good.clone();
            bad[at] = with;
            assert_eq!(parse_sender(&bad), None, "{name}");
        }
        for cut in 0..42 {
            assert_eq!(parse_sender(&good[..cut]), None, "{cut} bytes");
        }
    }

    #[test]
    fn hardware_addresses_are_read_and_written() {
        assert_eq!(parse_mac("02:00:00:00:00:01"), Some(OWN));
        assert_eq!(mac_text(OWN), "02:00:00:00:00:01");
        for bad in ["", "2:0:0:0:0:1", "02:00:00:00:00", "02:00:00:00:00:01:02", "0g:00:00:00:00:01"] {
            assert_eq!(parse_mac(bad), None, "{bad}");
        }
    }
}
