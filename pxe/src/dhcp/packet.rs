//! The DHCP message on the wire, RFC 2131 section 2, RFC 2132. Reading borrows, writing goes into a fixed buffer;
//! neither allocates, and no length in a packet is believed.

use std::net::Ipv4Addr;

use super::options::{self, MessageType};
use crate::hw::HwAddr;

/// Longest message that is written: an Ethernet frame's worth. Option 57 is not asked, because OVMF says 65280 there.
pub const MAX: usize = 1472;
/// Shortest message that is written: BOOTP's 300 bytes, below which some relay agents drop it (RFC 1542 section 2.1).
pub const MIN: usize = 300;
const OPTIONS: usize = 240;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
const FLAG_BROADCAST: u16 = 0x8000;

/// `op` of a message from a client.
pub const BOOTREQUEST: u8 = 1;
/// `op` of a message from a server.
pub const BOOTREPLY: u8 = 2;

/// Why bytes are not a DHCP message for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// Shorter than header and cookie.
    #[error("shorter than a DHCP header")]
    Short,
    /// No magic cookie: plain BOOTP, or something else.
    #[error("without the DHCP magic cookie")]
    Cookie,
    /// A hardware address of more than 16 bytes, or of none and no client id instead of it.
    #[error("with an impossible hardware address length")]
    HwLen,
    /// Option 53 is missing or unknown.
    #[error("without a known message type")]
    Type,
}

/// A message as received; options are looked up in the bytes themselves.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Message kind: [`BOOTREQUEST`] or [`BOOTREPLY`].
    pub op: u8,
    /// Hardware type, 1 for Ethernet.
    pub htype: u8,
    /// Transaction id.
    pub xid: u32,
    /// Seconds since the client began.
    pub secs: u16,
    /// Whether the client asks for a broadcast answer.
    pub broadcast: bool,
    /// The client's address when it has one.
    pub ciaddr: Ipv4Addr,
    /// The address given to the client.
    pub yiaddr: Ipv4Addr,
    /// The next server.
    pub siaddr: Ipv4Addr,
    /// The relay agent, unspecified when there is none.
    pub giaddr: Ipv4Addr,
    /// Who it is.
    pub hw: HwAddr,
    /// Option 53.
    pub kind: MessageType,
    header: &'a [u8],
    areas: [&'a [u8]; 3],
}

impl<'a> Packet<'a> {
    /// Reads a message. A malformed option ends the options; what came before it counts.
    ///
    /// # Errors
    /// [`PacketError`] for what is not a DHCP message.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PacketError> {
        if bytes.len() < OPTIONS {
            return Err(PacketError::Short);
        }
        let (header, options) = bytes.split_at(OPTIONS);
        if header[236..] != COOKIE {
            return Err(PacketError::Cookie);
        }
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let ip = |at: usize| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]);
        let hlen = usize::from(header[2]);
        let hw = match hlen {
            // RFC 4390 section 2.1: InfiniBand's addresses do not fit; its client id says which machine it is.
            0 => find(options, options::CLIENT_ID)
                .and_then(|id| HwAddr::new(&id[id.len().saturating_sub(16)..])),
            1..=16 => HwAddr::new(&header[28..28 + hlen]),
            _ => None,
        };
        // RFC 2132 section 9.3: `file` (bit 0) and `sname` (bit 1) may hold options too, in this order.
        let overload = find(options, options::OVERLOAD).and_then(|v| v.first().copied()).unwrap_or(0);
        let file = if overload & 1 != 0 { &header[108..236] } else { &[] };
        let sname = if overload & 2 != 0 { &header[44..108] } else { &[] };
        let mut packet = Self {
            op: header[0],
            htype: header[1],
            xid: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            secs: word(8),
            broadcast: word(10) & FLAG_BROADCAST != 0,
            ciaddr: ip(12),
            yiaddr: ip(16),
            siaddr: ip(20),
            giaddr: ip(24),
            hw: hw.ok_or(PacketError::HwLen)?,
            kind: MessageType::Discover,
            header,
            areas: [options, file, sname],
        };
        let kind = packet.option(options::MESSAGE_TYPE).and_then(|v| v.first().copied());
        packet.kind = kind.and_then(MessageType::from_code).ok_or(PacketError::Type)?;
        Ok(packet)
    }

    /// The first option `code`.
    #[must_use]
    pub fn option(&self, code: u8) -> Option<&'a [u8]> {
        self.options().find(|(c, _)| *c == code).map(|(_, value)| value)
    }

    /// The first option `code` as an address.
    #[must_use]
    pub fn option_ip(&self, code: u8) -> Option<Ipv4Addr> {
        self.option(code).and_then(|v| <[u8; 4]>::try_from(v).ok()).map(Ipv4Addr::from)
    }

    /// All options in their order.
    pub fn options(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        self.areas.into_iter().flat_map(Options)
    }

    /// The `file` field up to its first NUL, unless it holds options.
    #[must_use]
    pub fn file(&self) -> &'a [u8] {
        if self.areas[1].is_empty() { until_nul(&self.header[108..236]) } else { &[] }
    }

    /// `chaddr` whole, as it must be copied into the answer.
    fn chaddr(&self) -> &'a [u8] {
        &self.header[28..44]
    }
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or_default()
}

fn find(area: &[u8], code: u8) -> Option<&[u8]> {
    Options(area).find(|(c, _)| *c == code).map(|(_, value)| value)
}

/// The options of one area; ends at END, at its end, and at an option that reaches beyond it.
struct Options<'a>(&'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match *self.0 {
                [] | [options::END, ..] => return None,
                [options::PAD, ref rest @ ..] => self.0 = rest,
                [code, len, ref rest @ ..] if rest.len() >= usize::from(len) => {
                    let (value, rest) = rest.split_at(usize::from(len));
                    self.0 = rest;
                    return Some((code, value));
                }
                [..] => return None,
            }
        }
    }
}

/// A message being written, in a buffer of fixed size. Options appear in the order they are added; one that does
/// not fit is left out, which [`Writer::finish`] tells.
#[derive(Debug, Clone)]
pub struct Writer {
    bytes: [u8; MAX],
    len: usize,
    left_out: Option<u8>,
}

/// The message does not fit into [`MAX`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("option {0} does not fit into a DHCP message of 1472 bytes")]
pub struct TooLong(pub u8);

impl Writer {
    /// An answer to `request`: what RFC 2131 table 3 has copied is copied; the message type is its first option.
    #[must_use]
    pub fn reply(request: &Packet<'_>, kind: MessageType) -> Self {
        let mut writer = Self::blank(BOOTREPLY, request.xid);
        writer.bytes[1] = request.htype;
        writer.bytes[2] = request.header[2];
        writer.bytes[10..12].copy_from_slice(&request.header[10..12]);
        writer.bytes[28..44].copy_from_slice(request.chaddr());
        writer.set_ip(24, request.giaddr);
        writer.option(options::MESSAGE_TYPE, &[kind.code()]);
        writer
    }

    /// A message as a client sends it (for the simulator and tests).
    #[must_use]
    pub fn request(kind: MessageType, xid: u32, hw: HwAddr, broadcast: bool) -> Self {
        let mut writer = Self::blank(BOOTREQUEST, xid);
        let address = hw.as_bytes();
        writer.bytes[1] = 1;
        writer.bytes[2] = u8::try_from(address.len()).unwrap_or(16); // HwAddr has 1 to 16 bytes
        writer.bytes[28..28 + address.len()].copy_from_slice(address);
        writer.set_broadcast(broadcast);
        writer.option(options::MESSAGE_TYPE, &[kind.code()]);
        writer
    }

    fn blank(op: u8, xid: u32) -> Self {
        let mut bytes = [0; MAX];
        bytes[0] = op;
        bytes[4..8].copy_from_slice(&xid.to_be_bytes());
        bytes[236..OPTIONS].copy_from_slice(&COOKIE);
        Self { bytes, len: OPTIONS, left_out: None }
    }

    fn set_ip(&mut self, at: usize, ip: Ipv4Addr) {
        self.bytes[at..at + 4].copy_from_slice(&ip.octets());
    }

    /// Sets `ciaddr`.
    pub fn set_ciaddr(&mut self, ip: Ipv4Addr) {
        self.set_ip(12, ip);
    }

    /// Sets `giaddr`, as a relay agent does.
    pub fn set_giaddr(&mut self, ip: Ipv4Addr) {
        self.set_ip(24, ip);
    }

    /// Sets `yiaddr`.
    pub fn set_yiaddr(&mut self, ip: Ipv4Addr) {
        self.set_ip(16, ip);
    }

    /// Sets `siaddr`.
    pub fn set_siaddr(&mut self, ip: Ipv4Addr) {
        self.set_ip(20, ip);
    }

    /// Sets or clears the broadcast flag.
    pub fn set_broadcast(&mut self, broadcast: bool) {
        let flags = if broadcast { FLAG_BROADCAST } else { 0 };
        self.bytes[10..12].copy_from_slice(&flags.to_be_bytes());
    }

    /// Puts `name` into the `file` field, where it stays NUL-terminated; a name of 128 bytes or more is not put there.
    pub fn set_file(&mut self, name: &[u8]) {
        if name.len() < 128 {
            self.bytes[108..108 + name.len()].copy_from_slice(name);
        }
    }

    /// Adds an option. A value longer than 255 bytes is split (RFC 3396).
    pub fn option(&mut self, code: u8, value: &[u8]) {
        let parts = value.chunks(255).count().max(1);
        if self.len + value.len() + 2 * parts + 1 > MAX {
            self.left_out = self.left_out.or(Some(code));
            return;
        }
        if value.is_empty() {
            self.put(&[code, 0]);
        }
        for part in value.chunks(255) {
            self.put(&[code, u8::try_from(part.len()).unwrap_or(255)]); // chunks are at most 255
            self.put(part);
        }
    }

    /// Adds an option of addresses, unless there are none.
    pub fn option_ips(&mut self, code: u8, ips: &[Ipv4Addr]) {
        if !ips.is_empty() {
            let bytes: Vec<u8> = ips.iter().flat_map(Ipv4Addr::octets).collect();
            self.option(code, &bytes);
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Ends the options and pads the message to [`MIN`] bytes.
    ///
    /// # Errors
    /// [`TooLong`] when an option had to be left out.
    pub fn finish(mut self) -> Result<Message, TooLong> {
        if let Some(code) = self.left_out {
            return Err(TooLong(code));
        }
        self.put(&[options::END]);
        Ok(Message { bytes: self.bytes, len: self.len.max(MIN) })
    }
}

/// A finished message.
#[derive(Debug, Clone)]
pub struct Message {
    bytes: [u8; MAX],
    len: usize,
}

impl Message {
    /// What goes on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests;
